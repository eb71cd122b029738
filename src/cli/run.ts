/** `exitlab run`: the counts of one scenario. */
import { readFileSync } from "node:fs";
import { InputError } from "../cost/input.js";
import { textTable } from "../report/text-table.js";
import { modelVersion, packageVersion } from "../study/provenance.js";
import { type Run, run } from "../study/run.js";
import { hex, type ScenarioInput } from "../study/scenario.js";

export function runCommand(path: string, { json = false }: { json?: boolean }): void {
  const result = run(readJson(path), path);
  if (json) {
    const version = { version: packageVersion(), model: modelVersion() };
    process.stdout.write(`${JSON.stringify({ ...version, ...result }, null, 2)}\n`);
  } else {
    process.stdout.write(table(result));
  }
}

/** Counts in all and per access, without the zeros, then as a PMU shows them; then the signals. */
function table({ scenario, counts, pmu, signals }: Run): string {
  const { cpu, kernel, seed, accesses, ioeventfds } = scenario;
  const lines = [
    `SIMULATED, not hardware: exitlab ${packageVersion()}, model ${modelVersion()}, seed ${seed}`,
    `${cpu}, ${kernel}, ${accesses} accesses`,
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

/** Whatever the file holds: `run` checks it. */
function readJson(path: string): ScenarioInput {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a readable file with JSON");
  }
}
