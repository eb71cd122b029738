/**
 * The memory slots and the fault path of Linux 6.19, with the TDP MMU. Kernel counterparts: virt/kvm/kvm_main.c,
 * arch/x86/kvm/mmu/mmu.c, tdp_mmu.c and spte.c.
 *
 * Left out beside what `mmu.ts` leaves out: page-modification logging, which takes the place of write protection where the
 * processor has it. Large pages of a slot that begins to be logged are split at once.
 */
import { PAGE } from "../x86/mmu.js";
import { ENTRIES, entryPfn } from "../x86/physical-memory.js";
import { KvmError } from "./errno.js";
import { Linux6_19Buses } from "./linux-6.19-buses.js";
import type { MemoryRegion, Memslot } from "./memslots.js";
import {
  EMULATE,
  EMULTYPE_PF,
  EMULTYPE_RETRY,
  KVM_PFN_NOSLOT,
  PFERR_PRESENT,
  PFERR_RSVD,
  PFERR_WRITE,
  RESUME,
  RET_MMIO_PF_EMULATE,
  RET_MMIO_PF_INVALID,
} from "./mmu.js";
import { KVM } from "./primitives.js";
import {
  type LeafAccess,
  type Spte,
  SpteFormat,
  type SpteLayout,
  spteLayout6_19,
  spteValue,
} from "./spte.js";
import type { Vcpu } from "./vcpu.js";

/** What the handling of a fault ends with. */
const RET_PF_RETRY = 1;
const RET_PF_EMULATE = 2;
const RET_PF_WRITE_PROTECTED = 3;
const RET_PF_INVALID = 4;
const RET_PF_FIXED = 5;
const RET_PF_SPURIOUS = 6;

/** The same of what the functions of earlier kernels return: RESUME, EMULATE, EMULATE_WRITE_PROTECTED. */
const OUTCOMES = [RET_PF_RETRY, RET_PF_EMULATE, RET_PF_WRITE_PROTECTED] as const;

/** What `tryAsyncPf()` says of a slot that is being deleted or moved. */
const KVM_PFN_RETRY = -4;

/** Address spaces of an x86 machine: that of SMM is one of them. The generation advances by as many. */
const ADDRESS_SPACES = 2;

export abstract class Linux6_19Mmu extends Linux6_19Buses {
  /** Five where the processor can, and has addresses that need them. */
  override get tableLevels(): number {
    const { paging, geometry } = this.options;
    return paging === "ept" && geometry.ept5Levels && geometry.physicalAddressBits > 48 ? 5 : 4;
  }

  override get userMemSlots(): number {
    return 32764;
  }

  override checkMemoryRegion(region: MemoryRegion): void {
    super.checkMemoryRegion(region);
    const limit = (this.kvmMmuMaxGfn + 1) * PAGE;
    if (region.memorySize > 0 && region.guestPhysAddr + region.memorySize > limit) {
      throw new KvmError(
        "EINVAL",
        `guestPhysAddr: 0x${region.guestPhysAddr.toString(16)} and memorySize are not allowed; allowed: below 0x${limit.toString(16)}`,
      );
    }
  }

  override get initialGeneration(): number {
    return 0;
  }

  /** While an update is under way its generation matches none; then it is a new one. */
  override installNewMemslots(slots: readonly Memslot[]): void {
    this.memslotsUpdating = true;
    this.publishMemslots(slots);
    this.synchronizeSrcuExpedited();
    this.memslotsUpdating = false;
    this.memslotsGeneration += ADDRESS_SPACES;
    this.kvmMmuInvalidateMmioSptes();
  }

  override createSpteFormat(): SpteFormat {
    const { geometry, l1tf } = this.options;
    return new SpteFormat(this.spteLayout(), geometry, this.hasAccessedDirty, l1tf);
  }

  override spteLayout(): SpteLayout {
    return spteLayout6_19(this.options.paging, this.options.geometry);
  }

  override kvmMmuPageFault(address: number, errorCode: number): number {
    let result = RET_PF_INVALID;
    if ((errorCode & PFERR_RSVD) !== 0) result = this.handleMmioPageFault(address);
    if (result === RET_PF_INVALID) result = this.pageFault(address, errorCode);
    if (result < 0) return result;
    if (result === RET_PF_WRITE_PROTECTED) return this.kvmMmuWriteProtectFault(address);
    if (result !== RET_PF_EMULATE) return 1;
    return this.x86EmulateInstruction(address, EMULTYPE_PF);
  }

  /** A write to a shadowed table: as `handleExit()`. */
  kvmMmuWriteProtectFault(address: number): number {
    return this.x86EmulateInstruction(address, EMULTYPE_PF | EMULTYPE_RETRY);
  }

  /** One of the RET_PF values, or a negative error number. */
  override pageFault(address: number, errorCode: number): number {
    if (this.tdpEnabled) return this.tdpPageFault(address, errorCode);
    const result = super.pageFault(address, errorCode & ~PFERR_RSVD);
    return result < 0 ? result : OUTCOMES[result];
  }

  override handleMmioPageFault(address: number): number {
    const result = this.handleMmioPageFaultCommon(address);
    if (result === RET_MMIO_PF_EMULATE) return RET_PF_EMULATE;
    return result === RET_MMIO_PF_INVALID ? RET_PF_INVALID : RET_PF_RETRY;
  }

  /** What the vCPU remembers of its own addresses says nothing of those of a guest's guest. */
  override quicklyCheckMmioPf(address: number): boolean {
    return !this.vcpu.guestMode && super.quicklyCheckMmioPf(address);
  }

  override vcpuCacheMmioInfo(gva: number, gfn: number): void {
    if (!this.memslotsUpdating) super.vcpuCacheMmioInfo(gva, gfn);
  }

  /** As `pageFault()`. */
  override tdpPageFault(gpa: number, errorCode: number): number {
    this.counts[KVM.tdpPageFault]++;
    const gfn = Math.floor(gpa / PAGE);
    const write = (errorCode & PFERR_WRITE) !== 0;
    const fast = this.fastPageFaultResult(gpa, errorCode);
    if (fast !== RET_PF_INVALID) return fast;
    const pfn = this.tryAsyncPf(gfn, write);
    const abnormal = this.handleAbnormalPfn(0, gfn, pfn);
    if (abnormal !== null) return abnormal < 0 ? abnormal : OUTCOMES[abnormal];
    this.lockMmu();
    const level = this.hugepageAdjust(gfn, pfn);
    if (this.trace !== null) this.traceSpteRequested(gfn, pfn, level);
    if (this.isAllowed(gfn, level, write)) return RET_PF_SPURIOUS;
    const result = this.directMap(gfn, pfn, level, write);
    return result === RESUME ? RET_PF_FIXED : OUTCOMES[result];
  }

  /** Whether another vCPU has mapped the page meanwhile. */
  private isAllowed(gfn: number, level: number, write: boolean): boolean {
    this.walkShadowPage(gfn);
    const { spteLow, spteHigh, spteLevel, spteFormat } = this;
    const isMapped = spteLevel === level && spteFormat.isPresent(spteLow, spteHigh);
    return isMapped && (!write || spteFormat.isWritable(spteLow));
  }

  override traceSpteRequested(gfn: number, pfn: number, level: number): void {
    this.record({ event: "kvm_mmu_spte_requested", gfn, pfn: traced(pfn), level });
  }

  /** A slot that is being deleted or moved makes the guest wait; MMIO that cannot be marked is emulated at once. */
  override handleAbnormalPfn(gva: number, gfn: number, pfn: number): number | null {
    if (pfn === KVM_PFN_RETRY) return RESUME;
    const abnormal = super.handleAbnormalPfn(gva, gfn, pfn);
    return pfn === KVM_PFN_NOSLOT && !this.cachesMmio(gfn) ? EMULATE : abnormal;
  }

  /** Last guest page that KVM's tables can map. */
  private get kvmMmuMaxGfn(): number {
    const { geometry } = this.options;
    const bits = this.tdpEnabled ? Math.min(geometry.physicalAddressBits, 12 + 9 * this.levels) : 52;
    return 2 ** (bits - 12) - 1;
  }

  /** Whether a page without a slot is marked with an MMIO SPTE. */
  private cachesMmio(gfn: number): boolean {
    return this.options.mmioCaching && this.spteFormat.marksMmio && gfn <= this.kvmMmuMaxGfn;
  }

  /** RET_PF_INVALID: the slow path must answer it. An entry that is gone is such a case here. */
  private fastPageFaultResult(gpa: number, errorCode: number): number {
    if ((errorCode & PFERR_RSVD) !== 0) return RET_PF_INVALID;
    const isPresent = (errorCode & PFERR_PRESENT) !== 0;
    const isWrite = (errorCode & PFERR_WRITE) !== 0;
    if (isPresent ? !isWrite : this.hasAccessedDirty) return RET_PF_INVALID;
    this.counts[KVM.fastPageFault]++;
    return this.answerWithoutLock(gpa, errorCode, isWrite);
  }

  private answerWithoutLock(gpa: number, errorCode: number, isWrite: boolean): number {
    const { spteFormat } = this;
    const gfn = Math.floor(gpa / PAGE);
    this.walkShadowPage(gfn);
    const { spteLow, spteHigh, spteLevel } = this;
    let result = RET_PF_INVALID;
    if (spteFormat.isPresent(spteLow, spteHigh)) {
      const mayBeGiven = spteFormat.isWriteProtectedOnly(spteLow, spteHigh) && spteLevel === 1;
      if (!isWrite || spteFormat.isWritable(spteLow)) result = RET_PF_SPURIOUS;
      else if (mayBeGiven) result = RET_PF_FIXED;
    }
    if (result === RET_PF_FIXED) this.giveBackWriteAccess(gfn);
    if (this.trace !== null) {
      const old = spteValue(spteLow, spteHigh);
      this.traceFastPageFault(gpa, errorCode, old, result === RET_PF_SPURIOUS, result === RET_PF_FIXED);
    }
    return result;
  }

  override tryAsyncPf(gfn: number, write: boolean): number {
    const pfn = super.tryAsyncPf(gfn, write);
    return pfn === KVM_PFN_NOSLOT && this.findMemslot(gfn)?.invalid === true ? KVM_PFN_RETRY : pfn;
  }

  /** Level of the largest mapping that the host's own tables, the slot and the processor allow. */
  private hugepageAdjust(gfn: number, pfn: number): number {
    const slot = this.findMemslot(gfn);
    if (pfn < 0 || slot === undefined || slot.dirtyBitmap !== null) return 1;
    const backing = this.vmaOf(slot, gfn)?.backing;
    return this.allowedLevel(slot, gfn, backing === "1G" ? 3 : backing === "4K" ? 1 : 2);
  }

  override kvmMmuNotifierInvalidateRangeStart(start: number, end: number): boolean {
    if (this.trace !== null) this.record({ event: "kvm_unmap_hva_range", start, end });
    return super.kvmMmuNotifierInvalidateRangeStart(start, end);
  }

  /** Nothing is out of sync, which is seen without the lock. */
  override kvmMmuSyncRoots(): void {
    this.vcpu.mmioGva = 0;
  }

  /** The TDP MMU maps one page a fault. */
  override directPtePrefetch(): void {}

  /** Faults share the lock of the TDP MMU; only shadow paging takes it for itself. */
  override lockMmu(): void {
    if (!this.tdpEnabled) {
      this.writeLockMmu();
      return;
    }
    this.counts[KVM.mmuLockRead]++;
    if (this.take(this.mmuLine)) this.counts[KVM.mmuLockReadContended]++;
  }

  override mmuSetSpte(
    table: number,
    index: number,
    level: number,
    gfn: number,
    pfn: number,
    access: LeafAccess,
    writeFault: boolean,
  ): number {
    const result = super.mmuSetSpte(table, index, level, gfn, pfn, access, writeFault);
    if (this.trace !== null && pfn !== KVM_PFN_NOSLOT) this.traceSetSpte(table, index, level, gfn);
    return result;
  }

  override mmioAccess(_bits: number, { low }: Spte): number {
    return low & 7;
  }

  /** The fault that asked for the access was answered without it: nothing of it is cached. */
  override writeProtected(): void {}

  /** One flush for both, whatever they changed. A read-only slot has nothing to be taken. */
  override logBegins(slot: Memslot): void {
    if (slot.readonly) return;
    this.kvmMmuSlotTrySplitHugePages(slot);
    this.kvmMmuSlotRemoveWriteAccess(slot);
    this.kvmFlushRemoteTlbs();
  }

  /** Large pages take the place of their tables at once, and nothing faults; a shadow's direct pages go. */
  override logEnds(slot: Memslot): void {
    if (slot.readonly) return;
    if (this.tdpEnabled) this.recoverHugePages(slot);
    else this.kvmMmuZapCollapsibleSptes(slot);
  }

  private recoverHugePages(slot: Memslot): void {
    const gfns = new Set<number>();
    this.forEachLeaf(slot, (_table, _index, level, gfn) => {
      if (level === 1) gfns.add(gfn);
    });
    let recovered = false;
    for (const gfn of gfns) {
      this.walkShadowPage(gfn);
      const { spteLevel, spteLow, spteHigh } = this;
      const pfn = entryPfn(spteLow, spteHigh);
      const level = this.hugepageAdjust(gfn, pfn);
      if (level <= spteLevel) continue;
      this.directMap(gfn, pfn, level, false);
      recovered = true;
    }
    if (recovered) this.kvmFlushRemoteTlbs();
  }

  /** Maps what large pages of a slot map with small ones, in the TDP MMU. (From memory: `eager_page_split`.) */
  private kvmMmuSlotTrySplitHugePages(slot: Memslot): void {
    if (!this.tdpEnabled) return;
    const large: (readonly [table: number, index: number, level: number])[] = [];
    this.forEachLeaf(slot, (table, index, level) => {
      if (level > 1) large.push([table, index, level]);
    });
    for (const place of large) this.splitHugePage(...place);
  }

  private splitHugePage(table: number, index: number, level: number): void {
    const { spteFormat, memory } = this;
    const low = memory.low(table, index);
    const pfn = entryPfn(low, memory.high(table, index));
    const writable = spteFormat.isWritable(low);
    const access = { writable, hostWritable: writable, user: true, executable: true, speculative: false };
    const below = this.allocateTable();
    for (let entry = 0; entry < ENTRIES; entry++) {
      const first = pfn + entry * 2 ** (9 * (level - 2));
      this.writeSpte(below, entry, spteFormat.leaf(first, level - 1, access));
    }
    this.writeSpte(table, index, spteFormat.table(below));
    if (level === 2) return;
    for (let entry = 0; entry < ENTRIES; entry++) this.splitHugePage(below, entry, level - 1);
  }

  /** INVEPT alone, which drops combined mappings too; without EPT, INVVPID. */
  override flushTlb(vcpu: Vcpu): void {
    if (!this.tdpEnabled) {
      super.flushTlb(vcpu);
      return;
    }
    this.counts[KVM.tlbFlush]++;
    vcpu.cpu.caches.inveptSingle(this.root);
  }

  override traceZapAll(): void {
    if (this.trace === null) return;
    this.record({
      event: "kvm_mmu_zap_all_fast",
      mmuValidGen: this.mmuValidGen % 2,
      // Those of the TDP MMU are not counted.
      mmuUsedPages: this.tdpEnabled ? 0 : this.usedTables,
    });
  }

  private traceSetSpte(table: number, index: number, level: number, gfn: number): void {
    const spte = this.spteAt(table, index);
    const isEpt = this.options.paging === "ept";
    // The kernel asks for the bits that it would set, and for EPT those of read access stand for user access.
    const user = isEpt ? 1n : 4n;
    this.record({
      event: "kvm_mmu_set_spte",
      gfn,
      spte,
      r: true,
      x: isEpt ? (spte & 4n) !== 0n : spte >> 63n === 0n,
      u: (spte & user) !== 0n ? 1 : 0,
      level,
      sptep: table * PAGE + 8 * index,
    });
  }
}

/** A page frame number as the kernel prints it. */
function traced(pfn: number): number | bigint {
  return pfn < 0 ? 1n << 63n : pfn;
}
