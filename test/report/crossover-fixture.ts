/** A made-up sweep whose differences a reader can add up: so many signals and lookups per access more or less than the base. */
import type { Json } from "../../src/study/sweep/spec.js";
import type { SweepResult } from "../../src/study/sweep/sweep.js";
import { unfitted } from "./fixture.js";

export const CPU = "haswell-ep-e5-2660v3";
export interface Grid {
  readonly x?: readonly Json[];
  readonly y?: readonly Json[];
  readonly seeds?: readonly number[];
  readonly base?: object;
  readonly sides?: readonly [field: string, ...values: Json[]];
  readonly fields?: readonly [x: string, y: string];
  /** Signals and lookups per access, more than the base's 10; null for a point that failed. */
  readonly more?: (x: number, y: number, seed: number) => readonly [signals: number, lookups: number] | null;
}

export function crossoverSweep({
  x = [1, 2, 4, 8],
  y = [1, 2, 3],
  seeds = [1],
  base = {},
  sides: [by, ...sides] = ["exitEvicts", "nothing", "l1"],
  fields: [xField, yField] = ["workload[0].weight", "vcpus"],
  more = (at) => [at - 3, 0],
}: Grid = {}): SweepResult {
  const points = y.flatMap((yValue, row) =>
    x.flatMap((xValue, column) =>
      sides.flatMap((side, number) =>
        seeds.map((seed) => ({
          values: { [xField]: xValue, [yField]: yValue, [by]: side, seed },
          times: number === 0 ? [0, 0] : more(Number(x[column]) || column, Number(y[row]) || row, seed),
        })),
      ),
    ),
  );
  const rows = points.flatMap(({ values, times }, index) =>
    times === null
      ? []
      : {
          key: String(index),
          values,
          accesses: 100,
          counts: { eventfdSignal: 100 * (10 + times[0]), ioBusLookup: 100 * (10 + times[1]) },
          signals: [],
        },
  );
  return {
    spec: {
      base: {
        cpu: CPU,
        kernel: "v4.2",
        memslots: [{ gpa: 0, size: "0x4000000" }],
        workload: [{ op: "load", address: "0x1000000" }],
        accesses: 100,
        ...base,
      },
      seeds,
    },
    provenance: unfitted,
    rows,
    failed: points.flatMap(({ values, times }) => (times === null ? { key: "", values, error: "" } : [])),
  } as unknown as SweepResult;
}

export const crossoverOptions = { x: "workload[0].weight", y: "vcpus", by: "exitEvicts" } as const;
