/** An emulated machine as a process, and what it says through its serial ports: the files console, stdout, stderr and status. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Starts an emulator in a folder. Ctrl-C does not reach it, so that it is this process that ends it; should this process be
 * killed itself, so is the emulator.
 *
 * @param {string} folder
 * @param {string} command
 * @param {string[]} args
 */
export function startMachine(folder, command, args) {
  const log = openSync(path.join(folder, "log"), "w");
  const guarded = ["--pdeathsig", "KILL", command, ...args];
  const machine = spawn("setpriv", guarded, { cwd: folder, detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  return machine;
}

/**
 * Passes the command's output on until it ends, and returns its exit code.
 *
 * @param {import("node:child_process").ChildProcess} machine
 * @param {string} folder
 */
export async function watch(machine, folder) {
  /** @param {string} name */
  const text = (name) =>
    existsSync(path.join(folder, name)) ? readFileSync(path.join(folder, name), "utf8") : "";
  const passOn = [new Follower(path.join(folder, "stdout"), 1), new Follower(path.join(folder, "stderr"), 2)];
  for (;;) {
    // Before the output is read: what ended the machine was written after it.
    const ended = machine.exitCode !== null || machine.signalCode !== null;
    const status = /^exit code (\d+)\n/.exec(text("status"))?.[1];
    for (const file of passOn) file.passOn();
    if (status !== undefined) return Number(status);
    if (ended) {
      const last = (text("console") || text("log")).trimEnd().split("\n").slice(-20);
      throw new Error(`the emulated machine ended before the command:\n${last.join("\n")}`);
    }
    await sleep(50);
  }
}

/** Passes on what is new in a file that grows. */
class Follower {
  #input = -1;
  #buffer = new Uint8Array(65536);

  /**
   * @param {string} file
   * @param {number} output a descriptor
   */
  constructor(file, output) {
    this.file = file;
    this.output = output;
  }

  passOn() {
    if (this.#input < 0 && existsSync(this.file)) this.#input = openSync(this.file, "r");
    if (this.#input < 0) return;
    for (let bytes = 1; bytes > 0; ) {
      bytes = readSync(this.#input, this.#buffer);
      writeSync(this.output, this.#buffer, 0, bytes);
    }
  }
}
