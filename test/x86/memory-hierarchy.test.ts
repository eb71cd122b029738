import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { LineRun, MemoryHierarchy } from "../../src/x86/memory-hierarchy.js";
import { type Hash, REPLACEMENTS, type Replacement } from "../../src/x86/set-associative.js";

const { geometry } = loadCpu("sandy-bridge-ep");
const L1 = 0;
const L2 = 1;
const L3 = 2;
const DRAM = 3;

/** L1D of 2 lines, L2 of 4, L3 of 8, each one set. */
function small(l3Inclusive: boolean, l3Replacement: Replacement = "lru"): MemoryHierarchy {
  const cache = (lines: number, replacement: Replacement = "lru") => {
    return { bytes: 64 * lines, ways: lines, replacement };
  };
  return new MemoryHierarchy({
    ...geometry,
    l1d: cache(2),
    l2: cache(4),
    l3: cache(8, l3Replacement),
    l2Hash: "none",
    l3Hash: "none",
    l3Inclusive,
  });
}

/** The levels that serve these lines of page 0, one after the other. */
function serve(hierarchy: MemoryHierarchy, ...lines: number[]): number[] {
  return lines.map((line) => hierarchy.reference(0, 0, line));
}

describe("the memory hierarchy", () => {
  it("serves a line from DRAM once and from the nearest level that still has it after", () => {
    const hierarchy = new MemoryHierarchy(geometry);
    expect(serve(hierarchy, 7, 7)).toEqual([DRAM, L1]);
    hierarchy.evictL1();
    expect(serve(hierarchy, 7)).toEqual([L2]);
    hierarchy.evictL1();
    hierarchy.evictL2();
    expect(serve(hierarchy, 7, 7)).toEqual([L3, L1]);
  });

  it("holds as many lines as each level has room for", () => {
    const hierarchy = small(false);
    serve(hierarchy, 0, 1, 2, 3, 4, 5, 6, 7, 8);
    // The last two in L1D, the two before in L2, older ones in L3; 0 is gone.
    expect(serve(hierarchy, 8, 6, 3, 0)).toEqual([L1, L2, L3, DRAM]);
  });

  it("tells the lines of pages apart that are 16 Tbyte from each other", () => {
    const hierarchy = new MemoryHierarchy(geometry);
    expect([
      hierarchy.reference(5, 0, 0),
      hierarchy.reference(5, 1, 0),
      hierarchy.reference(5, 0, 0),
    ]).toEqual([DRAM, DRAM, L1]);
  });

  /** Line 0 is kept in L1D by its use, which L3 does not see, while eight others push it out of L3. */
  function pushedOut(hierarchy: MemoryHierarchy): number[] {
    serve(hierarchy, 0);
    for (let line = 1; line < 8; line++) serve(hierarchy, line, 0);
    serve(hierarchy, 8);
    return serve(hierarchy, 0);
  }

  it("drops a line from L1D and L2 when an inclusive L3 loses it, and only then", () => {
    expect(pushedOut(small(true))).toEqual([DRAM]);
    expect(pushedOut(small(false))).toEqual([L1]);
  });

  it("keeps of a loop over ten lines what the policy of L3 keeps of it: nothing by lru, seven lines by bip", () => {
    const loop = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    const secondRound = (l3Replacement: Replacement) => {
      const hierarchy = small(false, l3Replacement);
      serve(hierarchy, ...loop);
      return serve(hierarchy, ...loop).filter((level) => level === L3).length;
    };
    expect([secondRound("lru"), secondRound("bip")]).toEqual([0, 7]);
  });

  it("spreads pages a power of two apart over the sets of L3 where a hash chooses them, and over those of L1D and L2 not", () => {
    // 2048 sets in L3, 32 pages apart; 16 lines of it are four for each of four ways.
    const pages = Array.from({ length: 16 }, (_, n) => 32 * n);
    const secondRound = (l3Hash: Hash) => {
      const l3 = { bytes: 64 * 2048 * 4, ways: 4, replacement: "lru" as const };
      const hierarchy = new MemoryHierarchy({ ...geometry, l3, l3Hash });
      for (const page of pages) hierarchy.reference(page, 0, 0);
      return pages.map((page) => hierarchy.reference(page, 0, 0));
    };
    expect(new Set(secondRound("none"))).toEqual(new Set([DRAM]));
    expect(new Set(secondRound("page"))).toEqual(new Set([L3]));
  });
});

describe("a run of lines", () => {
  /** What is done: a run is referenced, or a part of its 12 lines, or other lines; caches are emptied. */
  const steps = fc.array(
    fc.oneof(
      fc.tuple(fc.constant("run" as const), fc.constant(0), fc.constant(12)),
      fc.tuple(fc.constant("run" as const), fc.nat(12), fc.nat(12)),
      fc.tuple(fc.constant("line" as const), fc.integer({ min: 32, max: 63 }), fc.constant(0)),
      fc.tuple(fc.constantFrom("evictL1" as const, "evictL2" as const), fc.constant(0), fc.constant(0)),
    ),
    { maxLength: 60 },
  );
  const cache = (bytes: number, ways: number, replacement: Replacement) => ({ bytes, ways, replacement });
  type Step = ["run" | "line" | "evictL1" | "evictL2", number, number];
  /** Lines of one set push a line of the run out of L3, and so out of L1D, each after two uses of the run. */
  const leavesL3: Step[] = [
    ...[37, 45, 53, 61].flatMap((line): Step[] => [
      ["run", 0, 12],
      ["run", 0, 12],
      ["line", line, 0],
    ]),
    ["line", 53, 0],
  ];

  /** Of 12 lines L1D holds 8; of 5 it holds all, two of them in one set, and some of the others. */
  const cases = REPLACEMENTS.flatMap((replacement) => [12, 5].map((length) => ({ replacement, length })));

  it.each(cases)(
    "is referenced as its $length lines are, one by one ($replacement)",
    ({ replacement, length }) => {
      const tiny = {
        ...geometry,
        l1d: cache(64 * 8, 2, replacement),
        l2: cache(64 * 16, 4, replacement),
        l3: cache(64 * 32, 4, replacement),
        l2Hash: "none",
        l3Hash: "none",
        l3Inclusive: true,
      } as const;
      const lines = Array.from({ length }, (_, index) => (5 * index) % 32);
      fc.assert(
        fc.property(steps, (done) => {
          const together = new MemoryHierarchy(tiny);
          const oneByOne = new MemoryHierarchy(tiny);
          const run = new LineRun(
            together,
            lines.map(() => 3),
            lines,
          );
          for (const [what, a, b] of done) {
            if (what === "run") {
              const [first, end] = [Math.min(a, b), Math.max(a, b)].map((at) => Math.min(at, length));
              run.reference(first, end);
              for (const line of lines.slice(first, end)) oneByOne.reference(3, 0, line);
            } else if (what === "line") {
              expect(together.reference(3, 0, a)).toBe(oneByOne.reference(3, 0, a));
            } else {
              together[what]();
              oneByOne[what]();
            }
          }
          for (let line = 0; line < 64; line++)
            expect(together.reference(3, 0, line)).toBe(oneByOne.reference(3, 0, line));
        }),
        { numRuns: 200, seed: 1, examples: [[leavesL3]] },
      );
    },
  );
});
