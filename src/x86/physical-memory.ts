/**
 * Host-physical memory as far as the processor reads it back: the pages that hold guest and EPT paging structures. Data
 * pages have addresses but no contents. A frame exists once something was written to it; all else reads as zero.
 *
 * All frames lie in one array of 32-bit words, because no operation on the path of an access may need a bigint; a 64-bit
 * entry is two words, bits 31:0 first. A hash table finds a frame, so the addresses may be as sparse as they like.
 */

import { highOf, lowOf } from "./page-number.js";

/** Entries of a paging structure of 64-bit entries, and bytes of one. */
export const ENTRIES = 512;
export const ENTRY_BYTES = 8;

const WORDS_PER_FRAME = 1024;

/** 2^20: the page frame number of an entry is its bits 51:12, 20 bits of them in each word. */
const HIGH_PFN = 0x10_0000;

/** Words of an array that is still kept for the next memory, 16 Mbyte of them. */
const MOST_SPARE = 2 ** 22;
/** An array that a memory had which is needed no more, cleared: to have the system give new megabytes takes long. */
let spare: Uint32Array = new Uint32Array(16 * WORDS_PER_FRAME);

export class PhysicalMemory {
  /** The words of all frames; of the first, which is no frame's, none is ever written. */
  words: Uint32Array;
  private frames = 1;
  /** The hash table: page frame number by place, and where the frame's words begin; 0 marks an unused place. */
  private lows: Int32Array = new Int32Array(64);
  private highs: Int32Array = new Int32Array(64);
  private starts: Int32Array = new Int32Array(64);
  /** 32 minus the binary logarithm of the number of places. */
  private shift = 26;

  constructor() {
    this.words = spare;
    spare = new Uint32Array(16 * WORDS_PER_FRAME);
  }

  /** Leaves its array to another memory. Nothing is asked of this one any more. */
  release(): void {
    const { words, frames } = this;
    this.words = new Uint32Array(0);
    if (words.length <= spare.length || words.length > MOST_SPARE) return;
    words.fill(0, 0, frames * WORDS_PER_FRAME);
    spare = words;
  }

  /**
   * Index in `words` of the first word of a frame; 0, where all words are 0, if nothing was written to the frame. The page
   * frame number is given as in page-number.ts.
   */
  frame(pfnLow: number, pfnHigh: number): number {
    return this.starts[this.place(pfnLow, pfnHigh)];
  }

  /** Bits 31:0 of the 64-bit entry `index` (0 to 511) of a frame. */
  low(pfn: number, index: number): number {
    return this.words[this.frame(lowOf(pfn), highOf(pfn)) + 2 * index];
  }

  /** Bits 63:32. */
  high(pfn: number, index: number): number {
    return this.words[this.frame(lowOf(pfn), highOf(pfn)) + 2 * index + 1];
  }

  /** Writes the 64-bit entry `index` (0 to 511) of a frame. */
  write(pfn: number, index: number, low: number, high: number): void {
    const start = this.frameToWrite(pfn);
    this.words[start + 2 * index] = low;
    this.words[start + 2 * index + 1] = high;
  }

  /** Writes all 64-bit entries of a frame alike. */
  fill(pfn: number, low: number, high: number): void {
    const start = this.frameToWrite(pfn);
    const { words } = this;
    for (let word = start; word < start + WORDS_PER_FRAME; word += 2) {
      words[word] = low;
      words[word + 1] = high;
    }
  }

  /** Writes the 32-bit word `index` (0 to 1023) of a frame. */
  writeWord(pfn: number, index: number, value: number): void {
    const start = this.frameToWrite(pfn);
    this.words[start + index] = value;
  }

  private frameToWrite(pfn: number): number {
    const start = this.frame(lowOf(pfn), highOf(pfn));
    return start === 0 ? this.addFrame(lowOf(pfn), highOf(pfn)) : start;
  }

  /** The place of the hash table that holds a frame, or the unused one where it would stand. */
  private place(low: number, high: number): number {
    const { lows, highs, starts } = this;
    const last = starts.length - 1;
    // Fibonacci hashing of the low word; the high one only spreads frames that are 16 Tbyte apart.
    let place = ((Math.imul(low | 0, 0x9e37_79b1) >>> this.shift) + high) & last;
    while (starts[place] !== 0 && (lows[place] !== low || highs[place] !== high)) place = (place + 1) & last;
    return place;
  }

  private addFrame(low: number, high: number): number {
    if (2 * this.frames >= this.starts.length) this.growTable();
    if ((this.frames + 1) * WORDS_PER_FRAME > this.words.length) {
      const words = new Uint32Array(2 * this.words.length);
      words.set(this.words);
      this.words = words;
    }
    const start = this.frames++ * WORDS_PER_FRAME;
    this.enter(low, high, start);
    return start;
  }

  private enter(low: number, high: number, start: number): void {
    const place = this.place(low, high);
    this.lows[place] = low;
    this.highs[place] = high;
    this.starts[place] = start;
  }

  private growTable(): void {
    const { lows, highs, starts } = this;
    this.lows = new Int32Array(2 * starts.length);
    this.highs = new Int32Array(2 * starts.length);
    this.starts = new Int32Array(2 * starts.length);
    this.shift--;
    starts.forEach((start, place) => {
      if (start !== 0) this.enter(lows[place], highs[place], start);
    });
  }
}

/** 1 / pages that an entry at a level spans, by level. */
const PAGES_PER_ENTRY_INVERSE = [1, 2 ** 0, 2 ** -9, 2 ** -18, 2 ** -27, 2 ** -36];

/** Index of a page's entry in the paging structure at `level` (1 = PTE .. 5 = PML5E) of 512 entries each. */
export function entryIndex(page: number, level: number): number {
  return (page * PAGES_PER_ENTRY_INVERSE[level]) & (ENTRIES - 1);
}

/** Page frame number in bits 51:12 of an entry. */
export function entryPfn(low: number, high: number): number {
  return (high & 0xf_ffff) * HIGH_PFN + (low >>> 12);
}

/** Bits 31:0 of an entry with this page frame number and these flags (bits 11:0). */
export function entryLow(pfn: number, flags: number): number {
  // The shift drops what the upper word holds.
  return ((pfn << 12) | flags) >>> 0;
}

/** Bits 63:32 of an entry with this page frame number; `flags` are bits 63:32 as they stand in the word. */
export function entryHigh(pfn: number, flags = 0): number {
  return (Math.floor(pfn / HIGH_PFN) | flags) >>> 0;
}
