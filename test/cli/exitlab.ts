/** The built command line, as a user runs it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dirname, "../../dist/cli/main.js");

export function exitlab(args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", env: { ...process.env, ...env } });
}

/** Path of a new file in a folder of its own. */
export function file(name: string, content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-")), name);
  writeFileSync(path, content);
  return path;
}
