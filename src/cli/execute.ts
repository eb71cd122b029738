/** A call of the command line, to its end: what went wrong as a line on stderr, and the exit code. */
import { constants } from "node:os";
import { CommanderError } from "commander";
import { Interrupted } from "../study/sweep/interrupt.js";
import { exitlabProgram } from "./program.js";

/** Executes the command that these words name. Never fails: how it ended is in `process.exitCode`. */
export async function execute(words: readonly string[]): Promise<void> {
  try {
    const program = await exitlabProgram(words);
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Of its own errors commander has written already.
    if (error instanceof CommanderError) return;
    process.stderr.write(`exitlab: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  return error instanceof Interrupted ? 128 + constants.signals[error.signal] : 1;
}
