/**
 * A bijection of the numbers from 0 to below a count that looks random and needs no table: a Feistel network over the next
 * power of two, followed until it leads back below the count.
 */
import type { Random } from "../random.js";

/** A round changes one half of the number by the other; an even number of them. */
const ROUNDS = 6;

export class Scatter {
  /** A number is high * columns + low; both are powers of two. */
  private readonly rows: number;
  private readonly columns: number;
  private readonly keys: Int32Array;

  /** @param count 1 to 2^53 */
  constructor(
    private readonly count: number,
    random: Random,
  ) {
    let rows = 1;
    let columns = 1;
    while (rows * columns < count) {
      if (rows < columns) rows *= 2;
      else columns *= 2;
    }
    this.rows = rows;
    this.columns = columns;
    this.keys = Int32Array.from({ length: ROUNDS }, () => random.next());
  }

  /** Where a number from 0 to below the count goes. */
  of(number: number): number {
    const { rows, columns, keys } = this;
    let result = number;
    do {
      let high = Math.floor(result / columns);
      let low = result - high * columns;
      for (let round = 0; round < ROUNDS; round += 2) {
        high ^= mix(low ^ keys[round]) & (rows - 1);
        low ^= mix(high ^ keys[round + 1]) & (columns - 1);
      }
      result = high * columns + low;
    } while (result >= this.count);
    return result;
  }
}

/** 32 bits that each depend on all of `bits`: multiplied by odd numbers of no meaning, with the high bits folded in. */
function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x9e37_79b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x7f4a_7c15);
  return mixed ^ (mixed >>> 16);
}
