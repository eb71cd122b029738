/** Read-only slots: "It completely bypasses the logic of handing RO memslot." */
import { describe, expect, test } from "vitest";
import {
  type BypassChange,
  type BypassRow,
  type EventfdName,
  studyBypass,
} from "../../../src/study/thread/objections/bypass.js";

const study = studyBypass();
const row = (design: string, op: string, eventfd: EventfdName) =>
  study.rows.find(
    (other) => other.design === design && other.op === op && other.eventfd === eventfd,
  ) as BypassRow;
const change = (design: string, eventfd: EventfdName) =>
  study.changes.find((of) => of.design === design && of.baseEventfd === eventfd) as BypassChange;
const EMULATED = { exits: 1, emulations: 1, retries: 0 };
const TO_USERSPACE = { userspaceExits: 1, signals: 0 };
const SIGNALLED = { userspaceExits: 0, signals: 1 };

describe("a write to a read-only slot without a patch", () => {
  test("is emulated, and goes to userspace where no ioeventfd is", () => {
    for (const kernel of ["base-4.2", "base-6.19"])
      expect(row(kernel, "store", "none")).toMatchObject({ ...EMULATED, ...TO_USERSPACE });
  });

  test("finds an ioeventfd of its length on the MMIO bus, if it has no value or the one that is written", () => {
    for (const kernel of ["base-4.2", "base-6.19"]) {
      expect(row(kernel, "store", "2 bytes")).toMatchObject({ ...EMULATED, ...SIGNALLED });
      expect(row(kernel, "store", "2 bytes, the value")).toMatchObject({ ...EMULATED, ...SIGNALLED });
      expect(row(kernel, "store", "2 bytes, another value")).toMatchObject({ ...EMULATED, ...TO_USERSPACE });
    }
  });

  test("misses one of any length on v4.2, whose MMIO bus never finds it, and finds it on v6.19", () => {
    expect(row("base-4.2", "store", "any length")).toMatchObject({ ...EMULATED, ...TO_USERSPACE });
    expect(row("base-6.19", "store", "any length")).toMatchObject({ ...EMULATED, ...SIGNALLED });
  });

  test("is first tried again on v4.2 where guests do not write page tables with the instruction", () => {
    expect(row("base-4.2", "stos", "2 bytes")).toMatchObject({ exits: 2, emulations: 1, retries: 1 });
    expect(row("base-6.19", "stos", "2 bytes")).toMatchObject(EMULATED);
  });
});

describe.each(["rfc", "bad-page", "repaired"])("%s", (design) => {
  test("signals an ioeventfd of any length with one exit and no emulation, whatever the instruction", () => {
    for (const op of ["store", "stos"])
      expect(row(design, op, "any length")).toMatchObject({
        exits: 1,
        emulations: 0,
        retries: 0,
        ...SIGNALLED,
      });
  });

  test("changes nothing but cycles for all others", () => {
    const { base } = change(design, "2 bytes");
    for (const op of ["store", "stos"]) {
      for (const eventfd of ["none", "2 bytes", "2 bytes, the value", "2 bytes, another value"] as const) {
        const { design: _, cycles, ...counts } = row(design, op, eventfd);
        const { design: __, cycles: before, ...countsBefore } = row(base, op, eventfd);
        expect(counts).toEqual(countsBefore);
        expect(cycles.low).toBeGreaterThan(before.low);
      }
    }
  });

  test("takes less than the emulation that it is in place of, all costs considered", () => {
    expect(change(design, "2 bytes").difference.high).toBeLessThan(0);
  });

  test("leaves out the emulation and its events", () => {
    const { steps, events } = change(design, "2 bytes");
    expect(steps).toContainEqual({ name: "emulateInstruction", base: 1, design: 0 });
    expect(steps).toContainEqual({ name: "skipEmulatedInstruction", base: 0, design: 1 });
    expect(events).toContainEqual({ name: "kvm_emulate_insn", base: 1, design: 0 });
    expect(events).toContainEqual({ name: "kvm_mmio", base: 1, design: 0 });
  });
});

test("the fault path and its event are gone with the RFC, and stay with the first alternative", () => {
  const gone = { name: "tdpPageFault", base: 1, design: 0 };
  const event = { name: "kvm_page_fault", base: 1, design: 0 };
  for (const design of ["rfc", "repaired"]) {
    expect(change(design, "2 bytes").steps).toContainEqual(gone);
    expect(change(design, "2 bytes").events).toContainEqual(event);
  }
  expect(change("bad-page", "2 bytes").steps.map(({ name }) => name)).not.toContain(gone.name);
  expect(change("bad-page", "2 bytes").events.map(({ name }) => name)).not.toContain(event.name);
});

test("only the repaired patch leaves an event of its own, that of the fast bus", () => {
  const own = { name: "kvm_fast_mmio", base: 0, design: 1 };
  expect(change("repaired", "2 bytes").events).toContainEqual(own);
  expect(change("rfc", "2 bytes").events.every(({ base, design }) => design < base)).toBe(true);
});

test("reads map the page once, but for the RFC: all of them signal, and it is never mapped", () => {
  const mapped = { reads: 64, exits: 1, hostPages: 1, sptes: 1, signals: 0 };
  expect(study.population).toEqual([
    { design: "base-4.2", ...mapped },
    { design: "rfc", reads: 64, exits: 64, hostPages: 0, sptes: 0, signals: 64 },
    { design: "bad-page", ...mapped },
    { design: "base-6.19", ...mapped },
    { design: "repaired", ...mapped },
  ]);
});

test("the verdict counts the ordinary handling, and has what is saved of it and what is gone", () => {
  const { low, high } = change("rfc", "2 bytes").difference;
  expect(study.verdict).toContain(
    "1 exit (stos: 2), 1 emulation and, at an ioeventfd of any length, 0 signals and 1 exit",
  );
  expect(study.verdict).toContain(`the RFC saves ${Math.round(-high)} to ${Math.round(-low)} cycles`);
  expect(study.verdict).toContain("Gone: kvm_page_fault, kvm_emulate_insn, kvm_mmio.");
});
