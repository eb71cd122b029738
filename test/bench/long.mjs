/** Whether twice as many accesses take twice the processor time, and no more memory. */
import { join } from "node:path";
import { runNodeProgram } from "./child.mjs";

/** Bytes that a process may grow by, however long it runs: what node keeps of its own. */
const GROWTH = 16 * 2 ** 20;

/**
 * @param {number} accesses of the shorter side
 * @returns {import("./measure.mjs").Row}
 */
export function lengthRow(accesses) {
  return {
    name: "length",
    unit: "s",
    of: "process",
    runs: 3,
    sides: [accesses, 2 * accesses].map((count) => ({
      name: `${count / 1e6} M hits`,
      run: () => {
        const { stdout } = runNodeProgram([
          "--expose-gc",
          join(import.meta.dirname, "long-run.mjs"),
          `${count}`,
        ]);
        const { nanoseconds, ...did } = JSON.parse(stdout);
        return { time: nanoseconds / 1e9, did: { accesses: count, ...did } };
      },
    })),
    alike: false,
    isTrue: ({ accesses: asked, dtlbHit, heapGrowth, rssGrowth }) =>
      dtlbHit === asked && Math.max(heapGrowth, rssGrowth) <= GROWTH,
    bounds: [1.9, 2.1],
  };
}
