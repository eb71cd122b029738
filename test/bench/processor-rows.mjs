/**
 * The rows that the processor model does alone: what each one accesses, and the counts that make its name true. The compiled
 * package and the yardstick do the same for a row, on the same processor.
 */
import { loadCpu } from "../../dist/cost/cpu-profile.js";
import { PAGES_2M } from "../../dist/x86/tlb.js";

const cpu = loadCpu("haswell-ep-e5-2660v3");
export const { model } = cpu;
/** Its L3 replaces the least recently used line, and no hash chooses the set: the yardstick knows nothing else. */
export const geometry = {
  ...cpu.geometry,
  l3: { ...cpu.geometry.l3, replacement: /** @type {const} */ ("lru") },
  l2Hash: /** @type {const} */ ("none"),
  l3Hash: /** @type {const} */ ("none"),
};

/** Pages between guest paging structures. NEAR leaves room for the data's 2-Mbyte pages. */
const NEAR = PAGES_2M;
/** Eight regions of 512 Gbyte: no two EPT entries, not even of the root, share a line. One page more, and no set of L2 overflows. */
const FAR = 8 * 2 ** 27 + 1;

/**
 * @typedef {"translate" | "access" | "clearAndTranslate" | "mixed"} Operation
 * @typedef {Readonly<Record<string, number>>} Counts by the ledger's names
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {Operation} operation what is done to one page after the other
 * @property {number} pages linear pages, from 0
 * @property {boolean} ept
 * @property {number} gap pages from one guest paging structure to the next, and from the last to the data
 * @property {number} iterations
 * @property {(counts: Counts, iterations: number) => boolean} isTrue whether the counts are what the name says
 *
 * @typedef {object} Measurement
 * @property {number} nanoseconds of processor time that all iterations took
 * @property {number} digest of what the accesses returned; 0 where all of them were translated
 * @property {Counts} counts
 */

/** @type {Row} */
export const COLD = {
  name: "cold 2-D walk",
  operation: "clearAndTranslate",
  pages: PAGES_2M,
  ept: true,
  gap: FAR,
  iterations: 200_000,
  isTrue: (counts, n) =>
    isOnly(counts, { walkLoad: n, walkCompletedLoad4K: n, guestWalkRefL2: 4 * n, eptWalkRefL2: 20 * n }),
};

/** @type {Row} */
export const MIXED = {
  name: "mixed accesses",
  operation: "mixed",
  pages: 32 * PAGES_2M,
  ept: true,
  gap: NEAR,
  iterations: 1_000_000,
  isTrue: (counts) => hasEverything(counts),
};

/** @type {readonly Row[]} */
export const PROCESSOR_ROWS = [
  {
    name: "data-TLB hit",
    operation: "translate",
    pages: geometry.dtlb4K.entries,
    ept: true,
    gap: NEAR,
    iterations: 20_000_000,
    isTrue: (counts, n) => isOnly(counts, { dtlbHit: n }),
  },
  {
    name: "data-TLB hit, datum",
    operation: "access",
    pages: geometry.dtlb4K.entries,
    ept: true,
    gap: NEAR,
    iterations: 20_000_000,
    isTrue: (counts, n) => isOnly(counts, { dtlbHit: n, dataRefL1: n }),
  },
  {
    name: "second-level hit",
    operation: "translate",
    pages: geometry.stlb.entries,
    ept: true,
    gap: NEAR,
    iterations: 5_000_000,
    isTrue: (counts, n) => isOnly(counts, { stlbHitLoad: n }),
  },
  {
    name: "hot native walk",
    operation: "translate",
    pages: 2 * geometry.stlb.entries,
    ept: false,
    gap: NEAR,
    iterations: 2_000_000,
    isTrue: (counts, n) => isOnly(counts, { walkLoad: n, walkCompletedLoad4K: n, guestWalkRefL1: n }),
  },
  {
    name: "hot 2-D walk",
    operation: "translate",
    pages: 2 * geometry.stlb.entries,
    ept: true,
    gap: NEAR,
    iterations: 2_000_000,
    isTrue: (counts, n) =>
      isOnly(counts, { walkLoad: n, walkCompletedLoad4K: n, guestWalkRefL1: n, eptWalkRefL1: n }),
  },
  MIXED,
  COLD,
];

/**
 * Accesses before those that count: the pages go round until every structure stays as it is. The mixed row counts from the
 * start, so that everything happens.
 *
 * @param {Row} row
 */
export const warmUpOf = ({ operation, pages }) => (operation === "mixed" ? 0 : 3 * pages);

/**
 * @param {Counts} counts
 * @param {Counts} expected those that are not 0
 */
function isOnly(counts, expected) {
  return Object.entries(counts).every(([name, count]) => count === (expected[name] ?? 0));
}

/**
 * Whether there are hits, walks that end with pages of both sizes, and references served by every level, of every kind; and
 * walks that end with a fault. The processor holds no page of 1 Gbyte.
 *
 * @param {Counts} counts
 */
function hasEverything(counts) {
  const entries = Object.entries(counts);
  /** @param {RegExp} names */
  const sum = (names) => entries.reduce((total, [name, count]) => total + (names.test(name) ? count : 0), 0);
  return (
    entries.every(([name, count]) => count > 0 || name.endsWith("1G")) &&
    sum(/^walk(Load|Store|Fetch)$/) > sum(/^walkCompleted/)
  );
}
