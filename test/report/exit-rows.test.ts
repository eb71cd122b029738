/** The published rows as records, as a figure and as a mail, from a made-up study. */
import { describe, expect, it } from "vitest";
import { exitRowsTable, plotExitRows, tableExitRows } from "../../src/report/exit-rows.js";
import { plotlyText } from "../../src/report/figure.js";
import { columnsOf } from "../../src/report/records.js";
import { predicted, exitRows as study } from "./exit-rows-fixture.js";
import { HOSTILE } from "./fixture.js";

describe("the records of the published rows", () => {
  const records = tableExitRows(study);

  it("are one a row, with the same columns, and what there is not left empty", () => {
    expect(columnsOf(records)).toContain("error");
    expect(records).toHaveLength(4);
    expect(records[0]).toMatchObject({
      row: "portio-datamatch-eventfd",
      measured: 1777,
      predicted: 1838,
      from: "1 * mmio-datamatch-eventfd; -1 * mmio-wildcard-eventfd",
      as: "sandy-bridge-ep, v3.9, exits evict l1",
    });
    expect(records[1]).toMatchObject({
      declared: "wait, interrupt",
      evidence: "same path",
      priorsAndRowsLow: "",
    });
    expect(records[2]).toMatchObject({ outcome: "not predictable", predicted: "", error: "", from: "" });
    expect(records[3]).toMatchObject({ outcome: "not simulated", priorsLow: "" });
  });
});

describe("the figure of the published rows", () => {
  const { data: traces, layout } = plotExitRows(study);
  interface Trace {
    readonly name: string;
    readonly x: number[];
    readonly y: number[];
    readonly text?: string[];
  }
  const [differences, samePaths, without] = traces as unknown as Trace[];

  it("has the error of each prediction in per cent on the line of its row, below the machine's", () => {
    expect(differences.x[0]).toBeCloseTo(3.4327, 3);
    expect(samePaths.x[0]).toBeCloseTo(-2.7178, 3);
    expect([differences.y, samePaths.y]).toEqual([[1], [2]]);
    const { ticktext } = layout.yaxis as { ticktext: string[] };
    expect(ticktext.slice(0, 3)).toEqual([
      "<b>made-up-2013</b>",
      "portio-datamatch-eventfd",
      "tscdeadline adv *",
    ]);
  });

  it("greys the rows without a prediction, and writes there what they are", () => {
    expect([without.y, without.text]).toEqual([
      [3, 4],
      ["not predictable", "not simulated"],
    ]);
    const { ticktext } = layout.yaxis as { ticktext: string[] };
    for (const text of ticktext.slice(3)) expect(text).toMatch(/^<span style="color:#666666">/);
  });

  it("draws the lines of 5% and 15%", () => {
    const shapes = layout.shapes as { x0: number }[];
    expect(shapes.map(({ x0 }) => x0)).toEqual([-5, 5, -15, 15]);
  });

  it("has room for an error beyond them", () => {
    const far = plotExitRows({ ...study, all: { ...study.all, worst: -0.4 } });
    expect((far.layout.xaxis as { range: number[] }).range[1]).toBeCloseTo(44, 9);
  });

  it("says on its face what it is, and lets no text of others be markup", () => {
    expect(layout.title.text).toMatch(/^SIMULATED/);
    const hostile = plotExitRows({
      ...study,
      machines: study.machines.map((machine) => ({ ...machine, rows: [{ ...predicted, row: HOSTILE }] })),
    });
    const text = JSON.stringify(hostile);
    expect(text).toContain(JSON.stringify(plotlyText(HOSTILE)).slice(1, -1));
    expect(text).not.toMatch(/<\/?script|<b>&"/);
  });
});

describe("the mail of the published rows", () => {
  const text = exitRowsTable(study);

  it("is ASCII of at most 72 columns", () => {
    for (const line of text.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,72}$/);
  });

  it("counts what is predicted and what is not before any error", () => {
    expect(text.replaceAll("\n", " ")).toContain(
      "Of 4 published rows 2 follow from other rows of their machine, without any assumed cost. 1 do not, which is no " +
        "success, and the steps of 1 are not modelled. The 2 rest on 2 independent relations; none of them on one cost for " +
        "all kinds of exits.",
    );
  });

  it("has a line per row, with its error or what it is instead", () => {
    expect(text).toContain("portio-datamatch-eventfd      1777       1838  +3.43%  difference\n");
    expect(text).toContain("tscdeadline adv               4664       4537  -2.72%  same path *\n");
    expect(text).toContain("vmcall                        3898          -       -  not predictable\n");
    expect(text).toContain("ipi                           4238          -       -  not simulated\n");
  });

  it("says what explains an error, why steps are declared, and why there are none", () => {
    expect(text).toContain("portio-datamatch-eventfd: the comparison costs more in the MMIO rows.\n");
    expect(text).toContain("tscdeadline adv: the wait hides what comes before.\n");
    expect(text).toContain("ipi: interrupts are not modelled.\n");
  });

  it("shows what the priors leave, alone and with the rows, of predicted rows and others alike", () => {
    expect(text).toContain("portio-datamatch-eventfd      1777     600..5000  1747..1880\n");
    expect(text).toContain("tscdeadline adv               4664      0..17000           -\n");
    expect(text).toContain("vmcall                        3898     588..4430   588..4430\n");
  });

  it("writes a name that is not ASCII with escapes", () => {
    const machines = study.machines.map((machine) => ({
      ...machine,
      rows: [{ ...predicted, row: "K\u00f6nig" }],
    }));
    expect(exitRowsTable({ ...study, machines })).toContain("K\\u{f6}nig");
  });
});
