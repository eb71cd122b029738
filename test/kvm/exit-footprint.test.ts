/** What the handling of an exit leaves in the caches and TLBs that the guest uses. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import type { KernelVersion } from "../../src/kvm/eras.js";
import { type ExitFootprint, ExitHandlerFootprint } from "../../src/kvm/exit-footprint.js";
import { ABSENT } from "../../src/x86/set-associative.js";
import { Machine } from "./machine.js";

const MMIO = 0xfebf_0800;
const RAM = 0x2000;
const NOTHING: ExitFootprint = { lines: 0, pages: 0, userspaceLines: 0, userspacePages: 0 };

/** Sandy Bridge: L1D of 512 lines, L2 of 4096; a data TLB of 64 pages, 512 in the second level. */
function machine(
  footprint: Partial<ExitFootprint> | null,
  kernel: KernelVersion = "v4.2",
  options = {},
): Machine {
  const built = new Machine(kernel, options);
  if (footprint !== null) built.vm.exitFootprint = new ExitHandlerFootprint({ ...NOTHING, ...footprint });
  return built;
}

/** What a kick, then a load of RAM count, once they have settled. */
function kickThenLoad(built: Machine): { kick: Record<string, number>; load: Record<string, number> } {
  for (let i = 0; i < 4; i++) {
    built.run("store", MMIO);
    built.run("load", RAM);
  }
  return { kick: built.run("store", MMIO), load: built.run("load", RAM) };
}

function kicked(footprint: Partial<ExitFootprint> | null) {
  const built = machine(footprint);
  built.ioeventfd(MMIO, 0);
  return kickThenLoad(built);
}

const references = (counts: Record<string, number>) =>
  Object.keys(counts).filter((name) => /WalkRef|dataRef/.test(name));

describe("the footprint of an exit handler", () => {
  it("is for caches as Sandy Bridge has them, here", () => {
    const { l1d, l2, dtlb4K, stlb } = loadCpu("sandy-bridge-ep").geometry;
    expect([l1d.bytes / 64, l2.bytes / 64, dtlb4K.entries, stlb.entries]).toEqual([512, 4096, 64, 512]);
  });

  it.each([
    ["none", null, "L1"],
    ["less than L1 holds", { lines: 64, pages: 16 }, "L1"],
    ["as much as L1 holds", { lines: 512, pages: 16 }, "L2"],
    ["as much as L2 holds", { lines: 4096, pages: 64 }, "L3"],
  ])("that is %s has the next kick's walk served accordingly", (_, footprint, level) => {
    expect(references(kicked(footprint).kick)).toEqual([`guestWalkRef${level}`, `eptWalkRef${level}`]);
  });

  it("of more pages than the data TLB holds has the guest's next access hit the second level", () => {
    expect(kicked({ lines: 48, pages: 48 }).load).toEqual({ dtlbHit: 1, dataRefL1: 1 });
    expect(kicked({ lines: 65, pages: 65 }).load).toEqual({ stlbHitLoad: 1, dataRefL1: 1 });
  });

  it("of as many pages as the second level holds has it walk, from the cached tables", () => {
    const { load } = kicked({ lines: 512, pages: 512 });
    expect(load).toMatchObject({ walkLoad: 1, walkCompletedLoad4K: 1, guestWalkRefL2: 1, eptWalkRefL2: 1 });
  });

  it("walks for those of its pages that no TLB holds, through the paging-structure caches", () => {
    const { vm } = machine({ lines: 448, pages: 65 });
    const { cpu } = vm.vcpu;
    const { caches, hierarchy } = cpu;
    const walked = () => {
      const tables: number[] = [];
      hierarchy.reference = (pfnLow, _, line) => {
        if (pfnLow < 0x200) tables.push(pfnLow * 64 + line);
        return 0;
      };
      vm.exitFootprint?.touchKernel(cpu);
      return { references: tables.length, lines: new Set(tables).size };
    };
    // An entry of the PML4, the PDPT and the PD, and 65 of the page table, eight in a line.
    expect(walked()).toEqual({ references: 3 + 65, lines: 3 + 9 });
    expect(walked()).toEqual({ references: 0, lines: 0 });
    caches.inveptAll();
    caches.tlb.clear();
    expect(walked()).toEqual({ references: 65, lines: 9 });
  });

  it("ends in the address space of the guest", () => {
    const { vm } = machine({ lines: 4, pages: 4 });
    const { cpu } = vm.vcpu;
    const { tag, globalTag } = cpu.caches.tlb;
    vm.exitFootprint?.touchKernel(cpu);
    expect([cpu.caches.tlb.tag, cpu.caches.tlb.globalTag]).toEqual([tag, globalTag]);
  });

  it("is nowhere in the counts: an exit counts the same, up to who serves its references", () => {
    const sums = (counts: Record<string, number>) => {
      const total: Record<string, number> = {};
      for (const [name, count] of Object.entries(counts)) {
        const key = name.replace(/(Ref)(L1|L2|L3|Dram)$/, "$1");
        total[key] = (total[key] ?? 0) + count;
      }
      return total;
    };
    expect(sums(kicked({ lines: 4096, pages: 64 }).kick)).toEqual(sums(kicked(null).kick));
  });

  it("of nothing equals none", () => {
    expect(kicked(NOTHING)).toEqual(kicked(null));
  });

  it("leaves the same at each exit, and in each run", () => {
    const footprint = { lines: 700, pages: 70 };
    const built = machine(footprint);
    built.ioeventfd(MMIO, 0);
    const once = kickThenLoad(built);
    expect(kickThenLoad(built)).toEqual(once);
    expect(kicked(footprint)).toEqual(once);
  });

  it("has the part of userspace only where an exit went there", () => {
    const footprint = { userspaceLines: 512, userspacePages: 65 };
    expect(kicked(footprint)).toEqual(kicked(null));
    // Nobody listens: the store goes to userspace.
    const { kick, load } = kickThenLoad(machine(footprint));
    expect(kick).toMatchObject({ userspaceExitMmio: 1, guestWalkRefL2: 1, eptWalkRefL2: 1 });
    expect(load).toEqual({ stlbHitLoad: 1, dataRefL2: 1 });
  });

  it.each(["v3.9", "v6.19"] as const)(
    "is there in %s, with nested page tables and shadow paging too",
    (kernel) => {
      for (const paging of ["ept", "npt", "shadow"] as const) {
        const { load } = kickThenLoad(machine({ lines: 65, pages: 65 }, kernel, { paging }));
        expect(load, paging).toEqual({ stlbHitLoad: 1, dataRefL1: 1 });
      }
    },
  );

  it("is on the processor of the vCPU that exited, and on no other", () => {
    const built = machine({ lines: 512, pages: 65 }, "v4.2", { vcpus: 2 });
    built.ioeventfd(MMIO, 0);
    for (const vcpu of [0, 1]) built.run("load", RAM, { vcpu });
    built.run("store", MMIO, { vcpu: 0 });
    expect(built.run("load", RAM, { vcpu: 1 })).toEqual({ dtlbHit: 1, dataRefL1: 1 });
    expect(built.run("load", RAM, { vcpu: 0 })).toEqual({ stlbHitLoad: 1, dataRefL2: 1 });
  });

  it("stays when the guest's translations are dropped, as mappings of the host", () => {
    const built = machine({ lines: 8, pages: 8 });
    const { cpu } = built.vm.vcpu;
    const { caches } = cpu;
    built.vm.exitFootprint?.touchKernel(cpu);
    const held = () => {
      let found = false;
      caches.inHost(() => {
        found = caches.tlb.lookup(0xfffc_0000 | 0, 0xf);
      });
      return found;
    };
    caches.inveptAll();
    caches.invvpidAll();
    caches.invvpidSingle(0);
    caches.invpcidAll();
    expect(held()).toBe(true);
    caches.clear();
    expect(held()).toBe(false);
  });

  it("has distinct lines, of L1's sets each as many within one, whatever its size", () => {
    const sizes = fc
      .integer({ min: 1, max: 512 })
      .chain((pages) => fc.tuple(fc.constant(pages), fc.integer({ min: pages, max: 64 * pages })));
    const { cpu } = machine(null).vm.vcpu;
    const { hierarchy } = cpu;
    let touched: number[] = [];
    hierarchy.bringToL2 = (line) => {
      touched.push(line);
      return ABSENT;
    };
    fc.assert(
      fc.property(sizes, ([pages, lines]) => {
        const footprint = new ExitHandlerFootprint({ ...NOTHING, lines, pages });
        footprint.touchKernel(cpu);
        hierarchy.evictL1();
        touched = [];
        footprint.touchKernel(cpu);
        const ofPages = touched.filter((line) => line >= 0x200 * 64);
        expect(new Set(ofPages).size).toBe(lines);
        expect(new Set(ofPages.map((line) => Math.floor(line / 64))).size).toBe(pages);
        const sets = new Array<number>(64).fill(0);
        for (const line of ofPages) sets[line % 64]++;
        expect(Math.max(...sets) - Math.min(...sets)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  it.each([
    [{ lines: 3, pages: 4 }],
    [{ lines: 65, pages: 1 }],
    [{ lines: 1, pages: 0 }],
    [{ lines: 600, pages: 513 }],
    [{ userspaceLines: 1, userspacePages: 2 }],
  ])("is refused as %o", (footprint) => {
    expect(() => machine(footprint)).toThrow(RangeError);
  });
});
