/**
 * Runs a command in the project's folder on a real Linux KVM that itself runs in a software emulator, for machines without a
 * usable /dev/kvm: see README.md. Its output and exit code are the command's; 124 at the time limit, 125 where there was no run.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { exclusively } from "../../../src/setup/lock.mjs";
import { say } from "../../../src/setup/project.mjs";
import * as bochs from "./bochs.mjs";
import { packInitramfs } from "./initramfs.mjs";
import { debianKernel } from "./kernel.mjs";
import { watch } from "./machine.mjs";
import { installMissing } from "./packages.mjs";
import * as qemu from "./qemu.mjs";

const usage =
  "usage: node test/host/software-kvm/run.mjs [--host npt|shadow|ept] [--mmio-caching 0|1] [--limit SECONDS] -- COMMAND...";

/** How KVM runs its guests: which processor the emulator has, and the module's parameter that chooses. */
const HOSTS = {
  npt: { emulator: qemu, module: "kvm_amd", parameter: "npt=1" },
  shadow: { emulator: qemu, module: "kvm_amd", parameter: "npt=0" },
  ept: { emulator: bochs, module: "kvm_intel", parameter: "ept=1" },
};

/** As timeout(1) has them. */
const TIME_LIMIT = 124;
const NOT_RUN = 125;

const { host, mmioCaching, limit, command } = commandLine();
const { emulator, module, parameter } = HOSTS[host];
try {
  const kernel = await exclusively(async () => {
    installMissing(["busybox-static", "cpio", "kmod", "xz-utils", ...emulator.PACKAGES]);
    return debianKernel();
  });
  const folder = mkdtempSync(path.join(os.tmpdir(), "exitlab-software-kvm-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const parameters = {
    kvm: mmioCaching === undefined ? "" : `mmio_caching=${mmioCaching}`,
    [module]: parameter,
  };
  packInitramfs(folder, kernel, {
    modules: [...emulator.MODULES, module],
    parameters,
    root: emulator.ROOT,
    command,
  });
  const machine = emulator.start(folder, kernel);

  /** @param {number} status */
  const stop = async (status) => {
    if (machine.kill("SIGKILL")) await once(machine, "exit");
    process.exit(status);
  };
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
    process.on(signal, () => stop(128 + os.constants.signals[signal]));
  if (limit !== undefined)
    setTimeout(() => {
      say(`the time limit of ${limit} s has passed`);
      stop(TIME_LIMIT);
    }, limit * 1000);
  await stop(await watch(machine, folder));
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(NOT_RUN);
}

function commandLine() {
  try {
    const { values, positionals } = parseArgs({
      options: {
        host: { type: "string", default: "npt" },
        "mmio-caching": { type: "string" },
        limit: { type: "string" },
      },
      allowPositionals: true,
    });
    const host = oneOf("--host", values.host, /** @type {const} */ (["npt", "shadow", "ept"]));
    const caching = values["mmio-caching"];
    const mmioCaching =
      caching === undefined ? undefined : oneOf("--mmio-caching", caching, /** @type {const} */ (["0", "1"]));
    const limit = values.limit === undefined ? undefined : Number(values.limit);
    if (limit !== undefined && !(limit > 0))
      throw new Error(`--limit: found ${values.limit}, but a number of seconds is allowed`);
    if (positionals.length === 0) throw new Error("no command is given");
    return { host, mmioCaching, limit, command: positionals };
  } catch (error) {
    say(`${/** @type {Error} */ (error).message}\n${usage}`);
    process.exit(NOT_RUN);
  }
}

/**
 * @template {string} T
 * @param {string} option
 * @param {string} found
 * @param {readonly T[]} allowed
 * @returns {T}
 */
function oneOf(option, found, allowed) {
  const value = allowed.find((one) => one === found);
  if (value === undefined)
    throw new Error(`${option}: found ${found}, but one of ${allowed.join(", ")} is allowed`);
  return value;
}
