/**
 * The TLBs: translations of whole pages, in a first level for data and one for instructions, and a second level for both.
 * An entry holds a linear (EPT off) or a combined mapping: linear page to host page, with all that decides whether an
 * access may use it. A page is held at the smaller of its sizes in guest paging and EPT.
 */
import { SIZE_UNIT, SPACE_UNIT } from "./address-spaces.js";
import type { CpuGeometry } from "./cpu.js";
import { pageNumber, shiftedHigh, shiftedLow } from "./page-number.js";
import { ABSENT, type Associativity, type Replacement, SetAssociative } from "./set-associative.js";

/** Sizes of a page. A guest's page of 4 Mbyte is held as two of 2 Mbyte. */
export const SIZE_4K = 0;
export const SIZE_2M = 1;
export const SIZE_1G = 2;
const SIZE_4M = 3;
export type PageSize = typeof SIZE_4K | typeof SIZE_2M | typeof SIZE_1G;

/** Pages of 4 Kbyte in a page of 2 Mbyte. */
export const PAGES_2M = 2 ** 9;

/** Bits of a page number inside a page, by size. */
const SHIFTS = [0, 9, 18, 10];

/**
 * Attributes of an entry. Bits 2:0 are the guest's rights (`RIGHT_...` of guest-paging.ts).
 * Bits 7:4 are the EPT's: read, write, execute (supervisor-mode), user-mode execute.
 */
export const ATTRIBUTE_RIGHTS = 0b111;
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

/** Integers stored by slot: first host page, first guest page (two each, as in page-number.ts), attributes. */
const PFN_LOW = 0;
const PFN_HIGH = 1;
const GFN_LOW = 2;
const GFN_HIGH = 3;
const ATTRIBUTES = 4;
const STORED = 5;

/** One array of entries with what belongs to them, by slot. */
class TlbArray {
  readonly slots: SetAssociative;
  readonly stored: Int32Array;

  constructor(associativity: Associativity, replacement: Replacement) {
    this.slots = new SetAssociative(associativity, replacement);
    this.stored = new Int32Array(associativity.entries * STORED);
  }
}

export class Tlb {
  /** What the last successful lookup found: the host page, the guest page, attributes, the level (1 or 2) that held it. */
  pfnLow = 0;
  pfnHigh = 0;
  gfnLow = 0;
  gfnHigh = 0;
  attributes = 0;
  level = 0;

  private readonly data: readonly (TlbArray | null)[];
  private readonly instruction: readonly (TlbArray | null)[];
  private readonly second: readonly (TlbArray | null)[];
  private readonly data4K: TlbArray;
  private readonly arrays: readonly TlbArray[];
  /** Whether an entry of a larger page was made since all were dropped; else those arrays need no look. */
  private holds2M = false;
  private holds1G = false;

  constructor(geometry: CpuGeometry) {
    const array = (associativity: Associativity | null) =>
      associativity === null ? null : new TlbArray(associativity, geometry.tlbReplacement);
    this.data4K = new TlbArray(geometry.dtlb4K, geometry.tlbReplacement);
    this.data = [this.data4K, array(geometry.dtlb2M), array(geometry.dtlb1G)];
    this.instruction = [array(geometry.itlb4K), array(geometry.itlb2M), null];
    // 4-Kbyte and 2-Mbyte pages share the second level's entries; their tags differ.
    const shared = array(geometry.stlb);
    this.second = [shared, geometry.stlbHolds2M ? shared : null, array(geometry.stlb1G)];
    const all = [...this.data, ...this.instruction, ...this.second];
    this.arrays = [...new Set(all.flatMap((one) => one ?? []))];
  }

  /**
   * Finds the translation of a 4-Kbyte linear page for data or instructions. A hit in the second level fills the first.
   *
   * @param low, high the page number, as in page-number.ts
   * @param tag, globalTag of the current address space
   */
  lookup(low: number, high: number, fetch: boolean, tag: number, globalTag: number): boolean {
    if (!fetch) {
      const slot = this.data4K.slots.lookup(low, tag | high, globalTag | high);
      if (slot !== ABSENT) {
        this.level = 1;
        this.read(this.data4K, slot, 0);
        return true;
      }
    }
    return this.lookupBehind(low, high, fetch, tag, globalTag);
  }

  /** Makes an entry of this size around a page, from host page, guest page and attributes of the page itself. */
  insert(
    low: number,
    high: number,
    size: number,
    fetch: boolean,
    tag: number,
    pfnLow: number,
    pfnHigh: number,
    gfnLow: number,
    gfnHigh: number,
    attributes: number,
  ): void {
    if (size === SIZE_2M) this.holds2M = true;
    else if (size === SIZE_1G) this.holds1G = true;
    this.pfnLow = pfnLow;
    this.pfnHigh = pfnHigh;
    this.gfnLow = gfnLow;
    this.gfnHigh = gfnHigh;
    this.attributes = attributes;
    this.fill(fetch ? this.instruction : this.data, size, low, high, tag);
    this.fill(this.second, size, low, high, tag);
  }

  /** Drops what translates this page for these tags: one of a PCID, and the global one. */
  invalidate(low: number, high: number, tag: number, globalTag: number): void {
    for (let size = SIZE_4K; size <= SIZE_1G; size++) {
      if (!this.mayHold(size)) continue;
      const keyLow = shiftedLow(low, high, SHIFTS[size]);
      const keyHigh = shiftedHigh(high, SHIFTS[size]) | (size * SIZE_UNIT);
      this.removeFrom(this.data[size], keyLow, keyHigh, tag, globalTag);
      this.removeFrom(this.instruction[size], keyLow, keyHigh, tag, globalTag);
      this.removeFrom(this.second[size], keyLow, keyHigh, tag, globalTag);
    }
  }

  /** Drops all entries of the selected address spaces. */
  invalidateSpaces(selected: Uint8Array): void {
    for (const { slots } of this.arrays) {
      slots.removeWhere((_, high) => selected[Math.floor(high / SPACE_UNIT)] !== 0);
    }
  }

  /** Drops the entries of the selected address spaces that belong to the guest page around `page`, fragments and all. */
  invalidatePage(page: number, selected: Uint8Array): void {
    for (const { slots, stored } of this.arrays) {
      slots.removeWhere((low, high, slot) => {
        if (selected[Math.floor(high / SPACE_UNIT)] === 0) return false;
        const size = Math.floor(high / SIZE_UNIT) % (SPACE_UNIT / SIZE_UNIT);
        const entryPage = pageNumber(low, high % SIZE_UNIT) * 2 ** SHIFTS[size];
        const guestSize = (stored[slot * STORED + ATTRIBUTES] >> ATTRIBUTE_GUEST_SIZE_SHIFT) & 3;
        const pages = 2 ** SHIFTS[guestSize];
        return Math.floor(page / pages) === Math.floor(entryPage / pages);
      });
    }
  }

  clear(): void {
    for (const { slots } of this.arrays) slots.clear();
    this.holds2M = false;
    this.holds1G = false;
  }

  private lookupBehind(low: number, high: number, fetch: boolean, tag: number, globalTag: number): boolean {
    const first = fetch ? this.instruction : this.data;
    this.level = 1;
    for (let size = fetch ? SIZE_4K : SIZE_2M; size <= SIZE_1G; size++) {
      if (this.mayHold(size) && this.lookupIn(first[size], size, low, high, tag, globalTag)) return true;
    }
    this.level = 2;
    for (let size = SIZE_4K; size <= SIZE_1G; size++) {
      if (!this.mayHold(size) || !this.lookupIn(this.second[size], size, low, high, tag, globalTag)) continue;
      const entryTag = (this.attributes & ATTRIBUTE_GLOBAL) !== 0 ? globalTag : tag;
      this.fill(first, size, low, high, entryTag);
      return true;
    }
    return false;
  }

  private mayHold(size: number): boolean {
    return size === SIZE_4K || (size === SIZE_2M ? this.holds2M : this.holds1G);
  }

  private lookupIn(
    array: TlbArray | null,
    size: number,
    low: number,
    high: number,
    tag: number,
    globalTag: number,
  ): boolean {
    if (array === null) return false;
    const keyHigh = shiftedHigh(high, SHIFTS[size]) | (size * SIZE_UNIT);
    const slot = array.slots.lookup(shiftedLow(low, high, SHIFTS[size]), tag | keyHigh, globalTag | keyHigh);
    if (slot === ABSENT) return false;
    this.read(array, slot, low & ((1 << SHIFTS[size]) - 1));
    return true;
  }

  /** Takes over what an entry holds, for the page `inside` pages behind its first. */
  private read({ stored }: TlbArray, slot: number, inside: number): void {
    const at = slot * STORED;
    this.pfnLow = stored[at + PFN_LOW] | inside;
    this.pfnHigh = stored[at + PFN_HIGH];
    this.gfnLow = stored[at + GFN_LOW] | inside;
    this.gfnHigh = stored[at + GFN_HIGH];
    this.attributes = stored[at + ATTRIBUTES];
  }

  /** Puts what the fields say of a page into a level: where it has no entries of this size, into the next smaller. */
  private fill(
    level: readonly (TlbArray | null)[],
    size: number,
    low: number,
    high: number,
    tag: number,
  ): void {
    const array = level[size];
    if (array === null) {
      if (size === SIZE_1G && level !== this.second) {
        this.holds2M = true;
        this.fill(level, SIZE_2M, low, high, tag);
      }
      return;
    }
    const shift = SHIFTS[size];
    const keyHigh = tag | (size * SIZE_UNIT) | shiftedHigh(high, shift);
    const slot = array.slots.insert(shiftedLow(low, high, shift), keyHigh);
    const { stored } = array;
    const at = slot * STORED;
    const first = -(1 << shift);
    stored[at + PFN_LOW] = this.pfnLow & first;
    stored[at + PFN_HIGH] = this.pfnHigh;
    stored[at + GFN_LOW] = this.gfnLow & first;
    stored[at + GFN_HIGH] = this.gfnHigh;
    stored[at + ATTRIBUTES] = this.attributes;
  }

  private removeFrom(
    array: TlbArray | null,
    keyLow: number,
    keyHigh: number,
    tag: number,
    globalTag: number,
  ): void {
    if (array === null) return;
    array.slots.remove(keyLow, tag | keyHigh);
    array.slots.remove(keyLow, globalTag | keyHigh);
  }
}
