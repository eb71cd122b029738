import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PageSet } from "../../src/kvm/page-set.js";

describe("a set of pages", () => {
  it("holds what a Set would, near and far, whatever comes and goes", () => {
    const page = fc.oneof(
      fc.integer({ min: 0, max: 70 }),
      fc.integer({ min: 2 ** 15 - 2, max: 2 ** 15 + 2 }),
      fc.constantFrom(2 ** 31, 2 ** 32 + 31, 2 ** 40 - 1),
    );
    const steps = fc.array(fc.tuple(fc.boolean(), page), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const pages = new PageSet();
        const known = new Set<number>();
        for (const [adds, one] of all) {
          if (adds) {
            pages.add(one);
            known.add(one);
          } else {
            pages.delete(one);
            known.delete(one);
          }
          expect(pages.size).toBe(known.size);
          for (const [, other] of all) expect(pages.has(other)).toBe(known.has(other));
        }
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});
