/** The walk with nothing cached, against the formula that the literature has for it. */
import { describe, expect, it } from "vitest";
import { studyColdWalk, studyReferenceCounts } from "../../src/study/two-dimensional-walk.js";

describe("a walk of 4-level guest paging under a 4-level EPT that finds nothing cached", () => {
  const { steps, hostPhysicalAddress } = studyColdWalk();

  it("reads 24 entries: the EPT's four before each of the guest's, and four for the datum", () => {
    const one = ["EPT 4", "EPT 3", "EPT 2", "EPT 1"];
    const read = steps.map(({ structure, level }) => `${structure} ${level}`);
    expect(read).toEqual([
      ...[...one, "guest 4"],
      ...[...one, "guest 3"],
      ...[...one, "guest 2"],
      ...[...one, "guest 1"],
      ...one,
    ]);
    expect(steps.map(({ number }) => number)).toEqual(Array.from({ length: 24 }, (_, index) => index + 1));
  });

  it("wants to know where each guest table lies, and then the datum", () => {
    const purposes = ["PML4", "PDPT", "PD", "PT", "data"];
    expect([...new Set(steps.map(({ purpose }) => purpose))]).toEqual(purposes);
  });

  it("reads no entry twice", () => {
    expect(new Set(steps.map((step) => step.hostPhysicalAddress)).size).toBe(24);
  });

  it("finds in each last EPT entry the page of the guest's entry, and at last that of the datum", () => {
    const pageIn = (entry: string) => Number(BigInt(entry) & 0xf_ffff_ffff_f000n);
    const leaves = steps.filter(({ structure, level }) => structure === "EPT" && level === 1);
    const found = [...steps.filter(({ structure }) => structure === "guest"), { hostPhysicalAddress }];
    expect(leaves.map(({ entry }) => pageIn(entry))).toEqual(
      found.map((step) => step.hostPhysicalAddress - (step.hostPhysicalAddress % 4096)),
    );
  });
});

describe("the references of a walk with nothing cached", () => {
  const { counts } = studyReferenceCounts();

  /** Levels of tables that a translation reads; a page of a larger size ends it that much earlier. */
  const LEVELS = { none: 0, "32-bit": 2, PAE: 2, "4-level": 4, "5-level": 5 };
  const SAVED = { "4K": 0, "2M": 1, "4M": 1, "1G": 2 };

  it("are (g + 1)(e + 1) - 1 for g levels of guest paging and e of the EPT", () => {
    for (const { guest, ept, guestReferences, eptReferences } of counts) {
      const g = LEVELS[guest.mode] - SAVED[guest.pages];
      const e = ept === null ? 0 : ept.levels - SAVED[ept.pages];
      expect([guest, ept, guestReferences + eptReferences]).toEqual([guest, ept, (g + 1) * (e + 1) - 1]);
      expect(guestReferences).toBe(g);
    }
  });

  it("are counted for all 11 guests natively and under 6 EPTs", () => {
    expect(counts).toHaveLength(11 * 7);
    expect(new Set(counts.map(({ guest, ept }) => JSON.stringify([guest, ept]))).size).toBe(77);
  });

  it("are 24 with pages of 4K, 15 with pages of 2M and 35 with five levels each", () => {
    const of = (mode: string, pages: string, levels: number) => {
      const found = counts.find(
        ({ guest, ept }) =>
          guest.mode === mode && guest.pages === pages && ept?.levels === levels && ept.pages === pages,
      );
      return (found?.guestReferences ?? 0) + (found?.eptReferences ?? 0);
    };
    expect([of("4-level", "4K", 4), of("4-level", "2M", 4), of("5-level", "4K", 5)]).toEqual([24, 15, 35]);
  });
});
