import { describe, expect, it } from "vitest";
import { type Pattern, PLACES_OF_A_CHAIN, patternOf } from "../../src/workload/pattern.js";
import { Scatter } from "../../src/workload/patterns/scatter.js";
import { Random } from "../../src/workload/random.js";
import { type Access, PATTERNS } from "../../src/workload/workload.js";
import { access } from "./access.js";

const LAYOUT = 11;
const WAY = 12;

/** A pattern over places of 4 bytes, side by side. */
function pattern(name: Access["pattern"], places: number, change: Partial<Access> = {}): Pattern {
  const footprint = 4 * places;
  return patternOf(
    access({ pattern: name, footprint, ...change }),
    new Random(1, LAYOUT),
    new Random(1, WAY),
  );
}

function draw(from: Pattern, count: number): number[] {
  return Array.from({ length: count }, () => from.next());
}

const upTo = (count: number) => Array.from({ length: count }, (_, place) => place);
const ascending = (values: Iterable<number>) => [...new Set(values)].sort((a, b) => a - b);

/** Five standard deviations above the mean of a chi-square; neighbours are put together until 20 are expected of them. */
function expectShares(counts: readonly number[], shares: readonly number[]): void {
  const draws = counts.reduce((sum, count) => sum + count, 0);
  const whole = shares.reduce((sum, share) => sum + share, 0);
  let [chiSquare, bins, observed, expected] = [0, 0, 0, 0];
  for (const [index, count] of counts.entries()) {
    observed += count;
    expected += (draws * shares[index]) / whole;
    if (expected < 20) continue;
    chiSquare += (observed - expected) ** 2 / expected;
    bins++;
    [observed, expected] = [0, 0];
  }
  expect(chiSquare).toBeLessThan(bins + 5 * Math.sqrt(2 * bins));
}

function countsOf(from: Pattern, places: number, draws: number): number[] {
  const counts = new Array(places).fill(0);
  for (let i = 0; i < draws; i++) counts[from.next()]++;
  return counts;
}

describe("a pattern", () => {
  it.each(PATTERNS)("%s of one place stays there", (name) => {
    expect(draw(pattern(name, 1), 4)).toEqual([0, 0, 0, 0]);
  });

  it.each(PATTERNS)("%s reaches every place and no other", (name) => {
    expect(ascending(draw(pattern(name, 12, { workingSet: 20, phase: 10 }), 2000))).toEqual(upTo(12));
  });

  it.each(PATTERNS)("%s has no place where the access would leave the footprint", (name) => {
    const change = { size: 8, footprint: 20, stride: 8, workingSet: 8, phase: 1 };
    expect(ascending(draw(pattern(name, 0, change), 100))).toEqual([0, 1]);
  });

  it.each(PATTERNS)("%s reaches beyond 2^32 places", (name) => {
    const last = 2 ** 40 - 1;
    const make = () => pattern(name, 0, { size: 1, stride: 1, footprint: last + 1, workingSet: 2 ** 36 });
    if (name === "pointer-chase") return expect(make).toThrow("footprint: 1099511627776 places");
    if (name === "sequential") return expect(draw(make(), 3)).toEqual([0, 1, 2]);
    const places = draw(make(), 100);
    expect(places.every((place) => Number.isInteger(place) && place >= 0 && place <= last)).toBe(true);
    expect(Math.max(...places)).toBeGreaterThan(2 ** 32);
  });
});

describe("the sequential pattern", () => {
  it("goes through the places in order and starts again", () => {
    expect(draw(pattern("sequential", 3), 7)).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });
});

describe("the uniform pattern", () => {
  it("draws all places alike", () => {
    expectShares(countsOf(pattern("uniform", 100), 100, 100_000), new Array(100).fill(1));
  });
});

describe("the pattern zipf", () => {
  /** Place of each rank, from 0. */
  const ranked = (places: number) => {
    const scatter = new Scatter(places, new Random(1, LAYOUT));
    return upTo(places).map((rank) => scatter.of(rank));
  };

  it.each([
    [1000, 0.01],
    [1000, 0.5],
    [1000, 0.99],
    [1000, 1],
    [1023, 1.2],
    [1024, 2],
    [1025, 2.5],
    [1000, 10],
    [5, 0.99],
  ])("draws place k of %i in proportion to k^-%d", (places, skew) => {
    const counts = countsOf(pattern("zipf", places, { skew }), places, 200_000);
    expectShares(
      ranked(places).map((place) => counts[place]),
      upTo(places).map((rank) => (rank + 1) ** -skew),
    );
  });

  it("draws the most popular of 2^40 places with a share of 6 / pi^2 where the skew is 2", () => {
    const from = pattern("zipf", 0, { size: 1, stride: 1, footprint: 2 ** 40, skew: 2 });
    const first = new Scatter(2 ** 40, new Random(1, LAYOUT)).of(0);
    const hits = draw(from, 100_000).filter((place) => place === first).length;
    expect(Math.abs(hits - 60_793)).toBeLessThan(772); // five standard deviations
  });

  it("scatters popular places over the footprint", () => {
    const popular = ascending(ranked(2 ** 16).slice(0, 64));
    const gaps = popular.slice(1).map((place, index) => place - popular[index]);
    expect(Math.min(...gaps)).toBeGreaterThan(1);
    const quarters = upTo(4).map((quarter) => popular.filter((place) => place >> 14 === quarter).length);
    for (const count of quarters) expect(Math.abs(count - 16)).toBeLessThan(17); // five standard deviations
  });

  it("draws the same places on any machine: these are those of another program, in Python", () => {
    const places = draw(pattern("zipf", 1_000_000, { skew: 0.99 }), 10_000);
    expect(places.slice(0, 6)).toEqual([500_410, 191_203, 866_877, 166_666, 348_243, 877_786]);
    expect(places.reduce((sum, place) => sum + place)).toBe(4_838_953_442);
  });
});

describe("a scatter", () => {
  it.each([1, 2, 3, 5, 16, 1000, 4097])("of %i numbers is a bijection", (count) => {
    const scatter = new Scatter(count, new Random(3));
    expect(ascending(upTo(count).map((number) => scatter.of(number)))).toEqual(upTo(count));
  });

  it("of 2^47 numbers stays below them and puts no two together", () => {
    const scatter = new Scatter(2 ** 47 - 1, new Random(3));
    const places = upTo(1000).map((number) => scatter.of(2 ** 47 - 2 - number));
    expect(new Set(places).size).toBe(1000);
    expect(places.every((place) => Number.isInteger(place) && place >= 0 && place < 2 ** 47 - 1)).toBe(true);
  });

  it("differs between seeds", () => {
    const order = (seed: number) => {
      const scatter = new Scatter(1000, new Random(seed));
      return upTo(1000).map((number) => scatter.of(number));
    };
    const same = order(1).filter((place, number) => place === order(2)[number]);
    expect(same.length).toBeLessThan(7); // one is expected
  });
});

describe("a pointer chase", () => {
  it("visits every place once a round, and each round in the same order", () => {
    const from = pattern("pointer-chase", 1000);
    const round = draw(from, 1000);
    expect(ascending(round)).toEqual(upTo(1000));
    expect(draw(from, 1000)).toEqual(round);
  });

  it("goes in random order", () => {
    const round = draw(pattern("pointer-chase", 1000), 1000);
    const neighbours = round.filter((place, index) => index > 0 && Math.abs(place - round[index - 1]) === 1);
    expect(neighbours.length).toBeLessThan(10); // two are expected
  });

  it("of one layout is the same cycle, entered where the other numbers say", () => {
    const make = (stream: number) =>
      patternOf(
        access({ pattern: "pointer-chase", footprint: 400 }),
        new Random(1, LAYOUT),
        new Random(1, stream),
      );
    const [one, other] = [draw(make(1), 100), draw(make(2), 200)];
    expect(other[0]).not.toBe(one[0]);
    const entry = other.indexOf(one[0]);
    expect(other.slice(entry, entry + 100)).toEqual(one);
  });

  it("of more places than its table may have is refused", () => {
    expect(() => pattern("pointer-chase", PLACES_OF_A_CHAIN + 1)).toThrow(
      new RangeError("footprint: 67108865 places; a pointer chase has at most 67108864"),
    );
  });
});

describe("phases", () => {
  /** Working sets, by number, of phase after phase; each phase must stay in one. */
  function sets(places: number, workingSet: number, phase: number, phases: number): number[] {
    const from = pattern("phases", places, { workingSet: 4 * workingSet, phase });
    return Array.from({ length: phases }, () => {
      const [set, ...others] = ascending(draw(from, phase).map((place) => Math.floor(place / workingSet)));
      expect(others).toEqual([]);
      return set;
    });
  }

  it("stay in one working set each, and the next is another one", () => {
    const visited = sets(100, 10, 50, 200);
    expect(ascending(visited)).toEqual(upTo(10));
    expect(visited.every((set, index) => index === 0 || set !== visited[index - 1])).toBe(true);
  });

  it("draw each other working set alike", () => {
    const visited = sets(12, 3, 1, 3000);
    const steps = visited.slice(1).map((set, index) => (set - visited[index] + 4) % 4);
    const counts = [1, 2, 3].map((step) => steps.filter((other) => other === step).length);
    expectShares(counts, [1, 1, 1]);
  });

  it("draw the places of a working set alike", () => {
    expectShares(
      countsOf(pattern("phases", 20, { workingSet: 40, phase: 7 }), 20, 50_000),
      new Array(20).fill(1),
    );
  });

  it("have a shorter last working set where they do not fill the footprint", () => {
    const from = pattern("phases", 10, { workingSet: 16, phase: 100 });
    const phases = Array.from({ length: 20 }, () => ascending(draw(from, 100)));
    expect(phases).toContainEqual([0, 1, 2, 3]);
    expect(phases).toContainEqual([8, 9]);
  });

  it("stay in the whole footprint where the working set is larger", () => {
    expect(ascending(draw(pattern("phases", 5, { workingSet: 1000, phase: 3 }), 200))).toEqual(upTo(5));
  });
});
