/**
 * Everything a processor remembers of translations, and what each event makes it forget: linear and combined mappings
 * (TLBs, paging-structure caches) and guest-physical mappings (the nested TLB and paging-structure caches of the EPT).
 * Specified in the Intel SDM, volume 3A "Caching translation information" and volume 3C "Caching translation
 * information" and "Operations that invalidate cached mappings".
 *
 * Where the manual lets a processor drop more than it must, the model drops what it must; exceptions are named.
 */
import { type AddressSpace, AddressSpaces, GLOBAL, isSelected, NO_EPT } from "./address-spaces.js";
import type { CpuGeometry } from "./cpu.js";
import { shiftedHigh, shiftedLow } from "./page-number.js";
import { ABSENT, SetAssociative } from "./set-associative.js";
import { Tlb } from "./tlb.js";

/** What is stored with an entry: page frame number (two), what its owner says with it, and where the frame's words are. */
const PFN_LOW = 0;
const PFN_HIGH = 1;
const VALUE = 2;
const FRAME = 3;
const STORED = 4;

/**
 * The paging-structure caches of the guest's structures or of the EPT's: what leads to the table at a level, so that a walk
 * can start there. Indexed by that level: 1 = cached PDEs, 2 = PDPTEs, 3 = PML4Es, 4 = PML5Es. Page numbers are two
 * integers, as in page-number.ts.
 */
export class PagingStructureCaches {
  private tag = 0;
  private shifts: Int32Array = new Int32Array(0);
  private levels = 0;
  private readonly stores: readonly (SetAssociative | null)[];
  /** That of the level that most lookups end at, and what takes a page number to its keys. Its entries are stored first. */
  private readonly pdeCache: SetAssociative | null;
  private pdeShift = 0;
  /** What is stored with the entries of all levels, and where those of each begin. */
  private readonly stored: Int32Array;
  private readonly starts: readonly number[];
  /** Where it is for the entry that the last successful lookup found. */
  private at = 0;

  constructor(geometry: CpuGeometry) {
    const { pdeCache, pdpteCache, pml4eCache, pml5eCache, tlbReplacement } = geometry;
    const levels = [null, pdeCache, pdpteCache, pml4eCache, pml5eCache];
    this.stores = levels.map((one) => (one === null ? null : new SetAssociative(one, 0, tlbReplacement)));
    this.pdeCache = this.stores[1];
    let end = 0;
    this.starts = levels.map((one) => {
      const start = end;
      end += STORED * (one?.entries ?? 0);
      return start;
    });
    this.stored = new Int32Array(end);
  }

  /** Makes the entries of an address space the current ones. */
  enter(tag: number): void {
    this.tag = tag;
  }

  /** Says what the structures look like from now on: by level the shifts of their entries, and how many levels there are. */
  describe(shifts: Int32Array, levels: number): void {
    this.shifts = shifts;
    this.levels = levels;
    this.pdeShift = shifts[2];
  }

  /** The level of the table nearest to the leaf that is cached for a page, or 0. */
  lookup(low: number, high: number): number {
    const { pdeCache, pdeShift } = this;
    if (pdeCache !== null) {
      const keyHigh = this.tag | (high >>> pdeShift);
      const slot = pdeCache.lookup((low >>> pdeShift) | (high << (32 - pdeShift)), keyHigh, keyHigh);
      if (slot !== ABSENT) {
        this.at = STORED * slot;
        return 1;
      }
    }
    return this.lookupAbove(low, high);
  }

  private lookupAbove(low: number, high: number): number {
    for (let level = 2; level < this.levels; level++) {
      const store = this.stores[level];
      if (store === null) continue;
      const shift = this.shifts[level + 1];
      const keyHigh = this.tag | shiftedHigh(high, shift);
      const slot = store.lookup(shiftedLow(low, high, shift), keyHigh, keyHigh);
      if (slot === ABSENT) continue;
      this.at = this.starts[level] + STORED * slot;
      return level;
    }
    return 0;
  }

  /** What the last successful lookup found: page frame number of the table, and what was stored with it. */
  get pfnLow(): number {
    return this.stored[this.at + PFN_LOW];
  }

  get pfnHigh(): number {
    return this.stored[this.at + PFN_HIGH];
  }

  get value(): number {
    return this.stored[this.at + VALUE];
  }

  /** The table's place in `PhysicalMemory.words`; 0 if nothing was written to it yet when it was cached. */
  get frame(): number {
    return this.stored[this.at + FRAME];
  }

  /** Caches what leads to the table at a level, which was not cached. */
  insert(
    level: number,
    low: number,
    high: number,
    pfnLow: number,
    pfnHigh: number,
    value: number,
    frame: number,
  ): void {
    const store = this.stores[level];
    if (store === null) return;
    const shift = this.shifts[level + 1];
    const slot = store.insert(shiftedLow(low, high, shift), this.tag | shiftedHigh(high, shift));
    const { stored } = this;
    const at = this.starts[level] + STORED * slot;
    stored[at + PFN_LOW] = pfnLow;
    stored[at + PFN_HIGH] = pfnHigh;
    stored[at + VALUE] = value;
    stored[at + FRAME] = frame;
  }

  /** Drops every entry that would be used to translate this page. */
  invalidate(low: number, high: number): void {
    for (let level = 1; level < this.levels; level++) {
      const shift = this.shifts[level + 1];
      this.stores[level]?.remove(shiftedLow(low, high, shift), this.tag | shiftedHigh(high, shift));
    }
  }

  invalidateSpaces(selected: Uint8Array): void {
    for (const store of this.stores) store?.removeWhere((_, high) => isSelected(selected, high));
  }

  clear(): void {
    for (const store of this.stores) store?.clear();
  }
}

/** Guest-physical translations, one per 4-Kbyte page; of a larger EPT page, the part that was used. */
export class NestedTlb {
  /** What the last successful lookup found: host page frame number, and what was stored with it. */
  pfnLow = 0;
  pfnHigh = 0;
  value = 0;
  private tag = 0;
  private readonly store: SetAssociative | null;

  constructor({ nestedTlb, tlbReplacement }: CpuGeometry) {
    this.store = nestedTlb === null ? null : new SetAssociative(nestedTlb, STORED, tlbReplacement);
  }

  /** Makes the mappings of an EPT the current ones. */
  enter(tag: number): void {
    this.tag = tag;
  }

  lookup(gfnLow: number, gfnHigh: number): boolean {
    const { store } = this;
    if (store === null) return false;
    const keyHigh = this.tag | gfnHigh;
    const slot = store.lookup(gfnLow, keyHigh, keyHigh);
    if (slot === ABSENT) return false;
    const { cells } = store;
    const at = store.at(slot);
    this.pfnLow = cells[at + PFN_LOW];
    this.pfnHigh = cells[at + PFN_HIGH];
    this.value = cells[at + VALUE];
    return true;
  }

  /** Caches a translation that was not. */
  insert(gfnLow: number, gfnHigh: number, pfnLow: number, pfnHigh: number, value: number): void {
    const { store } = this;
    if (store === null) return;
    const at = store.at(store.insert(gfnLow, this.tag | gfnHigh));
    const { cells } = store;
    cells[at + PFN_LOW] = pfnLow;
    cells[at + PFN_HIGH] = pfnHigh;
    cells[at + VALUE] = value;
  }

  invalidate(gfnLow: number, gfnHigh: number): void {
    this.store?.remove(gfnLow, this.tag | gfnHigh);
  }

  invalidateSpaces(selected: Uint8Array): void {
    this.store?.removeWhere((_, high) => isSelected(selected, high));
  }

  clear(): void {
    this.store?.clear();
  }
}

export class TranslationCaches {
  readonly tlb: Tlb;
  /** Of the guest's paging structures. */
  readonly pagingStructures: PagingStructureCaches;
  readonly nestedTlb: NestedTlb;
  /** Of the EPT. */
  readonly eptStructures: PagingStructureCaches;

  private readonly spaces = new AddressSpaces();
  private vpid = 0;
  private pcid = 0;

  constructor(geometry: CpuGeometry) {
    this.tlb = new Tlb(geometry);
    this.pagingStructures = new PagingStructureCaches(geometry);
    this.nestedTlb = new NestedTlb(geometry);
    this.eptStructures = new PagingStructureCaches(geometry);
    this.enter(0, 0, NO_EPT);
  }

  /** Makes an address space the current one. Nothing is dropped, but for everything once tags run out, after 32,000 spaces. */
  enter(vpid: number, pcid: number, ep4ta: number): void {
    if (this.spaces.isFull) {
      this.spaces.reset();
      this.clear();
    }
    this.vpid = vpid;
    this.pcid = pcid;
    const tag = this.spaces.tag(vpid, pcid, ep4ta);
    this.tlb.enter(tag, this.spaces.tag(vpid, GLOBAL, ep4ta));
    this.pagingStructures.enter(tag);
    const guestPhysicalTag = this.spaces.guestPhysicalTag(ep4ta);
    this.nestedTlb.enter(guestPhysicalTag);
    this.eptStructures.enter(guestPhysicalTag);
  }

  /** Drops everything. */
  clear(): void {
    this.tlb.clear();
    this.pagingStructures.clear();
    this.nestedTlb.clear();
    this.eptStructures.clear();
  }

  /** INVLPG: the page, global or of the current PCID, and all paging-structure caches of the current PCID; any EP4TA. */
  invlpg(page: number): void {
    const { vpid, pcid } = this;
    this.dropPage(page, (space) => space.vpid === vpid && (space.pcid === pcid || space.pcid === GLOBAL));
  }

  /** INVPCID of individual-address type: the page for one PCID, but no global translation. */
  invpcidAddress(pcid: number, page: number): void {
    const { vpid } = this;
    this.dropPage(page, (space) => space.vpid === vpid && space.pcid === pcid);
  }

  /** INVPCID of single-context type, and MOV to CR3: one PCID, but no global translation. */
  invpcidSingle(pcid: number): void {
    const { vpid } = this;
    this.drop((space) => space.vpid === vpid && space.pcid === pcid);
  }

  /** INVPCID of all-context type, and MOV to CR4 that changes PGE: all PCIDs, with global translations. */
  invpcidAll(): void {
    const { vpid } = this;
    this.drop((space) => space.vpid === vpid);
  }

  /** INVPCID of all-context type retaining global translations. */
  invpcidAllRetainingGlobals(): void {
    const { vpid } = this;
    this.drop((space) => space.vpid === vpid && space.pcid !== GLOBAL);
  }

  /** INVVPID of individual-address type: the page for one VPID, any PCID and EP4TA. */
  invvpidAddress(vpid: number, page: number): void {
    this.dropPage(page, (space) => space.vpid === vpid);
  }

  /** INVVPID of single-context type, and a VM entry or exit without VPID (`vpid` 0): any PCID and EP4TA. */
  invvpidSingle(vpid: number): void {
    this.drop((space) => space.vpid === vpid);
  }

  /** INVVPID of all-context type: every VPID but 0. */
  invvpidAll(): void {
    this.drop((space) => space.vpid > 0);
  }

  /** INVVPID of single-context type retaining global translations. */
  invvpidSingleRetainingGlobals(vpid: number): void {
    this.drop((space) => space.vpid === vpid && space.pcid !== GLOBAL);
  }

  /** INVEPT of single-context type: combined and guest-physical mappings of one EP4TA. */
  inveptSingle(ep4ta: number): void {
    this.dropWithGuestPhysical((space) => space.ep4ta === ep4ta);
  }

  /** INVEPT of all-context type: combined and guest-physical mappings. */
  inveptAll(): void {
    this.dropWithGuestPhysical((space) => space.ep4ta !== NO_EPT);
  }

  /** Returns what it selected. */
  private drop(matches: (space: AddressSpace) => boolean): Uint8Array {
    const selected = this.spaces.select(matches);
    this.tlb.invalidateSpaces(selected);
    this.pagingStructures.invalidateSpaces(selected);
    return selected;
  }

  /** Of the paging-structure caches all entries go: the manual demands it of INVLPG and allows it of the others. */
  private dropPage(page: number, matches: (space: AddressSpace) => boolean): void {
    const selected = this.spaces.select(matches);
    this.tlb.invalidatePage(page, selected);
    this.pagingStructures.invalidateSpaces(selected);
  }

  private dropWithGuestPhysical(matches: (space: AddressSpace) => boolean): void {
    const selected = this.drop(matches);
    this.nestedTlb.invalidateSpaces(selected);
    this.eptStructures.invalidateSpaces(selected);
  }
}
