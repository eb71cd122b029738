/**
 * Pseudo-random numbers for workloads: the 32-bit generator sfc32 (Chris Doty-Humphrey, PractRand), seeded by running it.
 * The same seed and stream give the same numbers on every machine.
 */
export class Random {
  private a: number;
  private b = 0x9e37_79b9 | 0;
  private c: number;
  private counter = 1;

  /**
   * Both are whole numbers from 0 to 2^32 - 1. Streams of one seed are as independent as seeds are: each pair starts from a
   * state of its own.
   */
  constructor(seed: number, stream = 0) {
    this.a = seed | 0;
    this.c = 0x243f_6a88 ^ stream;
    for (let i = 0; i < 16; i++) this.bits();
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    return this.bits() >>> 0;
  }

  /** A number from 0 to below 1, in steps of 2^-53. */
  fraction(): number {
    return ((this.bits() >>> 0) * 2 ** 21 + (this.bits() >>> 11)) / 2 ** 53;
  }

  /** A whole number from 0 to `limit` - 1; its bias is below limit / 2^53. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  /** 32 random bits as a signed number, which an engine returns from a call without allocating. */
  private bits(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum;
  }
}
