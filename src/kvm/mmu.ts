/**
 * How KVM answers faults on guest-physical addresses: it finds the slot, maps the page, or marks a page without a slot so
 * that the next access to it is known for MMIO at once. Kernel counterpart: arch/x86/kvm/mmu.c of Linux 4.2.
 *
 * Left out: MMU notifiers but for the one that takes pages away (`mmu-notifier.ts`), asynchronous page faults (a page that the
 * host took back is there again at once), and the limit on the number of shadow pages.
 */
import { PAGE } from "../x86/mmu.js";
import { entryIndex, entryPfn } from "../x86/physical-memory.js";
import { ERRNO, KvmError } from "./errno.js";
import { SharedLine } from "./kvm.js";
import type { Memslot } from "./memslots.js";
import { KvmPageTables, PAGES_OF_ENTRY } from "./page-tables.js";
import { KVM } from "./primitives.js";
import { type LeafAccess, leafAccess, type Spte, spteValue } from "./spte.js";

/** SPTEs that one fault may fill, its own among them: an aligned group. */
const PTE_PREFETCH_NUM = 8;

/** Error code of a fault, in the bits of a page-fault error code. */
export const PFERR_PRESENT = 1 << 0;
export const PFERR_WRITE = 1 << 1;
export const PFERR_USER = 1 << 2;
export const PFERR_RSVD = 1 << 3;
export const PFERR_FETCH = 1 << 4;

/** What `tryAsyncPf()` returns in place of a host page frame number. */
export const KVM_PFN_NOSLOT = -1;
export const KVM_PFN_ERR_RO_FAULT = -2;
const KVM_PFN_ERR_FAULT = -3;

/** What a fault ends with: the guest goes on, or the instruction is emulated, in the last case as it writes a shadowed table. */
export const RESUME = 0;
export const EMULATE = 1;
export const EMULATE_WRITE_PROTECTED = 2;

/** What `handleMmioPageFaultCommon()` asks its caller to do. */
const RET_MMIO_PF_RETRY = 0;
export const RET_MMIO_PF_EMULATE = 1;
export const RET_MMIO_PF_INVALID = 2;

/** How an instruction is emulated: as one that faulted, and what may be done in place of it. */
export const EMULTYPE_RETRY = 1 << 0;
export const EMULTYPE_SKIP = 1 << 1;
export const EMULTYPE_NO_DECODE = 1 << 2;
export const EMULTYPE_PF = 1 << 3;

/** What a page may be used for, as far as the guest and not the slot decides. */
type GuestRights = Pick<LeafAccess, "writable" | "user" | "executable">;

const ALL_ACCESS: GuestRights = { writable: true, user: true, executable: true };
const PREFETCHED: LeafAccess = { ...ALL_ACCESS, hostWritable: true, speculative: true };

export abstract class Mmu extends KvmPageTables {
  readonly mmuLine = new SharedLine();

  /** Emulates the instruction that faulted: 1 = resume the guest, 0 = exit to userspace. */
  abstract x86EmulateInstruction(cr2: number, emulationType: number): number;

  /** Handles a fault on an address (guest-physical, or linear without TDP): as `handleExit()`. */
  kvmMmuPageFault(address: number, errorCode: number): number {
    const result = this.pageFault(address, errorCode);
    if (result < 0) return result;
    if (result === RESUME) return 1;
    return this.x86EmulateInstruction(address, this.isMmioPageFault(address) ? 0 : EMULTYPE_RETRY);
  }

  /** RESUME, EMULATE, EMULATE_WRITE_PROTECTED, or a negative error number. */
  pageFault(address: number, errorCode: number): number {
    return this.tdpPageFault(address, errorCode);
  }

  isMmioPageFault(address: number): boolean {
    return this.vcpuMatchMmioGpa(Math.floor(address / PAGE));
  }

  /** Handles a fault on a guest-physical address (bytes): as `pageFault()`. */
  tdpPageFault(gpa: number, errorCode: number): number {
    this.counts[KVM.tdpPageFault]++;
    if ((errorCode & PFERR_RSVD) !== 0) {
      const result = this.handleMmioPageFault(gpa);
      if (result !== RET_MMIO_PF_INVALID) return result;
    }
    const gfn = Math.floor(gpa / PAGE);
    const write = (errorCode & PFERR_WRITE) !== 0;
    const forcePtLevel = this.mappingLevelDirtyBitmap(gfn);
    let level = forcePtLevel ? 1 : this.mappingLevel(gfn);
    if (this.fastPageFault(gpa, level, errorCode)) return RESUME;
    const pfn = this.tryAsyncPf(gfn, write);
    const abnormal = this.handleAbnormalPfn(0, gfn, pfn);
    if (abnormal !== null) return abnormal;
    this.lockMmu();
    if (!forcePtLevel) level = this.transparentHugepageAdjust(gfn, level, pfn);
    return this.directMap(gfn, pfn, level, write);
  }

  /** A fault that is to be answered without the lock: the entry is gone, or allows the write, or may be made to. */
  fastPageFault(gpa: number, mappingLevel: number, errorCode: number): boolean {
    const required = PFERR_PRESENT | PFERR_WRITE;
    if ((errorCode & (required | PFERR_RSVD)) !== required) return false;
    this.counts[KVM.fastPageFault]++;
    const { spteFormat } = this;
    const gfn = Math.floor(gpa / PAGE);
    this.walkShadowPage(gfn);
    const { spteLow: old, spteHigh, spteLevel } = this;
    let answered = false;
    if (!spteFormat.isPresent(old, spteHigh)) {
      answered = true;
    } else if (!this.isLastSpte(mappingLevel, old)) {
      answered = false;
    } else if (spteFormat.isWritable(old)) {
      answered = true;
    } else if (spteLevel === 1 && spteFormat.isWriteProtectedOnly(old, spteHigh)) {
      answered = true;
      this.giveBackWriteAccess(gfn);
    }
    if (this.trace !== null) {
      const spurious = answered && spteFormat.isWritable(old);
      const fixed = answered && spteFormat.isWritable(this.memory.low(this.spteTable, this.spteIndex));
      this.traceFastPageFault(gpa, errorCode, spteValue(old, spteHigh), spurious, fixed);
    }
    return answered;
  }

  /** Whether the entry maps a page, taken for one of the level that the page could be mapped at. */
  isLastSpte(mappingLevel: number, low: number): boolean {
    return this.spteFormat.isLeaf(mappingLevel, low);
  }

  /** The host page frame number behind a guest page, or one of the KVM_PFN values. A write to a read-only slot is seen from the slot alone. */
  tryAsyncPf(gfn: number, write: boolean): number {
    const slot = this.gfnToMemslot(gfn);
    if (slot === undefined || slot.invalid) return KVM_PFN_NOSLOT;
    if (write && slot.readonly) return KVM_PFN_ERR_RO_FAULT;
    return this.hvaToPfn(slot, gfn);
  }

  hvaToPfn(slot: Memslot, gfn: number): number {
    this.counts[KVM.hvaToPfn]++;
    this.host.faultIn(slot.hva(gfn));
    const pfn = this.pfnOf(slot, gfn);
    return pfn >= 0 ? pfn : KVM_PFN_ERR_FAULT;
  }

  /** What a page without memory behind it makes of the fault; null: go on and map it. `gva` is 0 under TDP. */
  handleAbnormalPfn(gva: number, gfn: number, pfn: number): number | null {
    if (pfn === KVM_PFN_NOSLOT) this.vcpuCacheMmioInfo(gva, gfn);
    else if (pfn < 0) return this.kvmHandleBadPage(gfn, pfn);
    return null;
  }

  /** A write to a read-only slot: nothing is mapped or remembered, the instruction is emulated. */
  kvmHandleBadPage(_gfn: number, pfn: number): number {
    return pfn === KVM_PFN_ERR_RO_FAULT ? EMULATE : -ERRNO.EFAULT;
  }

  /** Installs the leaf for a page, and the tables above it: as `pageFault()`. */
  directMap(gfn: number, pfn: number, level: number, write: boolean): number {
    const table = this.tableAbove(gfn, level);
    const index = entryIndex(gfn, level);
    const result = this.mapPage(table, index, level, gfn, pfn, ALL_ACCESS, write);
    if (level === 1) this.directPtePrefetch(table, index, gfn);
    return result;
  }

  /** Writes the leaf for a page, or for the large page around it: as `mmuSetSpte()`. A page without a slot has all rights. */
  mapPage(
    table: number,
    index: number,
    level: number,
    gfn: number,
    pfn: number,
    rights: GuestRights,
    write: boolean,
  ): number {
    const pages = PAGES_OF_ENTRY[level];
    const hostWritable = pfn >= 0 && this.findMemslot(gfn)?.readonly === false;
    const writable = rights.writable && (hostWritable || pfn === KVM_PFN_NOSLOT);
    const access = leafAccess(rights, writable, hostWritable, false);
    const first = pfn < 0 ? pfn : pfn - (pfn % pages);
    return this.mmuSetSpte(table, index, level, gfn - (gfn % pages), first, access, write);
  }

  /** The table whose entry is to map a page at a level, made if it is missing; a large page in its place goes. */
  private tableAbove(gfn: number, leafLevel: number): number {
    let table = this.root;
    for (let level = this.levels; level > leafLevel; level--) {
      this.readSpte(table, entryIndex(gfn, level), level);
      const { spteLow, spteHigh, spteFormat } = this;
      if (spteFormat.isPresent(spteLow, spteHigh) && !spteFormat.isLeaf(level, spteLow)) {
        table = entryPfn(spteLow, spteHigh);
        continue;
      }
      table = this.allocateTable();
      this.linkTable(table);
    }
    return table;
  }

  /**
   * Writes a leaf, and first takes away what it replaces: RESUME, EMULATE or EMULATE_WRITE_PROTECTED.
   *
   * @param pfn host page frame number, or KVM_PFN_NOSLOT for an MMIO SPTE
   */
  mmuSetSpte(
    table: number,
    index: number,
    level: number,
    gfn: number,
    pfn: number,
    access: LeafAccess,
    writeFault: boolean,
  ): number {
    const { spteFormat } = this;
    this.readSpte(table, index, level);
    const { spteLow: old, spteHigh: oldHigh } = this;
    const wasPresent = spteFormat.isPresent(old, oldHigh);
    if (wasPresent) {
      const isTable = !spteFormat.isLeaf(level, old);
      if (isTable) this.dropTable(entryPfn(old, oldHigh), level - 1);
      if (isTable || entryPfn(old, oldHigh) !== pfn) this.dropSpte(table, index);
    }
    if (pfn === KVM_PFN_NOSLOT) {
      this.markMmioSpte(table, index, gfn, access);
      return EMULATE;
    }
    const slot = this.findMemslot(gfn);
    const refused = access.writable && this.mmuNeedWriteProtect(gfn);
    const writable = access.writable && !refused;
    const granted = refused ? leafAccess(access, false, access.hostWritable, access.speculative) : access;
    this.writeSpte(table, index, spteFormat.leaf(pfn, level, granted));
    if (writable && slot !== undefined) this.markPageDirty(slot, gfn);
    if (wasPresent && spteFormat.isWritable(old) && !writable) this.kvmFlushRemoteTlbs();
    if (!refused) return RESUME;
    this.writeProtected();
    return writeFault ? EMULATE_WRITE_PROTECTED : RESUME;
  }

  /** A page was mapped without the write access that was asked for: what the processor had cached of it must go. */
  writeProtected(): void {
    this.flushTlb(this.vcpu);
  }

  /** Marks a page without a slot, so that an access to it is an MMIO fault. */
  markMmioSpte(table: number, index: number, gfn: number, access: LeafAccess): void {
    const bits = (access.writable ? 0b010 : 0) | (access.user ? 0b100 : 0);
    const spte = this.spteFormat.mmio(gfn, this.memslotsGeneration, bits);
    this.writeSpte(table, index, spte);
    if (this.trace !== null)
      this.record({
        event: "mark_mmio_spte",
        sptep: this.spteAddress(table, index),
        gfn,
        access: this.mmioAccess(bits, spte),
        gen: this.spteFormat.truncated(this.memslotsGeneration),
      });
  }

  /** Makes a page writable that holds a paging structure of the guest's. Returns whether it was not. */
  kvmMmuUnprotectPage(_gfn: number): boolean {
    return false;
  }

  /** Access bits as the event of an MMIO SPTE shows them. */
  mmioAccess(bits: number, _spte: Spte): number {
    return bits;
  }

  /** Whether a page may not be writable because it holds a paging structure of the guest that is shadowed. */
  mmuNeedWriteProtect(_gfn: number): boolean {
    return false;
  }

  /**
   * Fills entries beside a new one whose pages lie in one slot, where accessed flags can tell later that nobody used them.
   * Only a run of missing entries that ends before a present one or the new one is filled, so the group's last run never is.
   */
  directPtePrefetch(table: number, index: number, gfn: number): void {
    if (!this.hasAccessedDirty) return;
    const { memory, spteFormat } = this;
    const first = index - (index % PTE_PREFETCH_NUM);
    const frame = this.frameOf(table, 1);
    let start = -1;
    for (let at = first; at < first + PTE_PREFETCH_NUM; at++) {
      const word = frame + 2 * at;
      if (at === index || spteFormat.isPresent(memory.words[word], memory.words[word + 1])) {
        if (start < 0) continue;
        if (!this.directPtePrefetchMany(table, start, at, gfn - index)) return;
        start = -1;
      } else if (start < 0) {
        start = at;
      }
    }
  }

  /**
   * Fills the entries from `start` to before `end`, or to the first page that the host would have to bring back; `base` is the
   * page of the table's first. False where no one slot is, or nothing was filled.
   */
  private directPtePrefetchMany(table: number, start: number, end: number, base: number): boolean {
    const slot = this.gfnToMemslot(base + start);
    if (slot === undefined || slot.invalid || slot.readonly || slot.dirtyBitmap !== null) return false;
    if (base + end > slot.baseGfn + slot.npages) return false;
    for (let at = start; at < end; at++) {
      if (!this.host.isResident(slot.hva(base + at))) return at > start;
      const pfn = this.hvaToPfn(slot, base + at);
      if (pfn < 0) return false;
      this.mmuSetSpte(table, at, 1, base + at, pfn, PREFETCHED, false);
    }
    return true;
  }

  /** As `handleMmioPageFaultCommon()`, for a fault that the processor says comes from reserved bits. */
  handleMmioPageFault(address: number): number {
    return this.handleMmioPageFaultCommon(address);
  }

  /** Decides what an MMIO fault means: emulate, fault again as a read (stale), or retry (no MMIO SPTE any more). */
  handleMmioPageFaultCommon(address: number): number {
    return this.quicklyCheckMmioPf(address) ? RET_MMIO_PF_EMULATE : this.walkForMmioSpte(address);
  }

  /** The same where the vCPU does not remember the address: by what KVM's tables have for it. */
  private walkForMmioSpte(address: number): number {
    this.counts[KVM.mmioSpteWalk]++;
    this.walkShadowPage(Math.floor(address / PAGE));
    const { spteFormat, spteLow, spteHigh } = this;
    if (!spteFormat.isMmio(spteLow, spteHigh)) return RET_MMIO_PF_RETRY;
    if (!this.checkMmioSpte(spteLow, spteHigh)) return RET_MMIO_PF_INVALID;
    const gfn = spteFormat.gfnOf(spteLow, spteHigh);
    if (this.trace !== null)
      this.record({
        event: "handle_mmio_page_fault",
        addr: this.tdpEnabled ? 0 : address,
        gfn,
        access: spteFormat.mmioAccessOf(spteLow),
      });
    this.vcpuCacheMmioInfo(this.tdpEnabled ? 0 : address, gfn);
    return RET_MMIO_PF_EMULATE;
  }

  /** Whether the vCPU itself remembers the address as MMIO. */
  quicklyCheckMmioPf(address: number): boolean {
    return this.vcpuMatchMmioGpa(Math.floor(address / PAGE));
  }

  /** Whether an MMIO SPTE was made under the current generation. */
  checkMmioSpte(low: number, high: number): boolean {
    const { spteFormat } = this;
    const kvmGen = spteFormat.truncated(this.memslotsGeneration);
    const spteGen = spteFormat.generationOf(low, high);
    if (this.memslotsUpdating) return false;
    if (this.trace !== null)
      this.record({ event: "check_mmio_spte", spte: spteValue(low, high), kvmGen, spteGen });
    return kvmGen === spteGen;
  }

  /** Whether the vCPU's one-entry cache knows the page as MMIO. Page 0 is never cached. */
  vcpuMatchMmioGpa(gfn: number): boolean {
    this.counts[KVM.vcpuMatchMmioGpa]++;
    const { mmioGfn } = this.vcpu;
    return mmioGfn !== 0 && mmioGfn === gfn && this.vcpuMatchMmioGen();
  }

  /** The same by linear page, which under TDP is never remembered. */
  vcpuMatchMmioGva(gva: number): boolean {
    const { mmioGva } = this.vcpu;
    return mmioGva !== 0 && mmioGva === gva - (gva % PAGE) && this.vcpuMatchMmioGen();
  }

  /** Whether what the vCPU remembers is of this time: nothing tells. */
  vcpuMatchMmioGen(): boolean {
    return true;
  }

  /** @param gva linear address in bytes, 0 under TDP */
  vcpuCacheMmioInfo(gva: number, gfn: number): void {
    const { vcpu } = this;
    vcpu.mmioGva = gva - (gva % PAGE);
    vcpu.mmioGfn = gfn;
    vcpu.mmioGeneration = this.memslotsGeneration;
  }

  /** Whether the page must be mapped with 4 Kbyte: no slot, or one whose writes are logged. */
  mappingLevelDirtyBitmap(gfn: number): boolean {
    const slot = this.gfnToMemslot(gfn);
    return slot === undefined || slot.invalid || slot.dirtyBitmap !== null;
  }

  /** Level of the largest mapping that the host's hugetlbfs pages, the slot and the processor allow. */
  mappingLevel(gfn: number): number {
    const slot = this.gfnToMemslot(gfn);
    if (slot === undefined) return 1;
    const backing = this.vmaOf(slot, gfn)?.backing;
    const host = backing === "1G" ? 3 : backing === "2M" ? 2 : 1;
    return this.allowedLevel(slot, gfn, host);
  }

  allowedLevel(slot: Memslot, gfn: number, host: number): number {
    let level = Math.min(host, this.largestLevel);
    while (level > 1 && slot.disallowsLargePage(gfn, level)) level--;
    return level;
  }

  private get largestLevel(): number {
    const { paging, geometry } = this.options;
    if (paging === "ept") return geometry.ept1GPages ? 3 : geometry.ept2MPages ? 2 : 1;
    return geometry.guest1GPages ? 3 : 2;
  }

  /** 2 where a transparent huge page is behind a page that was to be mapped with 4 Kbyte. */
  transparentHugepageAdjust(gfn: number, level: number, pfn: number): number {
    if (level !== 1 || pfn < 0) return level;
    const slot = this.findMemslot(gfn);
    if (slot === undefined || this.vmaOf(slot, gfn)?.backing !== "thp") return level;
    return this.allowedLevel(slot, gfn, 2);
  }

  /** Takes the lock of KVM's tables for a fault. */
  lockMmu(): void {
    this.writeLockMmu();
  }

  /** Takes it to be alone with the tables. */
  writeLockMmu(): void {
    this.counts[KVM.mmuLock]++;
    if (this.take(this.mmuLine)) this.counts[KVM.mmuLockContended]++;
  }

  /** Gives write access back to the entry that `walkShadowPage()` found. */
  giveBackWriteAccess(gfn: number): void {
    this.writeSpte(this.spteTable, this.spteIndex, this.spteFormat.writable(this.spteLow, this.spteHigh));
    const slot = this.findMemslot(gfn);
    if (slot === undefined) throw new KvmError("EFAULT", `page ${gfn} is mapped and has no slot`);
    this.markPageDirty(slot, gfn);
  }

  traceFastPageFault(
    gpa: number,
    errorCode: number,
    oldSpte: bigint,
    spurious: boolean,
    fixed: boolean,
  ): void {
    const { spteTable: table, spteIndex: index } = this;
    this.record({
      event: "fast_page_fault",
      vcpuId: this.vcpu.id,
      cr2OrGpa: gpa,
      errorCode,
      sptep: this.spteAddress(table, index),
      oldSpte,
      newSpte: this.spteAt(table, index),
      spurious,
      fixed,
    });
  }
}
