/** Numbers of threads, from 0 in order of appearance. */
import type { Line } from "./line.js";

/** `Steps.thread` has 16 bits. */
export const MAX_THREADS = 2 ** 16;

export class Threads {
  private readonly numbers = new Map<number, number>();
  private lastId = Number.NaN;
  private last = 0;

  /** @throws InputError for one thread too many */
  number(id: number, line: Line): number {
    if (id === this.lastId) return this.last;
    let number = this.numbers.get(id);
    if (number === undefined) {
      number = this.numbers.size;
      if (number === MAX_THREADS) throw line.mistake(`at most ${MAX_THREADS} threads`);
      this.numbers.set(id, number);
    }
    this.lastId = id;
    this.last = number;
    return number;
  }
}
