import { describe, expect, it } from "vitest";
import { type LoadOrder, loadOrder } from "../../src/workload/load-order.js";
import { Random } from "../../src/workload/random.js";

const KIB = 1024;

function order(name: LoadOrder, footprint: number, stride: number, length = footprint / stride): number[] {
  return [...loadOrder(name, footprint, stride, length, new Random(1))];
}

const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, place) => place);

describe("an order of loads", () => {
  it.each(["page-random", "random-full"] as const)("%s has every place once a round", (name) => {
    expect(ascending(order(name, 64 * KIB, 64))).toEqual(upTo(1024));
  });

  it("page-random takes page after page, in each at random", () => {
    const places = order("page-random", 16 * KIB, 64);
    for (let page = 0; page < 4; page++) {
      const within = places.slice(64 * page, 64 * (page + 1));
      expect(ascending(within)).toEqual(upTo(64).map((place) => 64 * page + place));
      expect(within).not.toEqual(ascending(within));
    }
  });

  it("page-random with one place a page is in sequence", () => {
    expect(order("page-random", 64 * KIB, 4096)).toEqual(upTo(16));
  });

  it("random-full leaves no page together", () => {
    const first = order("random-full", 64 * KIB, 64).slice(0, 64);
    expect(new Set(first.map((place) => place >> 6)).size).toBeGreaterThan(8);
  });

  it.each(["page-random", "random-full"] as const)("%s cut short is the beginning of the whole", (name) => {
    expect(order(name, 64 * KIB, 64, 100)).toEqual(order(name, 64 * KIB, 64).slice(0, 100));
  });
});
