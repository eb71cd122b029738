/**
 * Pseudo-random numbers for workloads: the 32-bit generator sfc32 (Chris Doty-Humphrey, PractRand), seeded by running it.
 * The same seed gives the same numbers on every machine.
 */
export class Random {
  private a: number;
  private b = 0x9e37_79b9;
  private c = 0x243f_6a88;
  private counter = 1;

  /** @param seed 0 to 2^32 - 1 */
  constructor(seed: number) {
    this.a = seed | 0;
    for (let i = 0; i < 16; i++) this.next();
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number from 0 to below 1, in steps of 2^-53. */
  fraction(): number {
    return (this.next() * 2 ** 21 + (this.next() >>> 11)) / 2 ** 53;
  }

  /** A whole number from 0 to `limit` - 1; its bias is below limit / 2^53. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }
}
