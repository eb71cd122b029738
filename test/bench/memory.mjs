/** Whether a guest of a terabyte whose tables are sparse fits in a gigabyte. */
import { join } from "node:path";
import { runNodeProgram } from "./child.mjs";

/** Bytes that the process may have resident. */
const LIMIT = 2 ** 30;

/**
 * @param {number} [accesses]
 * @returns {import("./measure.mjs").Row}
 */
export function memoryRow(accesses = 100_000) {
  return {
    name: "terabyte",
    unit: "s",
    of: "process",
    runs: 3,
    sides: [
      {
        name: `${accesses} accesses`,
        run: () => {
          const { stdout, milliseconds } = runNodeProgram([
            join(import.meta.dirname, "terabyte.mjs"),
            `${accesses}`,
          ]);
          return { time: milliseconds / 1000, did: { accesses, ...JSON.parse(stdout) } };
        },
      },
    ],
    alike: true,
    // Few pages are met twice.
    isTrue: ({ violations, maxRss }) => violations > 0.99 * accesses && maxRss <= LIMIT,
  };
}
