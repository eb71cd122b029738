/** The command line as a shell and its own parsing see it, within the test's process. */
import { spawnSync } from "node:child_process";
import { Command } from "commander";
import { vi } from "vitest";
import { addStudyCommands } from "../../src/cli/study.js";

/** The words that a shell makes of a command. */
export function wordsOf(command: string): string[] {
  const { stdout } = spawnSync("sh", ["-c", `printf '%s\\0' ${command.trim()}`], { encoding: "utf8" });
  return stdout.split("\0").slice(0, -1);
}

/** What `exitlab` with these words prints on stdout, of studies. @throws as the command */
export async function printed(words: readonly string[]): Promise<string> {
  const program = new Command("exitlab");
  addStudyCommands(program);
  const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  try {
    await program.parseAsync([...words], { from: "user" });
    return write.mock.calls.map(([text]) => String(text)).join("");
  } finally {
    write.mockRestore();
  }
}
