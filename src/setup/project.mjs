/**
 * Where the project's own things are, how set-up speaks and how it starts programs.
 *
 * Everything in this folder is plain JavaScript without a dependency: it runs under a bare node, before anything is
 * installed or compiled.
 */
import { spawn } from "node:child_process";
import { accessSync, constants, copyFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** The project's folder: this file is two levels below it, in src/ as in dist/. */
const project = path.resolve(import.meta.dirname, "../..");

/** @param {string[]} parts */
export const inProject = (...parts) => path.join(project, ...parts);

/**
 * A path below the folder that holds all that Jupyter and set-up write, so that nothing lands in the user's home.
 *
 * @param {string[]} parts
 */
export const inJupyter = (...parts) => inProject(".jupyter", ...parts);

/**
 * A path as the person means it who called npm, which runs its scripts in the project's folder.
 *
 * @param {string} file
 */
export const fromCaller = (file) => path.resolve(process.env.INIT_CWD ?? process.cwd(), file);

/**
 * Says one line to the user, on stderr: stdout belongs to the program that set-up prepares.
 *
 * @param {string} line
 */
export const say = (line) => console.error(`exitlab: ${line}`);

/**
 * Ends the process with one line.
 *
 * @param {string} line
 * @returns {never}
 */
export function fail(line) {
  say(line);
  process.exit(1);
}

/**
 * The first executable of that name on PATH.
 *
 * @param {string} name
 */
export function which(name) {
  const candidates = (process.env.PATH ?? "").split(path.delimiter).map((folder) => path.join(folder, name));
  return candidates.find(isExecutable) ?? null;
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a program on this terminal and returns its exit status as a shell would. Ctrl-C reaches the program, which
 * decides what it means; this process only waits for it.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {import("node:child_process").SpawnOptions} [options]
 * @returns {Promise<number>}
 */
export async function run(command, args, options = {}) {
  const child = spawn(command, args, { cwd: project, stdio: "inherit", ...options });
  const wait = () => {};
  const pass = () => child.kill("SIGTERM");
  process.on("SIGINT", wait).on("SIGTERM", pass);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? 128 + os.constants.signals[signal ?? "SIGKILL"]));
    });
  } finally {
    process.off("SIGINT", wait).off("SIGTERM", pass);
  }
}

/**
 * Runs a JavaScript program with this node, see {@link run}.
 *
 * @param {string[]} args
 */
export const runNode = (...args) => run(process.execPath, args);

/**
 * Writes a file so that a reader sees the old or the new content, never a part.
 *
 * @param {string} file
 * @param {string | Buffer} content
 */
export const writeWhole = (file, content) => makeWhole(file, (draft) => writeFileSync(draft, content));

/**
 * Copies a file in the same way.
 *
 * @param {string} from
 * @param {string} file
 */
export const copyWhole = (from, file) => makeWhole(file, (draft) => copyFileSync(from, draft));

/**
 * @param {string} file
 * @param {(draft: string) => void} make
 */
function makeWhole(file, make) {
  mkdirSync(path.dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  make(draft);
  renameSync(draft, file);
}
