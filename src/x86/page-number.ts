/**
 * Page numbers (of linear pages, 45 bits; of page frames, 40 bits) as two integers, bits 31:0 and the bits above: on the
 * path of an access a number that fits no integer of the machine would be an allocation.
 */

/** Bits of the upper integer. */
export const HIGH_BITS = 13;

const HIGH = 2 ** 32;

/** Bits 31:0 of a page number, as a signed integer. */
export function lowOf(page: number): number {
  return page | 0;
}

export function highOf(page: number): number {
  return (page / HIGH) | 0;
}

export function pageNumber(low: number, high: number): number {
  return high * HIGH + (low >>> 0);
}

/** Lower integer of the page number shifted right by 0 to 44 bits. */
export function shiftedLow(low: number, high: number, shift: number): number {
  // A shift by 32 is none in this language, hence the two.
  return shift < 32 ? (low >>> shift) | ((high << 1) << (31 - shift)) : high >>> (shift - 32);
}

/** Upper integer of it. */
export function shiftedHigh(high: number, shift: number): number {
  return shift < 32 ? high >>> shift : 0;
}

/** Page frame number in bits 51:12 of an entry: lower integer. */
export function entryPfnLow(low: number, high: number): number {
  return (low >>> 12) | (high << 20);
}

/** Upper integer of it. */
export function entryPfnHigh(high: number): number {
  return (high >>> 12) & 0xff;
}
