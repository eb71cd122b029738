/**
 * Shadow paging: without EPT or nested page tables the processor walks tables that KVM makes from the guest's, from linear
 * to host-physical addresses. Page faults exit to KVM, which walks the guest's tables in software, and pages that hold such
 * tables are write-protected. MMIO is known by reserved bits here too, but the exit is a page fault, and the fast MMIO bus
 * is never asked. Kernel counterpart: arch/x86/kvm/paging_tmpl.h of Linux 4.2.
 *
 * A shadow page stands for one table of the guest, or for a part of a large page that is mapped with smaller ones. Its
 * entries hold the rights of all levels together. A table is written rarely here, so each such write drops the entry
 * that was made from it at once (the kernel may let it be out of sync until the guest flushes).
 *
 * Left out: prefetch of what else a table of the guest maps, the end of a shadow page whose table is written again and again,
 * small pages in place of a large one in which the guest changes the tables that map it, and that v6.19 sees a write to a
 * shadowed table before it looks for the page.
 */
import { PAGE } from "../x86/mmu.js";
import { ENTRIES, ENTRY_BYTES, entryIndex, entryPfn } from "../x86/physical-memory.js";
import { ALL_RIGHTS, KvmGuestWalk } from "./guest-walk.js";
import type { GfnRange, Memslot } from "./memslots.js";
import { PFERR_FETCH, PFERR_RSVD, PFERR_WRITE, RET_MMIO_PF_INVALID } from "./mmu.js";
import { KVM } from "./primitives.js";
import type { Vcpu } from "./vcpu.js";

/** Small pages in the largest that an entry maps. */
const LARGEST_PAGE = 2 ** 18;

/** Kernel counterpart: `struct kvm_mmu_page`. */
interface ShadowPage {
  /** Host page frame number of the table. */
  readonly table: number;
  /** Guest page frame number of the table that it stands for, or of the part of a large page. */
  readonly gfn: number;
  readonly level: number;
  /** Stands for a part of a large page, in which there is no table to protect. */
  readonly direct: boolean;
}

export abstract class ShadowMmu extends KvmGuestWalk {
  private readonly shadowPages = new Map<string, ShadowPage>();
  private readonly directTables = new Set<number>();
  /** By guest page frame number, how many shadow pages stand for a table in it. */
  private readonly shadowed = new Map<number, number>();
  /** By guest page frame number of its first page, the entries that mapped a page once: 512 x table + index, and their level. */
  private readonly rmap = new Map<number, Map<number, number>>();

  /** MOV to CR3 of a vCPU, to a root of the guest's (bytes). */
  loadGuestCr3(vcpu: Vcpu, cr3: number): void {
    vcpu.guestCr3 = cr3;
    if (this.tdpEnabled) vcpu.cpu.writeCr3(cr3);
    else this.mmuLoad(vcpu);
  }

  /**
   * Emulates MOV to CR3 of the root that is loaded already, which is what the guest's instruction does: it asks for a TLB
   * without what the guest has changed in its tables since.
   */
  kvmSetCr3(): void {
    this.counts[KVM.setCr3]++;
    this.kvmMmuSyncRoots();
    this.flushTlb(this.vcpu);
  }

  /** Brings the shadow in line with the guest's tables, which it always is; the linear address of MMIO is forgotten. */
  kvmMmuSyncRoots(): void {
    this.lockMmu();
    this.vcpu.mmioGva = 0;
  }

  /** Gives a vCPU the shadow of its guest's root. */
  mmuLoad(vcpu: Vcpu): void {
    vcpu.mmuReload = false;
    vcpu.mmioGva = 0;
    vcpu.shadowRoot = this.getShadowPage(
      Math.floor(vcpu.guestCr3 / PAGE),
      this.levels,
      false,
      ALL_RIGHTS,
    ).table;
    vcpu.cpu.writeCr3(vcpu.shadowRoot * PAGE);
  }

  override get rootTable(): number {
    return this.tdpEnabled ? super.rootTable : this.vcpu.shadowRoot;
  }

  override pageFault(address: number, errorCode: number): number {
    return this.tdpEnabled ? super.pageFault(address, errorCode) : this.pagingPageFault(address, errorCode);
  }

  override isMmioPageFault(address: number): boolean {
    return this.tdpEnabled ? super.isMmioPageFault(address) : this.vcpuMatchMmioGva(address);
  }

  override quicklyCheckMmioPf(address: number): boolean {
    return this.tdpEnabled ? super.quicklyCheckMmioPf(address) : this.vcpuMatchMmioGva(address);
  }

  /** Handles a page fault at a linear address (bytes): as `pageFault()`. */
  pagingPageFault(gva: number, errorCode: number): number {
    this.counts[KVM.shadowPageFault]++;
    if ((errorCode & PFERR_RSVD) !== 0) {
      const result = this.handleMmioPageFault(gva);
      if (result !== RET_MMIO_PF_INVALID) return result;
    }
    const page = Math.floor(gva / PAGE);
    const write = (errorCode & PFERR_WRITE) !== 0;
    const kind = this.kindOf(write, (errorCode & PFERR_FETCH) !== 0);
    const { guestWalk } = this;
    if (!this.walkAddr(page, kind)) return this.injectPageFault(gva, guestWalk.errorCode);
    const { gfn } = guestWalk;
    const forced = guestWalk.level === 1 || this.mappingLevelDirtyBitmap(gfn);
    let level = forced ? 1 : Math.min(guestWalk.level, this.mappingLevel(gfn));
    const pfn = this.tryAsyncPf(gfn, write);
    const abnormal = this.handleAbnormalPfn(gva, gfn, pfn);
    if (abnormal !== null) return abnormal;
    this.lockMmu();
    if (!forced) level = this.transparentHugepageAdjust(gfn, level, pfn);
    this.shadowTables();
    const slot = this.findMemslot(gfn);
    if (slot !== undefined) level = this.allowedLevel(slot, gfn, level);
    if (this.trace !== null) this.traceSpteRequested(gfn, pfn, level);
    return this.fetch(page, pfn, level, write);
  }

  /** Shadows the tables of the last walk, which keeps large pages from holding them. */
  private shadowTables(): void {
    const { tables, rights, level } = this.guestWalk;
    for (let above = this.levels - 1; above >= level; above--) {
      this.getShadowPage(tables[above], above, false, rights[above]);
    }
  }

  /** Installs the leaf for a linear page after `walkAddr()`, and the tables above it: as `pageFault()`. */
  private fetch(page: number, pfn: number, leafLevel: number, write: boolean): number {
    const { guestWalk, vcpu } = this;
    let table = vcpu.shadowRoot;
    for (let level = this.levels; level > leafLevel; level--) {
      const hasTable = level - 1 >= guestWalk.level;
      const span = 2 ** (9 * (level - 1));
      const gfn = hasTable ? guestWalk.tables[level - 1] : guestWalk.gfn - (guestWalk.gfn % span);
      const rights = guestWalk.rights[hasTable ? level - 1 : 0];
      const next = this.getShadowPage(gfn, level - 1, !hasTable, rights).table;
      this.readSpte(table, entryIndex(page, level), level);
      if (!this.references(level, next)) this.linkTable(next);
      table = next;
    }
    const index = entryIndex(page, leafLevel);
    const { gfn, user, executable } = guestWalk;
    // A page whose dirty flag is clear must fault once more for its first write.
    const rights = { writable: guestWalk.writable && guestWalk.dirty, user, executable };
    const result = this.mapPage(table, index, leafLevel, gfn, pfn, rights, write);
    if (pfn >= 0) this.remember(gfn - (gfn % 2 ** (9 * (leafLevel - 1))), table, index, leafLevel);
    return result;
  }

  /** Whether the entry that was read last, at a level, references a table. */
  private references(level: number, table: number): boolean {
    const { spteLow, spteHigh, spteFormat } = this;
    const isTable = spteFormat.isPresent(spteLow, spteHigh) && !spteFormat.isLeaf(level, spteLow);
    return isTable && entryPfn(spteLow, spteHigh) === table;
  }

  /** @param rights what the entries above allow, or for a part of a large page all entries */
  private getShadowPage(gfn: number, level: number, direct: boolean, rights: number): ShadowPage {
    const key = `${gfn} ${level} ${direct} ${rights}`;
    const known = this.shadowPages.get(key);
    if (known !== undefined) return known;
    const page = { table: this.allocateTable(), gfn, level, direct };
    this.shadowPages.set(key, page);
    if (direct) {
      this.directTables.add(page.table);
    } else {
      this.account(page, 1);
      if (this.rmapWriteProtect(gfn, true)) this.kvmFlushRemoteTlbs();
    }
    return page;
  }

  private account({ gfn }: ShadowPage, change: 1 | -1): void {
    const count = (this.shadowed.get(gfn) ?? 0) + change;
    if (count === 0) this.shadowed.delete(gfn);
    else this.shadowed.set(gfn, count);
    this.findMemslot(gfn)?.accountShadowed(gfn, change);
  }

  /** Which slots hold shadowed tables is counted anew. */
  override publishMemslots(slots: readonly Memslot[]): void {
    super.publishMemslots(slots);
    for (const slot of slots) slot.forgetShadowed();
    for (const [gfn, count] of this.shadowed) this.findMemslot(gfn)?.accountShadowed(gfn, count);
  }

  override mmuNeedWriteProtect(gfn: number): boolean {
    return this.shadowed.has(gfn);
  }

  /**
   * What an emulated write to guest memory does to the shadow of a table there: the entry goes, or the whole shadow page if
   * the write is not one of an entry, nor of its lowest byte.
   */
  kvmMmuPteWrite(gpa: number, bytes: number): void {
    if (this.shadowed.size === 0) return;
    this.lockMmu();
    const gfn = Math.floor(gpa / PAGE);
    if (!this.shadowed.has(gfn)) return;
    const offset = gpa % ENTRY_BYTES;
    const isEntry = offset + bytes <= ENTRY_BYTES && (bytes >= 4 || (bytes === 1 && offset === 0));
    if (!isEntry) {
      this.kvmMmuUnprotectPage(gfn);
      return;
    }
    let present = false;
    const index = Math.floor((gpa % PAGE) / ENTRY_BYTES);
    for (const page of this.shadowPages.values()) {
      if (page.direct || page.gfn !== gfn) continue;
      this.readSpte(page.table, index, page.level);
      present ||= this.spteFormat.isPresent(this.spteLow, this.spteHigh);
      this.writeSpte(page.table, index, this.spteFormat.nonPresent);
    }
    if (present) this.kvmFlushRemoteTlbs();
    else this.writeProtected();
  }

  /** Drops the shadow of a guest page's tables, so that the page may be written. Returns whether there was any. */
  override kvmMmuUnprotectPage(gfn: number): boolean {
    const pages = [...this.shadowPages].filter(([, page]) => !page.direct && page.gfn === gfn);
    for (const [key, page] of pages) {
      for (const above of this.shadowPages.values()) {
        if (above.level === page.level + 1) this.unlink(above, page.table);
      }
      this.shadowPages.delete(key);
      this.account(page, -1);
      this.freeTable(page.table);
    }
    if (pages.length === 0) return false;
    this.kvmFlushRemoteTlbs();
    for (const vcpu of this.vcpus) {
      if (pages.some(([, { table }]) => table === vcpu.shadowRoot)) vcpu.mmuReload = true;
    }
    return true;
  }

  private unlink({ table, level }: ShadowPage, child: number): void {
    for (let index = 0; index < ENTRIES; index++) {
      this.readSpte(table, index, level);
      if (this.references(level, child)) this.writeSpte(table, index, this.spteFormat.nonPresent);
    }
  }

  private remember(gfn: number, table: number, index: number, level: number): void {
    const entries = this.rmap.get(gfn) ?? new Map<number, number>();
    this.rmap.set(gfn, entries.set(table * ENTRIES + index, level));
  }

  /** Calls with each entry that still maps a page by a leaf; its words are in `spteLow`, `spteHigh`. */
  private forEachRmap(gfn: number, visit: (table: number, index: number, level: number) => void): void {
    for (const [place, level] of this.rmap.get(gfn) ?? []) {
      const table = Math.floor(place / ENTRIES);
      const index = place % ENTRIES;
      this.readSpte(table, index, level);
      const { spteLow, spteHigh, spteFormat } = this;
      if (!spteFormat.isPresent(spteLow, spteHigh) || !spteFormat.isLeaf(level, spteLow)) continue;
      if (entryPfn(spteLow, spteHigh) === this.guestFrame(gfn)) visit(table, index, level);
    }
  }

  override isDirect(table: number): boolean {
    return this.tdpEnabled || this.directTables.has(table);
  }

  /** A table that a leaf replaces stays the shadow of the guest's. */
  override dropTable(table: number, level: number): void {
    if (this.tdpEnabled) super.dropTable(table, level);
  }

  /** Takes write access from all that maps a guest page, alone or in a large page. Returns whether any had it. */
  private rmapWriteProtect(gfn: number, forGood: boolean): boolean {
    let changed = false;
    const firsts = new Set([gfn, gfn - (gfn % 2 ** 9), gfn - (gfn % 2 ** 18)]);
    for (const first of firsts) {
      this.forEachRmap(first, (table, index, level) => {
        const { spteLow, spteFormat } = this;
        if (first + 2 ** (9 * (level - 1)) <= gfn || !spteFormat.isWritable(spteLow)) return;
        this.protectLeaf(table, index, level, forGood);
        changed = true;
      });
    }
    return changed;
  }

  override kvmMmuWriteProtect(slot: Memslot, gfn: number): void {
    if (this.tdpEnabled) super.kvmMmuWriteProtect(slot, gfn);
    else this.rmapWriteProtect(gfn, false);
  }

  override forEachLeaf(
    range: GfnRange,
    visit: (table: number, index: number, level: number, gfn: number) => void,
  ): void {
    if (this.tdpEnabled) {
      super.forEachLeaf(range, visit);
      return;
    }
    const { baseGfn, npages } = range;
    for (const gfn of this.rmap.keys()) {
      if (gfn + LARGEST_PAGE <= baseGfn || gfn >= baseGfn + npages) continue;
      this.forEachRmap(gfn, (table, index, level) => {
        if (gfn + 2 ** (9 * (level - 1)) > baseGfn) visit(table, index, level, gfn);
      });
    }
  }

  override kvmMmuInvalidateZapAllPages(): void {
    super.kvmMmuInvalidateZapAllPages();
    if (this.tdpEnabled) return;
    for (const page of this.shadowPages.values()) {
      if (!page.direct) this.account(page, -1);
      this.freeTable(page.table);
    }
    this.shadowPages.clear();
    this.directTables.clear();
    this.rmap.clear();
    for (const vcpu of this.vcpus) vcpu.mmuReload = vcpu.shadowRoot !== 0;
  }
}
