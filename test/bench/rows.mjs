/** All rows, in the order of the tables. Those of the model have the C++ program beside them, where there is a compiler. */
import { measureGuest } from "./guest.mjs";
import { GUEST_ROWS } from "./guest-rows.mjs";
import { lengthRow } from "./long.mjs";
import { memoryRow } from "./memory.mjs";
import { checkedRow, recordedRow } from "./observed.mjs";
import { measureProcessor } from "./processor.mjs";
import { PROCESSOR_ROWS } from "./processor-rows.mjs";
import { startRow } from "./start.mjs";
import { sweepRow } from "./sweep.mjs";
import { yardstickOfGuest, yardstickOfProcessor } from "./yardstick.mjs";

/**
 * @typedef {import("./measure.mjs").Row} Row
 * @typedef {import("./processor-rows.mjs").Measurement} Measurement
 */

export const CPP = "C++";
export const WASM = "WebAssembly";
export const TYPESCRIPT = "TypeScript";

/** The processor and the guests of KVM: what the C++ program does, too. */
export const MODEL_ROWS = [...PROCESSOR_ROWS, ...GUEST_ROWS];

/** Accesses of the shorter of the two long runs: more, to see that an hour is as good as a minute. */
const LENGTH = 100_000_000;
const LONG_LENGTH = 500_000_000;

/**
 * @param {readonly string[]} yardsticks the compiled programs, native first
 * @param {boolean} long
 * @returns {readonly Row[]}
 */
export function allRows(yardsticks, long) {
  return [
    ...MODEL_ROWS.map((row) => modelRow(row, yardsticks)),
    checkedRow("fast MMIO kick"),
    checkedRow("mixed guest"),
    recordedRow("fast MMIO kick"),
    recordedRow("mixed guest"),
    sweepRow(),
    startRow(),
    lengthRow(long ? LONG_LENGTH : LENGTH),
    memoryRow(),
  ];
}

/** Names on the command line are those of rows. */
export const rowNames = () => allRows([], false).map(({ name }) => name);

/**
 * @param {typeof MODEL_ROWS[number]} row
 * @param {readonly string[]} yardsticks
 * @param {number} [iterations]
 * @returns {Row}
 */
export function modelRow(row, yardsticks, iterations = row.iterations) {
  const isGuest = "scenario" in row;
  const typescript = {
    name: TYPESCRIPT,
    run: () =>
      sampleOf(isGuest ? measureGuest(row, iterations) : measureProcessor(row, iterations), iterations),
  };
  const compiled = yardsticks.map((program) => ({
    name: program.endsWith(".wasm") ? WASM : CPP,
    run: () =>
      sampleOf(
        isGuest ? yardstickOfGuest(program, row, iterations) : yardstickOfProcessor(program, row, iterations),
        iterations,
      ),
  }));
  return {
    name: row.name,
    unit: "ns",
    of: "access",
    runs: 11,
    sides: [...compiled, typescript],
    alike: true,
    isTrue: ({ digest, ...counts }) => row.isTrue(counts, iterations, digest),
  };
}

/**
 * @param {Measurement} measurement
 * @param {number} iterations
 * @returns {import("./measure.mjs").Sample}
 */
function sampleOf({ nanoseconds, digest, counts }, iterations) {
  return { time: nanoseconds / iterations, did: { digest, ...counts } };
}
