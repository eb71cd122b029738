/** A sweep with one worker and with two, in turn: how much the second is worth. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { LocalExecutor } from "../../dist/study/sweep/local.js";
import { runSweep } from "../../dist/study/sweep/sweep.js";

/**
 * The mix of a doorbell and a little of its guest's memory, half a second a point, so that the threads and not their start are
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
    accesses: 4_000_000,
  },
  seeds: 16,
});

/**
 * @param {number} [accesses] of each point
 * @returns {import("./measure.mjs").Row}
 */
export function sweepRow(accesses = /** @type {number} */ (SWEEP.base.accesses)) {
  return {
    name: "sweep",
    unit: "s",
    of: "sweep",
    runs: 5,
    sides: [1, 2].map((workers) => ({
      name: workers === 1 ? "1 worker" : `${workers} workers`,
      run: () => measureSweep(workers, accesses),
    })),
    alike: true,
    isTrue: ({ points, failed }) => points === SWEEP.seeds && failed === 0,
  };
}

/**
 * Runs the sweep from nothing.
 *
 * @param {number} workers
 * @param {number} accesses
 * @returns {Promise<import("./measure.mjs").Sample>}
 */
async function measureSweep(workers, accesses) {
  const out = mkdtempSync(join(os.tmpdir(), "exitlab-bench-"));
  try {
    const begin = performance.now();
    const { ran, failed, results } = await runSweep(
      { ...SWEEP, base: { ...SWEEP.base, accesses } },
      { out, executor: new LocalExecutor(workers) },
    );
    const time = (performance.now() - begin) / 1000;
    const digest = createHash("sha256")
      .update(readFileSync(String(results)))
      .digest()
      .readUIntBE(0, 6);
    return { time, did: { points: ran, failed: failed.length, accesses, digest } };
  } finally {
    rmSync(out, { recursive: true });
  }
}
