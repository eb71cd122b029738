import { describe, expect, it } from "vitest";
import { type LoadOrder, loadOrder } from "../../src/workload/load-order.js";
import { Random } from "../../src/workload/random.js";

const KIB = 1024;

/** Pages of a window. */
const WINDOW = 4;

function order(name: LoadOrder, footprint: number, stride: number, length = footprint / stride): number[] {
  return [...loadOrder(name, footprint, stride, length, WINDOW, new Random(1))];
}

const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, place) => place);

describe("an order of loads", () => {
  it.each(["page-random", "random-full"] as const)("%s has every place once a round", (name) => {
    expect(ascending(order(name, 64 * KIB, 64))).toEqual(upTo(1024));
  });

  it("page-random takes window after window, in each all places of its pages at random", () => {
    const places = order("page-random", 64 * KIB, 64);
    const inWindow = WINDOW * 64;
    for (let window = 0; window < 4; window++) {
      const within = places.slice(window * inWindow, (window + 1) * inWindow);
      expect(ascending(within)).toEqual(upTo(inWindow).map((place) => window * inWindow + place));
      expect(new Set(within.slice(0, 64).map((place) => place >> 6)).size).toBe(WINDOW);
    }
  });

  it("page-random with one place a page is at random within the pages of a window too", () => {
    const places = order("page-random", 64 * KIB, 4096);
    for (const window of [0, 4, 8, 12]) {
      expect(ascending(places.slice(window, window + WINDOW))).toEqual(
        upTo(WINDOW).map((place) => window + place),
      );
    }
    expect(places).not.toEqual(upTo(16));
  });

  it("page-random is in sequence where a stride is as long as a window, or longer", () => {
    expect(order("page-random", 128 * KIB, WINDOW * 4096)).toEqual(upTo(8));
    expect(order("page-random", 128 * KIB, 2 * WINDOW * 4096)).toEqual(upTo(4));
  });

  it("page-random has a smaller window at the end where the footprint does not fill one", () => {
    const places = order("page-random", 24 * KIB, 4096);
    expect(ascending(places.slice(0, 4))).toEqual([0, 1, 2, 3]);
    expect(ascending(places.slice(4))).toEqual([4, 5]);
  });

  it("random-full leaves no page together", () => {
    const first = order("random-full", 64 * KIB, 64).slice(0, 64);
    expect(new Set(first.map((place) => place >> 6)).size).toBeGreaterThan(8);
  });

  it.each(["page-random", "random-full"] as const)("%s cut short is the beginning of the whole", (name) => {
    expect(order(name, 64 * KIB, 64, 100)).toEqual(order(name, 64 * KIB, 64).slice(0, 100));
  });
});
