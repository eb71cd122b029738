/**
 * How KVM answers EPT faults: it finds the slot, maps the page, or marks a page without a slot so that the next access to
 * it is a misconfiguration. Kernel counterpart: arch/x86/kvm/mmu.c of Linux 4.2.
 *
 * Left out until there is something to observe: dirty logging and write tracking (so a fast page fault never has a
 * permission to give back), MMU notifiers, asynchronous page faults, prefetch of neighbours.
 */
import { EPT_PAGE_SIZE, EPT_PERMISSIONS, EPT_WRITE } from "../x86/ept.js";
import { PAGE } from "../x86/mmu.js";
import { entryIndex, entryPfn } from "../x86/physical-memory.js";
import { PAGES_2M } from "../x86/tlb.js";
import { KvmMain } from "./kvm-main.js";
import type { Memslot } from "./memslots.js";
import { KVM } from "./primitives.js";
import { isMmioSpte, isMmioSpteCurrent, leafSpte, mmioSpte, type Spte, tableSpte } from "./spte.js";

/** Levels of the EPT that KVM builds. */
const LEVELS = 4;

/** Error code of a fault, in the bits of a page-fault error code. */
export const PFERR_PRESENT = 1 << 0;
export const PFERR_WRITE = 1 << 1;
export const PFERR_FETCH = 1 << 4;

/** What `tryAsyncPf()` returns in place of a host page frame number. */
export const KVM_PFN_NOSLOT = -1;
export const KVM_PFN_ERR_RO_FAULT = -2;

/** What `handleMmioPageFaultCommon()` asks its caller to do. */
export const RET_MMIO_PF_EMULATE = 1;
export const RET_MMIO_PF_INVALID = 2;
export const RET_MMIO_PF_RETRY = 0;

export class Mmu extends KvmMain {
  private mmioGfn = 0;
  private mmioGeneration = 0;
  private spteLow = 0;
  private spteHigh = 0;

  /** Handles a fault on a guest-physical address (bytes): 0 = resume the guest, 1 = emulate the instruction. */
  tdpPageFault(gpa: number, errorCode: number): number {
    this.counts[KVM.tdpPageFault]++;
    const gfn = Math.floor(gpa / PAGE);
    const write = (errorCode & PFERR_WRITE) !== 0;
    const large = this.mappingLevel(gfn) === 2;
    if (write && (errorCode & PFERR_PRESENT) !== 0 && this.fastPageFault(gfn)) return 0;
    const pfn = this.tryAsyncPf(gfn, write);
    if (pfn === KVM_PFN_ERR_RO_FAULT) return this.handleBadPage(gfn);
    if (pfn === KVM_PFN_NOSLOT) this.vcpuCacheMmioInfo(gfn);
    this.counts[KVM.mmuLock]++;
    return this.directMap(gfn, pfn, large);
  }

  /** Whether the fault needs no lock: the entry is gone or already allows the write. */
  fastPageFault(gfn: number): boolean {
    this.counts[KVM.fastPageFault]++;
    this.walkShadowPage(gfn);
    return (this.spteLow & EPT_PERMISSIONS) === 0 || (this.spteLow & EPT_WRITE) !== 0;
  }

  /** The host page frame number behind a guest one, decided from the slot alone. */
  tryAsyncPf(gfn: number, write: boolean): number {
    const slot = this.gfnToMemslot(gfn);
    if (slot === undefined) return KVM_PFN_NOSLOT;
    if (write && slot.readonly) return KVM_PFN_ERR_RO_FAULT;
    this.counts[KVM.hvaToPfn]++;
    return slot.basePfn + gfn - slot.baseGfn;
  }

  /** A write to a read-only slot: nothing is mapped or remembered, the instruction is emulated. */
  handleBadPage(_gfn: number): number {
    return 1;
  }

  /** Installs the leaf for a page, and the tables above it: 0 = resume, 1 = emulate (the page has no slot). */
  directMap(gfn: number, pfn: number, large: boolean): number {
    if (pfn === KVM_PFN_NOSLOT) {
      this.installSpte(gfn, 1, mmioSpte(gfn, this.memslots.generation));
      return 1;
    }
    const writable = this.memslots.find(gfn)?.readonly === false;
    if (large) this.installSpte(gfn, 2, leafSpte(pfn - (gfn % PAGES_2M), writable, true));
    else this.installSpte(gfn, 1, leafSpte(pfn, writable, false));
    return 0;
  }

  /** Decides what a misconfiguration means: emulate, fault again as a read (stale), or retry (no MMIO SPTE any more). */
  handleMmioPageFaultCommon(gpa: number): number {
    const gfn = Math.floor(gpa / PAGE);
    if (this.vcpuMatchMmioGpa(gfn)) return RET_MMIO_PF_EMULATE;
    this.counts[KVM.mmioSpteWalk]++;
    this.walkShadowPage(gfn);
    if (!isMmioSpte(this.spteLow, this.spteHigh)) return RET_MMIO_PF_RETRY;
    if (!isMmioSpteCurrent(this.spteLow, this.spteHigh, this.memslots.generation)) return RET_MMIO_PF_INVALID;
    this.vcpuCacheMmioInfo(gfn);
    return RET_MMIO_PF_EMULATE;
  }

  /** Whether the vCPU's one-entry cache knows the page as MMIO. Page 0 is never cached. */
  vcpuMatchMmioGpa(gfn: number): boolean {
    this.counts[KVM.vcpuMatchMmioGpa]++;
    return this.mmioGfn !== 0 && this.mmioGfn === gfn && this.mmioGeneration === this.memslots.generation;
  }

  gfnToMemslot(gfn: number): Memslot | undefined {
    this.counts[KVM.memslotLookup]++;
    return this.memslots.find(gfn);
  }

  private vcpuCacheMmioInfo(gfn: number): void {
    this.mmioGfn = gfn;
    this.mmioGeneration = this.memslots.generation;
  }

  /** 2 for a 2-Mbyte mapping: the backing allows it and the slot covers the whole large page. */
  private mappingLevel(gfn: number): 1 | 2 {
    const slot = this.gfnToMemslot(gfn);
    if (slot?.backing !== "2M") return 1;
    const first = gfn - (gfn % PAGES_2M);
    return first >= slot.baseGfn && first + PAGES_2M <= slot.baseGfn + slot.npages ? 2 : 1;
  }

  private installSpte(gfn: number, leafLevel: number, spte: Spte): void {
    let table = this.eptRoot;
    for (let level = LEVELS; level > leafLevel; level--) {
      const index = entryIndex(gfn, level);
      const above = this.memory.low(table, index);
      if ((above & EPT_PERMISSIONS) !== 0) {
        table = entryPfn(above, this.memory.high(table, index));
        continue;
      }
      const next = this.allocateTable();
      const { low, high } = tableSpte(next);
      this.memory.write(table, index, low, high);
      this.counts[KVM.spteInstall]++;
      table = next;
    }
    const index = entryIndex(gfn, leafLevel);
    const old = this.memory.low(table, index);
    // A large page in place of a table: what the processor cached of that table must go.
    if ((old & EPT_PERMISSIONS) !== 0 && !isLeaf(leafLevel, old)) this.cpu.caches.inveptSingle(this.eptRoot);
    this.memory.write(table, index, spte.low, spte.high);
    this.counts[KVM.spteInstall]++;
  }

  /** Reads the entry that a walk of the EPT for this page ends at. */
  private walkShadowPage(gfn: number): void {
    let table = this.eptRoot;
    for (let level = LEVELS; ; level--) {
      const index = entryIndex(gfn, level);
      this.spteLow = this.memory.low(table, index);
      this.spteHigh = this.memory.high(table, index);
      if ((this.spteLow & EPT_PERMISSIONS) === 0 || isLeaf(level, this.spteLow)) return;
      table = entryPfn(this.spteLow, this.spteHigh);
    }
  }
}

/** Whether a present SPTE maps a page. */
function isLeaf(level: number, low: number): boolean {
  return level === 1 || (low & EPT_PAGE_SIZE) !== 0;
}
