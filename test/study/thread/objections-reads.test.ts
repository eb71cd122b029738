/** Reads of doorbells: "You always do bus_write even if it is a read access." */
import { describe, expect, test } from "vitest";
import { READ_SHARES, type ReadsCurve, studyReads } from "../../../src/study/thread/objections/reads.js";

const study = studyReads({ accesses: 200 });
const curve = (label: string) => study.curves.find((other) => other.label === label) as ReadsCurve;
const last = (label: string) => curve(label).points[READ_SHARES.length - 1];

describe("a read of a doorbell", () => {
  test.each(["base-4.2", "rfc, page never read", "write-mostly", "base-6.19"])(
    "signals once, and its load never ends, with %s: neither handler knows a read from a write",
    (label) => {
      const { reads, kicks, unexplained, spuriousSignals, lostLoads, perRead } = last(label);
      expect(reads + kicks).toBe(200);
      expect(perRead).toMatchObject({ exits: 1, userspaceExits: 0, signals: 1 });
      expect([spuriousSignals, lostLoads]).toEqual([reads, reads]);
      expect(unexplained).toBeCloseTo(reads / kicks, 12);
      expect(curve(label)).toMatchObject({ signalled: 1, userspace: 0, served: 0 });
    },
  );

  test("is an ordinary load under the RFC once the page is mapped, without an exit", () => {
    const { perRead, unexplained, spuriousSignals, lostLoads } = last("rfc, page read before");
    expect(perRead).toMatchObject({ exits: 0, userspaceExits: 0, signals: 0 });
    expect([unexplained, spuriousSignals, lostLoads]).toEqual([0, 0, 0]);
  });

  test.each(["bad-page", "repaired"])("maps the page with %s, and loads from it from then on", (label) => {
    const { points, served } = curve(label);
    expect(served).toBe(1);
    for (const { perRead, reads, spuriousSignals, lostLoads } of points) {
      if (perRead === null) continue;
      // A read of each of the 16 pages, of which the warm-up has done some.
      expect(perRead.exits * reads).toBeLessThanOrEqual(16);
      expect([perRead.signals, spuriousSignals, lostLoads]).toEqual([0, 0, 0]);
    }
  });

  test("of a port goes to userspace, which costs more than all else", () => {
    const pio = last("pio").perRead;
    expect(pio).toMatchObject({ exits: 1, userspaceExits: 1, signals: 0 });
    for (const { points } of study.curves)
      expect(points[points.length - 1].perRead?.cycles.value).toBeLessThanOrEqual(pio?.cycles.value ?? 0);
  });

  test("costs what a kick does where both are taken for one", () => {
    const { perRead, perKick } = last("base-4.2");
    expect(Math.abs((perRead?.cycles.value ?? 0) / perKick.cycles.value - 1)).toBeLessThan(0.01);
  });
});

test("a kick signals once in every design, whatever is read between", () => {
  for (const { points } of study.curves)
    for (const { perKick } of points)
      expect(perKick).toMatchObject({ exits: 1, userspaceExits: 0, signals: 1 });
});

test("without reads there is no figure of a read, and no signal too many", () => {
  for (const { points } of study.curves)
    expect(points[0]).toMatchObject({ reads: 0, perRead: null, unexplained: 0 });
});

test("the verdict names every design with what its reads end as", () => {
  expect(study.verdict).toBe(
    "A read of a doorbell signals and loads nothing (base-4.2; rfc, page never read; write-mostly; base-6.19), loads from the slot " +
      "(rfc, page read before; bad-page; repaired), goes to userspace (pio).",
  );
});

test("options are checked by name, and a processor of AMD has no EPT violations", () => {
  expect(() => studyReads({ accesses: 1 })).toThrow(
    /^studyReads: accesses: 1 is not allowed; allowed: .*100 to 1000000/,
  );
  expect(() => studyReads({ cpu: "zen-3-ryzen-9-5900x" })).toThrow(
    'studyReads: cpu: "zen-3-ryzen-9-5900x" is not allowed; allowed: a processor of Intel',
  );
});

test("the same options give the same bytes", () => {
  expect(JSON.stringify(studyReads({ accesses: 200 }))).toBe(JSON.stringify(study));
});
