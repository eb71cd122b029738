/** `exitlab run`: the counts of one scenario, their price, and its exits. */

import { writeFileSync } from "node:fs";
import type { Command } from "commander";
import { type CostProfile, readCostProfile } from "../cost/cost-profile.js";
import { InputError } from "../cost/input.js";
import { ExitCounts } from "../kvm/exit-counts.js";
import { printFtrace } from "../kvm/ftrace.js";
import { Trace } from "../kvm/trace.js";
import type { Report } from "../report/export.js";
import { runReport } from "../report/run-report.js";
import { terminalLine } from "../report/terminal-line.js";
import { exitlabCommand } from "../study/command.js";
import { exitsOf } from "../study/exits.js";
import { checkProfile, priceRun } from "../study/price.js";
import { modelVersion, packageVersion } from "../study/provenance.js";
import { replay } from "../study/run/run.js";
import { parseScenario, type Scenario } from "../study/run/scenario.js";
import { nameOf, readJson, repeated } from "./input.js";

interface Options {
  readonly json?: boolean;
  readonly ftrace?: string;
  readonly costs?: string;
}

/** Adds the command to the program. */
export function addRun(program: Command): void {
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
}

async function runCommand(given: string, { json = false, ftrace, costs }: Options): Promise<void> {
  const what = nameOf(given, "scenario");
  const scenario = parseScenario(readJson<unknown>(given), what);
  const trace = ftrace === undefined ? undefined : new Trace();
  const command = exitlabCommand(
    ...["run", repeated(given)],
    ...(costs === undefined ? [] : ["--costs", costs]),
    ...(ftrace === undefined ? [] : ["--ftrace", ftrace]),
    ...(json ? ["--json"] : []),
  );
  const profile = costs === undefined ? undefined : readCostProfile(costs);
  const report = await reportOfScenario(scenario, { what, command, profile, trace });
  if (ftrace !== undefined && trace !== undefined) writeFtrace(ftrace, trace, scenario);
  process.stdout.write(json ? `${JSON.stringify(report.rows, null, 2)}\n` : report.text);
}

/** How a scenario is run. */
interface Running {
  /** What errors call the scenario. */
  readonly what: string;
  /** That makes the report again. */
  readonly command: string;
  readonly profile?: CostProfile | undefined;
  readonly trace?: Trace | undefined;
}

/** Runs a scenario, and shows on a terminal how far it is. @throws InputError as `replay()` and `priceRun()` */
export async function reportOfScenario(
  scenario: Scenario,
  { what, command, profile, trace }: Running,
): Promise<Report> {
  // Before what may take hours.
  if (profile !== undefined) checkProfile(profile, scenario);
  const exitCounts = new ExitCounts();
  const line = terminalLine(process.stderr);
  const onProgress = (bytes: number, totalBytes: number) =>
    line.show(`${((100 * bytes) / totalBytes).toFixed(0)}% of the recording`);
  const run = await replay(scenario, what, { onProgress, exitCounts, ...(trace && { trace }) });
  line.clear();
  const options = { ...(profile && { profile }) };
  const exits = exitsOf(run, exitCounts, options);
  // That of the exits says what the costs were fitted to.
  const provenance = { ...exits.provenance, command };
  return runReport(run, {
    price: { ...priceRun(run, options), provenance },
    exits: { ...exits, provenance },
  });
}

/** The last events of the run, as the kernel's own trace file has them. */
function writeFtrace(path: string, trace: Trace, { kernel, cpu, seed }: Scenario): void {
  const notes = [
    `exitlab ${packageVersion()}, model ${modelVersion()}, ${cpu}, Linux ${kernel.slice(1)}, seed ${seed}`,
  ];
  try {
    writeFileSync(path, printFtrace(trace, { kernel, notes }));
  } catch (error) {
    throw new InputError("--ftrace", (error as Error).message, "a file that can be written");
  }
}
