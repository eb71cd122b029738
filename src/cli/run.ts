/** `exitlab run`: the counts of one scenario, and their price. */
import { writeFileSync } from "node:fs";
import { readCostProfile } from "../cost/cost-profile.js";
import { InputError } from "../cost/input.js";
import { printFtrace } from "../kvm/ftrace.js";
import { Trace } from "../kvm/trace.js";
import { priceTable } from "../report/price.js";
import { terminalLine } from "../report/terminal-line.js";
import { textTable } from "../report/text-table.js";
import { checkProfile, priceRun, type RunPrice } from "../study/price.js";
import { modelVersion, packageVersion } from "../study/provenance.js";
import { type Run, replay } from "../study/run/run.js";
import { hex, parseScenario } from "../study/run/scenario.js";
import { readJson } from "./input.js";

interface Options {
  readonly json?: boolean;
  readonly ftrace?: string;
  readonly costs?: string;
}

export async function runCommand(path: string, { json = false, ftrace, costs }: Options): Promise<void> {
  const scenario = parseScenario(readJson<unknown>(path), path);
  const profile = costs === undefined ? undefined : readCostProfile(costs);
  // Before what may take hours.
  if (profile !== undefined) checkProfile(profile, scenario);
  const trace = ftrace === undefined ? undefined : new Trace();
  const line = terminalLine(process.stderr);
  const onProgress = (bytes: number, totalBytes: number) =>
    line.show(`${((100 * bytes) / totalBytes).toFixed(0)}% of the recording`);
  const result = await replay(scenario, path, { onProgress, ...(trace && { trace }) });
  line.clear();
  const price = priceRun(result, { ...(profile && { profile }) });
  if (ftrace !== undefined && trace !== undefined) writeFtrace(ftrace, trace, result);
  if (json) {
    const version = { version: packageVersion(), model: modelVersion() };
    process.stdout.write(`${JSON.stringify({ ...version, ...result, price }, null, 2)}\n`);
  } else {
    process.stdout.write(table(result, price));
  }
}

/** Counts in all and per access, without the zeros, then as a PMU shows them; then the signals, and the price. */
function table(result: Run, price: RunPrice): string {
  const { scenario, accesses, counts, pmu, signals } = result;
  const { cpu, kernel, paging, vcpus, seed, ioeventfds, doorbells } = scenario;
  const lines = [
    `SIMULATED, not hardware: exitlab ${packageVersion()}, model ${modelVersion()}, seed ${seed}`,
    `${cpu}, ${kernel}, ${paging}, ${accesses} accesses${vcpus > 1 ? ` by ${vcpus} vCPUs` : ""}`,
    "",
    countTable("primitive", counts, accesses),
    "",
    countTable("as a PMU event", pmu, accesses),
    ...ioeventfds.map(({ addr }, index) => `ioeventfds[${index}] at ${hex(addr)}: ${signals[index]} signals`),
    ...(doorbells === undefined
      ? []
      : [`doorbells at ${hex(doorbells.address)}: ${sum(signals.slice(ioeventfds.length))} signals`]),
    ...precisionLines(result),
    ...recordingLines(result),
    "",
    priceTable(price).trimEnd(),
  ];
  return `${lines.join("\n")}\n`;
}

function precisionLines({ precision, scenario }: Run): string[] {
  if (precision === undefined) return [];
  const { mean, halfWidth, warmUp, reached } = precision;
  const figure = `${scenario.precision?.of} per instruction: ${mean.toFixed(4)} +- ${halfWidth.toFixed(4)}`;
  return [`${figure}, after ${warmUp} of warm-up${reached ? "" : "; the wanted precision was NOT reached"}`];
}

function recordingLines({ recording }: Run): string[] {
  if (recording === undefined) return [];
  const { lines, steps, leftOut, notes } = recording;
  return [
    `recording: ${lines} lines, ${steps} steps`,
    ...Object.entries(leftOut).map(([kind, count]) => `left out: ${count} x ${kind}`),
    ...notes,
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function countTable(header: string, counts: Readonly<Record<string, number>>, accesses: number): string {
  return textTable(
    [
      { header, align: "left", text: ([name]) => name },
      { header: "count", align: "right", text: ([, count]) => String(count) },
      { header: "per access", align: "right", text: ([, count]) => (count / accesses).toFixed(4) },
    ],
    Object.entries(counts).filter(([, count]) => count !== 0),
  );
}

/** The last events of the run, as the kernel's own trace file has them. */
function writeFtrace(path: string, trace: Trace, { scenario: { kernel, cpu, seed } }: Run): void {
  const notes = [
    `exitlab ${packageVersion()}, model ${modelVersion()}, ${cpu}, Linux ${kernel.slice(1)}, seed ${seed}`,
  ];
  try {
    writeFileSync(path, printFtrace(trace, { kernel, notes }));
  } catch (error) {
    throw new InputError("--ftrace", (error as Error).message, "a file that can be written");
  }
}
