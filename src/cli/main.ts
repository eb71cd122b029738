#!/usr/bin/env node
/**
 * The command line: one verb a file.
 */
import { constants } from "node:os";
import { Command, Option } from "commander";
import { cpuNames } from "../cost/cpu-profile.js";
import { KERNEL_VERSIONS } from "../kvm/eras.js";
import { MITIGATIONS } from "../kvm/kvm.js";
import { EXIT_EVICTS } from "../kvm/x86.js";
import { packageVersion, warnIfStale } from "../study/provenance.js";
import { Interrupted } from "../study/sweep/interrupt.js";
import { calibrateCommand } from "./calibrate.js";
import { conformCommand } from "./conform.js";
import { cpusCommand } from "./cpus.js";
import { mergeCommand } from "./merge.js";
import { planCommand } from "./plan.js";
import { runCommand } from "./run.js";
import { scenarioCommand } from "./scenario.js";
import { studyCommand } from "./study.js";
import { sweepCommand } from "./sweep.js";
import { workerCommand } from "./worker.js";

const EXIT_CODES = `
Exit codes:
  0    done
  1    bad input, or a failure; a line on stderr says which
  2    a sweep is through, but some of its points failed
  130  interrupted by Ctrl-C, 143 by SIGTERM; what was finished is kept`;

const program = new Command("exitlab")
  .description("Where the cycles of a KVM exit go: simulated, calibrated with published measurements.")
  .version(packageVersion())
  .addHelpText("after", EXIT_CODES)
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
  .description("run one scenario and print what was counted, and what each cost in it comes from")
  .argument("<scenario.json>", "a scenario")
  .option("--json", "print JSON")
  .option("--costs <profile.json>", "costs as exitlab calibrate wrote them for this processor and kernel")
  .option("--ftrace <file>", "also write the last 65536 events of KVM's tracepoints, as ftrace text")
  .addHelpText("after", "\nExample:\n  exitlab run scenario.json --json")
  .action(runCommand);

program
  .command("scenario")
  .description("print every field of a scenario: what it may be, and its default")
  .option("--json", "print JSON")
  .addHelpText("after", "\nExample:\n  exitlab scenario | grep -A2 doorbells")
  .action(scenarioCommand);

program
  .command("cpus")
  .description("print the processor profiles and how much of each is measured, or every value of one")
  .argument("[name]", "a profile")
  .option("--json", "print JSON")
  .addHelpText("after", "\nExample:\n  exitlab cpus haswell-ep-e5-2660v3 | grep -A3 ^latency")
  .action(cpusCommand);

program
  .command("calibrate")
  .description("fit the costs to what the tools of a machine printed")
  .argument(
    "<file...>",
    "output of kvm-unit-tests' vmexit, of perf kvm stat report, ftrace text, or a CSV file of rows",
  )
  .addOption(new Option("--cpu <name>", "profile of its processor").choices(cpuNames()).makeOptionMandatory())
  .addOption(
    new Option("--kernel <version>", "the one of these that is nearest to the host's kernel")
      .choices(KERNEL_VERSIONS)
      .makeOptionMandatory(),
  )
  .addOption(
    new Option("--mitigations <state>", "as the host was booted (default: off)").choices(MITIGATIONS),
  )
  .option("--tsc-mhz <n>", "frequency of its TSC (default: the profile's)")
  .option("--scenario <file.json>", "what the guest did while perf or ftrace recorded it")
  .option("-o, --output <profile.json>", "also write the costs, for run --costs")
  .option("--json", "print JSON")
  .addHelpText(
    "after",
    "\nExample:\n  exitlab calibrate vmexit.txt --cpu skylake-sp-platinum-8160 --kernel v6.19 --mitigations auto -o profile.json",
  )
  .action(calibrateCommand);

const SWEEP = "a sweep: name, base scenario, axes, zip, exclude, seeds";
const OUT = ["--out <folder>", "folder of its journal and results (default: out/ and its name)"] as const;
const SHARD = ["--shard <i/N>", "only the i-th of N parts; merge joins them"] as const;

program
  .command("plan")
  .description("print what a sweep would run and why, and how long it may take")
  .argument("<sweep.json>", SWEEP)
  .option(...OUT)
  .option(...SHARD)
  .option("--json", "print JSON")
  .addHelpText("after", "\nExample:\n  exitlab plan sweep.json")
  .action(planCommand);

program
  .command("sweep")
  .description("run a sweep, or what is left of it after an interrupt, a crash or a change of the model")
  .argument("<sweep.json>", SWEEP)
  .option(...OUT)
  .addOption(new Option("--workers <n>", "threads (default: one for each core)").conflicts("redis"))
  .option(...SHARD)
  .option("--redis <url>", "let workers execute it that are connected to this Redis")
  .option("--fail-fast", "stop at the first point that fails")
  .option("--json", "print JSON")
  .addHelpText(
    "after",
    `
Examples:
  exitlab sweep sweep.json
  exitlab sweep sweep.json --shard $((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))/$SLURM_ARRAY_TASK_COUNT
  exitlab sweep sweep.json --shard $((JOB_COMPLETION_INDEX + 1))/8
  exitlab sweep sweep.json --redis redis://queue.example:6379`,
  )
  .action(sweepCommand);

program
  .command("merge")
  .description("write the result file of a sweep from the journals of its shards")
  .argument("<folder>", "folder with the journals")
  .option("--json", "print JSON")
  .addHelpText("after", "\nExample:\n  exitlab merge out/doorbells")
  .action(mergeCommand);

program
  .command("worker")
  .description("execute points of sweeps that are submitted through Redis, until interrupted")
  .requiredOption("--redis <url>", "where the points are")
  .option("--jobs <n>", "points at a time (default: one for each core)")
  .addHelpText("after", "\nExample:\n  exitlab worker --redis redis://queue.example:6379")
  .action(workerCommand);

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
  process.exitCode = error instanceof Interrupted ? 128 + constants.signals[error.signal] : 1;
}
