/** What guest and device see, held against what they should see: of each design in mixes, and form by form. */
import { describe, expect, it } from "vitest";
import { type GuestInstruction, semanticsOf } from "../../../src/study/incidents/guest-steps.js";
import { run } from "../../../src/study/run/run.js";
import { parseScenario, type ScenarioInput } from "../../../src/study/run/scenario.js";
import type { MeasuredSemantics } from "../../../src/study/run/semantics.js";
import { DESIGNS, type DesignName, designOf } from "../../../src/study/thread/designs.js";
import { scenarioOf, USUAL_SETTING } from "../../../src/study/thread/setting.js";

const DOORBELL = 0xfebf_0000;

function seen(input: ScenarioInput): MeasuredSemantics {
  const { semantics } = run(input);
  if (semantics === undefined) throw new Error("semantics are off");
  return semantics;
}

const counts = ({ incidents }: MeasuredSemantics) =>
  Object.fromEntries(Object.entries(incidents).map(([kind, { count }]) => [kind, count]));

/** A mix on a design, with small caches: they decide nothing. */
function onDesign(name: DesignName, change: Partial<ScenarioInput> = {}, setting = {}): MeasuredSemantics {
  const design = designOf(name);
  const cpu = design.vendor === "AMD" ? "zen-2-epyc-7742" : "ivy-bridge-i7-3770k";
  const usual = { ...USUAL_SETTING, cpu, accesses: 1500, warmup: 300, walkState: "hot", ...setting } as const;
  return seen({ ...scenarioOf(design, usual), ...change });
}

const NAMES = DESIGNS.map(({ name }) => name);

describe("kicks and first touches of RAM", () => {
  it.each(NAMES)("have no incident on %s, and all kicks arrive", (name) => {
    const { kicks, kicksByUserspace, doorbellReads, incidents } = onDesign(name, {}, { faultsPerKick: 0.2 });
    expect([kicksByUserspace, doorbellReads, incidents]).toEqual([0, 0, {}]);
    expect(kicks).toBeGreaterThan(1000);
  });

  it("reach userspace where v4.2 and AMD have no other way: the first at each of 16 pages, and every one", () => {
    const first = { accesses: 1500, warmup: 0 };
    expect(onDesign("base-4.2", {}, first)).toEqual({
      ...{ kicks: 1500, kicksByUserspace: 16, doorbellReads: 0, incidents: {} },
    });
    const amd = onDesign("npf-6.19", { kernel: "v4.2" });
    expect(amd).toMatchObject({ kicks: 1500, kicksByUserspace: 1500, incidents: {} });
  });
});

describe("reads at doorbells", () => {
  const reads = Object.fromEntries(NAMES.map((name) => [name, onDesign(name, {}, { readShare: 0.3 })]));

  it.each(["base-4.2", "rfc", "write-mostly", "base-6.19", "fastpath", "npf-fast"] as const)(
    "signal and lose the load on %s, each of them",
    (name) => {
      const { doorbellReads } = reads[name];
      expect(doorbellReads).toBeGreaterThan(400);
      expect(counts(reads[name])).toEqual({ "spurious-signal": doorbellReads, "lost-load": doorbellReads });
    },
  );

  it.each(["pio", "datamatch", "bad-page", "repaired", "npf-6.19"] as const)("are reads on %s", (name) => {
    expect(reads[name].doorbellReads).toBeGreaterThan(400);
    expect(reads[name].incidents).toEqual({});
  });

  it("say what was expected, what happened, and where first", () => {
    const { first } = reads.rfc.incidents["lost-load"] ?? {};
    expect(first).toEqual({
      instruction: expect.any(Number),
      vcpu: 0,
      op: expect.stringMatching(/^load at 0xfebf[0-9a-f]000$/),
      expected: "a read of memory",
      happened: expect.stringMatching(
        /^a signal of doorbell \d+ at 0xfebf[0-9a-f]000, the instruction was skipped$/,
      ),
    });
  });
});

describe("other addresses of the doorbells' pages", () => {
  const NEIGHBOURS = ["load", "store", "or", "rep-stos", "movups-store"] as const;
  const workload = NEIGHBOURS.map(
    (op) =>
      ({
        op,
        address: DOORBELL + 16,
        footprint: 0x8000,
        stride: 64,
        size: op === "movups-store" ? 16 : 4,
      }) as const,
  );

  it.each(NAMES.filter((name) => name !== "write-mostly"))("are as they should be on %s", (name) => {
    expect(onDesign(name, { workload }).incidents).toEqual({});
  });

  it("are read from the device in place of the slot on write-mostly, once a store has marked the page", () => {
    const { incidents } = onDesign("write-mostly", { workload });
    expect(Object.keys(incidents)).toEqual(["wrong-data"]);
    expect(incidents["wrong-data"]?.first).toMatchObject({
      expected: expect.stringContaining("a read of memory"),
      happened: expect.stringContaining("a read of the device in userspace"),
    });
  });
});

describe("a doorbell over RAM", () => {
  const ioeventfds = [{ addr: 0x10_0000, len: 0 }] as const;
  const workload = [
    { op: "store", address: 0x10_0000, size: 4, fresh: true },
    { op: "load", address: 0x10_0000, size: 4, fresh: true },
  ] as const;

  it.each(["base-4.2", "bad-page", "write-mostly", "base-6.19", "repaired", "fastpath"] as const)(
    "is RAM on %s",
    (name) => expect(onDesign(name, { ioeventfds, workload }).incidents).toEqual({}),
  );

  it("swallows every first touch under the RFC", () => {
    const {
      "spurious-signal": signals,
      "lost-load": loads,
      "wrong-data": stores,
      ...others
    } = counts(onDesign("rfc", { ioeventfds, workload }));
    expect([signals, loads + stores, others]).toEqual([1500, 1500, {}]);
  });
});

describe("a guest's guest", () => {
  it("is taken for the guest itself where nobody asks", () => {
    const wrong = NAMES.filter((name) => onDesign(name, { guestMode: true }).incidents["spurious-signal"]);
    expect(wrong).toEqual(["base-4.2", "rfc", "bad-page", "write-mostly"]);
  });
});

describe("form by form on v4.2", () => {
  const machine = {
    cpu: "ivy-bridge-i7-3770k",
    kernel: "v4.2",
    memslots: [
      { gpa: DOORBELL - 0x1000, size: 0x1000 },
      { gpa: 0, size: 0x40_0000 },
      { gpa: DOORBELL + 0x2000, size: 0x1000, readonly: true },
    ],
    ioeventfds: [
      { addr: DOORBELL, len: 0 },
      { addr: DOORBELL + 0x10, len: 4, datamatch: 7 },
      { addr: DOORBELL + 0x1000, len: 0 },
      { addr: DOORBELL + 0x2000, len: 8 },
    ],
    workload: [{ op: "load", address: DOORBELL - 0x1000, size: 1, footprint: 0x4000 }],
    accesses: 1,
  } as const;
  type Step = Partial<Omit<GuestInstruction, "address">> &
    Pick<GuestInstruction, "op"> & { readonly at?: number };

  const execute = (steps: readonly Step[], change: Partial<ScenarioInput> = {}) =>
    semanticsOf(
      parseScenario({ ...machine, ...change }),
      steps.map(({ at = 0, ...step }) => ({
        by: "guest",
        instructions: [
          {
            vcpu: 0,
            size: 2,
            value: 0,
            count: 1,
            fresh: false,
            rip: 0x1000,
            ...step,
            address: DOORBELL + at,
          },
        ],
      })),
    );
  /** Marks both pages without a slot. */
  const TOUCH: readonly Step[] = [
    { op: "load", at: 0x80 },
    { op: "load", at: 0x1080 },
  ];

  it("a read-modify-write at a doorbell rings, and its read is lost", () => {
    const rmw = execute([...TOUCH, { op: "or" }]);
    expect([rmw.kicks, rmw.doorbellReads, counts(rmw)]).toEqual([1, 1, { "lost-load": 1 }]);
    expect(execute([{ op: "or" }])).toMatchObject({ kicks: 1, kicksByUserspace: 1, incidents: {} });
  });

  it("a repeated store at a doorbell is skipped with the iterations that are left", () => {
    expect(counts(execute([...TOUCH, { op: "rep-stos", count: 1 }]))).toEqual({});
    expect(counts(execute([...TOUCH, { op: "rep-stos", count: 3 }]))).toEqual({ "skipped-instruction": 1 });
    expect(counts(execute([...TOUCH, { op: "rep-stos", at: 0x20, count: 3 }]))).toEqual({});
  });

  it("16 bytes at a doorbell of any length ring it, whatever becomes of the second 8", () => {
    const wide = { op: "movups-store", size: 16 } as const;
    expect(execute([...TOUCH, wide])).toMatchObject({ kicks: 1, kicksByUserspace: 0, incidents: {} });
    expect(execute([wide], { kernel: "v4.2.8" })).toMatchObject({
      kicks: 1,
      kicksByUserspace: 0,
      incidents: {},
    });
  });

  it("16 bytes over a read-only slot ring for their first 8, and the rest is the device's", () => {
    expect(execute([{ op: "movups-store", at: 0x2000, size: 16 }])).toMatchObject({
      kicks: 1,
      incidents: {},
    });
  });

  it("a store across pages goes to both", () => {
    expect(counts(execute([...TOUCH, { op: "store", at: 0x0ffe, size: 4 }]))).toEqual({});
    expect(counts(execute([...TOUCH, { op: "store", at: 0x1ffe, size: 4 }]))).toEqual({});
  });

  it("a store from RAM into a doorbell of any length rings, and RAM never sees its part", () => {
    const crossing = [...TOUCH, { op: "load", at: -4 }, { op: "store", at: -2, size: 4 }] as const;
    expect(counts(execute(crossing))).toEqual({ "wrong-data": 1 });
    const sized = [{ addr: DOORBELL, len: 2 }] as const;
    expect(execute(crossing, { ioeventfds: sized })).toMatchObject({
      kicks: 1,
      kicksByUserspace: 0,
      incidents: {},
    });
  });

  it("rings for its value only", () => {
    const seven = { op: "store", at: 0x10, size: 4, value: 7 } as const;
    expect(execute([...TOUCH, seven])).toMatchObject({ kicks: 1, kicksByUserspace: 0, incidents: {} });
    expect(execute([...TOUCH, { ...seven, value: 8 }])).toMatchObject({ kicks: 0, incidents: {} });
  });

  it("RIP goes elsewhere where the hypervisor leaves the length out, and that of the exit before stands there", () => {
    const { incidents } = execute([{ op: "vmcall" }, ...TOUCH, { op: "store" }], { host: "hyper-v" });
    expect(incidents).toMatchObject({ "skipped-instruction": { count: 1, first: { instruction: 4 } } });
    expect(Object.keys(incidents)).toEqual(["skipped-instruction"]);
  });
});

describe("what is counted", () => {
  const kicks = {
    cpu: "ivy-bridge-i7-3770k",
    kernel: "v4.2",
    memslots: [{ gpa: 0, size: 0x40_0000 }],
    doorbells: { address: DOORBELL },
    workload: [{ op: "kick" }],
    accesses: 100,
  } as const satisfies ScenarioInput;

  it("begins after the warm-up, and is of all vCPUs", () => {
    expect(seen({ ...kicks, vcpus: 2 })).toMatchObject({ kicks: 200, kicksByUserspace: 0 });
    expect(seen({ ...kicks, warmup: 0 })).toMatchObject({ kicks: 100, kicksByUserspace: 1 });
  });

  it("names the instruction by its number among those of all vCPUs, and the vCPU", () => {
    const workload = [
      { op: "kick", vcpu: 0 },
      { op: "doorbell-read", vcpu: 1 },
    ] as const;
    const { incidents } = seen({ ...kicks, vcpus: 2, workload });
    expect(incidents["lost-load"]).toMatchObject({ count: 100, first: { instruction: 2, vcpu: 1 } });
  });

  it("are all instructions after the warm-up, with a precision too", () => {
    const { semantics, precision } = run({ ...kicks, accesses: 500_000, precision: {} });
    expect(semantics?.kicks).toBeGreaterThanOrEqual(precision?.instructions ?? 0);
    expect(precision?.reached).toBe(true);
  });

  it("is nothing where the scenario says so", () => {
    expect(run({ ...kicks, semantics: "off" })).not.toHaveProperty("semantics");
  });
});

describe("a patch", () => {
  const slots = [
    { gpa: 0, size: 0x40_0000 },
    { gpa: DOORBELL + 0x1000, size: 0x1000, readonly: true },
  ];
  /** Writes and reads at a doorbell and beside it, all known for MMIO, and a write to the read-only slot. */
  const guest = {
    cpu: "ivy-bridge-i7-3770k",
    kernel: "v4.2",
    memslots: slots.toReversed(),
    doorbells: { address: DOORBELL, len: 2 },
    workload: [
      { op: "kick" },
      { op: "load", address: DOORBELL + 8 },
      { op: "store", address: DOORBELL + 16 },
      { op: "store", address: DOORBELL + 0x1000 },
    ],
    accesses: 400,
  } as const satisfies ScenarioInput;
  const patched = (source: string) =>
    counts(seen({ ...guest, patches: [{ name: "mine", constants: {}, source }] }));

  it("that does nothing has no incidents", () => {
    expect(patched("{ handleEptMisconfig() { return this.original.handleEptMisconfig(); } }")).toEqual({});
  });

  it("that skips what it should hand on loses kicks, loads and stores", () => {
    const lost = patched("{ handleEptMisconfig() { return this.kvmSkipEmulatedInstruction(); } }");
    expect(Object.keys(lost)).toEqual(["lost-load", "lost-kick", "skipped-instruction"]);
    expect(lost["lost-load"] + lost["lost-kick"] + lost["skipped-instruction"]).toBeGreaterThan(250);
  });

  it("that signals beside the emulator signals twice", () => {
    const source = `{ ioeventfdWrite(p, addr, len, value) {
      const result = this.original.ioeventfdWrite(p, addr, len, value);
      if (result === 0) this.eventfdSignal(p.eventfd);
      return result;
    } }`;
    const twice = patched(source);
    expect(Object.keys(twice)).toEqual(["spurious-signal"]);
    expect(twice["spurious-signal"]).toBeGreaterThan(60);
  });

  it("that has writes to a read-only slot go to its memory has them where they may not be", () => {
    const source = `{ accessGuestMemory(gpa, bytes) {
      return this.original.accessGuestMemory(gpa, bytes, false);
    } }`;
    expect(Object.keys(patched(source))).toEqual(["wrong-data"]);
  });

  it("that lets the slot behind a doorbell be written loses its kicks", () => {
    const source = `{ tryAsyncPf(gfn) { return this.original.tryAsyncPf(gfn, false); },
      mapPage(table, index, level, gfn, pfn, rights, write) {
        const access = { ...rights, writable: true, hostWritable: true, speculative: false };
        return this.mmuSetSpte(table, index, level, gfn, pfn, access, write);
      } }`;
    const doorbells = { ...guest.doorbells, slot: "read-only" } as const;
    const patches = [{ name: "mine", constants: {}, source }];
    const lost = seen({
      ...guest,
      memslots: slots.slice(0, 1),
      doorbells,
      patches,
      workload: [{ op: "kick" }],
    });
    expect(lost.incidents["lost-kick"]).toMatchObject({
      ...{ count: 400, first: { expected: "a signal of doorbell 0", happened: "the processor executed it" } },
    });
  });
});

it("is asked for by name", () => {
  const kick = { cpu: "ivy-bridge-i7-3770k", kernel: "v4.2", accesses: 1 } as const;
  const scenario = {
    ...kick,
    memslots: [{ gpa: 0, size: 0x40_0000 }],
    workload: [{ op: "cpuid" }],
    semantics: "on",
  };
  expect(() => parseScenario(scenario)).toThrow('scenario: semantics: "on" is not allowed; allowed: ');
});
