/** Has the rows measured that were asked for, and prints them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { textTable, wrapText } from "../../dist/report/text-table.js";
import { fail, say } from "../../src/setup/project.mjs";
import { didText } from "./measure.mjs";
import { model } from "./processor-rows.mjs";
import { CPP, MODEL_ROWS, rowNames, TYPESCRIPT, WASM } from "./rows.mjs";
import { COMPILERS, compiler, compileToWasm, compileYardstick, FLAGS, versionOf } from "./yardstick.mjs";

/**
 * @typedef {import("./measure.mjs").Figures} Figures
 * @typedef {import("./measure.mjs").MeasuredRow} MeasuredRow
 * @typedef {import("./measure.mjs").MeasuredSide} MeasuredSide
 *
 * @typedef {object} Line of a row itself, or of one of its sides
 * @property {MeasuredRow} row
 * @property {MeasuredSide | null} side
 */

/**
 * @param {readonly string[]} names of rows; none: all
 * @param {{ json: boolean, long: boolean, wasm: boolean }} options
 */
export async function bench(names, { json, long, wasm }) {
  const known = rowNames();
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) fail(`no row is called "${unknown}"; the rows are:\n  ${known.join("\n  ")}`);
  const folder = mkdtempSync(join(os.tmpdir(), "exitlab-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true }));
  const yardsticks = [
    ...(compiler === null ? [] : [compileYardstick(compiler, folder)]),
    ...(wasm ? [compileToWasm(folder)] : []),
  ];
  const machine = {
    processor: os.cpus()[0].model,
    cores: os.cpus().length,
    memory: os.totalmem(),
    node: process.version,
    compiler: compiler === null ? null : versionOf(compiler),
    flags: FLAGS,
  };
  const rows = known
    .filter((name) => names.length === 0 || names.includes(name))
    .map((name) => measured(name, yardsticks, long));
  console.log(json ? JSON.stringify({ machine, model, rows }, null, 2) : text(machine, rows));
}

/**
 * @param {string} name of a row
 * @param {readonly string[]} yardsticks
 * @param {boolean} long
 * @returns {MeasuredRow}
 */
function measured(name, yardsticks, long) {
  say(`${name} ...`);
  const args = [join(import.meta.dirname, "row-process.mjs"), name, `${long}`, ...yardsticks];
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  // It has said what is wrong.
  if (status !== 0) process.exit(1);
  return JSON.parse(stdout);
}

/**
 * @param {{ processor: string, cores: number, node: string, compiler: string | null }} machine
 * @param {readonly MeasuredRow[]} rows
 */
function text({ processor, cores, node, compiler: version }, rows) {
  const ofModel = rows.filter(({ name }) => MODEL_ROWS.some((row) => row.name === name));
  const others = rows.filter((row) => !ofModel.includes(row));
  return [
    wrapText(`${processor}, ${cores} cores, node ${node}, simulating ${model}`),
    version === null
      ? `no C++ compiler (${COMPILERS.join(", ")}) on PATH: nothing to compare with`
      : wrapText(`C++: ${version}, ${FLAGS.join(" ")}`),
    ...(ofModel.length === 0 ? [] : [modelText(ofModel)]),
    ...(others.length === 0 ? [] : [othersText(others)]),
    ...rows.map(didOf),
  ].join("\n\n");
}

/** @param {readonly MeasuredRow[]} rows */
function modelText(rows) {
  /** @type {(name: string) => (row: MeasuredRow) => MeasuredSide | undefined} */
  const sideOf = (name) => (row) => row.sides.find((side) => side.name === name);
  const [typescript, cpp, wasm] = [sideOf(TYPESCRIPT), sideOf(CPP), sideOf(WASM)];
  /** @type {(header: string, text: (row: MeasuredRow) => string | undefined, align?: "left" | "right") => Column<MeasuredRow>} */
  const column = (header, cell, align = "right") => ({ header, align, text: (row) => cell(row) ?? "" });
  return [
    wrapText(
      `Millions of accesses a second and nanoseconds of processor time per access: medians of ${rows[0].sides[0].time.samples.length} runs, ` +
        "TS/C++ that of their ratios.",
    ),
    textTable(
      [
        column("row", ({ name }) => name, "left"),
        column("M/s", (row) => rate(typescript(row))),
        column("ns", (row) => figure(typescript(row)?.time.median)),
        column("min..max", (row) => spread(typescript(row)?.time)),
        column("C++ ns", (row) => figure(cpp(row)?.time.median)),
        ...(rows.some(wasm)
          ? [
              column("Wasm ns", (row) => figure(wasm(row)?.time.median)),
              column("Wasm/C++", (row) => wasm(row)?.ratio?.median.toFixed(2)),
            ]
          : [column("min..max", (row) => spread(cpp(row)?.time))]),
        column("TS/C++", (row) => typescript(row)?.ratio?.median.toFixed(2)),
      ],
      rows,
    ),
  ].join("\n\n");
}

/**
 * @template Row
 * @typedef {import("../../dist/report/text-table.js").TextColumn<Row>} Column
 */

/** @param {readonly MeasuredRow[]} rows */
function othersText(rows) {
  /** @type {(header: string, text: (line: Line) => string | null | undefined, align?: "left" | "right") => Column<Line>} */
  const column = (header, cell, align = "right") => ({ header, align, text: (line) => cell(line) ?? "" });
  return [
    wrapText("Medians of the runs; ratios are to the first side of a row, medians of the runs' own."),
    textTable(
      [
        column("row and sides", ({ row, side }) => (side === null ? row.name : `- ${side.name}`), "left"),
        column("time", ({ row, side }) => side && `${figure(side.time.median)} ${row.unit}`),
        column("min..max", ({ side }) => side && spread(side.time)),
        column("ratio", ({ side }) => side?.ratio?.median.toFixed(2)),
        column("asked", asked, "left"),
      ],
      rows.flatMap((row) => [{ row, side: null }, ...row.sides.map((side) => ({ row, side }))]),
    ),
  ].join("\n\n");
}

/** The bounds of a ratio, and whether it is within them. @param {Line} line */
function asked({ row: { bounds }, side }) {
  if (bounds === undefined || !side?.ratio) return undefined;
  const [low, high] = bounds;
  const { median } = side.ratio;
  return `${low === 0 ? `<= ${high}` : `${low}..${high}`}: ${low <= median && median <= high ? "yes" : "no"}`;
}

/** What a run did, or a run of each side where they differ. @param {MeasuredRow} row */
function didOf({ name, of, sides }) {
  const texts = sides.map(({ did }) => didText(did));
  if (texts.every((one) => one === texts[0])) return wrapText(`${name}, times per ${of}: ${texts[0]}`);
  return sides
    .map((side, index) => wrapText(`${name}, ${side.name}, times per ${of}: ${texts[index]}`))
    .join("\n\n");
}

/** @param {MeasuredSide | undefined} side */
const rate = (side) => side && (1000 / side.time.median).toFixed(2);

/** With three digits, or as many as it has before the point. @param {number | undefined} value */
const figure = (value) => value?.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

/** @param {Figures | undefined} figures */
const spread = (figures) => figures && `${figure(figures.low)}..${figure(figures.high)}`;
