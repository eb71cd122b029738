/** Columns of made-up counts compared, so that the sums can be checked by hand or by all corners of the costs' ranges. */
import { describe, expect, it } from "vitest";
import type { Counts } from "../../../src/cost/counts.js";
import { loadCpu } from "../../../src/cost/cpu-profile.js";
import { InputError } from "../../../src/cost/input.js";
import { primitiveCosts } from "../../../src/cost/primitive-costs.js";
import type { KernelVersion } from "../../../src/kvm/eras.js";
import type { SimulatedComparison } from "../../../src/study/compare/result.js";
import {
  type Column,
  type ColumnRun,
  compareColumns,
  type SimulatedOptions,
} from "../../../src/study/compare/simulated.js";
import { parseScenario, type ScenarioInput } from "../../../src/study/run/scenario.js";

const CPU = "sandy-bridge-ep";
const BASE: ScenarioInput = {
  cpu: CPU,
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: 4096 }],
  workload: [{ op: "vmcall" }],
  accesses: 100,
};

/** A run of 100 accesses, with 50 signals. */
function run(
  counts: Counts,
  input: Partial<ScenarioInput> = {},
  values: ColumnRun["values"] = {},
): ColumnRun {
  const scenario = parseScenario({ ...BASE, ...input });
  return { values, scenario, measured: { accesses: 100, counts, signals: [20, 30] } };
}

function compare(columns: readonly Column[], options: SimulatedOptions = {}): SimulatedComparison {
  return compareColumns(columns, options, { command: null, compared: [], notes: [] });
}

const pair = (base: readonly ColumnRun[], other: readonly ColumnRun[], options: SimulatedOptions = {}) =>
  compare(
    [
      { name: "base", runs: base },
      { name: "new", runs: other },
    ],
    options,
  );

/** The difference in a comparison of two columns with one row. */
function difference({ rows }: SimulatedComparison) {
  const versus = rows[0].cells[1]?.versusBase ?? null;
  if (versus === null) throw new Error("there is no difference");
  return versus;
}

const costsOf = (name: string, kernel: KernelVersion = "v4.2") =>
  primitiveCosts(loadCpu(CPU), kernel).filter(({ primitives }) => primitives.includes(name));

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function inputError(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("a cell", () => {
  it("is cycles per access with each cost at its value, and from low to high what the costs allow", () => {
    const costs = costsOf("vmread");
    const compared = pair([run({ vmread: 200 })], [run({ vmread: 300 })]);
    expect(compared.unit).toBe("TSC cycles per access");
    const [cell] = compared.rows[0].cells;
    expect(cell?.mean).toBeCloseTo(2 * sum(costs.map(({ value }) => value)), 9);
    expect(cell?.ofCosts.low).toBeCloseTo(2 * sum(costs.map(({ low }) => low)), 9);
    expect(cell?.ofCosts.high).toBeCloseTo(2 * sum(costs.map(({ high }) => high)), 9);
  });

  it("is the mean of the seeds, between their least and their greatest", () => {
    const seeds = [100, 200, 600].map((vmread, seed) => run({ vmread }, { seed }));
    const [cell] = pair(seeds, seeds, { of: "vmread" }).rows[0].cells;
    expect(cell).toMatchObject({ mean: 3, ofSeeds: { low: 1, high: 6 }, ofCosts: { low: 3, high: 3 } });
  });

  it("is exact where all seeds count the same: no mean beside its own ends", () => {
    const seeds = [1, 2, 3].map((seed) => run({ vmread: 1 / 3 }, { seed }));
    const [cell] = pair(seeds, seeds, { of: "vmread" }).rows[0].cells;
    expect(cell?.ofSeeds).toEqual({ low: cell?.mean, high: cell?.mean });
  });

  it("is of a signal where that is asked for", () => {
    const compared = pair([run({ vmread: 200 })], [run({ vmread: 300 })], { of: "vmread", per: "signal" });
    expect(compared.unit).toBe("vmread per signal");
    expect(compared.rows[0].cells.map((cell) => cell?.mean)).toEqual([4, 6]);
  });

  it("is refused per signal where nothing was signalled", () => {
    const silent = { ...run({}), measured: { accesses: 100, counts: {}, signals: [0] } };
    expect(inputError(() => pair([silent], [silent], { per: "signal" }))).toMatch(
      /^base: all: has no signal/,
    );
  });

  it("is refused where something was counted that nothing prices", () => {
    expect(inputError(() => pair([run({ vmread: 1, teleport: 1 })], [run({ vmread: 1 })]))).toMatch(
      /^counts: teleport: .* no cost prices it/,
    );
  });
});

describe("a difference", () => {
  it("is below 0 where the column takes less than the base", () => {
    const compared = pair([run({ vmread: 200 })], [run({ vmread: 150 })]);
    expect(compared.rows[0].cells[0]?.versusBase).toBeNull();
    const { relative, ofSeeds, ofCosts, verdict } = difference(compared);
    for (const value of [relative, ofSeeds?.low, ofSeeds?.high, ofCosts.low, ofCosts.high])
      expect(value).toBeCloseTo(-0.25, 12);
    expect(verdict).toBe("less");
  });

  it("has both sides under one cost vector: twice of all is +100%, whatever it costs", () => {
    const counts = { exitEptMisconfig: 100, vmread: 300, ioBusLookup: 100 };
    const twice = Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, 2 * count]));
    const { ofCosts, verdict } = difference(pair([run(counts)], [run(twice)]));
    expect(ofCosts.low).toBeCloseTo(1, 12);
    expect(ofCosts.high).toBeCloseTo(1, 12);
    expect(verdict).toBe("more");
  });

  it("has the ends that the corners of the ranges have", () => {
    const [before, after] = [
      { vmread: 300, fastPioOut: 100 },
      { vmread: 400, ioBusLookup: 50 },
    ];
    const costs = ["vmread", "fastPioOut", "ioBusLookup"].flatMap((name) => costsOf(name));
    const ratios = Array.from({ length: 2 ** costs.length }, (_, corner) => {
      const cycles = (counts: Counts) =>
        sum(
          costs.map(
            ({ primitives, low, high }, index) =>
              ((corner >> index) & 1 ? high : low) * sum(primitives.map((name) => counts[name] ?? 0)),
          ),
        );
      return cycles(after) / cycles(before) - 1;
    });
    const { ofCosts } = difference(pair([run(before)], [run(after)]));
    expect(ofCosts.low).toBeCloseTo(Math.min(...ratios), 9);
    expect(ofCosts.high).toBeCloseTo(Math.max(...ratios), 9);
  });

  it("lets costs that have a range for each kernel vary apart", () => {
    const [before] = costsOf("emulateInstruction", "v3.9");
    const [after] = costsOf("emulateInstruction", "v4.2");
    expect(before.high).toBeGreaterThan(after.high);
    const counts = { emulateInstruction: 100 };
    const { ofCosts, verdict } = difference(pair([run(counts, { kernel: "v3.9" })], [run(counts)]));
    expect(ofCosts.low).toBeCloseTo(after.low / before.high - 1, 9);
    expect(ofCosts.high).toBeCloseTo(after.high / before.low - 1, 9);
    expect(verdict).toBe("either");
  });

  it("is either where the ranges allow both, and the same where nothing differs", () => {
    const verdict = (before: Counts, after: Counts) => difference(pair([run(before)], [run(after)])).verdict;
    const { low, high } = costsOf("fastPioOut")[0];
    expect(low).toBeLessThan(high);
    // As much as it takes at its mean end: less where it costs more, more where it costs less.
    const vmread = (100 * (low + high)) / 2 / sum(costsOf("vmread").map(({ value }) => value));
    expect(verdict({ vmread: 100, fastPioOut: 100 }, { vmread: 100 + vmread })).toBe("either");
    expect(verdict({ vmread: 100 }, { vmread: 100 })).toBe("same");
  });

  it("holds each seed against the base's run with the same seed", () => {
    const seeds = (counts: readonly number[], from = 1) =>
      counts.map((vmread, index) => run({ vmread }, { seed: from + index }));
    const { ofSeeds } = difference(pair(seeds([100, 1000]), seeds([110, 1200]), { of: "vmread" }));
    expect(ofSeeds?.low).toBeCloseTo(0.1, 12);
    expect(ofSeeds?.high).toBeCloseTo(0.2, 12);
  });

  it("is over the seeds that both have: means of others differ by their seeds too", () => {
    const seeds = (counts: readonly number[], from = 1) =>
      counts.map((vmread, index) => run({ vmread }, { seed: from + index }));
    const part = pair(seeds([100, 1000]), seeds([110]), { of: "vmread" });
    expect(difference(part).relative).toBeCloseTo(0.1, 12);
    expect(part.notes).toEqual(["new: differences are over the seeds that the base has too"]);
    const apart = pair(seeds([100, 1000]), seeds([110], 7), { of: "vmread" });
    expect(apart.rows[0].cells[1]?.versusBase).toBeNull();
    expect(apart.seeds).toEqual({ low: 1, high: 2 });
    expect(apart.notes).toEqual(["new: no difference is shown, for it has no seed in common with the base"]);
    expect(apart.provenance.seeds).toEqual([1, 2, 7]);
  });

  it("is none between columns that have no row in common", () => {
    const columns = [
      { name: "a", runs: [run({}, {}, { vcpus: 1 })] },
      { name: "b", runs: [run({}, {}, { vcpus: 2 })] },
    ];
    expect(inputError(() => compare(columns))).toMatch(/^columns: have no row in common: vcpus=1; vcpus=2;/);
  });

  it("is none to a base that counted nothing", () => {
    const compared = pair([run({ vmread: 1 })], [run({ vmread: 1, ioBusCompare: 1 })], {
      of: "ioBusCompare",
    });
    expect(compared.rows[0].cells[1]?.versusBase).toBeNull();
  });

  it("of cycles is refused between processors, for costs belong to their machine; of counts it is not", () => {
    const [here, there] = [run({ vmread: 100 }), run({ vmread: 150 }, { cpu: "haswell-ep-e5-2660v3" })];
    expect(inputError(() => pair([here], [there]))).toBe(
      'cpu: "haswell-ep-e5-2660v3" is not allowed; allowed: "sandy-bridge-ep", as in the base: costs belong to their machine; counts of a primitive do not',
    );
    const compared = pair([here], [there], { of: "vmread" });
    expect(difference(compared).relative).toBe(0.5);
    expect(compared.provenance.conditions.cpus).toEqual([CPU, "haswell-ep-e5-2660v3"]);
  });
});

describe("rows", () => {
  const at = (vcpus: number) => run({ vmread: 100 * vcpus }, { vcpus }, { vcpus });

  it("are matched by equal values, in the order of the base; what columns do not share stays", () => {
    const { rows } = pair([at(2), at(1)], [at(1), at(4)], { of: "vmread" });
    expect(rows.map(({ name, cells }) => [name, ...cells.map((cell) => cell?.mean ?? null)])).toEqual([
      ["vcpus=2", 2, null],
      ["vcpus=1", 1, 1],
      ["vcpus=4", null, 4],
    ]);
    expect(rows[2].cells[1]?.versusBase).toBeNull();
  });

  it("refuse a seed that is there twice", () => {
    expect(inputError(() => pair([at(1), at(1)], [at(1)]))).toMatch(/^base: vcpus=1: has seed 1 twice/);
  });
});

describe("columns", () => {
  const columns = ["a", "b", "c"].map((name, index) => ({ name, runs: [run({ vmread: 100 + index })] }));

  it("begin with the base, the first or the one that is named", () => {
    expect(compare(columns).columns).toEqual(["a", "b", "c"]);
    expect(compare(columns, { base: "b" }).columns).toEqual(["b", "a", "c"]);
    expect(inputError(() => compare(columns, { base: "d" }))).toBe(
      'base: "d" is not allowed; allowed: one of a, b, c',
    );
  });

  it("are two or more, with names that tell them apart", () => {
    expect(inputError(() => compare(columns.slice(0, 1)))).toMatch(/^columns: are 1/);
    expect(inputError(() => compare([columns[0], columns[0]]))).toMatch(/^names of columns: /);
  });

  it("are noted where they differ in a field that is not what is compared", () => {
    const others = [
      run({ vmread: 1 }, { kernel: "v6.19", mitigations: "auto", memslots: [{ gpa: 0, size: 8192 }] }),
    ];
    const notes = [
      "new differs from base in kernel (v6.19, not v4.2), mitigations (auto, not off), memslots",
    ];
    expect(pair([run({ vmread: 1 })], others).notes).toEqual(notes);
    const byKernel = compareColumns(
      [
        { name: "v4.2", runs: [run({ vmread: 1 })] },
        { name: "v6.19", runs: [run({ vmread: 1 }, { kernel: "v6.19" })] },
      ],
      {},
      { command: null, compared: ["kernel"], notes: ["as given"] },
    );
    expect(byKernel.notes).toEqual(["as given"]);
  });
});

it("a comparison is plain data, with the conditions of all its runs", () => {
  const compared = pair(
    [run({ vmread: 1 }, { seed: 7 })],
    [run({ vmread: 2 }, { kernel: "v6.19", seed: 7 })],
  );
  expect(JSON.parse(JSON.stringify(compared))).toEqual(compared);
  expect(compared.provenance).toMatchObject({
    seed: 7,
    conditions: { cpus: [CPU], kernels: ["v4.2", "v6.19"] },
  });
  expect(compared.machine).toBe(loadCpu(CPU).model);
});

it("a figure that is none is refused, with the one that may have been meant", () => {
  const message = inputError(() => pair([run({})], [run({})], { of: "vmreads" }));
  expect(message).toMatch(
    /^of: "vmreads" is not allowed \(did you mean vmread\?\); allowed: one of cycles, /,
  );
});
