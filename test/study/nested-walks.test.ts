/** Native against nested walks, on footprints that end a TLB or a cache of Haswell. */
import { describe, expect, it } from "vitest";
import { type NestedWalkPoint, studyNestedWalks } from "../../src/study/nested-walks.js";

const KIB = { data: 256, stlb: 4096, walking: 16384, beyondPdes: 262144 };
const study = studyNestedWalks({ footprintsKib: Object.values(KIB) });

function at(paging: string, footprintKib: number): NestedWalkPoint {
  const found = study.points.find((point) => point.paging === paging && point.footprintKib === footprintKib);
  if (found === undefined) throw new Error(`no point ${paging}, ${footprintKib} KiB`);
  return found;
}

const perWalk = ({ walks, guestReferences, eptReferences }: NestedWalkPoint) => [
  guestReferences / walks,
  eptReferences / walks,
];

describe("the study of nested walks", () => {
  it("has every paging at every footprint", () => {
    expect(new Set(study.points.map(({ paging }) => paging))).toEqual(
      new Set(["4K native", "4K under 4K EPT", "4K under 2M EPT", "2M native", "2M under 2M EPT"]),
    );
    expect(study.points).toHaveLength(5 * 4);
  });

  it("costs nothing to translate while the data TLB has all pages, under EPT as natively", () => {
    for (const paging of ["4K native", "4K under 4K EPT"]) {
      expect(at(paging, KIB.data)).toMatchObject({ walks: 0, stlbHits: 0, translation: { low: 0, high: 0 } });
    }
  });

  it("makes the same loads miss the TLBs natively and under EPT, whose entries are as large", () => {
    for (const footprint of Object.values(KIB)) {
      const [native, nested] = [at("4K native", footprint), at("4K under 4K EPT", footprint)];
      expect([nested.walks, nested.stlbHits]).toEqual([native.walks, native.stlbHits]);
    }
  });

  it("reads a PTE natively, and an EPT entry more for the datum, while PDEs are cached", () => {
    expect(perWalk(at("4K native", KIB.walking))).toEqual([1, 0]);
    expect(perWalk(at("4K under 4K EPT", KIB.walking))).toEqual([1, 1]);
  });

  it("reads more under EPT once the paging-structure caches do not cover the footprint", () => {
    const [guest, ept] = perWalk(at("4K under 4K EPT", KIB.beyondPdes));
    expect(guest).toBeGreaterThan(1.5);
    expect(ept).toBeGreaterThan(guest);
    // With 128 pages of 2M, an EPT PDE maps what it takes 512 PTEs for.
    expect(perWalk(at("4K under 2M EPT", KIB.beyondPdes))[1]).toBeLessThan(ept);
  });

  it("does not walk with pages of 2M on both sides where those of 4K walk for nearly every load", () => {
    expect(at("2M under 2M EPT", KIB.beyondPdes).walks).toBe(0);
    const { walks, loads } = at("4K under 4K EPT", KIB.beyondPdes);
    expect(walks / loads).toBeGreaterThan(0.97);
  });

  it("orders what translation costs: native, then EPT with pages of 2M, then of 4K", () => {
    const [native, large, small] = ["4K native", "4K under 2M EPT", "4K under 4K EPT"].map(
      (paging) => at(paging, KIB.beyondPdes).translation,
    );
    for (const end of ["low", "value", "high"] as const) {
      expect(native[end]).toBeLessThan(large[end]);
      expect(large[end]).toBeLessThan(small[end]);
    }
  });

  it("adds up as a PMU would count it", () => {
    for (const { walks, stlbHits, guestReferences, eptReferences, pmu } of study.points) {
      expect(pmu["dtlb_load_misses.miss_causes_a_walk"]).toBe(walks);
      expect(pmu["dtlb_load_misses.walk_completed"]).toBe(walks);
      expect(pmu["dtlb_load_misses.stlb_hit"]).toBe(stlbHits);
      const sum = (unit: string) =>
        ["l1", "l2", "l3", "memory"].reduce((total, level) => total + pmu[`${unit}_${level}`], 0);
      expect(sum("page_walker_loads.dtlb")).toBe(guestReferences);
      expect(sum("page_walker_loads.ept_dtlb")).toBe(eptReferences);
    }
  });

  it("takes another processor or another geometry, and says so", () => {
    const options = { cpu: "lynnfield-i7-860", footprintsKib: [KIB.data] };
    expect(studyNestedWalks(options).machine).toBe("Intel Core i7-860 (Lynnfield, Nehalem)");
    const { machine, points } = studyNestedWalks({
      ...options,
      footprintsKib: [4096],
      geometry: { pdeCache: null, nestedTlb: null },
    });
    expect(machine).toBe("Intel Core i7-860 (Lynnfield, Nehalem), pdeCache = null, nestedTlb = null");
    const native = points.find(({ paging }) => paging === "4K native") as NestedWalkPoint;
    expect(perWalk(native)).toEqual([2, 0]);
  });

  it("refuses a footprint that is not whole pages, or too large", () => {
    for (const footprint of [0, 6, 2 ** 25]) {
      expect(() => studyNestedWalks({ footprintsKib: [footprint] })).toThrow(`footprintsKib: ${footprint}`);
    }
    expect(() => studyNestedWalks({ cpu: "486" })).toThrow(/cpu: "486"/);
  });
});
