/**
 * Host-physical memory as far as the processor reads it back: the pages that hold guest and EPT paging structures. Data
 * pages have addresses but no contents. A frame exists once something was written to it; all else reads as zero.
 *
 * A 64-bit entry is two unsigned 32-bit words, because no operation on the path of an access may need a bigint.
 */

/** Entries of a paging structure, and bytes of one. */
export const ENTRIES = 512;
export const ENTRY_BYTES = 8;

const WORDS_PER_FRAME = 2 * ENTRIES;

/** 2^20: the page frame number of an entry is its bits 51:12, 20 bits of them in each word. */
const HIGH_PFN = 0x10_0000;

export class PhysicalMemory {
  private readonly frames = new Map<number, Uint32Array>();
  private readonly zero = new Uint32Array(WORDS_PER_FRAME);

  /** The words of a frame, for reading: entry `i` is `words[2 * i]` (bits 31:0) and `words[2 * i + 1]` (bits 63:32). */
  read(pfn: number): Uint32Array {
    return this.frames.get(pfn) ?? this.zero;
  }

  /** Writes entry `index` (0..511) of a frame. */
  write(pfn: number, index: number, low: number, high: number): void {
    let frame = this.frames.get(pfn);
    if (frame === undefined) {
      frame = new Uint32Array(WORDS_PER_FRAME);
      this.frames.set(pfn, frame);
    }
    frame[2 * index] = low;
    frame[2 * index + 1] = high;
  }
}

/** Index of a page's entry in the paging structure at `level` (1 = PTE .. 4 = PML4E). */
export function entryIndex(page: number, level: number): number {
  return Math.floor(page / 2 ** (9 * (level - 1))) % ENTRIES;
}

/** Page frame number in bits 51:12 of an entry. */
export function entryPfn(low: number, high: number): number {
  return (high & 0xf_ffff) * HIGH_PFN + (low >>> 12);
}

/** Bits 31:0 of an entry with this page frame number and these flags (bits 11:0). */
export function entryLow(pfn: number, flags: number): number {
  return (((pfn % HIGH_PFN) << 12) | flags) >>> 0;
}

/** Bits 63:32 of an entry with this page frame number; `flags` are bits 63:32 as they stand in the word. */
export function entryHigh(pfn: number, flags = 0): number {
  return (Math.floor(pfn / HIGH_PFN) | flags) >>> 0;
}
