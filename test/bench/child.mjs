/** Node programs that a row of the benchmark measures from outside. */
import { spawnSync } from "node:child_process";

/**
 * Runs node with these arguments, and returns what it printed and its milliseconds.
 *
 * @param {readonly string[]} args
 * @throws Error with what it said, when it failed
 */
export function runNodeProgram(args) {
  const begin = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  const milliseconds = performance.now() - begin;
  if (status !== 0) throw new Error(`node ${args.join(" ")}: ${stderr}`);
  return { stdout, milliseconds };
}
