#!/usr/bin/env node
/**
 * The command line. Exit codes: 0 done, 1 bad input or a failure, with one line on stderr that says what.
 */
import { Command, Option } from "commander";
import { cpuNames } from "../cost/cpu-profile.js";
import { EXIT_EVICTS } from "../kvm/x86.js";
import { packageVersion, warnIfStale } from "../study/provenance.js";
import { conformCommand } from "./conform.js";
import { runCommand } from "./run.js";
import { studyCommand } from "./study.js";

const program = new Command("exitlab")
  .description("Where the cycles of a KVM exit go: simulated, calibrated with published measurements.")
  .version(packageVersion())
  .showHelpAfterError();

program
  .command("study")
  .description("run a study and print its table for a mail")
  .addArgument(program.createArgument("<name>", "which study").choices(["pci-testdev"]))
  .addOption(new Option("--cpu <name>", "processor that the rows are shown for").choices(cpuNames()))
  .addOption(new Option("--exit-evicts <what>", "what an exit evicts there").choices([...EXIT_EVICTS]))
  .option("--measurement <file.csv>", "rows of a machine of your own, in place of those of 2013")
  .option(
    "--cost <name=low..high>",
    "another prior range for a cost, in cycles; may be repeated",
    collect,
    [],
  )
  .option("--accesses <n>", "guest instructions per row")
  .option("--seed <n>", "seed of the workload")
  .option("--out <folder>", "also write charts, rows and table into this folder")
  .addHelpText("after", "\nExample:\n  exitlab study pci-testdev --cpu ivy-bridge-i7-3770k --out out")
  .action(studyCommand);

program
  .command("run")
  .description("run one scenario and print what was counted")
  .argument("<scenario.json>", "a scenario")
  .option("--json", "print JSON")
  .option("--ftrace <file>", "also write the last 65536 events of KVM's tracepoints, as ftrace text")
  .addHelpText("after", "\nExample:\n  exitlab run scenario.json --json")
  .action(runCommand);

program
  .command("conform")
  .description("run the model against tables of outcomes and count where they agree")
  .argument(
    "<table.jsonl...>",
    "tables of guest paging, EPT, nested, EPT pointer, TLB or ioeventfd rows, also gzipped",
  )
  .addHelpText("after", "\nExample:\n  exitlab conform ept.jsonl.gz")
  .action(conformCommand);

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

warnIfStale();
try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`exitlab: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
