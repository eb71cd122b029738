import { describe, expect, it } from "vitest";
import { Random } from "../../src/workload/random.js";

function numbers(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.next());
}

/** How many bits are set in a 32-bit number. */
function ones(bits: number): number {
  let count = 0;
  for (let rest = bits >>> 0; rest !== 0; rest &= rest - 1) count++;
  return count;
}

describe("the random numbers", () => {
  it("repeat for a seed and differ between seeds", () => {
    expect(numbers(new Random(1), 8)).toEqual(numbers(new Random(1), 8));
    expect(numbers(new Random(1), 8)).not.toEqual(numbers(new Random(2), 8));
    expect(numbers(new Random(0), 8).every((n) => n >= 0 && n < 2 ** 32 && Number.isInteger(n))).toBe(true);
  });

  it("fall evenly below a limit", () => {
    const random = new Random(1);
    const counts = new Array(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500); // five standard deviations
  });

  it("are those of stream 0 where none is named", () => {
    expect(numbers(new Random(7), 8)).toEqual(numbers(new Random(7, 0), 8));
  });

  it("agree in half of their bits between any two streams of neighbouring numbers and seeds", () => {
    const streams = [0, 1, 2, 3].flatMap((seed) =>
      [0, 1, 2, 0x1_0000, 0x1_0001, 0xffff_ffff].map((stream) => numbers(new Random(seed, stream), 1000)),
    );
    for (const [index, stream] of streams.entries()) {
      for (const other of streams.slice(0, index)) {
        const agreed = stream.reduce((sum, n, i) => sum + ones(~(n ^ other[i])), 0);
        expect(Math.abs(agreed - 16_000)).toBeLessThan(450); // five standard deviations
      }
    }
  });

  it("differ from the first number on, though the streams do in one bit", () => {
    const firsts = Array.from({ length: 1000 }, (_, stream) => new Random(1, stream).next());
    const changed = firsts.reduce((sum, n, stream) => sum + ones(n ^ firsts[stream ^ 1]), 0);
    expect(Math.abs(changed - 16_000)).toBeLessThan(630); // five standard deviations: each pair counts twice
  });
});
