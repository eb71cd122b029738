/** The price of a read-only slot behind the doorbells, which nobody in the thread spoke of. */
import { describe, expect, test } from "vitest";
import { loadCpu } from "../../../src/cost/cpu-profile.js";
import { primitiveCosts } from "../../../src/cost/primitive-costs.js";
import { run } from "../../../src/study/run/run.js";
import type { SlotEvent } from "../../../src/study/thread/objections/slot-events.js";
import { RAM_PAGES, type SlotKick, studySlotPrice } from "../../../src/study/thread/objections/slot-price.js";

const study = studySlotPrice({ accesses: 200 });
const event = (kernel: string, name: string) =>
  study.events.find((of) => of.kernel === kernel && of.event === name) as SlotEvent;
const kick = (design: string) => study.kicks.find((of) => of.design === design) as SlotKick;
const NOTHING = { exits: 0, userspaceExits: 0, cycles: { low: 0, value: 0, high: 0 } };

describe.each(["v4.2", "v6.19"])("on %s", (kernel) => {
  test("making a slot waits for readers once, and zaps nothing", () => {
    expect(event(kernel, "create").ioctlCounts).toEqual({ synchronizeSrcu: 1 });
  });

  test("deleting it waits twice, for it is invalid in between, and zaps all tables", () => {
    expect(event(kernel, "delete").ioctlCounts).toMatchObject({ synchronizeSrcu: 2, zapAllPages: 1 });
  });

  test("RAM in use and the fast bus do not notice a new slot: the bus is asked before the generation", () => {
    expect(event(kernel, "create").perPage).toMatchObject({ doorbell: NOTHING, ram: NOTHING });
  });

  test("a page that userspace emulates is marked anew after it, within the exit that there is anyway", () => {
    const { exits, userspaceExits, cycles } = event(kernel, "create").perPage.device;
    expect([exits, userspaceExits]).toEqual([0, 0]);
    expect(cycles.low).toBeGreaterThan(0);
  });

  test("each page of RAM in use faults once after a deletion", () => {
    const { exits, userspaceExits } = event(kernel, "delete").perPage.ram;
    expect([exits, userspaceExits]).toEqual([1, 0]);
  });
});

test("deleting and making it in a row waits three times, and the guest pays for the deletion alone", () => {
  for (const kernel of ["v4.2", "v6.19"]) {
    const both = event(kernel, "recreate");
    expect(both.ioctlCounts).toMatchObject({ synchronizeSrcu: 3, zapAllPages: 1 });
    for (const kind of ["doorbell", "device", "ram"] as const)
      expect(both.perPage[kind]).toEqual(event(kernel, "delete").perPage[kind]);
  }
});

test("after a deletion the first kick at another doorbell goes to userspace on v4.2, and signals on v6.19", () => {
  expect(event("v4.2", "delete").perPage.doorbell).toMatchObject({ exits: 0, userspaceExits: 1 });
  expect(event("v6.19", "delete").perPage.doorbell).toMatchObject({ exits: 0, userspaceExits: 0 });
});

test("recreating a slot in a run costs each page of RAM a fault, as deleting and making it do", () => {
  const [pages, rounds] = [32, 8];
  const faults = (userspace: { action: "recreate-slot"; slot: number; every: number }[]) =>
    run({
      cpu: "haswell-ep-e5-2660v3",
      kernel: "v4.2",
      memslots: [
        { gpa: 0xfebf_0000, size: 4096, readonly: true },
        { gpa: 2 ** 32, size: pages * 0x1_0000 },
        { gpa: 0, size: 2 ** 24, backing: "2M" },
      ],
      workload: [
        { op: "load", address: 2 ** 32, size: 8, footprint: pages * 0x1_0000, stride: 0x1_0000, weight: 1 },
      ],
      userspace,
      accesses: pages * rounds,
      warmup: pages,
    }).counts.exitEptViolation;
  expect(faults([])).toBe(0);
  // And one on the guest's own tables, each time.
  expect(faults([{ action: "recreate-slot", slot: 0, every: pages }])).toBe(rounds * (pages + 1));
});

describe("a kick", () => {
  test("asks for the slot three times on the fault path of the first alternative, once in the repaired patch", () => {
    expect(
      study.kicks.map(({ design, memslotLookups, faultPaths }) => [design, memslotLookups, faultPaths]),
    ).toEqual([
      ["base-4.2", 0, 0],
      ["rfc", 0, 0],
      ["bad-page", 3, 1],
      ["write-mostly", 0, 0],
      ["base-6.19", 0, 0],
      ["repaired", 1, 0],
    ]);
  });

  test("pays what these cost", () => {
    const costs = primitiveCosts(loadCpu("haswell-ep-e5-2660v3"), "v6.19");
    const { low, value, high } = costs.find(({ name }) => name === "memslotLookup") as (typeof costs)[number];
    expect(kick("repaired").cycles).toEqual({ low, value, high });
  });
});

test("a slot has a page of host memory for each doorbell page, and MMIO none", () => {
  expect(kick("rfc").hostBytes).toBe(16 * 4096);
  expect(kick("base-4.2").hostBytes).toBe(0);
});

test("cycles per kick are in proportion to how often the slot is made again", () => {
  const of = (perMillionKicks: number) =>
    study.recreations.find(
      (point) =>
        point.kernel === "v4.2" &&
        point.ramPages === RAM_PAGES[1] &&
        point.perMillionKicks === perMillionKicks,
    )?.perKick.value ?? 0;
  const { ram } = event("v4.2", "delete").perPage;
  expect(of(1)).toBeGreaterThan((RAM_PAGES[1] * ram.cycles.value) / 1e6);
  expect(of(100) / of(1)).toBeCloseTo(100, 9);
});

test("v4.2 begins close before the generation of its MMIO SPTEs wraps; 6.19 begins at 0", () => {
  const [old, now] = study.wraps;
  expect(now.updates).toBeNull();
  // From -150, two for each update; the three slots of the machine were updates before.
  expect(old.updates).toBe(150 / 2 - 3);
});

test("the verdict has the memory, the look-ups and the price of a deletion", () => {
  expect(study.verdict).toContain(
    "65536 bytes for 16 doorbells; slot look-ups per kick: bad-page 3, repaired 1.",
  );
  expect(study.verdict).toContain("RAM page in use 1 fault on v4.2 and 1 on v6.19: with 16 Mbyte in use");
});
