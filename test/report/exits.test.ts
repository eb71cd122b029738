import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePerfKvmStat } from "../../src/cost/perf-kvm-stat.js";
import { exitTable, plotExits, tableExits, tableExitTimes } from "../../src/report/exits.js";
import { plotlyText } from "../../src/report/figure.js";
import type { SimulatedExits } from "../../src/study/exits.js";
import { exitsOf, exits as study, studyOf } from "./exits-fixture.js";
import { HOSTILE } from "./fixture.js";

const oneLine = (text: string) => text.replaceAll(/\s+/g, " ");

describe("the records of exits", () => {
  it("are one per reason, in perf's units; a single exit has the error 0, as perf prints it", () => {
    const shown = tableExits(study).map((row) => [
      row.reason,
      row.samples,
      row.minUs,
      row.maxUs,
      row.averageUs,
    ]);
    expect(shown).toEqual([
      ["EPT_MISCONFIG", 400, 0.7, 6.9, 2.25],
      ["IO_INSTRUCTION", 99, 0.5, 0.5, 0.5],
      ["CPUID", 1, 0.3, 0.3, 0.3],
    ]);
    expect(tableExits(study).map(({ errorPercent }) => Number(errorPercent) > 0)).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("have shares of the samples and of the time that add up to 100%", () => {
    for (const share of ["samplesPercent", "timePercent"]) {
      const sum = tableExits(study).reduce((total, row) => total + Number(row[share]), 0);
      expect(sum).toBeCloseTo(100, 9);
    }
  });

  it("have no share of the time where exits take none", () => {
    expect(tableExits(studyOf([exitsOf("CPUID", [[0, 2]])]))).toMatchObject([
      { samplesPercent: 100, timePercent: 0 },
    ]);
  });

  it("of the distinct times say how many took just that, and which share at most that", () => {
    expect(tableExitTimes(study)).toEqual([
      { reason: "EPT_MISCONFIG", cycles: 1400, us: 0.7, samples: 300, shareAtMost: 0.75 },
      { reason: "EPT_MISCONFIG", cycles: 13_800, us: 6.9, samples: 100, shareAtMost: 1 },
      { reason: "IO_INSTRUCTION", cycles: 1000, us: 0.5, samples: 99, shareAtMost: 1 },
      { reason: "CPUID", cycles: 600, us: 0.3, samples: 1, shareAtMost: 1 },
    ]);
  });
});

describe("the mail of exits", () => {
  const text = exitTable(study);

  it("is as it was", async () => {
    await expect(text).toMatchFileSnapshot("golden/exits.txt");
  });

  it("says inside of each table that it is simulated, and that perf would not see all of an exit", () => {
    expect(text.match(/^SIMULATED VM-EXIT /gm)).toHaveLength(2);
    expect(text).toContain("without the CPU's transitions [us]\nSIMULATED VM-EXIT");
    expect(oneLine(text)).toContain("the transitions of the processor with their mitigations");
    expect(oneLine(text)).toContain(
      "What the guest does without an exit, such as TLB hits and page walks, is in neither.",
    );
  });

  it("is not taken for a measurement by what reads perf's reports", () => {
    expect(() => parsePerfKvmStat(text, "exits.txt")).toThrow(/exits\.txt: line \d+/);
  });

  it("says when exits of a warm-up are among them", () => {
    expect(oneLine(exitTable({ ...study, warmUp: 512 }))).toContain("left 512 instructions out as warm-up");
    expect(text).not.toContain("warm-up");
  });

  it("says when there is no exit", () => {
    expect(exitTable(studyOf([]))).toContain("\n\nSIMULATED: no exit.\n\n");
  });

  const times = fc
    .uniqueArray(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 5 })
    .map((all) => all.sort((one, other) => one - other))
    .chain((all) =>
      fc.tuple(...all.map((time) => fc.tuple(fc.constant(time), fc.integer({ min: 1, max: 1e9 })))),
    );
  const reasons = fc.array(fc.tuple(fc.string({ unit: "grapheme", minLength: 1, maxLength: 90 }), times), {
    maxLength: 9,
  });

  it("is ASCII of at most 72 columns, whatever the exits are called and take", () => {
    fc.assert(
      fc.property(reasons, (of) => {
        const mail = exitTable(studyOf(of.map(([reason, all]) => exitsOf(reason, all))));
        for (const line of mail.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,72}$/);
        expect(mail).toMatch(/^SIMULATED/);
      }),
      { numRuns: 50 },
    );
  });

  it("and its figure ends at 100% and never falls, whatever the exits take", () => {
    fc.assert(
      fc.property(fc.array(times, { minLength: 1, maxLength: 9 }), (of) => {
        const { data } = plotExits(studyOf(of.map((all, index) => exitsOf(`reason ${index}`, all))));
        for (const { x, y } of data as unknown as { x: number[]; y: number[] }[]) {
          expect([y[0], y[y.length - 1]]).toEqual([0, 1]);
          y.slice(1).forEach((share, index) => {
            expect(share).toBeGreaterThan(y[index]);
            expect(x[index + 1]).toBeGreaterThanOrEqual(x[index]);
          });
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("the figure of exits", () => {
  const figure = plotExits(study);
  const xaxisOf = (of: readonly SimulatedExits[]) =>
    plotExits(studyOf(of)).layout.xaxis as Record<string, unknown>;

  it("steps up for each reason at its distinct times, from nothing to all of its exits", () => {
    expect(figure.data).toHaveLength(3);
    expect(figure.data[0]).toMatchObject({
      name: "EPT_MISCONFIG",
      x: [1400, 1400, 13_800],
      y: [0, 0.75, 1],
      line: { shape: "hv" },
    });
    expect(figure.data[2]).toMatchObject({ name: "CPUID", x: [600, 600], y: [0, 1] });
  });

  it("has its numbers beside it, as tableExitTimes", () => {
    expect(figure.table).toEqual(tableExitTimes(study));
  });

  it("says on its face that it is simulated, and what is in no time", () => {
    expect(figure.layout.title.text).toMatch(/^SIMULATED: /);
    expect(figure.machine).toContain("without the transitions of the processor, which perf does not see");
  });

  it("tells the seven reasons of a guest under EPT apart without colour, by dash and by symbol", () => {
    const seven = Array.from({ length: 7 }, (_, index) => exitsOf(`reason ${index}`, [[100 + index, 1]]));
    const { data } = plotExits(studyOf(seven));
    expect(new Set(data.map(({ line }) => (line as { dash: string }).dash)).size).toBe(7);
    expect(new Set(data.map(({ marker }) => (marker as { symbol: string }).symbol)).size).toBe(7);
  });

  it("shows the values under the pointer", () => {
    expect(figure.data[0]).toMatchObject({
      customdata: [
        ["0.700", 300, "75.00%"],
        ["0.700", 300, "75.00%"],
        ["6.900", 100, "100.00%"],
      ],
    });
  });

  it("has a logarithmic axis where times are more than 20 times apart, and else begins at zero", () => {
    const upTo = (greatest: number) => xaxisOf([exitsOf("A", [[100, 1]]), exitsOf("B", [[greatest, 1]])]);
    expect(upTo(2000)).toMatchObject({ rangemode: "tozero" });
    expect(upTo(2001)).toMatchObject({ type: "log" });
    expect(
      xaxisOf([
        exitsOf("A", [
          [0, 1],
          [9000, 1],
        ]),
      ]),
    ).toMatchObject({ rangemode: "tozero" });
  });

  it("shows foreign names as they are", () => {
    const hostile = plotExits(studyOf([exitsOf(HOSTILE, [[1, 1]])]));
    expect(hostile.data[0].name).toBe(plotlyText(HOSTILE));
    expect(JSON.stringify(hostile)).not.toMatch(/<\/?script|<b>&"/);
  });

  it("is refused where there is nothing to show", () => {
    expect(() => plotExits(studyOf([]))).toThrow("no exit to show");
  });
});
