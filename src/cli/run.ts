/** `exitlab run`: the counts of one scenario. */
import { readFileSync, writeFileSync } from "node:fs";
import { InputError } from "../cost/input.js";
import { printFtrace } from "../kvm/ftrace.js";
import { Trace } from "../kvm/trace.js";
import { textTable } from "../report/text-table.js";
import { modelVersion, packageVersion } from "../study/provenance.js";
import { type Run, run } from "../study/run.js";
import { hex, type ScenarioInput } from "../study/scenario.js";

interface Options {
  readonly json?: boolean;
  readonly ftrace?: string;
}

export function runCommand(path: string, { json = false, ftrace }: Options): void {
  const trace = ftrace === undefined ? undefined : new Trace();
  const result = run(readJson(path), path, trace === undefined ? {} : { trace });
  if (ftrace !== undefined && trace !== undefined) writeFtrace(ftrace, trace, result);
  if (json) {
    const version = { version: packageVersion(), model: modelVersion() };
    process.stdout.write(`${JSON.stringify({ ...version, ...result }, null, 2)}\n`);
  } else {
    process.stdout.write(table(result));
  }
}

/** Counts in all and per access, without the zeros, then as a PMU shows them; then the signals. */
function table({ scenario, counts, pmu, signals }: Run): string {
  const { cpu, kernel, paging, vcpus, seed, ioeventfds } = scenario;
  const accesses = scenario.accesses * vcpus;
  const lines = [
    `SIMULATED, not hardware: exitlab ${packageVersion()}, model ${modelVersion()}, seed ${seed}`,
    `${cpu}, ${kernel}, ${paging}, ${accesses} accesses${vcpus > 1 ? ` by ${vcpus} vCPUs` : ""}`,
    "",
    countTable("primitive", counts, accesses),
    "",
    countTable("as a PMU event", pmu, accesses),
    ...signals.map(
      (count, index) => `ioeventfds[${index}] at ${hex(ioeventfds[index].addr)}: ${count} signals`,
    ),
  ];
  return `${lines.join("\n")}\n`;
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

/** Whatever the file holds: `run` checks it. */
function readJson(path: string): ScenarioInput {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a readable file with JSON");
  }
}
