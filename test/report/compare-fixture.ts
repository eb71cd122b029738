/** Made-up comparisons, measured and simulated. */
import type {
  MeasuredCell,
  MeasuredComparison,
  SimulatedCell,
  SimulatedComparison,
} from "../../src/study/compare/result.js";
import { unfitted } from "./fixture.js";

/** Ten samples with a standard deviation of 1% of their mean, which is their median too. */
function samples(mean: number): MeasuredCell {
  return {
    samples: 10,
    mean,
    standardDeviation: mean / 100,
    min: 0.98 * mean,
    median: mean,
    max: 1.03 * mean,
    interval: { low: 0.99 * mean, high: 1.01 * mean },
    centre: mean,
    versusBase: null,
  };
}

function against(base: MeasuredCell, cell: MeasuredCell, p: number | null): MeasuredCell {
  const value = cell.mean - base.mean;
  const half = p !== null && p < 0.05 ? 0.1 * Math.abs(value) : 2 * Math.abs(value);
  return {
    ...cell,
    versusBase: {
      relative: (cell.centre - base.centre) / base.centre,
      p,
      test: p === null ? null : "Mann-Whitney U",
      significant: p !== null && p < 0.05,
      means: p === null ? null : { value, low: value - half, high: value + half },
    },
  };
}

function single(value: number): MeasuredCell {
  const ends = { min: value, median: value, max: value };
  return { ...samples(value), ...ends, samples: 1, standardDeviation: null, interval: null };
}

export const measuredComparison: MeasuredComparison = {
  kind: "measured",
  version: "0.1.0",
  command: "npx exitlab compare runs/6.18 runs/6.18-rfc",
  unit: "TSC cycles",
  exitsOfOneRun: false,
  columns: ["6.18", "6.18-rfc"],
  rows: [
    { name: "vmcall", cells: [samples(1700), against(samples(1700), samples(1704), 0.446)] },
    {
      name: "mmio-wildcard-eventfd",
      cells: [samples(3600), against(samples(3600), samples(1800), 0.002)],
    },
    { name: "ipi", cells: [single(42_000), against(single(42_000), single(41_000), null)] },
    { name: "only_before", cells: [samples(900), null] },
    { name: "only_after", cells: [null, samples(0.125)] },
  ],
  notes: ["the samples are made up"],
};

const unknown = { samples: null, standardDeviation: null, min: null, median: null, max: null };

/** Rows of CSV files, which say at most by how much they may be off. */
export const csvComparison: MeasuredComparison = {
  ...measuredComparison,
  rows: [
    {
      name: "cpuid",
      cells: [
        { ...unknown, mean: 1000, centre: 1000, interval: { low: 970, high: 1030 }, versusBase: null },
        against(samples(1000), { ...samples(900), ...unknown, interval: { low: 880, high: 920 } }, null),
      ],
    },
  ],
  notes: [],
};

/** Exits by their reasons, of one run each. */
export const exitsComparison: MeasuredComparison = {
  ...measuredComparison,
  unit: "us",
  exitsOfOneRun: true,
};

const cell = (mean: number, versusBase: SimulatedCell["versusBase"] = null): SimulatedCell => ({
  mean,
  ofSeeds: { low: 0.99 * mean, high: 1.01 * mean },
  ofCosts: { low: 0.7 * mean, high: 1.5 * mean },
  versusBase,
});

export const simulatedComparison: SimulatedComparison = {
  kind: "simulated",
  provenance: { ...unfitted, command: "npx exitlab compare out/kicks --by patches" },
  machine: "Intel made-up",
  unit: "TSC cycles per access",
  columns: ["none", "ro-slot", "fast-mmio"],
  rows: [
    {
      name: "vcpus=1 workload[ram].weight=0",
      cells: [
        cell(3600),
        cell(3800, {
          relative: 200 / 3600,
          ofSeeds: { low: 0.05, high: 0.06 },
          ofCosts: { low: -0.1, high: 0.25 },
          verdict: "either",
        }),
        cell(1800, {
          relative: -0.5,
          ofSeeds: { low: -0.51, high: -0.49 },
          ofCosts: { low: -0.7, high: -0.12 },
          verdict: "less",
        }),
      ],
    },
    {
      name: "vcpus=2 workload[ram].weight=0",
      cells: [
        cell(900),
        cell(900, {
          relative: 0,
          ofSeeds: null,
          ofCosts: { low: 0, high: 0 },
          verdict: "same",
        }),
        cell(1800, {
          relative: 1,
          ofSeeds: { low: 0.9, high: 1.1 },
          ofCosts: { low: 0.4, high: 1.9 },
          verdict: "more",
        }),
      ],
    },
    { name: "vcpus=4 workload[ram].weight=0", cells: [null, null, cell(12.5)] },
  ],
  seeds: { low: 5, high: 10 },
  notes: ["fast-mmio differs from none in mitigations (auto, not off)"],
};

/** The same by counts, which no cost is in. */
export const countedComparison: SimulatedComparison = {
  ...simulatedComparison,
  unit: "vmread per access",
  rows: simulatedComparison.rows.map((row) => ({
    ...row,
    cells: row.cells.map((of) => {
      if (of === null) return null;
      const { mean, versusBase } = of;
      const ofCosts = { low: mean, high: mean };
      if (versusBase === null) return { ...of, ofCosts };
      const { relative } = versusBase;
      return { ...of, ofCosts, versusBase: { ...versusBase, ofCosts: { low: relative, high: relative } } };
    }),
  })),
};
