import { describe, expect, it } from "vitest";
import { measure, replay, run } from "../../../src/study/run/run.js";
import { parseScenario, type ScenarioInput } from "../../../src/study/run/scenario.js";

const machine = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x4000000" }],
  accesses: 1000,
} as const;

const DOORBELLS = { address: "0xfebf0000" } as const;
const counts = (change: Partial<ScenarioInput>) => run({ ...machine, ...change }).counts;

describe("doorbells", () => {
  it("are kicked in order, and each signals its own eventfd", () => {
    const { signals } = run({
      ...machine,
      doorbells: { ...DOORBELLS, queues: 4 },
      workload: [{ op: "kick" }],
    });
    expect(signals).toEqual([250, 250, 250, 250]);
  });

  it.each([
    [1, 64],
    [64, 1],
    [1024, 1],
  ] as const)(
    "lie %i in a page: 64 queues take %i pages, of which each is found to be MMIO once",
    (perPage, pages) => {
      const doorbells = { ...DOORBELLS, queues: 64, perPage };
      const { exitEptViolation } = counts({ doorbells, workload: [{ op: "kick" }], warmup: 0 });
      // And the guest's tables: one fault maps all four of them.
      expect(exitEptViolation).toBe(pages + 1);
    },
  );

  it("at ports follow each other, and are kicked by OUT", () => {
    const doorbells = { address: "0xc000", pio: true, queues: 2, size: 2, len: 2 } as const;
    const { signals, counts } = run({ ...machine, doorbells, workload: [{ op: "kick" }] });
    expect([signals, counts.fastPioOut]).toEqual([[500, 500], 1000]);
  });

  it("match the value of a kick where they are asked to", () => {
    const doorbells = { ...DOORBELLS, len: 2, datamatch: 7 } as const;
    const kicks = [{ op: "kick", value: 7 }] as const;
    expect(run({ ...machine, doorbells, workload: kicks }).signals).toEqual([1000]);
    const { datamatchCompare } = counts({ doorbells, workload: kicks });
    expect(datamatchCompare).toBe(1000);
    expect(run({ ...machine, doorbells, workload: [{ op: "kick", value: 8 }] }).signals).toEqual([0]);
  });

  it("with a read-only slot behind them are written by EPT violations, which no fast bus sees", () => {
    const workload = [{ op: "kick" }] as const;
    const doorbells = { ...DOORBELLS, len: 2, slot: "read-only" } as const;
    const { exitEptViolation, exitEptMisconfig, eventfdSignal } = counts({ doorbells, workload });
    expect([exitEptViolation, exitEptMisconfig, eventfdSignal]).toEqual([1000, 0, 1000]);
  });

  it("that are read signal too, where their length is 0: a misconfiguration does not tell a read", () => {
    const workload = [{ op: "doorbell-read" }] as const;
    expect(run({ ...machine, doorbells: DOORBELLS, workload }).signals).toEqual([1000]);
  });
});

describe("a mix", () => {
  it("faults at each access to a fresh page, once", () => {
    const load = { op: "load", address: "0x1000000", size: 8, footprint: "0x100000", stride: 4096 } as const;
    expect(counts({ workload: [load], warmup: 1000 }).exitEptViolation).toBe(0);
    expect(counts({ workload: [{ ...load, fresh: true }], warmup: 1000 }).exitEptViolation).toBe(1000);
  });

  it("counts at a fresh page what it counts at a page's first touch", () => {
    const load = { op: "load", address: "0x1000000", size: 8, footprint: "0x100000", stride: 4096 } as const;
    const first = counts({ workload: [load], accesses: 200, warmup: 16 });
    const again = counts({ workload: [{ ...load, fresh: true }], accesses: 200, warmup: 256 });
    for (const name of [
      "exitEptViolation",
      "tdpPageFault",
      "mmuLock",
      "hvaToPfn",
      "spteInstall",
      "tlbFlush",
    ]) {
      expect([name, again[name]]).toEqual([name, first[name]]);
    }
  });

  it("is each vCPU's own where it says so", () => {
    const { signals, accesses } = run({
      ...machine,
      vcpus: 2,
      ioeventfds: [
        { addr: "0xfebf0000", len: 0 },
        { addr: "0xfebf1000", len: 0 },
      ],
      workload: [
        { op: "store", address: "0xfebf0000", vcpu: 0 },
        { op: "store", address: "0xfebf1000", vcpu: 1, weight: 1 },
        { op: "store", address: "0xfebf0000", weight: 1, vcpu: 1 },
      ],
    });
    expect(accesses).toBe(2000);
    expect(signals[0] + signals[1]).toBe(2000);
    expect(Math.abs(signals[1] - 500)).toBeLessThan(80); // five standard deviations
  });

  it("walks again after each CR3 write between kicks", () => {
    const load = { op: "load", address: "0x1000000", size: 8 } as const;
    const quiet = counts({ workload: [load] });
    const switching = counts({ workload: [load, { op: "mov-cr3" }] });
    expect(quiet.walkLoad).toBe(0);
    expect(switching.walkLoad).toBeGreaterThan(150);
  });

  it("has a patch over its kernel where one is named", () => {
    const npt = { kernel: "v6.19", paging: "npt", doorbells: DOORBELLS, workload: [{ op: "kick" }] } as const;
    expect(counts(npt).emulateInstruction).toBe(1000);
    expect(counts({ ...npt, patches: ["svm-fast-mmio"] }).emulateInstruction).toBe(0);
  });

  it("counts mitigations where they are on, and nothing else changes", () => {
    const kicks = { kernel: "v6.19", doorbells: DOORBELLS, workload: [{ op: "kick" }] } as const;
    const { exitMitigation, retpoline, ...others } = counts({ ...kicks, mitigations: "auto" });
    expect(exitMitigation).toBe(1000);
    expect(retpoline).toBeGreaterThan(0);
    expect(counts(kicks)).toMatchObject({ ...others, exitMitigation: 0, retpoline: 0 });
  });
});

describe("userspace in the run", () => {
  const stores = [
    { op: "store", address: "0x1000000", size: 8, footprint: "0x10000", stride: 4096 },
  ] as const;

  it("reads the dirty log, after which each page faults once for its next write", () => {
    const memslots = [{ ...machine.memslots[0], logDirtyPages: true }];
    const userspace = [{ action: "get-dirty-log", slot: 0, every: 100 }] as const;
    const { exitEptViolation } = counts({ memslots, workload: stores, userspace, warmup: 100 });
    // Sixteen pages of data, and the guest's four tables: to walk them counts as a write with EPT's accessed and dirty flags.
    expect(exitEptViolation).toBe(10 * (16 + 4));
  });

  it("replaces a slot, and everything faults anew", () => {
    const userspace = [{ action: "recreate-slot", slot: 0, every: 500 }] as const;
    const { zapAllPages, exitEptViolation } = counts({ workload: stores, userspace });
    expect(zapAllPages).toBeGreaterThan(1);
    expect(exitEptViolation).toBeGreaterThan(16);
  });

  it("switches the log on and off", () => {
    const userspace = [{ action: "toggle-dirty-log", slot: 0, every: 100 }] as const;
    const quiet = counts({ workload: stores }).exitEptViolation;
    expect(counts({ workload: stores, userspace }).exitEptViolation).toBeGreaterThan(quiet);
  });
});

describe("a run of known precision", () => {
  const loads = {
    ...machine,
    workload: [
      { op: "load", address: "0x1000000", size: 8, footprint: "0x1000000", pattern: "uniform" },
      { op: "load", address: "0x800000", size: 8 },
    ],
    accesses: 4e6,
  } as const;

  it("ends before its most instructions, once its figure is known", () => {
    const { precision, accesses, counts } = run({
      ...loads,
      precision: { of: "walkLoad", relativeHalfWidth: 0.02 },
    });
    expect(precision?.reached).toBe(true);
    expect(accesses).toBe(precision?.instructions);
    expect(accesses).toBeLessThan(4e6);
    expect(precision?.mean).toBeCloseTo(counts.walkLoad / accesses, 10);
    expect((precision?.halfWidth ?? 1) / (precision?.mean ?? 0)).toBeLessThanOrEqual(0.02);
  });

  it("says where it was not reached", () => {
    const short = {
      ...loads,
      accesses: 500_000,
      precision: { of: "walkLoad", relativeHalfWidth: 1e-6 },
    } as const;
    expect(run(short).precision).toMatchObject({ reached: false });
  });

  it("is per instruction of all vCPUs", () => {
    const precision = { of: "dtlbHit", relativeHalfWidth: 0.02 } as const;
    const kick = {
      ...machine,
      accesses: 600_000,
      workload: [{ op: "load", address: "0x1000" }],
      precision,
    } as const;
    expect(run(kick).precision?.mean).toBe(1);
    const two = run({ ...kick, vcpus: 2 });
    expect(two.precision?.mean).toBe(1);
    expect(two.accesses).toBe(2 * (two.precision?.instructions ?? 0));
  });
});

describe("a run in a sweep", () => {
  it("counts what run() counts, without the zeros", async () => {
    const input = { ...machine, doorbells: DOORBELLS, workload: [{ op: "kick" }] } as const;
    const { counts, signals, semantics } = run(input);
    const nonzero = Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
    expect(await measure(parseScenario(input))).toEqual({
      accesses: 1000,
      counts: nonzero,
      signals,
      semantics,
    });
    expect((await replay(input)).counts).toEqual(counts);
  });
});
