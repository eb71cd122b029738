/** Made-up sweeps. */
import type { SweepPlot } from "../../src/report/sweep-figure.js";
import type { SweepResult, SweepRow } from "../../src/study/sweep/sweep.js";
import { unfitted } from "./fixture.js";

/** A sweep with these values, of which each row counts its `accesses`. */
export function sweepOf(
  rows: readonly (readonly [values: SweepRow["values"], accesses: number])[],
): SweepResult {
  return {
    spec: { base: { cpu: "haswell-ep-e5-2660v3" }, seeds: [1, 2] },
    provenance: unfitted,
    rows: rows.map(([values, accesses], index) => ({
      key: String(index),
      values,
      accesses,
      counts: {},
      signals: [],
    })),
  } as unknown as SweepResult;
}

/** What rows count, by vCPUs. */
export const accessesByVcpus: SweepPlot = {
  title: "t",
  x: "vcpus",
  xTitle: "vCPUs",
  yTitle: "accesses",
  y: (row) => row.accesses,
};
