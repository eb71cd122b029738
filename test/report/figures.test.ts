import { expect, test } from "vitest";
import { CATEGORIES } from "../../src/cost/primitive-costs.js";
import { plotBreakdown, tableBreakdown } from "../../src/report/breakdown.js";
import { plotFastMmio, tableFastMmio } from "../../src/report/fast-mmio.js";
import { type Figure, plainText, plotlyText } from "../../src/report/figure.js";
import { CATEGORY_FILLS } from "../../src/report/theme.js";
import { HOSTILE, hostileStudy, study } from "./fixture.js";

const FIGURES = [
  ["breakdown", plotBreakdown],
  ["fast MMIO", plotFastMmio],
] as const;

const trace = (figure: Figure, name: string) => {
  const found = figure.data.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no trace ${name}`);
  return found as { x: number[]; y: unknown[]; error_x: { array: number[]; arrayminus: number[] } };
};

test.each(FIGURES)("%s: every axis of numbers has a title with its unit", (_name, plot) => {
  const axes = Object.entries(plot(study).layout).filter(([key]) => key.startsWith("xaxis"));
  expect(axes.length).toBeGreaterThan(0);
  for (const [, axis] of axes) {
    expect((axis as { title: { text: string } }).title.text).toMatch(/TSC cycles per access/);
  }
});

test.each(FIGURES)("%s: says on its face that it is simulated, by what and fitted to what", (_name, plot) => {
  const { title, annotations } = plot(study).layout;
  expect(title.text).toMatch(/^SIMULATED/);
  const [note] = annotations as { text: string }[];
  expect(note.text).toMatch(
    /^SIMULATED - exitlab 0\.1\.0, model 3f2a91c0, data b07c55d2, seed 1, fitted to kvm-unit-tests/,
  );
});

test.each(FIGURES)(
  "%s: is plain JSON, the same for the same study, without hostile markup",
  (_name, plot) => {
    expect(JSON.parse(JSON.stringify(plot(study)))).toEqual(plot(study));
    const text = JSON.stringify(plot(hostileStudy));
    expect(text).toContain(JSON.stringify(plotlyText(HOSTILE)).slice(1, -1));
    expect(text).not.toMatch(/<\/?script|<b>&"/);
  },
);

test("the categories of the breakdown add up to the simulated total of every row", () => {
  const figure = plotBreakdown(study);
  const bars = figure.data.filter(({ type }) => type === "bar") as unknown as { x: number[] }[];
  study.rows.forEach(({ simulated }, i) => {
    expect(bars.reduce((sum, { x }) => sum + x[i], 0)).toBeCloseTo(simulated, 9);
  });
  expect(trace(figure, "measured").x).toEqual(study.rows.map(({ measured }) => measured));
});

test("a category without a cycle anywhere is left out of the figure, not of the table", () => {
  const rows = study.rows.map((row) => ({ ...row, breakdown: { ...row.breakdown, memory: 0 } }));
  const names = plotBreakdown({ ...study, rows }).data.map(({ name }) => name);
  expect(names).not.toContain("memory");
  expect(tableBreakdown({ ...study, rows })[0].memory).toBe(0);
});

test("no two categories look alike, in colour or without", () => {
  const fills = CATEGORIES.map((category) => CATEGORY_FILLS[category]);
  expect(new Set(fills.map(({ color }) => color)).size).toBe(CATEGORIES.length);
  // Neighbours in the stack: one of the two has a pattern, or the lightness differs.
  fills.slice(1).forEach((fill, i) => {
    const apart = Math.abs(lightness(fill.color) - lightness(fills[i].color));
    expect(fill.shape !== fills[i].shape || apart > 0.1).toBe(true);
  });
});

function lightness(color: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255);
  return 0.299 * r + 0.587 * g + 0.114 * b;
}

test("the ranges of the predictions are the error bars", () => {
  const { x, error_x } = trace(plotFastMmio(study), "fast MMIO");
  study.predictions.forEach(({ fastMmio }, i) => {
    expect(x[i] - error_x.arrayminus[i]).toBeCloseTo(fastMmio.low, 9);
    expect(x[i] + error_x.array[i]).toBeCloseTo(fastMmio.high, 9);
  });
});

test("every CPU heads its eviction cases", () => {
  const { ticktext } = plotFastMmio(study).layout.yaxis as { ticktext: string[] };
  expect(ticktext.slice(0, 6)).toEqual([
    "<b>lynnfield-i7-860</b>",
    "evicts nothing",
    "evicts l1",
    "evicts l1-l2",
    "evicts translations",
    "<b>westmere-x990</b>",
  ]);
});

test("the tables hold what the figures show", () => {
  expect(tableBreakdown(study)[1]).toMatchObject({
    row: "mmio-wildcard-eventfd",
    measured: 3609,
    exit: 1190,
  });
  expect(tableFastMmio(study)).toHaveLength(study.predictions.length);
  expect(tableFastMmio(study)[0]).toMatchObject({
    cpu: "lynnfield-i7-860",
    exitEvicts: "nothing",
    portIoLow: 1748,
  });
});

test("text of a figure reads back as it was", () => {
  expect(plainText(`<b>${plotlyText(HOSTILE)}</b>`).trim()).toBe(HOSTILE);
});
