/** The benchmark itself: measures each row on both sides in turn, and prints the tables. */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { textTable, wrapText } from "../../dist/report/text-table.js";
import { fail } from "../../src/setup/project.mjs";
import { model, ROWS } from "./rows.mjs";
import { measureSimulated } from "./simulated.mjs";
import { measureSweep, SWEEP } from "./sweep.mjs";
import { COMPILERS, compiler, compileYardstick, FLAGS, measureYardstick, versionOf } from "./yardstick.mjs";

/** Runs of each side. They alternate, so that what else the machine does meets both. */
const RUNS = 11;
const SWEEP_RUNS = 5;

/**
 * @typedef {object} Times in nanoseconds per access, or seconds of a sweep, one for each run
 * @property {number} median
 * @property {number} low
 * @property {number} high
 * @property {readonly number[]} runs
 *
 * @typedef {object} Result
 * @property {string} name
 * @property {number} accesses
 * @property {Times} typescript
 * @property {Times | null} yardstick
 * @property {number | null} ratio TypeScript to C++: median of the runs' own, because both sides of a run meet the same machine
 * @property {import("./rows.mjs").Counts} counts
 *
 * @typedef {import("../../dist/report/text-table.js").TextColumn<Result>} Column
 */

/** @param {boolean} asJson */
export async function bench(asJson) {
  const folder = mkdtempSync(join(os.tmpdir(), "exitlab-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true }));
  const yardstick = compiler === null ? null : compileYardstick(compiler, folder);
  const machine = {
    processor: os.cpus()[0].model,
    cores: os.cpus().length,
    node: process.version,
    compiler: compiler === null ? null : versionOf(compiler),
  };
  const results = ROWS.map((row) => measure(row, yardstick));
  const sweeps = await measureSweeps();
  console.log(
    asJson
      ? JSON.stringify({ machine, model, results, sweeps }, null, 2)
      : `${text(machine, results)}\n\n${sweepText(sweeps)}`,
  );
}

/**
 * @typedef {object} Sweeps
 * @property {Times} one Seconds with one worker.
 * @property {Times} two Seconds with two.
 * @property {number} ratio Median of the runs' own.
 *
 * @returns {Promise<Sweeps>}
 */
async function measureSweeps() {
  /** @type {number[]} */
  const one = [];
  /** @type {number[]} */
  const two = [];
  for (let run = 0; run < SWEEP_RUNS; run++) {
    const [alone, both] = [await measureSweep(1), await measureSweep(2)];
    if (alone.points !== SWEEP.seeds || both.points !== SWEEP.seeds || alone.results !== both.results)
      fail(`the sweep is not what it says: ${alone.points} and ${both.points} of ${SWEEP.seeds} points`);
    one.push(alone.seconds);
    two.push(both.seconds);
  }
  const ratio = medianOf(one.map((seconds, run) => seconds / two[run]));
  return { one: timesOf(one), two: timesOf(two), ratio };
}

/** @param {Sweeps} sweeps */
function sweepText({ one, two, ratio }) {
  const { seeds, base } = SWEEP;
  const seconds = (/** @type {Times} */ { median, low, high }) =>
    `${median.toFixed(2)} s (${low.toFixed(2)}..${high.toFixed(2)})`;
  return wrapText(
    `A sweep of ${seeds} points of ${base.accesses} accesses, the same bytes each time: 1 worker ${seconds(one)}, ` +
      `2 workers ${seconds(two)}, ${ratio.toFixed(2)} times as fast; medians of ${SWEEP_RUNS} runs, of their ratios the last.`,
  );
}

/**
 * @param {import("./rows.mjs").Row} row
 * @param {string | null} yardstick
 * @returns {Result}
 */
function measure(row, yardstick) {
  const { name, iterations } = row;
  // The first run settles what the row does, and gives node the time to compile it; it is not timed.
  const { counts, digest } = measureSimulated(row, iterations);
  const did = `${nonZero(counts)}, digest ${digest}`;
  if (!row.isTrue(counts, iterations)) fail(`${name} is not what it did: ${did}`);
  const simulated = [];
  const compiled = [];
  for (let run = 0; run < RUNS; run++) {
    simulated.push(measureSimulated(row, iterations).nanoseconds / iterations);
    if (yardstick === null) continue;
    const other = measureYardstick(yardstick, row, iterations);
    const otherDid = `${nonZero(other.counts)}, digest ${other.digest}`;
    if (otherDid !== did) fail(`${name} differs: TypeScript ${did}; C++ ${otherDid}`);
    compiled.push(other.nanoseconds / iterations);
  }
  return resultOf(name, iterations, simulated, compiled, counts);
}

/**
 * @param {string} name
 * @param {number} accesses
 * @param {readonly number[]} simulated
 * @param {readonly number[]} compiled empty without a compiler
 * @param {import("./rows.mjs").Counts} counts
 * @returns {Result}
 */
function resultOf(name, accesses, simulated, compiled, counts) {
  const typescript = timesOf(simulated);
  const yardstick = compiled.length === 0 ? null : timesOf(compiled);
  const ratio = yardstick === null ? null : medianOf(simulated.map((time, run) => time / compiled[run]));
  return { name, accesses, typescript, yardstick, ratio, counts };
}

/**
 * @param {readonly number[]} runs
 * @returns {Times}
 */
function timesOf(runs) {
  return { median: medianOf(runs), low: Math.min(...runs), high: Math.max(...runs), runs };
}

/** @param {readonly number[]} runs an odd number of them */
const medianOf = (runs) => runs.toSorted((a, b) => a - b)[(runs.length - 1) / 2];

/** The counts that are not 0, by the ledger's names. @param {import("./rows.mjs").Counts} counts */
function nonZero(counts) {
  const counted = Object.entries(counts).filter(([, count]) => count !== 0);
  return counted.map(([name, count]) => `${name} ${count}`).join(", ") || "nothing counted";
}

/**
 * @param {{ processor: string, cores: number, node: string, compiler: string | null }} machine
 * @param {readonly Result[]} results
 */
function text({ processor, cores, node, compiler: version }, results) {
  const columns = [
    column("row", ({ name }) => name, "left"),
    column("M/s", ({ typescript }) => (1000 / typescript.median).toFixed(2)),
    column("ns", ({ typescript }) => ns(typescript.median)),
    column("min..max", ({ typescript }) => spread(typescript)),
  ];
  if (version !== null) {
    columns.push(
      column("C++ ns", ({ yardstick }) => (yardstick === null ? "" : ns(yardstick.median))),
      column("min..max", ({ yardstick }) => (yardstick === null ? "" : spread(yardstick))),
      column("TS/C++", ({ ratio }) => ratio?.toFixed(2) ?? ""),
    );
  }
  return [
    wrapText(`${processor}, ${cores} cores, node ${node}, simulating ${model}`),
    version === null
      ? `no C++ compiler (${COMPILERS.join(", ")}) on PATH: nothing to compare with`
      : wrapText(`C++: ${version}, ${FLAGS.join(" ")}`),
    wrapText(
      `Millions of accesses a second and nanoseconds per access: medians of ${RUNS} runs, TS/C++ that of their ratios.`,
    ),
    textTable(columns, results),
    ...results.map(({ name, accesses, counts }) =>
      wrapText(`${name}: ${accesses} times; ${nonZero(counts)}`),
    ),
  ].join("\n\n");
}

/** @type {(header: string, text: (row: Result) => string, align?: "left" | "right") => Column} */
const column = (header, text, align = "right") => ({ header, align, text });

/** Nanoseconds, with a decimal where it matters. @param {number} value */
const ns = (value) => value.toFixed(value < 100 ? 1 : 0);

/** @param {Times} times */
const spread = ({ low, high }) => `${ns(low)}..${ns(high)}`;
