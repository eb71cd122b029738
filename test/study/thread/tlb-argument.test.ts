import { describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import { designOf } from "../../../src/study/thread/designs.js";
import { countKicks } from "../../../src/study/thread/kicks-beside.js";
import { USUAL_SETTING } from "../../../src/study/thread/setting.js";
import {
  studyTlbArgument,
  TLB_ASSUMPTIONS,
  type TlbBreakEven,
  type TlbCase,
} from "../../../src/study/thread/tlb-argument.js";
import { DEFAULT_SWITCHES } from "../../../src/x86/cpu.js";

const study = studyTlbArgument();
const small = { guestPages: ["4K"], ept: ["4K"], kicks: 16 } as const;

function casesOf(at: Partial<TlbCase>): TlbCase[] {
  return study.cases.filter((one) =>
    Object.entries(at).every(([key, value]) => one[key as keyof TlbCase] === value),
  );
}

const FOUR_K = { guestPages: "4K", ept: "4K", neighbourhood: "alone" } as const;

/** References to the guest's entries and to the EPT's. */
function references(design: "pio" | "base" | "rfc", at: Partial<TlbCase>): [number, number] {
  const [{ [design]: kick }] = casesOf(at);
  return [kick.guestReferences, kick.eptReferences];
}

function breakEvenOf(assumption: string, walkState: string): TlbBreakEven {
  const found = study.breakEvens.find((one) => one.assumption === assumption && one.walkState === walkState);
  if (found === undefined) throw new Error(`no break-even is ${assumption}, ${walkState}`);
  return found;
}

describe("references of a kick's walk", () => {
  it("are none at a port", () => {
    for (const { pio } of study.cases) expect([pio.guestReferences, pio.eptReferences]).toEqual([0, 0]);
  });

  it("are two by a misconfiguration whose upper levels are cached: the guest's PTE and the MMIO SPTE", () => {
    for (const walkState of ["hot", "footprint"] as const) {
      const cases = casesOf({ walkState, neighbourhood: "alone" });
      expect(cases).toHaveLength(3 * 2 * 6);
      for (const { base } of cases) expect([base.guestReferences, base.eptReferences]).toEqual([1, 1]);
    }
  });

  it("do not depend on the assumption by a misconfiguration, which drops nothing under any", () => {
    const [strict, ...others] = TLB_ASSUMPTIONS.map(({ name }) =>
      casesOf({ assumption: name, neighbourhood: "alone" }).map(({ base }) => base),
    );
    for (const other of others) expect(other).toEqual(strict);
  });

  it.each([
    ["4K", "4K", [4, 4]],
    ["2M", "4K", [3, 4]],
    ["1G", "4K", [2, 4]],
    ["4K", "2M", [4, 3]],
    ["2M", "2M", [3, 3]],
    ["1G", "2M", [2, 3]],
  ] as const)("are those of all levels of both by strict violations: %s under %s", (guestPages, ept, all) => {
    // The guest's tables are found in the nested TLB, which the violation at the doorbell leaves alone: 8 by 4K under 4K, not 24.
    for (const page of ["populated", "never touched"] as const) {
      const at = { assumption: "strict", walkState: "hot", page, guestPages, ept } as const;
      expect(references("rfc", { ...at, neighbourhood: "alone" })).toEqual(all);
    }
  });

  it("are one by a plausible violation at a page that was read, and two at one that never was", () => {
    const at = { ...FOUR_K, assumption: "plausible", walkState: "hot" } as const;
    expect(references("rfc", { ...at, page: "populated" })).toEqual([1, 0]);
    expect(references("rfc", { ...at, page: "never touched" })).toEqual([1, 1]);
  });

  it("are two by a plausible violation if the nested TLB holds nothing but the guest's tables", () => {
    const switches = { ...DEFAULT_SWITCHES, violationDrops: "nothing" } as const;
    const setting = { ...USUAL_SETTING, accesses: 32, warmup: 32 };
    const paging = { switches, guestPages: "4K", ept: "4K" } as const;
    const { states } = countKicks(designOf("rfc"), setting, paging, 0);
    const [hot] = states.filter(({ page, walkState }) => page === "populated" && walkState === "hot");
    expect(hot.kick).toMatchObject({ guestWalkRefL1: 1, eptWalkRefL1: 1 });
  });

  it("are none by the bound, as long as the TLB holds what a read put there; nothing helps a page that was never read", () => {
    for (const walkState of ["hot", "footprint"] as const) {
      const at = { ...FOUR_K, assumption: "bound", walkState } as const;
      expect(references("rfc", { ...at, page: "populated" })).toEqual([0, 0]);
      expect(references("rfc", { ...at, page: "never touched" })).toEqual([1, 1]);
    }
  });

  it("are the same under every assumption where nothing is left cached", () => {
    for (const { assumption, base, rfc } of casesOf({ ...FOUR_K, walkState: "cold" })) {
      // The guest's 4 tables take 4 + 1 + 1 + 1 references of the EPT, as they lie beside each other, the doorbell 3 below the root.
      expect([assumption, base.guestReferences, base.eptReferences]).toEqual([assumption, 4, 4 + 3 + 3]);
      expect([rfc.guestReferences, rfc.eptReferences]).toEqual([4, 10]);
    }
  });

  it("are one less by any violation in the cold where the host maps the slot by 2M, which it never does for an MMIO SPTE", () => {
    const cases = casesOf({ guestPages: "4K", ept: "2M", neighbourhood: "alone", walkState: "cold" });
    for (const { base, rfc } of cases) expect([base.eptReferences, rfc.eptReferences]).toEqual([9, 8]);
  });
});

describe("neighbours", () => {
  it("read upper entries again that a strict violation dropped, and spare the next kick that", () => {
    const at = {
      assumption: "strict",
      page: "populated",
      guestPages: "4K",
      ept: "4K",
      walkState: "hot",
    } as const;
    const [alone] = casesOf({ ...at, neighbourhood: "alone" });
    const [beside] = casesOf({ ...at, neighbourhood: "beside neighbours" });
    expect(beside.rfc.neighbourReferences).toBeGreaterThan(beside.base.neighbourReferences + 2);
    expect(beside.rfc.guestReferences).toBeLessThan(alone.rfc.guestReferences);
    expect(beside.difference.value).toBeGreaterThan(alone.difference.value);
  });

  it("miss nothing where the page was never read and violations drop nothing", () => {
    for (const assumption of ["plausible", "bound"] as const)
      for (const { base, rfc } of casesOf({ assumption, page: "never touched", walkState: "hot" }))
        expect(rfc.neighbourReferences).toBeCloseTo(base.neighbourReferences, 9);
  });

  it("miss nothing where large pages keep all of them in the TLB", () => {
    const cases = casesOf({ guestPages: "2M", ept: "2M", walkState: "hot" });
    for (const { rfc } of cases) expect(rfc.neighbourReferences).toBe(0);
  });
});

describe("the difference", () => {
  it("is its parts: the walk, what a violation takes more, one VMREAD and the neighbours, and nothing else", () => {
    for (const { difference, terms } of study.cases) {
      const sum = Object.values(terms).reduce((total, { value }) => total + value, 0);
      expect(sum).toBeCloseTo(difference.value, 6);
      expect(terms.rest).toEqual({ low: 0, value: 0, high: 0 });
      expect([terms.vmread, terms.microcode]).toEqual([
        study.cases[0].terms.vmread,
        study.cases[0].terms.microcode,
      ]);
    }
  });

  it("is of kicks that all signal their eventfd, and none of which userspace sees", () => {
    const setting = { ...USUAL_SETTING, accesses: 32, warmup: 32 };
    const paging = { switches: DEFAULT_SWITCHES, guestPages: "1G", ept: "2M" } as const;
    for (const name of ["pio", "base-4.2", "rfc"] as const) {
      for (const { kick } of countKicks(designOf(name), setting, paging, 2).states)
        expect(kick).toMatchObject({ eventfdSignal: 1, userspaceExitMmio: 0, userspaceExitIo: 0 });
    }
  });
});

describe("the break-even", () => {
  it("is nowhere without what is cached: strictly a walk costs more than the misconfiguration's", () => {
    for (const walkState of ["hot", "footprint"]) {
      const { saved, mostSaved, faults } = breakEvenOf("strict", walkState);
      expect(saved.high).toBeLessThan(0);
      expect(mostSaved).toBeLessThan(0);
      expect(faults.at).toBeLessThan(0);
    }
  });

  it("is a violation that takes less than a misconfiguration, by as much as the VMREAD exceeds what the walk saves", () => {
    for (const [assumption, references] of [
      ["plausible", 1],
      ["bound", 2],
    ] as const) {
      const { saved, costs, best, faults } = breakEvenOf(assumption, "hot");
      expect(
        best.base.guestReferences +
          best.base.eptReferences -
          best.rfc.guestReferences -
          best.rfc.eptReferences,
      ).toBe(references);
      const extra = costs.find(({ cost }) => cost === "eptViolationExtra");
      expect(extra?.at).toBeCloseTo(saved.value - best.terms.vmread.value, 9);
      expect(extra?.at).toBeLessThan(0);
      // A fault only adds to what the RFC takes.
      expect(faults).toMatchObject({ below: "rfc", above: "base-4.2" });
      expect(faults.at).toBeLessThan(0);
    }
  });

  it("lies furthest out for the bound, wherever anything is cached", () => {
    for (const walkState of ["hot", "footprint"]) {
      const [strict, plausible, bound] = TLB_ASSUMPTIONS.map(
        ({ name }) => breakEvenOf(name, walkState).mostSaved,
      );
      expect(strict).toBeLessThan(plausible);
      expect(plausible).toBeLessThan(bound);
    }
  });

  it("owes what it has in the cold to the size of the host's page, not to the argument", () => {
    const saved = TLB_ASSUMPTIONS.map(({ name }) => breakEvenOf(name, "cold"));
    for (const { best, mostSaved } of saved) {
      expect(best.ept).toBe("2M");
      expect(mostSaved).toBe(saved[0].mostSaved);
    }
    for (const { terms } of casesOf({ ...FOUR_K, walkState: "cold" })) expect(terms.walk.value).toBe(0);
  });
});

describe("the tax of an ordinary fault", () => {
  it("is one search of the fast bus, which compares with one of 16 ioeventfds after the other by halves", () => {
    expect(study.tax).toMatchObject({ lookups: 1, compares: 4 });
    expect(study.tax.cycles.low).toBeGreaterThan(0);
  });

  it("grows with the logarithm of the bus", () => {
    const { tax } = studyTlbArgument({ ...small, busSize: 256 });
    expect(tax.lookups).toBe(1);
    expect(tax.compares).toBeGreaterThanOrEqual(8);
    expect(tax.compares).toBeLessThanOrEqual(9);
  });
});

describe("studyTlbArgument", () => {
  it("returns plain data that says how it was made, the same each time", () => {
    const [first, second] = [studyTlbArgument(small), studyTlbArgument(small)];
    expect(JSON.parse(JSON.stringify(first))).toEqual(second);
    expect(first.cases).toHaveLength(3 * 2 * 2 * 3);
    expect(first.provenance.command).toMatch(/^npx exitlab study tlb-argument --options /);
    expect(first.provenance.conditions).toMatchObject({
      kernels: ["v4.2", "v4.2 + rfc"],
      switches: { permissionFaultWalks: ["1", "0"], violationDrops: ["mappings", "nothing"] },
    });
  });

  it.each([
    [{ cpu: "zen-3-ryzen-9-5900x" }, "studyTlbArgument: cpu"],
    [{ cpu: "lynnfield-i7-860", guestPages: ["1G"] }, "studyTlbArgument: guestPages"],
    [{ ept: [] }, "studyTlbArgument: ept"],
    [{ busSize: 1 }, "studyTlbArgument: busSize"],
    [{ kick: 16 }, "studyTlbArgument: kick"],
  ])("refuses %j", (options, field) => {
    const study = () => studyTlbArgument(options as Parameters<typeof studyTlbArgument>[0]);
    expect(study).toThrow(InputError);
    expect(study).toThrow(field);
  });
});
