/** `exitlab cpus`: the processor profiles, and with a name every value of one. */
import type { Command } from "commander";
import { loadCpu } from "../cost/cpu-profile.js";
import { cpuTable, cpuValueList, tableCpus } from "../report/cpus.js";

/** Adds the command to the program. */
export function addCpus(program: Command): void {
  program
    .command("cpus")
    .description("print the processor profiles and how much of each is measured, or every value of one")
    .argument("[name]", "a profile")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  exitlab cpus haswell-ep-e5-2660v3 | grep -A3 ^latency")
    .action(cpusCommand);
}

function cpusCommand(name: string | undefined, { json = false }: { readonly json?: boolean }): void {
  if (json) {
    const records = name === undefined ? tableCpus() : loadCpu(name).values;
    process.stdout.write(`${JSON.stringify(records, null, 2)}\n`);
    return;
  }
  process.stdout.write(name === undefined ? cpuTable() : cpuValueList(name));
}
