/** The command line: built, as a user runs it; or of the sources, within the test's process. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { execute } from "../../src/cli/execute.js";

/** The built command. */
export const MAIN = join(import.meta.dirname, "../../dist/cli/main.js");

export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code. */
  readonly status: number | null;
}

/** Runs the built command in a process of its own. */
export function exitlab(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Ended {
  return spawnSync(process.execPath, [MAIN, ...args], {
    encoding: "utf8",
    cwd,
    env: { ...process.env, ...env },
  });
}

/**
 * The same of the sources, without a process: a start takes more than a second, and most commands much less. Not for what is
 * the process's own: signals, threads, pipes.
 */
export async function inProcess(args: readonly string[], cwd = process.cwd()): Promise<Ended> {
  const before = { cwd: process.cwd(), exitCode: process.exitCode };
  const [stdout, stderr] = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, "write").mockReturnValue(true),
  );
  const text = ({ mock }: typeof stdout) => mock.calls.map(([chunk]) => String(chunk)).join("");
  process.exitCode = undefined;
  process.chdir(cwd);
  try {
    await execute(args);
    return { stdout: text(stdout), stderr: text(stderr), status: Number(process.exitCode ?? 0) };
  } finally {
    process.chdir(before.cwd);
    process.exitCode = before.exitCode;
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

/** The words that a shell makes of a command. */
export function wordsOf(command: string): string[] {
  const { stdout } = spawnSync("sh", ["-c", `printf '%s\\0' ${command.trim()}`], { encoding: "utf8" });
  return stdout.split("\0").slice(0, -1);
}

/** Path of a new file in a folder of its own. */
export function file(name: string, content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-")), name);
  writeFileSync(path, content);
  return path;
}
