import { describe, expect, it, test } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { primitiveCosts } from "../../src/cost/primitive-costs.js";
import { crossings } from "../../src/report/crossings.js";
import { plotCrossover, tableCrossover } from "../../src/report/crossover.js";
import { plotlyText } from "../../src/report/figure.js";
import { recordTables } from "../../src/report/record-table.js";
import { CHARACTER_WIDTH } from "../../src/report/theme.js";
import type { SweepResult } from "../../src/study/sweep/sweep.js";
import { CPU, crossoverSweep, type Grid, crossoverOptions as options } from "./crossover-fixture.js";
import { HOSTILE } from "./fixture.js";

const costOf = (name: string) => {
  const found = primitiveCosts(loadCpu(CPU), "v4.2").find((cost) => cost.name === name);
  if (found === undefined) throw new Error(`no cost ${name}`);
  return found;
};
const signal = costOf("eventfdSignal");
const lookup = costOf("ioBusLookup");

interface Trace {
  readonly type: string;
  readonly name?: string;
  readonly x: readonly (number | null)[];
  readonly y: readonly (number | null)[];
  readonly z: readonly (readonly (number | null)[])[];
  readonly text: readonly string[];
  readonly hovertext: readonly (readonly string[])[];
  readonly line: { readonly dash: string };
}

function traces(result: SweepResult, by: object = {}) {
  const figure = plotCrossover(result, { ...options, ...by });
  const data = figure.data as unknown as Trace[];
  const [heat] = data;
  const lines = data.filter(({ line }) => line !== undefined);
  return { figure, heat, lines, numbers: data[data.length - 1], layout: figure.layout };
}

describe("a cell", () => {
  it("is new less base per access, in TSC cycles, with both sides under one cost at a time", () => {
    const [cell] = tableCrossover(crossoverSweep({ more: () => [2, -3] }), options);
    expect(cell).toEqual({
      "workload[0].weight": 1,
      vcpus: 1,
      base: 10 * signal.value + 10 * lookup.value,
      new: expect.closeTo(12 * signal.value + 7 * lookup.value, 9),
      difference: expect.closeTo(2 * signal.value - 3 * lookup.value, 9),
      low: expect.closeTo(2 * signal.low - 3 * lookup.high, 9),
      high: expect.closeTo(2 * signal.high - 3 * lookup.low, 9),
      verdict: "either",
    });
  });

  it("is the mean of the seeds that both sides have", () => {
    const result = crossoverSweep({
      seeds: [1, 2, 3],
      more: (_x, _y, seed) => (seed === 3 ? null : [2 * seed, 0]),
    });
    expect(tableCrossover(result, options)[0].difference).toBeCloseTo(3 * signal.value, 9);
  });

  it("says what the ranges of the costs allow", () => {
    const verdict = (signals: number, lookups: number) =>
      tableCrossover(crossoverSweep({ more: () => [signals, lookups] }), options)[0].verdict;
    expect([verdict(-1, 0), verdict(1, 0), verdict(0, 0), verdict(2, -3)]).toEqual([
      "less",
      "more",
      "same",
      "either",
    ]);
  });

  it("lets a cost whose range differs by kernel vary apart on both sides", () => {
    const result = crossoverSweep({ sides: ["kernel", "v3.9", "v4.2"], more: () => [0, 0] });
    for (const { counts } of result.rows) Object.assign(counts, { emulateInstruction: 100 });
    const [cell] = tableCrossover(result, { ...options, by: "kernel" });
    const own = primitiveCosts(loadCpu(CPU), "v3.9").flatMap((before) => {
      const after = costOf(before.name);
      const isOne = after.low === before.low && after.value === before.value && after.high === before.high;
      return before.primitives.includes("emulateInstruction") && !isOne ? [{ before, after }] : [];
    });
    expect(own.length).toBeGreaterThan(0);
    const sum = (of: (pair: (typeof own)[number]) => number) =>
      own.reduce((total, pair) => total + of(pair), 0);
    expect(cell.low).toBeCloseTo(
      sum(({ before, after }) => after.low - before.high),
      9,
    );
    expect(cell.high).toBeCloseTo(
      sum(({ before, after }) => after.high - before.low),
      9,
    );
  });
});

describe("the figure", () => {
  it("has a row for each y and a column for each x, coloured alike on both sides of zero", () => {
    const { heat, numbers } = traces(crossoverSweep({}));
    expect(heat.z[0]).toEqual([-2, -1, 1, 5].map((n) => expect.closeTo(n * signal.value, 9)));
    expect(heat.z).toHaveLength(3);
    expect(heat).toMatchObject({
      zmax: expect.closeTo(5 * signal.value, 9),
      zmin: expect.closeTo(-5 * signal.value, 9),
    });
    expect(numbers.text[0]).toBe(`-${Math.round(2 * signal.value)}`);
    expect(numbers.text[3]).toBe(`+${Math.round(5 * signal.value)}`);
  });

  it("places numbers at equal ratios on a logarithmic axis, and the crossover between them by logarithm", () => {
    const { layout, heat, lines } = traces(crossoverSweep({}));
    expect(layout.xaxis).toMatchObject({ type: "log", tickvals: [1, 2, 4, 8] });
    expect(layout.yaxis).toMatchObject({ type: "linear", tickvals: [1, 2, 3], range: [0.5, 3.5] });
    expect(heat.x[1]).toBeCloseTo(Math.SQRT2, 12);
    // With one cost in the difference it is in one place, whatever that cost is.
    const [crossover, ...others] = lines;
    expect(others).toEqual([]);
    expect(crossover.name).toBe("crossover, each cost at its value");
    for (const at of crossover.x.slice(0, -1)) expect(at).toBeCloseTo(2 * Math.SQRT2, 9);
    expect([...crossover.y].sort()).toEqual([1, 2, 3, null]);
  });

  it("places numbers where they are as long as their cells have room, else at equal distances", () => {
    const at = (x: number[]) =>
      (traces(crossoverSweep({ x })).layout.xaxis as { tickvals: number[] }).tickvals;
    expect(at([10, 1, 5])).toEqual([1, 5, 10]);
    expect(at([1, 2, 1000])).toEqual([0, 1, 2]);
  });

  it("takes hexadecimal text for the number that it is, and shows it as it was written", () => {
    const result = crossoverSweep({
      fields: ["workload[0].footprint", "vcpus"],
      x: ["0x100000", "0x200000", "0x80000"],
      more: (x) => [x / 0x100000 - 1, 0],
    });
    const figure = plotCrossover(result, { ...options, x: "workload[0].footprint" });
    expect(figure.layout.xaxis).toMatchObject({
      type: "log",
      tickvals: [0x80000, 0x100000, 0x200000],
      ticktext: ["0x80000", "0x100000", "0x200000"],
    });
  });

  it("marks the cells in which the costs allow either sign, and draws where both ends of the difference cross", () => {
    // 2 signals more, and ever fewer lookups.
    const { numbers, lines, heat } = traces(
      crossoverSweep({ x: [1, 2, 4, 8, 16, 32, 64], more: (x) => [2, -x / 8] }),
    );
    const rows = tableCrossover(
      crossoverSweep({ x: [1, 2, 4, 8, 16, 32, 64], more: (x) => [2, -x / 8] }),
      options,
    );
    expect(new Set(rows.map(({ verdict }) => verdict))).toContain("either");
    rows.forEach(({ verdict }, index) => {
      expect(numbers.text[index].endsWith("~")).toBe(verdict === "either");
    });
    expect(heat.hovertext[0][0]).toMatch(
      /^workload\[0\]\.weight 1, vcpus 1<br>exitEvicts nothing: \d+ cycles, l1: \d+<br>difference .*: more$/,
    );
    expect(new Set(lines.map(({ line }) => line.dash)).size).toBe(lines.length);
  });

  it("draws the two ends of the difference apart from the crossover, on its two sides", () => {
    // Some signals more, and x lookups less: the same where x is their number times the ratio of the costs.
    const signals = (8 * lookup.low) / signal.high;
    const result = crossoverSweep({ x: [0.01, 3, 6, 9], more: (x) => [signals, -x] });
    const { lines } = traces(result);
    const found = lines.map(({ name, x: [at] }) => [name, at]);
    expect(found).toEqual([
      ["crossover, each cost at its value", expect.closeTo((signals * signal.value) / lookup.value, 9)],
      ["crossover at the lowest difference", expect.closeTo((signals * signal.low) / lookup.high, 9)],
      ["crossover at the highest difference", expect.closeTo(8, 9)],
    ]);
    const [{ at, low, high }] = crossings(result, options);
    expect([at, low, high]).toEqual(found.map(([, place]) => expect.closeTo(Number(place), 9)));
  });

  it("leaves cells without a result empty, and the crossover keeps away from them", () => {
    const { heat, lines, numbers } = traces(
      crossoverSweep({ more: (x, y) => (x === 4 && y === 2 ? null : [x - 3, 0]) }),
    );
    expect(heat.z[1][2]).toBeNull();
    expect(heat.hovertext[1][2]).toBe("");
    expect(numbers.text[4 + 2]).toBe("");
    expect(lines).toEqual([]);
  });

  it("has a crossover row by row beside names, and none between names", () => {
    const names = { y: ["5.4", "5.10", "6.1"], fields: ["workload[0].weight", "name"] as const };
    const { lines, layout } = traces(crossoverSweep(names), { y: "name" });
    expect(layout.yaxis).toMatchObject({ ticktext: ["5.4", "5.10", "6.1"], range: [2.5, -0.5] });
    expect(lines[0].y).toEqual([2.5, 1.5, 0.5, -0.5, null]);
    const turned = traces(crossoverSweep(names), { x: "name", y: "workload[0].weight" });
    expect(turned.layout.xaxis).toMatchObject({ range: [-0.5, 2.5] });
    expect(turned.lines[0].x).toEqual([2.5, 1.5, 0.5, -0.5, null]);
    const both = crossoverSweep({
      x: ["ept", "shadow"],
      y: ["4K", "2M"],
      fields: ["paging", "guestPages"],
      more: (x) => [x - 0.5, 0],
    });
    expect(traces(both, { x: "paging", y: "guestPages" }).lines).toEqual([]);
  });

  it("shows signs where numbers have no room", () => {
    const x = Array.from({ length: 40 }, (_, index) => index + 1);
    const { numbers, layout } = traces(crossoverSweep({ x, more: (at) => [(at - 20) / 10, 0] }));
    expect(numbers.text.slice(18, 21)).toEqual(["-", "0", "+"]);
    const { ticktext } = layout.xaxis as { ticktext: string[] };
    expect(ticktext.length * CHARACTER_WIDTH).toBeLessThan(layout.width);
  });

  it("keeps hostile text from being markup", () => {
    const result = crossoverSweep({ sides: ["name", "plain", HOSTILE], more: (x) => [x - 3, 0] });
    const renamed = { ...result, rows: result.rows.map(({ values, ...row }) => ({ ...row, values })) };
    const text = JSON.stringify(plotCrossover(renamed, { ...options, by: "name" }));
    expect(text).toContain(JSON.stringify(plotlyText(HOSTILE)).slice(1, -1));
    expect(text).not.toMatch(/<\/?script|<b>&"/);
  });

  it("is plain JSON with the numbers of the table beside it", () => {
    const { figure } = traces(crossoverSweep({}));
    expect(JSON.parse(JSON.stringify(figure))).toEqual(figure);
    expect(figure.table).toEqual(tableCrossover(crossoverSweep({}), options));
    expect(figure.title).toBe("SIMULATED: exitEvicts l1 - nothing, in cycles");
  });
});

describe("the crossings", () => {
  it("say for each y where along x the new side begins to cost more", () => {
    const records = crossings(
      crossoverSweep({ x: [1, 2, 3, 4], y: [1, 2], more: (x, y) => [x - 1 - y / 4, 0] }),
      options,
    );
    expect(records.map(({ vcpus, at }) => [vcpus, at])).toEqual([
      [1, expect.closeTo(1.25, 9)],
      [2, expect.closeTo(1.5, 9)],
    ]);
    // One cost alone: whatever it is, it crosses in the same place.
    expect(records[0]).toMatchObject({
      from: 1,
      to: 4,
      low: expect.closeTo(1.25, 9),
      high: expect.closeTo(1.25, 9),
      below: "less",
      above: "more",
      words: "l1 costs less than nothing below 1.25 (1.25..1.25), more above",
    });
  });

  it("say so where there is none, or where the sweep ends before the range of one does", () => {
    const one = (more: Grid["more"]) =>
      crossings(crossoverSweep({ x: [1, 2, 4], y: [1, 2], ...(more && { more }) }), options)[0];
    expect(one(() => [1, 0])).toMatchObject({
      at: "",
      low: "",
      high: "",
      words: "each cost at its value, l1 costs more than nothing from 1 to 4",
    });
    expect(one(() => [0, 0])).toMatchObject({
      above: "same",
      words: "each cost at its value, l1 costs the same as nothing from 1 to 4",
    });
    const even = signal.value / lookup.value;
    expect(one((x) => [1, -even * (1 + (x - 1.5) / 10)])).toMatchObject({
      low: "",
      high: "",
      words: expect.stringMatching(
        /^l1 costs more than nothing below 1\.41 \(1 or less\.\.4 or more\), less above$/,
      ),
    });
    expect(one((x) => [1, -even * (1 + x / 100)]).words).toMatch(
      /^each cost at its value, l1 costs less than nothing from 1 to 4; of 3 points the costs allow either at 3$/,
    );
  });

  it("take both sides of a gap apart", () => {
    const records = crossings(
      crossoverSweep({ y: [1, 2], x: [1, 2, 3, 4, 5], more: (x) => (x === 3 ? null : [x - 1.5, 0]) }),
      options,
    );
    expect(records.slice(0, 2)).toMatchObject([
      { from: 1, to: 2, at: expect.closeTo(1.5, 9) },
      { from: 4, to: 5, at: "" },
    ]);
  });

  it("go into a mail as they are", () => {
    expect(recordTables(crossings(crossoverSweep({}), options)).join("\n")).toMatch(/^SIMULATED vcpus/);
  });

  it("need numbers along x", () => {
    const result = crossoverSweep({ x: ["4K", "2M"], fields: ["guestPages", "vcpus"], more: () => [1, 0] });
    expect(() => crossings(result, { ...options, x: "guestPages" })).toThrow(
      "x: guestPages has 4K, 2M; allowed: a field of numbers, along which a sign can change",
    );
  });
});

test("what cannot be compared is refused by the field, the value and what is allowed", () => {
  const refusal = (given: object, grid: Grid = {}) => {
    try {
      plotCrossover(crossoverSweep(grid), { ...options, ...given });
    } catch (error) {
      return (error as Error).message;
    }
    return "nothing";
  };
  expect(refusal({ x: "kernel" })).toBe(
    'x: "kernel" does not vary in the sweep; allowed: one of workload[0].weight, vcpus, exitEvicts',
  );
  expect(refusal({ by: "seed" }, { seeds: [1, 2] })).toMatch(/^by: "seed" does not vary in the sweep/);
  expect(refusal({ y: "workload[0].weight" })).toBe(
    'y: "workload[0].weight" is not allowed; allowed: another field than exitEvicts and workload[0].weight',
  );
  const three = { sides: ["exitEvicts", "nothing", "l1", "l2"] } as const;
  expect(refusal({}, three)).toBe(
    'by: exitEvicts: has 3 values; allowed: two, as base and new, of "nothing", "l1", "l2"',
  );
  expect(refusal({ base: "l1", new: "l2" }, three)).toBe("nothing");
  expect(refusal({ base: "l1", new: "all" }, three)).toBe(
    'new: "all" is not allowed; allowed: one of "nothing", "l1", "l2"',
  );
  expect(refusal({ base: "l1", new: "l1" })).toBe(
    'new: "l1" is not allowed; allowed: another value than base',
  );
  expect(refusal({ by: "cpu" }, { sides: ["cpu", CPU, "sandy-bridge-ep"] })).toBe(
    `by: cpu: compares ${CPU} with sandy-bridge-ep; allowed: sides on one processor, as ${CPU}: costs belong to their machine`,
  );
  expect(refusal({}, { more: () => null })).toMatch(/^sweep: has no cell with both sides/);
  const result = crossoverSweep({});
  const mixed = {
    ...result,
    rows: result.rows.map((row, index) => ({
      ...row,
      values: { ...row.values, paging: index % 2 ? "ept" : "shadow" },
    })),
  };
  expect(() =>
    plotCrossover(
      {
        ...mixed,
        rows: [
          ...mixed.rows,
          ...crossoverSweep({}).rows.map((row) => ({ ...row, values: { ...row.values, paging: "npt" } })),
        ],
      },
      options,
    ),
  ).toThrow(/^sweep: paging: has .* and .*; allowed: rows of one paging, such as/);
});

test("a value that is first named in `new` leaves the other one as the base", () => {
  const { title } = plotCrossover(crossoverSweep({}), { ...options, new: "nothing" });
  expect(title).toBe("SIMULATED: exitEvicts nothing - l1, in cycles");
});
