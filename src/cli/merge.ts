/** `exitlab merge`: the result file of a sweep from the journals of its shards. */
import type { Command } from "commander";
import { mergeSweep } from "../study/sweep/merge.js";
import { report } from "./sweep.js";

/** Adds the command to the program. */
export function addMerge(program: Command): void {
  program
    .command("merge")
    .description("write the result file of a sweep from the journals of its shards")
    .argument("<folder>", "folder with the journals")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  exitlab merge out/doorbells")
    .action(mergeCommand);
}

async function mergeCommand(folder: string, { json = false }: { readonly json?: boolean }): Promise<void> {
  report(await mergeSweep(folder), json);
}
