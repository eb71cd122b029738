/**
 * The TLBs: translations of whole pages, in a first level for data and one for instructions, and a second level for both.
 * An entry holds a linear (EPT off) or a combined mapping: linear page to host page, with all that decides whether an
 * access may use it. A page is held at the smaller of its sizes in guest paging and EPT.
 */
import { isSelected, SIZE_UNIT, SPACE_SHIFT, SPACE_UNIT } from "./address-spaces.js";
import type { CpuGeometry } from "./cpu.js";
import { highOf, lowOf, pageNumber, shiftedHigh, shiftedLow } from "./page-number.js";
import {
  ABSENT,
  type Associativity,
  KeyRun,
  type Place,
  SetAssociativeStore,
  STORED,
} from "./set-associative.js";

/** Sizes of a page. A guest's page of 4 Mbyte is held as two of 2 Mbyte. */
export const SIZE_4K = 0;
export const SIZE_2M = 1;
export const SIZE_1G = 2;
const SIZE_4M = 3;
/** In place of a size. */
const NONE = -1;

/** Pages of 4 Kbyte in a page of 2 Mbyte, and of 1 Gbyte. */
export const PAGES_2M = 2 ** 9;
export const PAGES_1G = 2 ** 18;

/** Bits of a page number inside a page, by size. */
const SHIFTS = [0, 9, 18, 10];

/**
 * Attributes of an entry. Bits 2:0 are the guest's rights (`RIGHT_...` of guest-paging.ts).
 * Bits 7:4 are the EPT's: read, write, execute (supervisor-mode), user-mode execute.
 */
export const ATTRIBUTE_EPT_SHIFT = 4;
export const ATTRIBUTE_EPT_READ = 1 << 4;
export const ATTRIBUTE_EPT_WRITE = 1 << 5;
/** The EPT lets this page be fetched from, seen that it is a user or a supervisor page. */
export const ATTRIBUTE_EPT_FETCH = 1 << 8;
/** A write needs no flag to be set first: the dirty flags of the guest and of the EPT are. */
export const ATTRIBUTE_DIRTY = 1 << 9;
export const ATTRIBUTE_GLOBAL = 1 << 10;
/** Size of the guest's page, of which the entry may be a fragment. */
const ATTRIBUTE_GUEST_SIZE_SHIFT = 11;
export const ATTRIBUTE_KEY_SHIFT = 13;

/** The size attribute of a guest page of 2^shift pages of 4 Kbyte. */
export function guestSizeAttribute(shift: number): number {
  const size = shift === SHIFTS[SIZE_4M] ? SIZE_4M : (shift / 9) | 0;
  return size << ATTRIBUTE_GUEST_SIZE_SHIFT;
}

/** What is stored with an entry: its first host page and first guest page (two each, as in page-number.ts), attributes. */
export const PFN_LOW = STORED;
export const PFN_HIGH = STORED + 1;
const GFN_LOW = STORED + 2;
const GFN_HIGH = STORED + 3;
export const ATTRIBUTES = STORED + 4;
const COLUMNS = 5;

/** What holds pages of each size; null where nothing does. */
type Level = readonly (SetAssociativeStore | null)[];

/** 4-Kbyte pages of data that are translated one after the other, again and again, in one address space. */
export class PageRun {
  private readonly run: KeyRun;

  /** @param pages linear page numbers @param tag that of the address space */
  constructor(
    private readonly tlb: Tlb,
    pages: readonly number[],
    tag: number,
  ) {
    this.run = new KeyRun(
      Int32Array.from(pages, lowOf),
      Int32Array.from(pages, (page) => tag | highOf(page)),
    );
  }

  /** Translates pages from `from` on, up to the first that is not where it was last. Returns its index, or how many there are. */
  translate(from: number): number {
    const { tlb, run } = this;
    return tlb.data4K.useRun(run, from, run.places.length);
  }

  /** Page `index` was translated in another way. */
  note(index: number): void {
    const { lows, highs, places } = this.run;
    const high = highs[index];
    places[index] = this.tlb.data4K.find(lows[index], high, high);
  }
}

export class Tlb {
  /**
   * Of a page, what the last successful lookup found, or what `insert()` is to take: the host page, the guest page,
   * attributes; and the level (1 or 2) that held it.
   */
  pfnLow = 0;
  pfnHigh = 0;
  gfnLow = 0;
  gfnHigh = 0;
  attributes = 0;
  level = 0;

  /** Tags of the current address space, and of its global pages. */
  tag = 0;
  globalTag = 0;

  private readonly data: Level;
  private readonly instruction: Level;
  private readonly second: Level;
  private readonly levels: readonly Level[];
  /** The first level's 4-Kbyte pages of data, which an access asks before all else. */
  readonly data4K: SetAssociativeStore;
  private readonly instruction4K: SetAssociativeStore;
  private readonly second4K: SetAssociativeStore;
  private readonly all: readonly SetAssociativeStore[];
  /** By size of a page larger than 4 Kbyte, a bit: entries of it were made since all were dropped, and need a look. */
  held = 0;

  constructor(geometry: CpuGeometry) {
    const store = (associativity: Associativity) =>
      new SetAssociativeStore(associativity, COLUMNS, geometry.tlbReplacement);
    const storeOrNull = (associativity: Associativity | null) =>
      associativity === null ? null : store(associativity);
    this.data4K = store(geometry.dtlb4K);
    // 4-Kbyte and 2-Mbyte pages share the second level's entries; their tags differ.
    this.second4K = store(geometry.stlb);
    this.instruction4K = store(geometry.itlb4K);
    this.data = [this.data4K, store(geometry.dtlb2M), storeOrNull(geometry.dtlb1G)];
    this.instruction = [this.instruction4K, store(geometry.itlb2M), null];
    this.second = [this.second4K, geometry.stlbHolds2M ? this.second4K : null, storeOrNull(geometry.stlb1G)];
    this.levels = [this.data, this.instruction, this.second];
    this.all = [...new Set(this.levels.flat())].filter((one) => one !== null);
  }

  /** Makes the entries of an address space, and its global ones, the current ones. */
  enter(tag: number, globalTag: number): void {
    this.tag = tag;
    this.globalTag = globalTag;
  }

  /**
   * Finds the translation of a 4-Kbyte linear page for data or instructions, but not in `data4K`. A hit in the second level
   * fills the first. The page number is given as in page-number.ts.
   */
  lookupBehind(low: number, high: number, fetch: boolean): boolean {
    this.level = 1;
    if (fetch) {
      const place = this.instruction4K.lookup(low, this.tag | high, this.globalTag | high) | 0;
      if (place !== ABSENT) {
        this.read(this.instruction4K, place, 0);
        return true;
      }
    }
    const isLargeHeld = this.held !== 0;
    if (isLargeHeld && this.lookupLarge(fetch ? this.instruction : this.data, low, high) !== NONE)
      return true;

    this.level = 2;
    const { second4K } = this;
    const place = second4K.lookup(low, this.tag | high, this.globalTag | high) | 0;
    if (place !== ABSENT) {
      this.read(second4K, place, 0);
      this.fill(fetch ? this.instruction4K : this.data4K, low, second4K.highIn(place), -1);
      return true;
    }
    if (!isLargeHeld) return false;
    const size = this.lookupLarge(this.second, low, high);
    if (size === NONE) return false;
    this.fillLevel(fetch ? this.instruction : this.data, size, low, high);
    return true;
  }

  /**
   * Where `data4K` has the page now that it was found among the second level's 4-Kbyte pages, or ABSENT. Only where no larger
   * page is held is that all there is to look for.
   */
  promote(low: number, high: number): Place {
    const { data4K, second4K } = this;
    const from = second4K.lookup(low, this.tag | high, this.globalTag | high) | 0;
    if (from === ABSENT) return ABSENT;
    const to = data4K.insert(low, second4K.highIn(from)) | 0;
    const { cells } = data4K;
    const { cells: source } = second4K;
    cells[(to + PFN_LOW) | 0] = source[(from + PFN_LOW) | 0];
    cells[(to + PFN_HIGH) | 0] = source[(from + PFN_HIGH) | 0];
    cells[(to + GFN_LOW) | 0] = source[(from + GFN_LOW) | 0];
    cells[(to + GFN_HIGH) | 0] = source[(from + GFN_HIGH) | 0];
    cells[(to + ATTRIBUTES) | 0] = source[(from + ATTRIBUTES) | 0];
    return to;
  }

  /** Finds the translation of a 4-Kbyte linear page for data, wherever it is held. */
  lookup(low: number, high: number): boolean {
    const place = this.data4K.lookup(low, this.tag | high, this.globalTag | high) | 0;
    if (place === ABSENT) return this.lookupBehind(low, high, false);
    this.readData4K(place);
    return true;
  }

  /** Takes over what a place of `data4K` holds. */
  readData4K(place: Place): void {
    this.level = 1;
    this.read(this.data4K, place, 0);
  }

  /** Makes an entry for a 4-Kbyte page. */
  insert4K(
    low: number,
    high: number,
    fetch: boolean,
    pfnLow: number,
    pfnHigh: number,
    gfnLow: number,
    gfnHigh: number,
    attributes: number,
  ): void {
    const keyHigh = this.tagOf(attributes) | high;
    const first = fetch ? this.instruction4K : this.data4K;
    fill(first, first.insert(low, keyHigh) | 0, pfnLow, pfnHigh, gfnLow, gfnHigh, attributes);
    const { second4K } = this;
    fill(second4K, second4K.insert(low, keyHigh) | 0, pfnLow, pfnHigh, gfnLow, gfnHigh, attributes);
  }

  /** Makes an entry of this size around a page, from what the fields say of the page itself. */
  insert(low: number, high: number, size: number, fetch: boolean): void {
    if (size === SIZE_4K) {
      const { pfnLow, pfnHigh, gfnLow, gfnHigh, attributes } = this;
      this.insert4K(low, high, fetch, pfnLow, pfnHigh, gfnLow, gfnHigh, attributes);
      return;
    }
    this.held |= 1 << size;
    this.fillLevel(fetch ? this.instruction : this.data, size, low, high);
    this.fillLevel(this.second, size, low, high);
  }

  /** Drops what translates this page in the current address space, global or not. */
  invalidate(low: number, high: number): void {
    const keyHigh = this.tag | high;
    const globalHigh = this.globalTag | high;
    this.data4K.remove(low, keyHigh, globalHigh);
    this.instruction4K.remove(low, keyHigh, globalHigh);
    this.second4K.remove(low, keyHigh, globalHigh);
    if (this.held !== 0) this.invalidateLarge(low, high);
  }

  /** Drops all entries of the selected address spaces. */
  invalidateSpaces(selected: Uint8Array): void {
    for (const store of this.all) store.removeSelected(selected, SPACE_SHIFT);
  }

  /** Drops the entries of the selected address spaces that belong to the guest page around `page`, fragments and all. */
  invalidatePage(page: number, selected: Uint8Array): void {
    for (const store of this.all) {
      store.removeWhere((low, high, place) => {
        if (!isSelected(selected, high)) return false;
        const size = Math.floor(high / SIZE_UNIT) % (SPACE_UNIT / SIZE_UNIT);
        const entryPage = pageNumber(low, high % SIZE_UNIT) * 2 ** SHIFTS[size];
        const guestSize = (store.cells[place + ATTRIBUTES] >> ATTRIBUTE_GUEST_SIZE_SHIFT) & 3;
        const pages = 2 ** SHIFTS[guestSize];
        return Math.floor(page / pages) === Math.floor(entryPage / pages);
      });
    }
  }

  clear(): void {
    for (const store of this.all) store.clear();
    this.held = 0;
  }

  private invalidateLarge(low: number, high: number): void {
    for (let size = SIZE_2M; size <= SIZE_1G; size++) {
      if (!this.mayHold(size)) continue;
      const keyLow = shiftedLow(low, high, SHIFTS[size]);
      const keyHigh = shiftedHigh(high, SHIFTS[size]) | (size * SIZE_UNIT);
      for (const level of this.levels) {
        level[size]?.remove(keyLow, this.tag | keyHigh, this.globalTag | keyHigh);
      }
    }
  }

  private tagOf(attributes: number): number {
    return (attributes & ATTRIBUTE_GLOBAL) !== 0 ? this.globalTag : this.tag;
  }

  private mayHold(size: number): boolean {
    return (this.held & (1 << size)) !== 0;
  }

  /** The size of the page larger than 4 Kbyte under which a level has a translation, or NONE. */
  private lookupLarge(level: Level, low: number, high: number): number {
    for (let size = SIZE_2M; size <= SIZE_1G; size++) {
      if (this.mayHold(size) && this.lookupIn(level[size], size, low, high)) return size;
    }
    return NONE;
  }

  private lookupIn(store: SetAssociativeStore | null, size: number, low: number, high: number): boolean {
    if (store === null) return false;
    const shift = SHIFTS[size];
    const keyHigh = shiftedHigh(high, shift) | (size * SIZE_UNIT);
    const keyLow = shiftedLow(low, high, shift);
    const place = store.lookup(keyLow, this.tag | keyHigh, this.globalTag | keyHigh) | 0;
    if (place === ABSENT) return false;
    this.read(store, place, low & ((1 << shift) - 1));
    return true;
  }

  /** Takes over what a place holds, for the page `inside` pages behind its first. */
  private read({ cells }: SetAssociativeStore, place: Place, inside: number): void {
    this.pfnLow = cells[(place + PFN_LOW) | 0] | inside;
    this.pfnHigh = cells[(place + PFN_HIGH) | 0];
    this.gfnLow = cells[(place + GFN_LOW) | 0] | inside;
    this.gfnHigh = cells[(place + GFN_HIGH) | 0];
    this.attributes = cells[(place + ATTRIBUTES) | 0];
  }

  /** Puts what the fields say of a page into a level: where it has no entries of this size, into the next smaller. */
  private fillLevel(level: Level, size: number, low: number, high: number): void {
    const store = level[size];
    if (store !== null) {
      const shift = SHIFTS[size];
      const keyHigh = this.tagOf(this.attributes) | (size * SIZE_UNIT) | shiftedHigh(high, shift);
      this.fill(store, shiftedLow(low, high, shift), keyHigh, -(1 << shift));
    } else if (size === SIZE_1G && level !== this.second) {
      this.held |= 1 << SIZE_2M;
      this.fillLevel(level, SIZE_2M, low, high);
    }
  }

  /** Puts what the fields say into an entry. `mask` takes a page number to the first of the entry's page. */
  private fill(store: SetAssociativeStore, keyLow: number, keyHigh: number, mask: number): void {
    const { pfnLow, pfnHigh, gfnLow, gfnHigh, attributes } = this;
    const place = store.insert(keyLow, keyHigh) | 0;
    fill(store, place, pfnLow & mask, pfnHigh, gfnLow & mask, gfnHigh, attributes);
  }
}

function fill(
  { cells }: SetAssociativeStore,
  place: Place,
  pfnLow: number,
  pfnHigh: number,
  gfnLow: number,
  gfnHigh: number,
  attributes: number,
): void {
  cells[(place + PFN_LOW) | 0] = pfnLow | 0;
  cells[(place + PFN_HIGH) | 0] = pfnHigh | 0;
  cells[(place + GFN_LOW) | 0] = gfnLow | 0;
  cells[(place + GFN_HIGH) | 0] = gfnHigh | 0;
  cells[(place + ATTRIBUTES) | 0] = attributes | 0;
}
