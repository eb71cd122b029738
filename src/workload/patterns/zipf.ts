/**
 * Zipf's law: the place of rank k, from 1, is drawn in proportion to k^-skew, whatever the skew and the number of places.
 *
 * By rejection: ranks go in octaves, from 2^j to below 2^(j+1). An octave is drawn as if all its ranks were as popular as its
 * first, then a rank of it uniformly, which is kept with probability (2^j / rank)^skew. At least two of three are kept.
 *
 * That probability is not computed but met by throwing coins (Mendo, "An asymptotically optimal Bernoulli factory for certain
 * functions that can be expressed as power series", 2019): ECMAScript leaves the last bits of Math.pow, exp and log to the
 * engine, while its sums, products and quotients are the same on every machine, and so a workload must be.
 */
import type { Random } from "../random.js";
import { Scatter } from "./scatter.js";

export class Zipf {
  /** The skew is whole + part, with a part above 0 and up to 1. */
  private readonly whole: number;
  private readonly part: number;
  /** Of each octave: its first rank, how many ranks it has, and the weight of all octaves up to it. */
  private readonly firsts: Float64Array;
  private readonly sizes: Float64Array;
  private readonly cumulative: Float64Array;
  private readonly scatter: Scatter;

  /**
   * @param skew above 0
   * @param layout decides which place has which rank
   * @param random decides what is drawn
   */
  constructor(
    places: number,
    skew: number,
    layout: Random,
    private readonly random: Random,
  ) {
    this.whole = Math.ceil(skew) - 1;
    this.part = skew - this.whole;
    const firsts: number[] = [];
    for (let first = 1; first <= places; first *= 2) firsts.push(first);
    this.firsts = Float64Array.from(firsts);
    this.sizes = this.firsts.map((first) => Math.min(first, places - first + 1));
    const halving = powerOfHalf(this.whole, this.part);
    let popularity = 1;
    let sum = 0;
    this.cumulative = this.sizes.map((size) => {
      sum += size * popularity;
      popularity *= halving;
      return sum;
    });
    this.scatter = new Scatter(places, layout);
  }

  next(): number {
    const { random, firsts, cumulative } = this;
    for (;;) {
      const target = random.fraction() * cumulative[cumulative.length - 1];
      let octave = 0;
      while (target >= cumulative[octave]) octave++;
      const first = firsts[octave];
      const rank = first + random.below(this.sizes[octave]);
      if (rank === first || this.keeps(first, rank)) return this.scatter.of(rank - 1);
    }
  }

  /**
   * True with probability (first / rank)^skew, by coins that show heads with probability first / rank: one for each whole
   * power, which all must, and for the rest coins until one does, where the n-th tail is the end with probability part / n.
   */
  private keeps(first: number, rank: number): boolean {
    const { random, whole, part } = this;
    let heads = 0;
    let tails = 0;
    for (;;) {
      if (random.below(rank) < first) {
        if (heads === whole) return true;
        heads++;
      } else {
        if (heads < whole) return false;
        tails++;
        if (random.fraction() * tails < part) return false;
      }
    }
  }
}

/** 2^-(whole + part), by the series of e^(-part ln 2). */
function powerOfHalf(whole: number, part: number): number {
  let power = 1;
  for (let term = 20; term > 0; term--) power = 1 - (part * Math.LN2 * power) / term;
  for (let i = 0; i < whole; i++) power /= 2;
  return power;
}
