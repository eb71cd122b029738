/** A sweep with one worker and with two, in turn: how much the second is worth. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { LocalExecutor } from "../../dist/study/sweep/local.js";
import { runSweep } from "../../dist/study/sweep/sweep.js";

/**
 * The mix of a doorbell and a little of its guest's memory, a second a point, so that the threads and not their start are
 * timed. The simulated caches stay within the host's own: with larger footprints the second worker is worth what the host's
 * memory makes of it.
 */
export const SWEEP = /** @type {const} */ ({
  name: "bench",
  base: {
    cpu: "lynnfield-i7-860",
    kernel: "v4.2",
    memslots: [{ gpa: 0, size: "0x4000000" }],
    doorbells: { address: "0xfebf0000" },
    workload: [
      { op: "kick" },
      { op: "load", address: "0x1000000", size: 8, footprint: "0x10000", pattern: "uniform", weight: 9 },
    ],
    accesses: 8_000_000,
  },
  seeds: 16,
});

/**
 * @typedef {object} SweepRun
 * @property {number} seconds
 * @property {number} points That were run, none of them failed.
 * @property {string} results The bytes of the result file.
 */

/**
 * Runs the sweep from nothing.
 *
 * @param {number} workers
 * @param {number} [accesses] of each point
 * @returns {Promise<SweepRun>}
 */
export async function measureSweep(workers, accesses = /** @type {number} */ (SWEEP.base.accesses)) {
  const out = mkdtempSync(join(os.tmpdir(), "exitlab-bench-"));
  try {
    const begin = performance.now();
    const { ran, failed, results } = await runSweep(
      { ...SWEEP, base: { ...SWEEP.base, accesses } },
      { out, executor: new LocalExecutor(workers) },
    );
    const seconds = (performance.now() - begin) / 1000;
    return { seconds, points: ran - failed.length, results: readFileSync(String(results), "utf8") };
  } finally {
    rmSync(out, { recursive: true });
  }
}
