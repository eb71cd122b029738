/**
 * Everything a processor remembers of translations, and what each event makes it forget: linear and combined mappings
 * (TLBs, paging-structure caches) and guest-physical mappings (the nested TLB and paging-structure caches of the EPT).
 * Specified in the Intel SDM, volume 3A "Caching translation information" and volume 3C "Caching translation
 * information" and "Operations that invalidate cached mappings".
 *
 * Where the manual lets a processor drop more than it must, the model drops what it must; exceptions are named.
 */
import {
  type AddressSpace,
  AddressSpaces,
  GLOBAL,
  HOST_TAG,
  NO_EPT,
  Selection,
  SPACE_SHIFT,
} from "./address-spaces.js";
import type { CpuGeometry } from "./cpu.js";
import { shiftedHigh, shiftedLow } from "./page-number.js";
import { ABSENT, type Place, SetAssociativeStore, STORED } from "./set-associative.js";
import { Tlb } from "./tlb.js";

/** What is stored with an entry: page frame number (two), what its owner says with it, and where the frame's words are. */
export const CACHED_PFN_LOW = STORED;
export const CACHED_PFN_HIGH = STORED + 1;
export const CACHED_VALUE = STORED + 2;
export const CACHED_FRAME = STORED + 3;
const COLUMNS = 4;

/**
 * The paging-structure caches of the guest's structures or of the EPT's: what leads to the table at a level, so that a walk
 * can start there. Indexed by that level: 1 = cached PDEs, 2 = PDPTEs, 3 = PML4Es, 4 = PML5Es. Page numbers are two
 * integers, as in page-number.ts.
 */
export class PagingStructureCaches {
  /** What the last successful lookup found: where, and its entry in the array there. */
  cells: Int32Array = new Int32Array(0);
  place: Place = ABSENT;

  private tag = 0;
  private shifts: Int32Array = new Int32Array(0);
  private levels = 0;
  private readonly byLevel: readonly (SetAssociativeStore | null)[];
  /** That of the level that most lookups end at, and what takes a page number to its keys. */
  private readonly pdeCache: SetAssociativeStore | null;
  private pdeShift = 0;

  constructor({ pdeCache, pdpteCache, pml4eCache, pml5eCache, tlbReplacement }: CpuGeometry) {
    this.byLevel = [null, pdeCache, pdpteCache, pml4eCache, pml5eCache].map((one) =>
      one === null ? null : new SetAssociativeStore(one, COLUMNS, tlbReplacement),
    );
    this.pdeCache = this.byLevel[1];
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
      const keyLow = (low >>> pdeShift) | (high << (32 - pdeShift));
      const keyHigh = this.tag | (high >>> pdeShift);
      const place = pdeCache.lookup(keyLow, keyHigh, keyHigh) | 0;
      if (place !== ABSENT) {
        this.cells = pdeCache.cells;
        this.place = place;
        return 1;
      }
    }
    return this.lookupAbove(low, high) | 0;
  }

  private lookupAbove(low: number, high: number): number {
    for (let level = 2; level < this.levels; level++) {
      const store = this.byLevel[level];
      if (store === null) continue;
      const shift = this.shifts[level + 1];
      const keyHigh = this.tag | shiftedHigh(high, shift);
      const place = store.lookup(shiftedLow(low, high, shift), keyHigh, keyHigh) | 0;
      if (place === ABSENT) continue;
      this.cells = store.cells;
      this.place = place;
      return level;
    }
    return 0;
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
    const store = this.byLevel[level];
    if (store === null) return;
    const shift = this.shifts[level + 1];
    const keyHigh = this.tag | shiftedHigh(high, shift);
    const place = store.insert(shiftedLow(low, high, shift), keyHigh) | 0;
    const { cells } = store;
    cells[(place + CACHED_PFN_LOW) | 0] = pfnLow | 0;
    cells[(place + CACHED_PFN_HIGH) | 0] = pfnHigh | 0;
    cells[(place + CACHED_VALUE) | 0] = value | 0;
    cells[(place + CACHED_FRAME) | 0] = frame | 0;
  }

  /** Drops every entry that would be used to translate this page. */
  invalidate(low: number, high: number): void {
    for (let level = 1; level < this.levels; level++) {
      const store = this.byLevel[level];
      if (store === null) continue;
      const shift = this.shifts[level + 1];
      const keyHigh = this.tag | shiftedHigh(high, shift);
      store.remove(shiftedLow(low, high, shift), keyHigh, keyHigh);
    }
  }

  invalidateSpaces(selected: Uint8Array): void {
    for (const store of this.byLevel) store?.removeSelected(selected, SPACE_SHIFT);
  }

  clear(): void {
    for (const store of this.byLevel) store?.clear();
  }
}

/** Guest-physical translations, one per 4-Kbyte page; of a larger EPT page, the part that was used. */
export class NestedTlb {
  private tag = 0;
  private readonly store: SetAssociativeStore | null;
  /** What `lookup()` finds is here. */
  readonly cells: Int32Array;

  constructor({ nestedTlb, tlbReplacement }: CpuGeometry) {
    this.store = nestedTlb === null ? null : new SetAssociativeStore(nestedTlb, COLUMNS, tlbReplacement);
    this.cells = this.store?.cells ?? new Int32Array(0);
  }

  /** Makes the mappings of an EPT the current ones. */
  enter(tag: number): void {
    this.tag = tag;
  }

  /** Where what is cached of a page is, or ABSENT. */
  lookup(gfnLow: number, gfnHigh: number): Place {
    const { store } = this;
    if (store === null) return ABSENT;
    const keyHigh = this.tag | gfnHigh;
    return store.lookup(gfnLow, keyHigh, keyHigh) | 0;
  }

  /** Caches a translation that was not. */
  insert(gfnLow: number, gfnHigh: number, pfnLow: number, pfnHigh: number, value: number): void {
    const { store } = this;
    if (store === null) return;
    const place = store.insert(gfnLow, this.tag | gfnHigh) | 0;
    const { cells } = store;
    cells[(place + CACHED_PFN_LOW) | 0] = pfnLow | 0;
    cells[(place + CACHED_PFN_HIGH) | 0] = pfnHigh | 0;
    cells[(place + CACHED_VALUE) | 0] = value | 0;
  }

  invalidate(gfnLow: number, gfnHigh: number): void {
    const keyHigh = this.tag | gfnHigh;
    this.store?.remove(gfnLow, keyHigh, keyHigh);
  }

  invalidateSpaces(selected: Uint8Array): void {
    this.store?.removeSelected(selected, SPACE_SHIFT);
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
  readonly nestedStructures: PagingStructureCaches;

  private readonly spaces = new AddressSpaces();
  /** What KVM drops for each page that the host takes back. */
  private readonly ofVpid = new Selection(this.spaces, (space, vpid) => space.vpid === vpid);
  private readonly ofEp4ta = new Selection(this.spaces, (space, ep4ta) => space.ep4ta === ep4ta);
  private vpid = 0;
  private pcid = 0;

  constructor(geometry: CpuGeometry) {
    this.tlb = new Tlb(geometry);
    this.pagingStructures = new PagingStructureCaches(geometry);
    this.nestedTlb = new NestedTlb(geometry);
    this.nestedStructures = new PagingStructureCaches(geometry);
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
    this.nestedStructures.enter(guestPhysicalTag);
  }

  /** Makes the host's own address space the current one while `action` runs. The guest's VPID has it that nothing is dropped. */
  inHost(action: () => void): void {
    const { tlb, pagingStructures } = this;
    const { tag, globalTag } = tlb;
    tlb.enter(HOST_TAG, HOST_TAG);
    pagingStructures.enter(HOST_TAG);
    action();
    tlb.enter(tag, globalTag);
    pagingStructures.enter(tag);
  }

  /** Drops everything. */
  clear(): void {
    this.tlb.clear();
    this.pagingStructures.clear();
    this.nestedTlb.clear();
    this.nestedStructures.clear();
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
    this.dropSelected(this.ofVpid.select(vpid));
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
    this.dropWithGuestPhysical(this.ofEp4ta.select(ep4ta));
  }

  /** INVEPT of all-context type: combined and guest-physical mappings. */
  inveptAll(): void {
    this.dropWithGuestPhysical(this.spaces.select((space) => space.ep4ta !== NO_EPT));
  }

  private drop(matches: (space: AddressSpace) => boolean): void {
    this.dropSelected(this.spaces.select(matches));
  }

  private dropSelected(selected: Uint8Array): void {
    this.tlb.invalidateSpaces(selected);
    this.pagingStructures.invalidateSpaces(selected);
  }

  /** Of the paging-structure caches all entries go: the manual demands it of INVLPG and allows it of the others. */
  private dropPage(page: number, matches: (space: AddressSpace) => boolean): void {
    const selected = this.spaces.select(matches);
    this.tlb.invalidatePage(page, selected);
    this.pagingStructures.invalidateSpaces(selected);
  }

  private dropWithGuestPhysical(selected: Uint8Array): void {
    this.dropSelected(selected);
    this.nestedTlb.invalidateSpaces(selected);
    this.nestedStructures.invalidateSpaces(selected);
  }
}
