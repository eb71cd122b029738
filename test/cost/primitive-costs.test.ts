import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { InputError } from "../../src/cost/input.js";
import { type CostRanges, loadCosts, primitiveCosts } from "../../src/cost/primitive-costs.js";
import { KERNEL_VERSIONS, type KernelVersion } from "../../src/kvm/eras.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { MEMORY_LEVELS } from "../../src/x86/ledger.js";

const haswell = loadCpu("haswell-ep-e5-2660v3");

function costs(cpu = haswell, kernel: KernelVersion = "v4.2", ranges: CostRanges = {}) {
  return primitiveCosts(cpu, kernel, ranges);
}

function rangeOf(all: ReturnType<typeof costs>, name: string) {
  const found = all.find((cost) => cost.name === name);
  return found === undefined ? undefined : [found.low, found.value, found.high];
}

describe.each(cpuNames())("the costs on %s", (name) => {
  it.each(KERNEL_VERSIONS)("under %s lie within their ranges, each with a source", (kernel) => {
    for (const { low, value, high, source } of costs(loadCpu(name), kernel)) {
      expect(low).toBeLessThanOrEqual(value);
      expect(value).toBeLessThanOrEqual(high);
      expect(source).not.toBe("");
    }
  });

  it("have names of their own", () => {
    const names = costs(loadCpu(name)).map((cost) => cost.name);
    expect(new Set(names).size).toBe(names.length);
  });

  it("are positive but for what one exit costs more than another", () => {
    const negative = costs(loadCpu(name)).filter(({ low }) => low < 0);
    expect(negative.map((cost) => cost.name)).toEqual(["eptExitExtra", "eptViolationExtra"]);
  });
});

describe("the costs of a processor", () => {
  it("are in TSC cycles: at 2.6 GHz, 12 cycles of a core at up to 3.3 GHz are 9.45 to 12", () => {
    expect(rangeOf(costs(), "dataReferenceL2")).toEqual([12 * (2600 / 3300), 12, 12]);
  });

  it("are in TSC cycles: 80 ns at 2.4 GHz are 192", () => {
    const { latency } = loadCpu("cascade-lake-sp-gold-6212u");
    expect(latency.Dram).toMatchObject({ unit: "ns", value: 80 });
    const range = rangeOf(costs(loadCpu("cascade-lake-sp-gold-6212u")), "dataReferenceDram");
    expect(range?.map(Math.round)).toEqual(
      [latency.Dram.low, 80, latency.Dram.high].map((ns) => Math.round(ns * 2.4)),
    );
  });

  it("without a hypervisor are in core cycles, and of memory and walks only", () => {
    const { L2 } = haswell.latency;
    const loads = loadCosts(haswell);
    expect(rangeOf(loads, "dataReferenceL2")).toEqual([L2.low, L2.value, L2.high]);
    expect(new Set(loads.map(({ category }) => category))).toEqual(new Set(["walk", "memory"]));
  });

  it.each(MEMORY_LEVELS)(
    "let a reference of a walk to %s cost what one of data does, or half where walks overlap",
    (level) => {
      const [low, value, high] = rangeOf(costs(), `dataReference${level}`) ?? [];
      expect(rangeOf(costs(), `walkReference${level}`)).toEqual([low / 2, value, high]);
    },
  );

  it("are known no better of a walk's references than how much walks overlap, though latencies are measured", () => {
    expect(haswell.latency.L2.tag).toBe("measured");
    const reference = loadCosts(haswell).find(({ name }) => name === "walkReferenceL2");
    expect(reference).toMatchObject({
      tag: "assumed",
      source: expect.stringContaining(haswell.latency.L2.source),
    });
    expect(reference?.source).toContain("data/costs/overlap.json");
  });

  it("charge a walk for the look into the second-level TLB before it, and for itself", () => {
    const { stlbHit, walk } = haswell.latency;
    for (const primitive of ["walkLoad", "walkStore", "walkFetch"]) {
      const parts = loadCosts(haswell).filter(({ primitives }) => primitives.includes(primitive));
      expect(parts.map(({ name, value }) => [name, value])).toEqual([
        ["stlbMiss", stlbHit.value],
        ["pageWalk", walk.value],
      ]);
    }
  });
});

describe("the costs of an exit", () => {
  const exits = PRIMITIVES.filter((name) => /^exit(?!Mitigation|Fastpath)/.test(name));
  const parts = (exit: string) =>
    costs()
      .filter(({ primitives }) => primitives.includes(exit))
      .map(({ name }) => name);

  it("are the same parts for each kind: the transition, and KVM's common path", () => {
    expect(exits).toHaveLength(10);
    for (const exit of exits)
      expect(parts(exit).filter((name) => !name.endsWith("Extra"))).toEqual([
        "exitTransition",
        "vcpuEnterGuest",
        "handleExit",
        "srcuReadLock",
      ]);
  });

  it("are more or less by something for those that an EPT entry causes, and by more for violations", () => {
    const ofEntries = exits.filter((exit) => parts(exit).includes("eptExitExtra"));
    expect(ofEntries).toEqual(["exitEptViolation", "exitEptMisconfig"]);
    expect(exits.filter((exit) => parts(exit).includes("eptViolationExtra"))).toEqual(["exitEptViolation"]);
    const [low, value, high] = rangeOf(costs(), "eptViolationExtra") ?? [];
    expect([low < 0, value, high > 0]).toEqual([true, 0, true]);
  });
});

describe("the costs of KVM's own steps", () => {
  it("are those of the kernel: emulation became cheaper between v3.9 and v4.2", () => {
    const [before, ...after] = (["v3.9", "v4.2", "v4.2.8", "v6.19"] as const).map((kernel) =>
      rangeOf(costs(haswell, kernel), "emulateInstruction"),
    );
    expect(before).toEqual([300, 1900, 3500]);
    expect(after).toEqual([
      [500, 650, 800],
      [500, 650, 800],
      [500, 650, 800],
    ]);
  });

  it("are the same on every processor", () => {
    for (const name of cpuNames()) {
      const kvms = costs(loadCpu(name)).filter(({ category }) =>
        /handler|bus|eventfd|emulation/.test(category),
      );
      const usual = costs().filter(({ category }) => /handler|bus|eventfd|emulation/.test(category));
      const own = ({ name: cost }: { name: string }) => cost !== "retpoline";
      expect(kvms.filter(own)).toEqual(usual.filter(own));
    }
  });
});

describe("a range that is given by hand", () => {
  it("replaces that of the files, its middle the value", () => {
    const given = costs(haswell, "v4.2", { vmread: { low: 10, high: 20 } });
    const source = { tag: "assumed", source: "given for this study" };
    expect(given.find(({ name }) => name === "vmread")).toMatchObject({
      low: 10,
      value: 15,
      high: 20,
      ...source,
    });
    expect(given.filter(({ name }) => name !== "vmread")).toEqual(
      costs().filter(({ name }) => name !== "vmread"),
    );
  });

  it("may say a value", () => {
    const given = costs(haswell, "v4.2", { vmread: { low: 10, value: 12, high: 20 } });
    expect(rangeOf(given, "vmread")).toEqual([10, 12, 20]);
  });

  it("may say how it is known", () => {
    const known = { tag: "measured", source: "perf" } as const;
    const given = costs(haswell, "v4.2", { vmread: { low: 10, high: 20, ...known } });
    expect(given.find(({ name }) => name === "vmread")).toMatchObject({ value: 15, ...known });
  });

  it("replaces one of the processor's too, in TSC cycles", () => {
    const given = costs(haswell, "v4.2", { exitTransition: { low: 500, high: 500 } });
    expect(rangeOf(given, "exitTransition")).toEqual([500, 500, 500]);
  });

  it("may begin below 0 for what is a difference", () => {
    const given = costs(haswell, "v4.2", { eptViolationExtra: { low: -50, high: 50 } });
    expect(rangeOf(given, "eptViolationExtra")).toEqual([-50, 0, 50]);
  });

  it.each([
    ["below 0 for what cannot be", { vmread: { low: -1, high: 20 } }],
    ["with ends that are turned round", { vmread: { low: 20, high: 10 } }],
    ["with a value outside", { vmread: { low: 10, value: 30, high: 20 } }],
    ["without end", { vmread: { low: 10, high: Number.POSITIVE_INFINITY } }],
    ["of no numbers", { vmread: { low: Number.NaN, high: 20 } }],
  ] as const)("%s is refused", (_, ranges) => {
    expect(() => costs(haswell, "v4.2", ranges)).toThrow(InputError);
    expect(() => costs(haswell, "v4.2", ranges)).toThrow(
      /costs: vmread: .*; allowed: low and high in cycles/,
    );
  });

  it("of a cost that nobody knows is refused with those that there are", () => {
    const ranges = { walk: { low: 1, high: 2 } };
    expect(() => costs(haswell, "v4.2", ranges)).toThrow(
      /costs: "walk" is not allowed; allowed: one of walkReferenceL1/,
    );
  });
});
