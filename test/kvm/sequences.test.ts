/**
 * Whatever guests do and userspace asks for, in whatever order: what a processor may do without KVM is right. After each
 * step, for each vCPU and page: a read that needs no exit reads the memory of the slot that is there now, a write goes to no
 * read-only slot, and to a logged one only where the log has the page already. What the host took back needs an exit.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KERNEL_VERSIONS } from "../../src/kvm/eras.js";
import { BACKINGS } from "../../src/kvm/host-memory.js";
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import { PAGINGS } from "../../src/kvm/spte.js";
import { READ, WRITE } from "../../src/x86/access.js";
import { TRANSLATED } from "../../src/x86/mmu.js";
import { Machine } from "./machine.js";

const BASE = 0x1000_0000;
const SIZE = 2 ** 22;
/** Pages that are accessed: at the start, over a boundary of 2 Mbyte, behind the end; and MMIO for ever. */
const PAGES = [0, 1, 2, 7, 8, 511, 512, 513, 1024].map((page) => BASE / 4096 + page);
const MMIO = 0xfebf_0000;

const page = fc.constantFrom(...PAGES, MMIO / 4096);
const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("access" as const),
      op: fc.constantFrom("load", "store", "add", "stos", "movups-store"),
      page,
      // The last begins in one page and ends in the next.
      offset: fc.constantFrom(0, 8, 0x800, 0xffc),
      vcpu: fc.nat(1),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      flags: fc.constantFrom(0, 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY),
      backing: fc.constantFrom(...BACKINGS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("delete", "zap", "move") }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("log", "end", "read") }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("discard" as const),
      // Also of the memory that the guest's own tables are in, up to its last page.
      first: fc.oneof(page, fc.constantFrom(0x3ff, 0x3f8, 0)),
      pages: fc.constantFrom(1, 2, 8, 512, 1024),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("mov-cr3" as const), vcpu: fc.nat(1) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const cases = KERNEL_VERSIONS.flatMap((kernel) => PAGINGS.map((paging) => [kernel, paging] as const));

describe.each(cases)("after any steps on %s with %s", (kernel, paging) => {
  it("a processor does nothing on its own that KVM would not have it do", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, large) => {
        const machine = new Machine(kernel, { paging, vcpus: 2, cpu: "haswell-ep-e5-2660v3" });
        if (large) for (let at = 0; at < 3; at++) machine.mapLarge(BASE + at * 2 ** 21);
        for (const one of steps) {
          take(machine, one);
          check(machine);
        }
      }),
      { numRuns: 60 },
    );
  });
});

/** One step; what is not possible now is not done. */
function take(machine: Machine, one: Step): void {
  const { vm } = machine;
  if (one.kind === "access") {
    const size = one.op === "movups-store" ? 16 : 8;
    machine.run(one.op, one.page * 4096 + one.offset, { size, vcpu: one.vcpu });
    return;
  }
  if (one.kind === "mov-cr3") {
    machine.run("mov-cr3", 0, { vcpu: one.vcpu });
    return;
  }
  if (one.kind === "discard") {
    discard(machine, one.first, one.first + one.pages);
    return;
  }
  if (one.kind === "zap") {
    vm.kvmMmuInvalidateZapAllPages();
    return;
  }
  const slot = [BASE, 2 * BASE].flatMap((gpa) => vm.findMemslot(gpa / 4096) ?? [])[0];
  if (one.kind === "create") {
    if (slot === undefined) machine.slot(1, BASE, SIZE, one);
    return;
  }
  if (slot === undefined) return;
  const { userspaceAddr, flags } = slot;
  const region = { slot: 1, flags, guestPhysAddr: slot.baseGfn * 4096, memorySize: SIZE, userspaceAddr };
  switch (one.kind) {
    case "delete":
      vm.kvmSetUserMemoryRegion({ ...region, memorySize: 0 });
      return;
    case "move":
      vm.kvmSetUserMemoryRegion({
        ...region,
        guestPhysAddr: region.guestPhysAddr === BASE ? 2 * BASE : BASE,
      });
      return;
    case "log":
      vm.kvmSetUserMemoryRegion({ ...region, flags: flags | KVM_MEM_LOG_DIRTY_PAGES });
      return;
    case "end":
      vm.kvmSetUserMemoryRegion({ ...region, flags: flags & ~KVM_MEM_LOG_DIRTY_PAGES });
      return;
    default:
      if (slot.dirtyBitmap !== null) vm.kvmGetDirtyLog(1);
  }
}

/** The host takes pages back, which no processor reads or writes then. */
function discard({ vm }: Machine, first: number, end: number): void {
  vm.discardPages(first, end);
  for (const { cpu, id, mmuReload } of vm.vcpus) {
    if (mmuReload) continue;
    for (const gfn of PAGES.filter((one) => one >= first && one < end)) {
      for (const kind of [READ, WRITE]) {
        const where = { vcpu: id, page: gfn.toString(16), kind };
        expect({ ...where, exits: cpu.translate(gfn, 0, kind) !== TRANSLATED }).toEqual({
          ...where,
          exits: true,
        });
      }
    }
  }
}

function check({ vm }: Machine): void {
  for (const { cpu, id, mmuReload } of vm.vcpus) {
    // It gets another root before it runs.
    if (mmuReload) continue;
    for (const gfn of [...PAGES, MMIO / 4096]) {
      const slot = vm.findMemslot(gfn);
      const where = { vcpu: id, page: gfn.toString(16), slot: slot?.flags };
      for (const kind of [READ, WRITE]) {
        if (cpu.translate(gfn, 0, kind) !== TRANSLATED) continue;
        const vma = slot === undefined ? undefined : vm.host.find(slot.hva(gfn));
        const frame =
          slot === undefined || vma === undefined ? null : vma.basePfn + (slot.hva(gfn) - vma.start) / 4096;
        expect({ ...where, frame: cpu.pfn }).toEqual({ ...where, frame });
        if (kind === READ || slot === undefined) continue;
        const logged = slot.dirtyBitmap === null || slot.dirtyBitmap.has(gfn - slot.baseGfn);
        expect({ ...where, writable: !slot.readonly, logged }).toEqual({
          ...where,
          writable: true,
          logged: true,
        });
      }
    }
  }
}
