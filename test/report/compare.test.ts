/** Mails, records and figures of made-up comparisons. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plotCompare } from "../../src/report/compare/figure.js";
import {
  COMPARE_STYLES,
  type CompareStyle,
  compareTable,
  tableCompare,
} from "../../src/report/compare/table.js";
import { toCsv } from "../../src/report/csv.js";
import { figurePage } from "../../src/report/page.js";
import { figureText } from "../../src/report/save.js";
import { exitlabCommand } from "../../src/study/command.js";
import type {
  Compared,
  MeasuredCell,
  MeasuredComparison,
  MeasuredRow,
  SimulatedCell,
  SimulatedComparison,
} from "../../src/study/compare/result.js";
import {
  countedComparison,
  csvComparison,
  exitsComparison,
  measuredComparison,
  simulatedComparison,
} from "./compare-fixture.js";
import { HOSTILE, unfitted } from "./fixture.js";

const oneLine = (text: string) => text.replaceAll(/\s+/g, " ");
/** The tables without the mail's head and end. */
const tables = (compared: Compared, style: CompareStyle) =>
  compareTable(compared, style)
    .split("\n\n")
    .filter((part) => /\[.*\]\n/.test(part))
    .map((part) => part.trimEnd());

describe.each(COMPARE_STYLES)("a comparison like %s's", (style) => {
  it("of what was measured is as it was", async () => {
    await expect(compareTable(measuredComparison, style)).toMatchFileSnapshot(
      `golden/compare-measured-${style}.txt`,
    );
  });

  it("of what is simulated is as it was", async () => {
    await expect(compareTable(simulatedComparison, style)).toMatchFileSnapshot(
      `golden/compare-simulated-${style}.txt`,
    );
  });

  it("has inside of every table which of both it is, and under it what its signs mean", () => {
    for (const [compared, is] of [
      [measuredComparison, "MEASURED"],
      [simulatedComparison, "SIMULATED"],
    ] as const) {
      const all = tables(compared, style);
      expect(all.length).toBeGreaterThan(0);
      for (const table of all) {
        expect(table.split("\n")[1]).toMatch(new RegExp(`^${is}\\b`));
        expect(table).toMatch(/(below 0 takes less, and less|above 0 takes less, which) is better\.$/);
      }
    }
  });

  it("of what is simulated has no p, no mark of significance and no share of confidence", () => {
    const text = compareTable(simulatedComparison, style);
    expect(text).not.toMatch(/p=|~|\*|confidence|MEASURED/);
    expect(oneLine(text)).toContain("neither makes a difference significant.");
  });

  it("of what is simulated has seeds and costs apart, a verdict in words, how many seeds, and the notes", () => {
    const text = compareTable(simulatedComparison, style);
    const verdicts =
      style === "benchstat"
        ? ["less", "more", "either", "same"]
        : ["less in all of the ranges", "more in all of the ranges", "either", "the same"];
    for (const words of ["seeds", "costs", ...verdicts]) expect(text).toMatch(new RegExp(` ${words}\\b`));
    expect(text).toContain("Figures: the mean of 5 to 10 seeds, each cost at its value\n");
    expect(oneLine(text)).toContain("Note: fast-mmio differs from none in mitigations (auto, not off).");
  });

  it("of what was measured never says that it is simulated", () => {
    expect(compareTable(measuredComparison, style)).not.toMatch(/simulat/i);
  });

  it("of counts speaks of no costs", () => {
    const text = compareTable(countedComparison, style).replace(/^Costs: .*$/m, "");
    expect(text).not.toMatch(/costs|ranges/);
    expect(text).toContain("seeds");
  });

  it("of counts does not say what is better, only what is fewer", () => {
    const text = compareTable(countedComparison, style);
    expect(text).not.toContain("better");
    expect(text).toMatch(/(below|above) 0: fewer\.$/m);
  });

  it("of exits has in every heading that they are of one run each", () => {
    const all = tables(exitsComparison, style);
    expect(all.length).toBeGreaterThan(0);
    for (const table of all) expect(table.split("\n")[0]).toContain("[us, exits of one run each]");
    expect(compareTable(measuredComparison, style)).not.toContain("one run");
  });

  it("of what was measured says once which exitlab compared, and how to do that again", () => {
    const text = compareTable(measuredComparison, style);
    expect(text.match(/exitlab 0\.1\.0/g)).toHaveLength(1);
    const options = style === "benchstat" ? "" : ` --style ${style}`;
    expect(text).toMatch(
      new RegExp(`\nTo repeat:\n  npx exitlab compare runs/6\\.18 runs/6\\.18-rfc${options}\n$`),
    );
    expect(compareTable({ ...measuredComparison, command: null }, style)).not.toContain("To repeat");
  });

  it("has no line that ends a message of git", () => {
    for (const compared of [measuredComparison, simulatedComparison]) {
      const rows = compared.rows.map((row) => ({ ...row, name: "---" }));
      expect(compareTable({ ...compared, rows } as Compared, style)).not.toMatch(/^(---(\s*$| \S)|diff -)/m);
    }
  });

  it("repeats itself in its own layout", () => {
    const options = style === "benchstat" ? "" : ` --style ${style}`;
    expect(compareTable(simulatedComparison, style)).toContain(
      `To repeat:\n  npx exitlab compare out/kicks --by patches${options}\n`,
    );
  });

  it("is the same for the same comparison", () => {
    expect(compareTable(structuredClone(simulatedComparison), style)).toBe(
      compareTable(simulatedComparison, style),
    );
  });
});

describe("benchstat's layout", () => {
  it("has the difference where it is significant, and else ~", () => {
    const text = compareTable(measuredComparison);
    expect(text).toMatch(/^vmcall +1700 \+- 1% +1704 \+- 1% +~ \(p=0\.446 n=10\)$/m);
    expect(text).toMatch(/^mmio-wildcard-eventfd .* -50\.00% \(p=0\.002 n=10\)$/m);
  });

  it("has the difference without a test where there are too few runs for one, and says how many it takes", () => {
    const text = compareTable(measuredComparison);
    expect(text).toMatch(/^ipi .* -2\.38% \(no test, n=1\)$/m);
    expect(oneLine(text)).toContain(
      "no test: no figures of so few runs could have p < 0.05; 4 of each are enough",
    );
    expect(oneLine(compareTable(exitsComparison))).toContain("no test: too few exits.");
  });

  it("has of CSV rows what they are off by for no interval, no test, and no number of samples", () => {
    const text = compareTable(csvComparison);
    expect(text).toMatch(/^cpuid +1000 \+- 3% +900 \+- 2% +-10\.00% \(no test\)$/m);
    expect(oneLine(text)).toContain("In a row of a CSV file +- is by how much it says that it may be off");
    expect(text).not.toMatch(/n=|4 of each/);
  });

  it("ends in the geometric mean of the ratios of rows that both have, and says of how many", () => {
    const [, half] = measuredComparison.rows;
    const [base, cell] = half.cells as MeasuredCell[];
    const more = cell.versusBase && { ...base, versusBase: { ...cell.versusBase, relative: 1 } };
    const twice: MeasuredRow = { name: "twice", cells: [{ ...cell, versusBase: null }, more] };
    const geomeanOf = (...rows: MeasuredRow[]) =>
      /^geomean.*$/m.exec(compareTable({ ...measuredComparison, rows }))?.[0].replaceAll(/ +/g, " ");
    expect(geomeanOf(half, twice)).toBe("geomean +0.00%");
    expect(geomeanOf(half, twice, { name: "new", cells: [null, base] })).toBe("geomean (2 of 3) +0.00%");
  });

  it("has none of exits, which are no benchmarks, nor beside verdicts", () => {
    for (const compared of [exitsComparison, simulatedComparison])
      expect(compareTable(compared)).not.toContain("geomean");
  });

  it("never has a simulated difference without its spread: both wrap together, the verdict alone", () => {
    const narrow = {
      ...simulatedComparison,
      rows: simulatedComparison.rows.map((row, at) => ({ ...row, name: `r${at}` })),
    };
    for (const compared of [simulatedComparison, narrow, countedComparison]) {
      const heads = tables(compared, "benchstat").map((table) => table.split("\n")[1]);
      expect(heads.some((head) => head.includes("vs base"))).toBe(true);
      for (const head of heads) {
        expect(head.includes("seeds")).toBe(head.includes("vs base"));
        expect(head.includes("costs")).toBe(head.includes("vs base") && compared !== countedComparison);
      }
    }
    expect(compareTable(narrow)).toMatch(/^SIMULATED row +none +ro-slot +vs base +costs +seeds +verdict$/m);
  });

  it("has as many digits of a spread as tell its ends apart, or as the difference itself", () => {
    const spread = (ofCosts: { low: number; high: number }) => {
      const [{ name, cells }] = simulatedComparison.rows;
      const [base, cell] = cells as SimulatedCell[];
      const versusBase = cell.versusBase && { ...cell.versusBase, relative: 0.02383, ofCosts };
      return compareTable({
        ...simulatedComparison,
        rows: [{ name, cells: [base, { ...cell, versusBase }, null] }],
      });
    };
    expect(spread({ low: 0.02381, high: 0.02392 })).toContain("+2.38%  +2.38%..+2.39%");
    expect(spread({ low: 0.02383, high: 0.02383 })).toContain("+2.38%  +2.38%..+2.38%");
    expect(spread({ low: -1, high: -1 })).toContain("+2.38%  -100%..-100%");
    expect(spread({ low: 0.023, high: 0.025 })).toContain("+2.38%  +2.3%..+2.5%");
    expect(spread({ low: 0.00001, high: 0.025 })).toContain("+2.38%  +0.001%..+2.5%");
  });

  it("says that figures are medians where there is no test of any", () => {
    const rows = measuredComparison.rows.filter(({ name }) => name === "ipi");
    expect(oneLine(compareTable({ ...measuredComparison, rows }))).toContain(
      "p < 0.05. Figures are medians. ?:",
    );
  });

  it("has both numbers of samples where they differ", () => {
    const [row] = measuredComparison.rows;
    const cells = [row.cells[0], row.cells[1] && { ...row.cells[1], samples: 9 }];
    expect(compareTable({ ...measuredComparison, rows: [{ ...row, cells }] })).toContain("n=10+9)");
  });

  it("says of which rows figures are means", () => {
    const byMean = (of: MeasuredCell | null): MeasuredCell | null =>
      of?.versusBase ? { ...of, versusBase: { ...of.versusBase, test: "Welch's t" } } : of;
    const [first, ...others] = measuredComparison.rows;
    const rows = [{ ...first, cells: first.cells.map(byMean) }, ...others];
    expect(oneLine(compareTable({ ...measuredComparison, rows }))).toContain(
      "Figures are medians, p is of Mann and Whitney's U test. Figures of vmcall are means, p is of Welch's t test.",
    );
  });
});

describe("mmtests' layout", () => {
  const text = compareTable(measuredComparison, "mmtests");

  it("is positive where less is taken, with asterisks where that is significant", () => {
    expect(text).toMatch(/^Amean {4}mmio-\S+ +3600 \( {3}0\.00%\) +1800 \* {2}50\.00%\*$/m);
    expect(text).toMatch(/^Amean {4}vmcall +1700 \( {3}0\.00%\) +1704 \( {2}-0\.24%\)$/m);
    expect(text).toMatch(/^Stddev {3}mmio-\S+ +36 \( {3}0\.00%\) +18 \( {2}50\.00%\)$/m);
  });

  it("has no difference where floating point makes one", () => {
    const [{ name, cells }, ...others] = measuredComparison.rows;
    const [base, cell] = cells as MeasuredCell[];
    const almost = { ...cell, standardDeviation: 17 + 1e-14 };
    const rows = [{ name, cells: [base, almost] }, ...others];
    expect(compareTable({ ...measuredComparison, rows }, "mmtests")).toMatch(
      /^Stddev {3}vmcall .* 17 \( {3}0\.00%\)$/m,
    );
  });

  it("has Min, Amean, Stddev, CoeffVar and Max in this order", () => {
    const names = [...text.matchAll(/^(\w+) +vmcall /gm)].map(([, name]) => name);
    expect(names).toEqual(["Min", "Amean", "Stddev", "CoeffVar", "Max"]);
  });

  it("turns the ends of a range round with the sign", () => {
    expect(compareTable(simulatedComparison, "mmtests")).toMatch(
      /^costs {4}vcpus=1 .* 1260\.\.2700 \(\+12%\.\.\+70%\)$/m,
    );
  });
});

describe("ministat's layout", () => {
  const text = compareTable(measuredComparison, "ministat");

  it("has the difference with its half interval, absolute and relative, or that none is proven", () => {
    expect(text).toContain(
      "6.18-rfc: Difference at 95.0% confidence\n    -1800 +- 180\n    -50.00% +- 5.00%\n    (Welch's t)\n",
    );
    expect(text).toContain("6.18-rfc: No difference proven at 95.0% confidence\n");
    expect(text).toContain("6.18-rfc: no test, n=1\n    -2.38%\n");
  });

  it("has no number of samples of a CSV row", () => {
    const csv = compareTable(csvComparison, "ministat");
    expect(csv).toMatch(/^6\.18 +- +- +- +- +1000 +-$/m);
    expect(csv).toContain("6.18-rfc: no test\n    -10.00%\n");
  });

  it("has a line per column with N, Min, Max, Median, Avg and Stddev", () => {
    expect(text).toMatch(/^MEASURED +N +Min +Max +Median +Avg +Stddev$/m);
    expect(text).toMatch(/^6\.18 +10 +1666 +1751 +1700 +1700 +17$/m);
  });
});

it("another style is refused", () => {
  expect(() => compareTable(measuredComparison, "gnuplot" as CompareStyle)).toThrow(
    'style: "gnuplot" is not allowed; allowed: one of benchstat, mmtests, ministat',
  );
});

describe("any comparison", () => {
  const name = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 90 }),
    fc.constantFrom(HOSTILE, "p=0.05 *", "a\nb", "---"),
  );
  const figure = fc.oneof(fc.double({ min: 0, max: 1e12, noNaN: true }), fc.constantFrom(0, 1e-9));
  const relative = fc.double({ min: -1, max: 1e6, noNaN: true });
  const bounds = (of: fc.Arbitrary<number>) => fc.tuple(of, of).map(([low, high]) => ({ low, high }));
  const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null, freq: 4 });

  const measuredCell = fc.record({
    samples: maybe(fc.integer({ min: 1, max: 1e6 })),
    mean: figure,
    standardDeviation: maybe(figure),
    min: maybe(figure),
    median: maybe(figure),
    max: maybe(figure),
    interval: maybe(bounds(figure)),
    centre: figure,
    versusBase: maybe(
      fc.record({
        relative,
        p: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
        test: fc.constantFrom("Mann-Whitney U", "Welch's t", null),
        significant: fc.boolean(),
        means: maybe(fc.record({ value: relative, low: relative, high: relative })),
      }),
    ),
  });
  const simulatedCell = fc.record({
    mean: figure,
    ofSeeds: bounds(figure),
    ofCosts: bounds(figure),
    versusBase: maybe(
      fc.record({
        relative,
        ofSeeds: maybe(bounds(relative)),
        ofCosts: bounds(relative),
        verdict: fc.constantFrom("less", "more", "same", "either"),
      }),
    ),
  });
  const table = <Cell>(cell: fc.Arbitrary<Cell>) =>
    fc.integer({ min: 2, max: 5 }).chain((columns) =>
      fc.record({
        columns: fc.array(name, { minLength: columns, maxLength: columns }),
        rows: fc.array(
          fc.record({ name, cells: fc.array(maybe(cell), { minLength: columns, maxLength: columns }) }),
          { minLength: 1, maxLength: 5 },
        ),
      }),
    );
  const measured = fc.tuple(table(measuredCell), fc.boolean(), maybe(name)).map(
    ([of, exitsOfOneRun, file]): MeasuredComparison => ({
      kind: "measured",
      version: "0.1.0",
      command: file === null ? null : exitlabCommand("compare", file),
      unit: "us",
      exitsOfOneRun,
      notes: [HOSTILE],
      ...of,
    }),
  );
  const simulated = fc.tuple(table(simulatedCell), fc.array(name, { maxLength: 3 })).map(
    ([of, notes]) =>
      ({
        kind: "simulated",
        provenance: unfitted,
        machine: HOSTILE,
        unit: "TSC cycles per access",
        seeds: { low: 1, high: 9 },
        notes,
        ...of,
      }) as unknown as SimulatedComparison,
  );
  const style = fc.constantFrom(...COMPARE_STYLES);

  it("is ASCII of at most 72 columns, whatever its columns and rows are called", () => {
    fc.assert(
      fc.property(fc.oneof(measured, simulated), style, (compared, of) => {
        for (const line of compareTable(compared, of).split("\n"))
          expect(line).toMatch(/^[\x20-\x7e]{0,72}$/);
      }),
      { seed: 1, numRuns: 150 },
    );
  });

  it("has a record for each row and column that has it, all with the same keys", () => {
    fc.assert(
      fc.property(fc.oneof(measured, simulated), (compared) => {
        const cells = compared.rows
          .flatMap((row) => [...row.cells] as unknown[])
          .filter((cell) => cell !== null);
        fc.pre(cells.length > 0);
        expect(tableCompare(compared)).toHaveLength(cells.length);
        expect(toCsv(tableCompare(compared)).length).toBeGreaterThan(0);
      }),
      { seed: 1, numRuns: 100 },
    );
  });
});

describe("the records", () => {
  it("hold differences relative to the base, and NaN for what is not known", () => {
    const [, second, third] = tableCompare(simulatedComparison);
    expect(third).toMatchObject({
      row: "vcpus=1 workload[ram].weight=0",
      column: "fast-mmio",
      mean: 1800,
      relative: -0.5,
      relativeCostsLow: -0.7,
      verdict: "less",
    });
    expect(second.verdict).toBe("either");
    const [base, other] = tableCompare(measuredComparison);
    expect(base).toMatchObject({ column: "6.18", samples: 10, centre: 1700, relative: Number.NaN, test: "" });
    expect(tableCompare(csvComparison)[1]).toMatchObject({ samples: Number.NaN, relative: -0.1, test: "" });
    expect(other).toMatchObject({ column: "6.18-rfc", p: 0.446, significant: false, test: "Mann-Whitney U" });
  });
});

describe("the figure", () => {
  type Trace = {
    name: string;
    x: number[];
    y: number[];
    error_x: { array: number[]; arrayminus: number[]; thickness: number };
    showlegend: boolean;
  };
  const tracesOf = (compared: Compared) => plotCompare(compared).data as unknown as Trace[];

  it("of what is simulated has a mark for each difference in per cent, costs thick and seeds thin around it", () => {
    const traces = tracesOf(simulatedComparison);
    expect(traces.map(({ name, showlegend }) => [name, showlegend])).toEqual([
      ["ro-slot", false],
      ["ro-slot", true],
      ["fast-mmio", false],
      ["fast-mmio", true],
    ]);
    const [, , costs, seeds] = traces;
    expect(costs.x).toEqual([-50, 100]);
    expect(costs.error_x.arrayminus[0]).toBeCloseTo(20, 9);
    expect(costs.error_x.array[0]).toBeCloseTo(38, 9);
    expect(seeds.error_x.array[0]).toBeCloseTo(1, 9);
    expect(costs.error_x.thickness).toBeGreaterThan(seeds.error_x.thickness);
    expect(plotCompare(simulatedComparison).layout).toMatchObject({
      xaxis: { zeroline: true, rangemode: "tozero" },
    });
  });

  it("of what is simulated says so on its face; of what was measured it says that", () => {
    expect(plotCompare(simulatedComparison).layout.title.text).toMatch(/^SIMULATED: /);
    const figure = plotCompare(measuredComparison);
    expect(figure.layout.title.text).toMatch(/^MEASURED: /);
    expect(figure.provenance).toBeNull();
    for (const text of [JSON.stringify(figure), figureText(figure), ...figurePage(figure)])
      expect(text).not.toMatch(/simulated/i);
    expect(figureText(figure)).toMatch(/^MEASURED .*\brow\b/m);
  });

  it("of what was measured has the centres with their intervals, one series per column", () => {
    const [before, after] = tracesOf(measuredComparison);
    expect(before.x).toEqual([1700, 3600, 42_000, 900]);
    expect(before.error_x.array[0]).toBeCloseTo(17, 9);
    expect(before.error_x.array[2]).toBe(0);
    expect(after.x).toEqual([1704, 1800, 41_000, 0.125]);
    expect(plotCompare(measuredComparison).layout).toMatchObject({ xaxis: { type: "log" } });
  });

  it("of what was measured says what its bars are", () => {
    expect(plotCompare(measuredComparison).machine).toMatch(/Bars are 95% intervals$/);
    expect(plotCompare(csvComparison).machine).toMatch(/Bars are by how much a CSV file says/);
  });

  it("has the marks of a row below each other, around its name", () => {
    const [, one, , other] = tracesOf(simulatedComparison);
    expect((one.y[0] + other.y[0]) / 2).toBeCloseTo(0, 9);
    expect(one.y[0]).toBeLessThan(other.y[0]);
  });

  it("of counts has no bars of costs", () => {
    expect(tracesOf(countedComparison).map(({ showlegend }) => showlegend)).toEqual([true, true]);
    expect(plotCompare(countedComparison).machine).not.toContain("costs");
  });

  it("has its numbers beside it, as tableCompare", () => {
    expect(plotCompare(simulatedComparison).table).toEqual(tableCompare(simulatedComparison));
    expect(plotCompare(measuredComparison).table).toEqual(tableCompare(measuredComparison));
  });

  it("shows foreign names as they are, and cuts long ones on its axis", () => {
    for (const compared of [measuredComparison, simulatedComparison]) {
      const renamed = {
        ...compared,
        columns: compared.columns.map((_, index) => `${HOSTILE}${index}`),
        rows: compared.rows.map((row) => ({ ...row, name: `${HOSTILE}${"x".repeat(200)}` })),
      } as Compared;
      const figure = plotCompare(renamed);
      expect(JSON.stringify(figure)).not.toMatch(/<\/?script|<b>&"/);
      expect(Number((figure.layout.margin as { l: number }).l)).toBeLessThan(figure.layout.width / 2);
    }
  });

  it("is refused where there is nothing to show", () => {
    expect(() => plotCompare({ ...simulatedComparison, rows: [] })).toThrow("no row has a difference");
    expect(() => plotCompare({ ...measuredComparison, rows: [] })).toThrow("there is no row");
  });
});
