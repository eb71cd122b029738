/** The price of runs of all kinds: nothing that was counted is left out of its list, and each cost on it has a source. */
import { describe, expect, it } from "vitest";
import { KERNEL_VERSIONS } from "../../src/kvm/eras.js";
import { INSTRUCTION_FORMS, INSTRUCTION_NAMES, type InstructionName } from "../../src/kvm/instruction.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { PAGINGS } from "../../src/kvm/spte.js";
import { priceTable, tablePrice } from "../../src/report/price.js";
import { priceRun, type RunPrice } from "../../src/study/price.js";
import { type Run, run } from "../../src/study/run/run.js";
import { hasAddress, type ScenarioInput } from "../../src/study/run/scenario.js";

const DEVICE = 0xfebf_0000;
const MEMORY = { gpa: 0, size: "0x2000000" } as const;
const base = { cpu: "haswell-ep-e5-2660v3", memslots: [MEMORY], accesses: 500 } as const;
const doorbells = { address: DEVICE, queues: 4 } as const;
const kick = { op: "kick" } as const;
const ram = { op: "load", address: "0x1000000", size: 8, footprint: "0x800000", pattern: "uniform" } as const;

type Mix = ScenarioInput["workload"];

/** An instruction at a port, or at a device and in memory; KVM emulates no fetch and no delivery of an event. */
function accessesOf(op: InstructionName): NonNullable<Mix> {
  const { operation } = INSTRUCTION_FORMS[op];
  if (!hasAddress(operation)) return [{ op }];
  if (operation === "in" || operation === "out") return [{ op, address: 0x510 }];
  const size: 4 | 16 = op === "movups-load" || op === "movups-store" ? 16 : 4;
  const memory = { ...ram, op, size };
  return operation === "memory" ? [{ op, size, address: DEVICE }, memory] : [memory];
}

const allForms = { ...base, workload: INSTRUCTION_NAMES.flatMap(accessesOf) };

const scenarios: [string, ScenarioInput][] = [
  ...KERNEL_VERSIONS.flatMap((kernel) =>
    PAGINGS.map((paging): [string, ScenarioInput] => [
      `all instruction forms on ${kernel} with ${paging}`,
      { ...allForms, kernel, paging },
    ]),
  ),
  ...PAGINGS.map((paging): [string, ScenarioInput] => [
    `all instruction forms on v6.19 with ${paging} and mitigations`,
    { ...allForms, kernel: "v6.19", paging, mitigations: "auto" },
  ]),
  [
    "doorbells in a read-only slot",
    { ...base, kernel: "v4.2.8", doorbells: { ...doorbells, slot: "read-only" }, workload: [kick] },
  ],
  [
    "kicks that the exit fast path takes, and loads that it does not",
    {
      ...base,
      kernel: "v6.19",
      patches: ["exit-fastpath"],
      doorbells,
      workload: [kick, { ...ram, fresh: true }],
    },
  ],
  ["a host on Hyper-V", { ...base, kernel: "v6.19", host: "hyper-v", doorbells, workload: [kick] }],
  [
    "vCPUs whose faults contend for the lock",
    { ...base, kernel: "v4.2", vcpus: 3, workload: [{ ...ram, fresh: true }] },
  ],
  [
    "vCPUs whose kicks wake sleepers",
    {
      ...base,
      kernel: "v6.19",
      vcpus: 2,
      doorbells: { ...doorbells, queues: 1, waiter: "sleeper" },
      workload: [kick],
    },
  ],
  [
    "writes to a port of which one matches, and wakes a poller",
    {
      ...base,
      kernel: "v4.2",
      ioeventfds: [{ addr: 0xc000, len: 2, pio: true, datamatch: 1, waiter: "poller" }],
      workload: [1, 2].map((value) => ({ op: "out", address: 0xc000, size: 2, value })),
    },
  ],
  [
    "ports of devices, in the kernel and in userspace",
    {
      ...base,
      kernel: "v6.19",
      mitigations: "auto",
      inKernelPorts: [{ port: 0x40, len: 4 }],
      deviceModelPorts: [{ port: 0x608, len: 4 }],
      workload: [
        { op: "out", address: 0x40 },
        { op: "in", address: 0x608, size: 4 },
      ],
    },
  ],
  [
    "userspace that reads the dirty log and replaces a slot",
    {
      ...base,
      kernel: "v6.19",
      vcpus: 2,
      memslots: [
        { ...MEMORY, logDirtyPages: true },
        { gpa: "0x8000000", size: "0x100000" },
      ],
      doorbells,
      workload: [
        kick,
        { ...ram, op: "store", footprint: "0x20000" },
        { op: "load", address: DEVICE + 0x8000 },
      ],
      userspace: [
        { action: "get-dirty-log", slot: 0, every: 50 },
        { action: "recreate-slot", slot: 1, every: 200 },
      ],
    },
  ],
  [
    "large pages, whose walks end with 2 Mbytes",
    {
      ...base,
      kernel: "v6.19",
      guestPages: "2M",
      memslots: [{ gpa: 0, size: "0x40000000", backing: "2M" }],
      exitEvicts: "translations",
      workload: (["load", "store", "fetch"] as const).map((op) => ({ ...ram, op, footprint: "0x20000000" })),
    },
  ],
  [
    "a footprint that the second-level TLB and the caches hold in part",
    {
      ...base,
      kernel: "v4.2",
      workload: (["load", "store", "fetch"] as const).flatMap((op) => [
        { ...ram, op, footprint: "0x80000" },
        { ...ram, op, footprint: "0x400000" },
      ]),
      warmup: 20_000,
      accesses: 20_000,
    },
  ],
];

const results = scenarios.map(([name, scenario]) => {
  const counted = run(scenario);
  return { name, counted, price: priceRun(counted) };
});

const namesOf = ({ counts }: Run) => PRIMITIVES.filter((name) => counts[name] > 0);

describe.each(results)("the price of $name", ({ counted, price }) => {
  it("has each primitive that was counted in an item, or says why it is free", () => {
    const inItems = price.items.flatMap(({ primitives }) => primitives);
    const free = price.free.map(({ primitive }) => primitive);
    expect([...new Set([...inItems, ...free])].sort()).toEqual(namesOf(counted).sort());
    for (const name of free) expect(inItems).not.toContain(name);
    for (const { because } of price.free) expect(because).not.toBe("");
  });

  it("has in each item how often it occurs, a range that holds its value, a tag and a source", () => {
    for (const { times, primitives, spares = [], each, tag, source } of price.items) {
      const counts = (names: readonly string[]) => names.reduce((sum, name) => sum + counted.counts[name], 0);
      const occurrences = counts(primitives) - counts(spares);
      expect(times).toBeCloseTo(occurrences / counted.accesses, 9);
      expect([each.low <= each.value, each.value <= each.high]).toEqual([true, true]);
      expect(["measured", "derived", "assumed"]).toContain(tag);
      expect(source).toMatch(/\w{3}/);
    }
  });

  it.each(["low", "value", "high"] as const)("adds up over items, and over categories: %s", (end) => {
    const { perAccess, byCategory, items, total } = price;
    const sum = (parts: readonly { readonly [End in typeof end]: number }[]) =>
      parts.reduce((cycles, part) => cycles + part[end], 0);
    expect(sum(items.map(({ cycles }) => cycles)) / perAccess[end]).toBeCloseTo(1, 12);
    expect(sum(Object.values(byCategory)) / perAccess[end]).toBeCloseTo(1, 12);
    expect(total[end] / counted.accesses / perAccess[end]).toBeCloseTo(1, 12);
  });

  it("prints with every cost, its source and the conditions, at most 75 columns wide", () => {
    const text = priceTable(price);
    const words = text.replaceAll(/\s+/g, " ");
    expect(tablePrice(price)).toHaveLength(price.items.length);
    for (const { cost, source } of price.items) {
      expect(text).toMatch(new RegExp(`^${cost} .*\\[\\d+\\]$`, "m"));
      expect(words).toContain(`] ${source.replaceAll(/\s+/g, " ")}`);
    }
    const { kernel, patches, mitigations } = counted.scenario;
    const patched = [kernel.slice(1), ...patches].join(" + ");
    expect(words).toContain("Machine: Intel Xeon E5-2660 v3 (Haswell-EP), ");
    expect(words).toContain(
      `haswell-ep-e5-2660v3; Linux ${patched}, mitigations ${mitigations} Open switches`,
    );
    for (const line of text.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
  });
});

describe("these scenarios", () => {
  it("count every primitive that a scenario can", () => {
    const counted = new Set(results.flatMap(({ counted }) => namesOf(counted)));
    expect(PRIMITIVES.filter((name) => !counted.has(name))).toEqual([
      // A guest's pages have up to 2 Mbytes, and so has what a TLB holds of larger ones.
      "walkCompletedLoad1G",
      "walkCompletedStore1G",
      "walkCompletedFetch1G",
      // The guest is not single-stepped, and has no handler for a page fault.
      "injectException",
      "coalescedMmioWrite",
      // Userspace acts between instructions, with no exit on its way.
      "srcuReaderAwaited",
    ]);
  });
});

describe("the price of a run", () => {
  const scenario = { ...base, kernel: "v4.2", workload: [{ op: "vmcall" }] } as const;
  const vmcall = run(scenario);
  const times = (price: RunPrice, name: string) => price.items.find(({ cost }) => cost === name)?.times ?? 0;

  it("names processor, kernel, mitigations, paging and what made it", () => {
    const { conditions, provenance } = priceRun(vmcall);
    expect(conditions).toMatchObject({
      cpu: "haswell-ep-e5-2660v3",
      model: "Intel Xeon E5-2660 v3 (Haswell-EP)",
      kernel: "v4.2",
      mitigations: "off",
      paging: "ept",
      vcpus: 1,
      tsc: { value: 2600 },
    });
    expect(provenance).toMatchObject({ seed: 1, model: expect.any(String), data: expect.any(String) });
  });

  it("has the mitigations of an exit where they are on, once for each exit", () => {
    const on = priceRun(run({ ...scenario, kernel: "v6.19", mitigations: "auto" }));
    const off = priceRun(run({ ...scenario, kernel: "v6.19" }));
    expect([times(on, "exitTransition"), times(on, "exitMitigation")]).toEqual([1, 1]);
    expect([times(off, "exitTransition"), times(off, "exitMitigation")]).toEqual([1, 0]);
  });

  it("of a guest that did nothing that has a cost is nothing, with nothing on the list", () => {
    const price = priceRun(run({ ...scenario, workload: [{ op: "mov-cr3" }] }));
    expect([price.perAccess, price.items]).toEqual([{ low: 0, value: 0, high: 0 }, []]);
    expect(priceTable(price)).toMatch(
      /\ntotal +0\.0 +0\.0\.\.0\.0\n[\s\S]*\nNothing that was counted has a cost\.\n/,
    );
  });

  const ranges = {
    hypercall: { low: 90, value: 100, high: 120, tag: "measured", source: "by hand" },
  } as const;
  const profile = {
    cpu: scenario.cpu,
    kernel: scenario.kernel,
    mitigations: "off",
    tscMhz: 2600,
    stretch: 1,
    ranges,
  } as const;

  it("takes the costs of a profile, with what they say of themselves", () => {
    const { items } = priceRun(vmcall, { profile });
    expect(items.find(({ cost }) => cost === "hypercall")).toMatchObject({
      times: 1,
      each: { low: 90, value: 100, high: 120 },
      tag: "measured",
      source: "by hand",
    });
  });

  it("prices all else by the frequency of the profile's TSC, and says that its costs were fitted", () => {
    const [slow, fast] = [2600, 3900].map((tscMhz) => priceRun(vmcall, { profile: { ...profile, tscMhz } }));
    const value = ({ items }: typeof slow) => items.find(({ cost }) => cost === "exitTransition")?.each.value;
    expect(value(fast)).toBeCloseTo(1.5 * (value(slow) ?? 0), 9);
    expect(priceTable(fast).replaceAll("\n", " ")).toContain("against a time-stamp counter at 3900 MHz");
    expect(priceTable(fast)).toMatch(/Costs of a calibration to this machine\./);
    expect(priceTable(priceRun(vmcall))).not.toMatch(/calibration/);
    const stretched = priceTable(priceRun(vmcall, { profile: { ...profile, stretch: 2.5 } }));
    expect(stretched.replaceAll("\n", " ")).toContain("within 2.5 times their tolerances");
  });

  it("takes ranges by hand before those of the profile; nobody has measured them", () => {
    const { items } = priceRun(vmcall, { profile, ranges: { hypercall: { low: 10, high: 20 } } });
    expect(items.find(({ cost }) => cost === "hypercall")).toMatchObject({
      each: { low: 10, value: 15, high: 20 },
      tag: "assumed",
      source: "given for this study",
    });
  });

  it.each([
    [
      { cpu: "sandy-bridge-ep" },
      'cost profile: cpu: "sandy-bridge-ep" is not allowed; allowed: "haswell-ep-e5-2660v3"',
    ],
    [
      { mitigations: "auto" },
      'cost profile: mitigations: "auto" is not allowed; allowed: "off", as in the scenario',
    ],
    [
      { kernel: "v6.19" },
      'cost profile: kernel: "v6.19" is not allowed; allowed: "v4.2", as in the scenario',
    ],
  ] as const)("refuses a profile of another machine, %o", (other, message) => {
    expect(() => priceRun(vmcall, { profile: { ...profile, ...other } })).toThrow(message);
  });
});
