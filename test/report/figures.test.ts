import { expect, test } from "vitest";
import { plotBreakdown, tableBreakdown } from "../../src/report/breakdown.js";
import { plotFastMmio, tableFastMmio } from "../../src/report/fast-mmio.js";
import { type Figure, plainText, plotlyText } from "../../src/report/figure.js";
import { footprint } from "../../src/report/format.js";
import { toFrame } from "../../src/report/frame.js";
import * as report from "../../src/report/index.js";
import { plotLifeOfFault, tableLifeOfFault } from "../../src/report/life-of-a-fault.js";
import {
  latencyErrorsTable,
  plotLoadLatency,
  tableLatencyErrors,
  tableLatencySteps,
  tableLoadLatency,
  tableTlbSteps,
} from "../../src/report/load-latency.js";
import { plotNestedWalks, tableNestedPmu, tableNestedWalks } from "../../src/report/nested-walks.js";
import { tableProbes } from "../../src/report/probes.js";
import { plotReferenceCounts, tableReferenceCounts } from "../../src/report/reference-counts.js";
import { figureText } from "../../src/report/save.js";
import { plotWalk, tableWalk } from "../../src/report/walk.js";
import { EVERY_FIGURE } from "./every-figure.js";
import { HOSTILE, study } from "./fixture.js";
import { coldWalk, lifeOfFault, loadLatency, nestedWalks, referenceCounts } from "./walks-fixture.js";

const trace = (figure: Figure, name: string) => {
  const found = figure.data.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no trace ${name}`);
  return found as { x: number[]; y: unknown[]; error_x: { array: number[]; arrayminus: number[] } };
};

const CASES = Object.entries(EVERY_FIGURE);

test("every plotX of the package is among the figures that are tested together", () => {
  expect(Object.keys(EVERY_FIGURE).sort()).toEqual(
    Object.keys(report)
      .filter((name) => /^plot[A-Z]/.test(name))
      .sort(),
  );
});

test.each(CASES)("%s: the axes have titles with their units", (_name, { figure, axes }) => {
  const all = Object.entries(figure().layout).filter(([key]) => /^[xy]axis/.test(key));
  const shown = all.flatMap(([, axis]) => (axis as { title?: { text: string } }).title?.text || []);
  expect(shown.sort()).toEqual(axes);
});

test.each(CASES)(
  "%s: says on its face that it is simulated, by what and fitted to what",
  (_name, { figure, basis }) => {
    const { layout } = figure();
    expect(layout.title.text).toMatch(/^SIMULATED/);
    const [note] = layout.annotations as { text: string }[];
    expect(note.text.replaceAll("<br>", " ")).toContain(
      `SIMULATED - exitlab 0.1.0, model 3f2a91c0, data b07c55d2, seed 1, ${basis}`,
    );
  },
);

test.each(CASES)(
  "%s: is plain JSON, the same for the same study, without hostile markup",
  (_name, { figure, hostile }) => {
    expect(JSON.parse(JSON.stringify(figure()))).toEqual({ data: figure().data, layout: figure().layout });
    expect(JSON.stringify(figure())).toBe(JSON.stringify(figure()));
    const text = JSON.stringify(hostile());
    expect(text).toContain(JSON.stringify(plotlyText(HOSTILE)).slice(1, -1));
    expect(text).not.toMatch(/<\/?script|<b>&"/);
  },
);

test.each(CASES)(
  "%s: has its numbers as records, for a frame, a CSV file and a mail",
  (_name, { figure, hostile }) => {
    expect(toFrame(figure().table).shape[0]).toBe(figure().table.length);
    for (const line of `${figureText(figure())}${figureText(hostile())}`.split("\n")) {
      expect(line).toMatch(/^[\x20-\x7e]{0,72}$/);
    }
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

test("the walk is numbered in its order, the guest's entries below those of the EPT", () => {
  const figure = plotWalk(coldWalk);
  const [ept, guest] = ["EPT", "guest"].map((name) => trace(figure, name)) as unknown as {
    x: number[];
    y: number[];
    text: string[];
  }[];
  expect(guest.text).toEqual(["<b>5</b>", "<b>10</b>", "<b>15</b>", "<b>20</b>"]);
  expect([guest.x, guest.y]).toEqual([
    [0, 1, 2, 3],
    [4, 4, 4, 4],
  ]);
  expect(ept.text).toHaveLength(20);
  expect([ept.x[4], ept.y[4], ept.text[4]]).toEqual([1, 0, "<b>6</b>"]);
  // Behind the provenance, an arrow to every entry but the first, and to the datum.
  expect(figure.layout.annotations).toHaveLength(1 + 24);
});

test("the table of the walk names each entry and where it lies", () => {
  const rows = tableWalk(coldWalk);
  expect(rows).toHaveLength(24);
  expect(rows[4]).toMatchObject({ step: 5, entry: "guest PML4E", findsOut: "PML4", guestPhysical: "0x7f0" });
  expect(rows[5]).toMatchObject({ step: 6, entry: "EPT PML4E", findsOut: "PDPT" });
});

test("the reference counts are a table of guests by EPTs, and the figure shows its numbers", () => {
  const rows = tableReferenceCounts(referenceCounts);
  expect(rows).toHaveLength(11);
  expect(rows[0]).toEqual({
    guest: "4-level, 4K",
    native: 4,
    "EPT 4-level, 4K": 24,
    "EPT 4-level, 2M": 19,
    "EPT 4-level, 1G": 14,
    "EPT 5-level, 4K": 29,
    "EPT 5-level, 2M": 24,
    "EPT 5-level, 1G": 19,
  });
  const [{ z }] = plotReferenceCounts(referenceCounts).data as unknown as { z: number[][] }[];
  expect(z[0]).toEqual([4, 24, 19, 14, 29, 24, 19]);
});

test("the measured latency lies over the simulated one and its range, a panel a loop", () => {
  const { data } = plotLoadLatency(loadLatency);
  const [{ curves }] = loadLatency.machines;
  expect(data).toHaveLength(3 * 4);
  const [low, high, simulated, measured] = data as unknown as { x: number[]; y: number[]; fill?: string }[];
  const { points } = curves[0];
  expect(measured.x).toEqual(points.map(({ footprintKib }) => footprintKib));
  expect(measured.y).toEqual(points.map((point) => point.measured));
  expect(simulated.y).toEqual(points.map((point) => point.simulated.value));
  expect(low.y).toEqual(points.map((point) => point.simulated.low));
  expect(high.y).toEqual(points.map((point) => point.simulated.high));
  expect([low.fill, high.fill]).toEqual([undefined, "tonexty"]);
});

test("what ends at one footprint has one line in a panel of the load latency", () => {
  const { annotations, shapes } = plotLoadLatency(loadLatency).layout as unknown as {
    annotations: { text: string }[];
    shapes: unknown[];
  };
  // Behind the provenance, the loop and the capacities of each panel.
  const [, ...texts] = annotations.map(({ text }) => text);
  expect(texts.slice(0, 5)).toEqual(["page-random, stride 64", "L1D", "L2, data TLB", "STLB", "L3"]);
  expect(shapes).toHaveLength(3 * 4);
});

test("the tables of the load latency have a record for each point, loop, capacity and TLB", () => {
  const [{ curves, steps }] = loadLatency.machines;
  const points = curves.flatMap((curve) => curve.points);
  expect(tableLoadLatency(loadLatency)).toHaveLength(points.length);
  expect(tableLoadLatency(loadLatency)[0]).toEqual({
    cpu: "lynnfield-i7-860",
    order: "page-random",
    strideBytes: 64,
    footprintKib: 2,
    measured: 4,
    simulated: 4,
    low: 4,
    high: 4,
    errorPercent: 0,
    stlbHits: 0,
    walks: 0,
    references: 0,
  });

  const errors = tableLatencyErrors(loadLatency);
  expect(errors.map(({ loop }) => loop)).toEqual([
    "page-random, stride 64",
    "page-random, stride 4096",
    "random-full, stride 64",
    "all",
  ]);
  expect(errors[2]).toMatchObject({
    cpu: "lynnfield-i7-860",
    points: curves[2].points.length,
    medianPercent: 100 * curves[2].errors.median,
    p90Percent: 100 * curves[2].errors.p90,
    worstPercent: 100 * curves[2].errors.worst,
    biasPercent: 100 * curves[2].errors.bias,
  });
  expect(errors[3]).toMatchObject({ cpu: "all", points: points.length });

  // L3 holds 8 MiB: of the footprints up to 4 MiB one of each loop is near it.
  const near = tableLatencySteps(loadLatency);
  expect(near.map(({ capacity, kib, points: count }) => [capacity, kib, count])).toEqual([
    ["L1D", 32, 15],
    ["L2", 256, 15],
    ["data TLB", 256, 15],
    ["STLB", 2048, 15],
    ["L3", 8192, 3],
  ]);
  expect(near[3].worstPercent).toBe(100 * steps[3].errors.worst);

  expect(tableTlbSteps(loadLatency)[0]).toMatchObject({
    tlb: "data TLB",
    fromKib: 256,
    toKib: 384,
    measured: 37,
    simulated: 37,
  });
});

test("the mail of the load latency fits 72 columns and ends with the errors of all points", async () => {
  const text = latencyErrorsTable(loadLatency);
  await expect(text).toMatchFileSnapshot("golden/latency-errors.txt");
  const lines = text.trimEnd().split("\n");
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(72);
  const points = loadLatency.machines[0].curves.flatMap((curve) => curve.points);
  expect(text).toMatch(new RegExp(`\nall +${points.length} .*\n\nTo repeat:\n`));
});

test("the lines of the nested walks differ without colour, and stop where nothing walks", () => {
  const { data } = plotNestedWalks(nestedWalks);
  const [first] = data as unknown as { x: number[]; y: number[] }[];
  // 64K of the data TLB walk for nothing, 16M of 4K pages read a PTE.
  expect([first.x, first.y]).toEqual([[16384], [1]]);
  const shown = data.filter(({ showlegend }) => showlegend).map(({ name }) => name);
  expect(shown).toEqual([...new Set(nestedWalks.points.map(({ paging }) => paging))]);
});

test("the tables of the nested walks are per load and per walk, and in a PMU's names", () => {
  const [small, large] = tableNestedWalks(nestedWalks);
  expect(small).toMatchObject({ paging: "4K native", footprintKib: 64, walks: 0, guestReferences: 0 });
  expect(large).toMatchObject({ guestReferences: 1, eptReferences: 0 });
  const events = tableNestedPmu(nestedWalks, 16384);
  const walks = events.find(({ event }) => event === "dtlb_load_misses.miss_causes_a_walk");
  const point = nestedWalks.points.find(
    ({ paging, footprintKib }) => paging === "4K native" && footprintKib > 64,
  );
  expect(walks?.["4K native"]).toBe(point?.walks);
  expect(events.map(({ event }) => event)).toContain("page_walker_loads.ept_dtlb_memory");
  expect(() => tableNestedPmu(nestedWalks, 128)).toThrow("footprint of 128 KiB");
});

test("the life of a fault is a column for each step, with the state of the SPTE above and counts below", () => {
  const { data, layout } = plotLifeOfFault(lifeOfFault);
  const of = (name: string) => trace(plotLifeOfFault(lifeOfFault), name);
  expect([of("memory").x, of("not present").x, of("MMIO, stale").x]).toEqual([[11, 12], [13], [6, 7, 9, 10]]);
  expect(of("exits").y).toEqual(lifeOfFault.steps.map(({ exits }) => exits.length));
  const sum = (name: string) => (of(name).y as number[]).reduce((total, count) => total + count, 0);
  expect([sum("signals"), sum("exits to userspace")]).toEqual([lifeOfFault.steps[14].signals, 4]);
  // Behind the provenance, four texts a step; what has changed is bold.
  const texts = (layout.annotations as { text: string }[]).slice(1).map(({ text }) => text);
  expect(texts).toHaveLength(4 * 15);
  expect(texts.slice(4 * 5, 4 * 6)).toEqual(["", "MMIO,<br>stale", "<b>0xfff6e</b>", "2"]);
  expect(texts.slice(4 * 13, 4 * 14)).toEqual(["violation,<br>violation", "MMIO", "0xfff74", "4"]);
  expect((layout.shapes as { x0: number }[]).map(({ x0 }) => x0 + 0.5)).toEqual([3, 6, 9, 13]);
  expect(new Set(data.map(({ name }) => name)).size).toBe(data.length);
});

test("the table of the life of a fault has a row for each step", () => {
  const rows = tableLifeOfFault(lifeOfFault);
  expect(rows.map(({ step }) => step)).toEqual(lifeOfFault.steps.map(({ number }) => number));
  expect(rows[0]).toEqual({
    step: 1,
    what: "store at A",
    exits: "EPT_VIOLATION",
    spte: "0xfff00000febf0db6",
    state: "MMIO",
    generation: "0xfff6c",
    signals: 0,
    userspace: true,
    references: 6,
    spteWrites: 3,
    busLookups: 1,
    emulated: 1,
    softwareWalks: 2,
    gracePeriods: 0,
  });
  expect(rows[11]).toMatchObject({ exits: "", state: "memory", references: 0, emulated: 0 });
});

test("a probe's table tells where it leads, or what stops it and why", () => {
  const reason = { at: "EPT PTE", level: 1, bits: "1", why: "W = 0" };
  const step = { guestPhysicalAddress: 0x5000, steps: [], hostPhysicalAddress: null } as const;
  expect(
    tableProbes({
      read: { ...step, outcome: "translated", reason: null, hostPhysicalAddress: 0x9008 },
      write: { ...step, outcome: "ept-violation", reason },
    }),
  ).toEqual([
    {
      access: "read",
      outcome: "translated",
      entriesRead: 0,
      hostPhysical: "0x9008",
      at: "",
      bits: "",
      why: "",
    },
    {
      access: "write",
      outcome: "ept-violation",
      entriesRead: 0,
      hostPhysical: "",
      at: "EPT PTE",
      bits: "1",
      why: "W = 0",
    },
  ]);
});

test("footprints are written as kernels write them", () => {
  expect([4, 64, 1536, 16384, 4194304].map(footprint)).toEqual(["4K", "64K", "1.5M", "16M", "4G"]);
});
