/**
 * The program of the command line: its commands, their arguments and options, one verb a file.
 */
import { Command, Option } from "commander";
import { cpuNames } from "../cost/cpu-profile.js";
import { KERNEL_VERSIONS } from "../kvm/eras.js";
import { HOSTS, MITIGATIONS } from "../kvm/kvm.js";
import { PAGINGS } from "../kvm/spte.js";
import { COMPARE_STYLES } from "../report/compare/table.js";
import { PER } from "../study/compare/simulated.js";
import { HOST_ROWS } from "../study/measure/rows.js";
import { packageVersion } from "../study/provenance.js";
import { ALLOW_PATCH_SOURCE } from "../study/sweep/redis-options.js";
import { calibrateCommand } from "./calibrate.js";
import { compareCommand } from "./compare.js";
import { conformCommand } from "./conform.js";
import { cpusCommand } from "./cpus.js";
import { exportCommand } from "./export.js";
import { measureCommand } from "./measure.js";
import { mergeCommand } from "./merge.js";
import { planCommand } from "./plan.js";
import { runCommand } from "./run.js";
import { scenarioCommand } from "./scenario.js";
import { addStudyCommands } from "./study.js";
import { sweepCommand } from "./sweep.js";
import { workerCommand } from "./worker.js";
import { FORMATS_OPTION } from "./write-report.js";

const EXIT_CODES = `
Exit codes:
  0    done
  1    bad input, or a failure; a line on stderr says which
  2    a sweep is through, but some of its points failed
  130  interrupted by Ctrl-C, 143 by SIGTERM; what was finished is kept`;

const SWEEP =
  "a sweep: name, base scenario, axes, zip, exclude, seeds; in a file or as JSON that begins with {";
const OUT = ["--out <folder>", "folder of its journal and results (default: out/ and its name)"] as const;
const SHARD = ["--shard <i/N>", "only the i-th of N parts; merge joins them"] as const;

/**
 * A new program: what was parsed by one stays in it.
 *
 * Its `parseAsync` throws CommanderError where commander has said all that is to say, help or an error in the words.
 */
export function exitlabProgram(): Command {
  const program = new Command("exitlab")
    .description("Where the cycles of a KVM exit go: simulated, calibrated with published measurements.")
    .version(packageVersion())
    .addHelpText("after", EXIT_CODES)
    .showHelpAfterError()
    // Else commander ends the process itself; commands inherit this when they are added.
    .exitOverride();

  addStudyCommands(program);

  program
    .command("run")
    .description(
      "run one scenario and print what was counted, what each cost in it comes from, and its exits",
    )
    .argument("<scenario.json>", "a scenario, in a file or as JSON that begins with {")
    .option("--json", "print JSON")
    .option("--costs <profile.json>", "costs as exitlab calibrate wrote them for this processor and kernel")
    .option("--ftrace <file>", "also write the last 65536 events of KVM's tracepoints, as ftrace text")
    .addHelpText("after", "\nExample:\n  exitlab run scenario.json --json")
    .action(runCommand);

  program
    .command("export")
    .description("write figures, rows and mail of a result, or of a scenario, into a folder")
    .argument(
      "<result>",
      "results.jsonl of a sweep or its folder, what run --json printed, or a scenario, in a file or as JSON",
    )
    .requiredOption("--out <folder>", "where to")
    .option(...FORMATS_OPTION)
    .option("--x <field>", "horizontal axis of a sweep (default: the field with most values)")
    .addHelpText(
      "after",
      "\nExamples:\n  exitlab export out/doorbells --out report --formats svg,csv\n  exitlab export scenario.json --out report",
    )
    .action(exportCommand);

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
    .command("measure")
    .description("measure what an access takes on this machine's own KVM, row by row")
    .option("--rows <names...>", `of ${HOST_ROWS.join(", ")} (default: all)`)
    .option("--pin <cpu>", "keep the vCPU's thread on this processor (default: on any)")
    .option("--precision <share>", "half of the 95% interval, as a share of the median (default: 0.01)")
    .option("--limit <seconds>", "after so long rows get no more runs than an interval takes (default: 60)")
    .option("-o, --output <rows.csv>", "also write the rows, for calibrate")
    .option("--vmexit", "print each run as vmexit prints it, for calibrate and compare")
    .addOption(new Option("--json", "print JSON").conflicts("vmexit"))
    .addHelpText(
      "after",
      "\nExamples:\n  exitlab measure --pin 3 -o rows.csv\n  exitlab measure --rows cpuid ram-fault --vmexit > after.txt",
    )
    .action(measureCommand);

  program
    .command("calibrate")
    .description("fit the costs to what the tools of a machine printed")
    .argument(
      "<file...>",
      "output of kvm-unit-tests' vmexit, of perf kvm stat report, ftrace text, or a CSV file of rows",
    )
    .addOption(
      new Option("--cpu <name>", "profile of its processor").choices(cpuNames()).makeOptionMandatory(),
    )
    .addOption(
      new Option("--kernel <version>", "the one of these that is nearest to the host's kernel")
        .choices(KERNEL_VERSIONS)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--mitigations <state>", "as the host was booted (default: off)").choices(MITIGATIONS),
    )
    .addOption(
      new Option("--paging <mode>", "of its guests (default: ept, or npt on AMD's processors)").choices(
        PAGINGS,
      ),
    )
    .option("--no-mmio-caching", "kvm.mmio_caching was off")
    .addOption(
      new Option("--host <what>", "what the host itself ran on (default: bare-metal)").choices(HOSTS),
    )
    .option("--tsc-mhz <n>", "frequency of its TSC (default: the profile's)")
    .option(
      "--scenario <file.json>",
      "what the guest did while perf or ftrace recorded it, in a file or as JSON",
    )
    .option("-o, --output <profile.json>", "also write the costs, for run --costs")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExample:\n  exitlab calibrate vmexit.txt --cpu skylake-sp-platinum-8160 --kernel v6.19 --mitigations auto -o profile.json",
    )
    .action(calibrateCommand);

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
    .command("compare")
    .description("compare results, each against the first: measured, with tests; or simulated, with ranges")
    .argument(
      "<base>",
      "what vmexit, perf kvm stat report or ftrace printed, or a CSV file of rows; or results.jsonl of a sweep or its folder, what run --json printed, or a scenario, in a file or as JSON that begins with {",
    )
    .argument("[new...]", "others of the same kind")
    .option("--by <field>", "compare one sweep along a field that varies in it")
    .option(
      "--patches <series...>",
      "compare one scenario under series of patches: none, names joined with +, or a list in JSON",
    )
    .option("--base <value>", "the column that is the base (default: the first)")
    .option("--seeds <n>", "with how many seeds to run a scenario (default: 10)")
    .option("--of <figure>", "cycles, or a primitive that is counted (default: cycles)")
    .addOption(new Option("--per <what>", "of what each (default: access)").choices(PER))
    .addOption(
      new Option("--style <style>", "layout of the table (default: benchstat)").choices(COMPARE_STYLES),
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  exitlab compare before.txt after.txt
  exitlab compare out/neighbours --by kernel
  exitlab compare scenario.json --patches none svm-fast-mmio`,
    )
    .action(compareCommand);

  program
    .command("worker")
    .description("execute points of sweeps that are submitted through Redis, until interrupted")
    .requiredOption("--redis <url>", "where the points are")
    .option("--jobs <n>", "points at a time (default: one for each core)")
    .option(
      ALLOW_PATCH_SOURCE,
      "also run patches that are in no file here, from the source that a point brings along",
    )
    .addHelpText("after", "\nExample:\n  exitlab worker --redis redis://queue.example:6379")
    .action(workerCommand);

  program
    .command("conform")
    .description(
      "run the model against tables of outcomes, or against this machine's KVM, and tell where they agree",
    )
    .argument(
      "[table.jsonl...]",
      "tables of guest paging, EPT, nested, EPT pointer, TLB or ioeventfd rows, also gzipped",
    )
    .option("--host", "run random scenarios on this machine's KVM, up to the first difference")
    .option("--scenarios <n>", "how many (default: 2000)")
    .option("--seed <n>", "which (default: 1)")
    .option("--path <path>", "begin with the difference that was reported so")
    .addHelpText(
      "after",
      "\nExamples:\n  exitlab conform ept.jsonl.gz\n  exitlab conform --host --scenarios 500 --seed 7",
    )
    .action(conformCommand);

  return program;
}
