/**
 * The compiled package's side of the benchmark: a guest in simulated memory, and the loops over its pages. It is the same
 * as in yardstick/processor-guest.hpp, name by name.
 */
import { READ } from "../../dist/x86/access.js";
import { EPT_EXECUTE, EPT_PAGE_SIZE, EPT_PERMISSIONS, EPT_READ, EPT_WRITE } from "../../dist/x86/ept.js";
import {
  PTE_GLOBAL,
  PTE_PAGE_SIZE,
  PTE_PRESENT,
  PTE_USER,
  PTE_WRITABLE,
} from "../../dist/x86/guest-paging.js";
import { Ledger, X86_PRIMITIVES } from "../../dist/x86/ledger.js";
import { EPT_MISCONFIG, EPT_VIOLATION, Mmu, PAGE, PAGE_FAULT } from "../../dist/x86/mmu.js";
import { entryHigh, entryIndex, entryLow, entryPfn, PhysicalMemory } from "../../dist/x86/physical-memory.js";
import { PAGES_2M } from "../../dist/x86/tlb.js";
import { geometry, warmUpOf } from "./processor-rows.mjs";
import { processorTime } from "./processor-time.mjs";

const LEVELS = 4;

/** Guest page n is host page HOST + n. */
const HOST = 2 ** 33;
/** The host page of the first EPT structure. */
const EPT_TABLES = 0x100;

const WRITE_BACK = 6 << 3;
/** EPT pointer: write-back, a walk of four levels. */
const EPTP = 6 | ((LEVELS - 1) << 3);

/**
 * @typedef {readonly [low: number, high: number]} Flags of an entry, as they stand in its two words
 * @typedef {import("./processor-rows.mjs").Row} Row
 * @typedef {import("./processor-rows.mjs").Measurement} Measurement
 */

/** @type {Flags} */
const GUEST_RW = [PTE_PRESENT | PTE_WRITABLE | PTE_USER, 0];
/** @type {Flags} */
const EPT_RWX = [EPT_PERMISSIONS, 0];
/** @type {Flags} */
const EPT_RWX_WB = [EPT_PERMISSIONS | WRITE_BACK, 0];

/**
 * Leaves of the mixed row other than the plain one: absent, less permitted, malformed, global.
 *
 * @type {readonly Flags[]}
 */
const GUEST_LEAVES = [
  [0, 0],
  [PTE_PRESENT | PTE_USER, 0],
  [PTE_PRESENT | PTE_WRITABLE, 0],
  [GUEST_RW[0], 1 << 31],
  [GUEST_RW[0], 1 << 19],
  [GUEST_RW[0] | PTE_GLOBAL, 0],
];
/** @type {readonly Flags[]} */
const EPT_LEAVES = [
  [0, 0],
  [EPT_READ | EPT_EXECUTE | WRITE_BACK, 0],
  [EPT_WRITE | WRITE_BACK, 0],
  [EPT_READ | EPT_WRITE | WRITE_BACK, 0],
  [EPT_PERMISSIONS | (2 << 3), 0],
];

/** Paging structures under construction, the guest's or the EPT's; a table is made when a page first needs it. */
class Tables {
  /**
   * @param {PhysicalMemory} memory
   * @param {Flags} flags of entries that reference a table
   * @param {() => number} allocate gives the page of a new table
   * @param {(table: number) => number} hostOf gives the host page of a table
   */
  constructor(memory, flags, allocate, hostOf) {
    this.memory = memory;
    this.flags = flags;
    this.allocate = allocate;
    this.hostOf = hostOf;
    this.root = allocate();
  }

  /**
   * Maps a page by an entry at `level` with these flags.
   *
   * @param {number} page
   * @param {number} level
   * @param {number} target
   * @param {Flags} flags
   */
  map(page, level, target, flags) {
    let table = this.root;
    for (let above = LEVELS; above > level; above--) {
      const index = entryIndex(page, above);
      const host = this.hostOf(table);
      let child = entryPfn(this.memory.low(host, index), this.memory.high(host, index));
      if (child === 0) {
        child = this.allocate();
        this.write(table, index, child, this.flags);
      }
      table = child;
    }
    this.write(table, entryIndex(page, level), target, flags);
  }

  /**
   * @param {number} table
   * @param {number} index
   * @param {number} target
   * @param {Flags} flags
   */
  write(table, index, target, [low, high]) {
    this.memory.write(this.hostOf(table), index, entryLow(target, low), entryHigh(target, high));
  }
}

/**
 * Maps linear pages 0 to `pages` - 1; the guest's tables lie `gap` pages apart, and the data behind them.
 *
 * @param {Row} row
 * @param {PhysicalMemory} memory
 * @param {Mmu} mmu
 */
function buildGuest({ operation, pages, gap, ept }, memory, mmu) {
  const mixed = operation === "mixed";
  const chunks = Math.ceil(pages / PAGES_2M);
  const data = (LEVELS - 1 + chunks) * gap;

  let nextEptTable = EPT_TABLES;
  const eptTables = new Tables(
    memory,
    EPT_RWX,
    () => nextEptTable++,
    (table) => table,
  );
  /** @type {(gfn: number, level: number, flags: Flags) => void} */
  const mapEpt = (gfn, level, flags) => eptTables.map(gfn, level, HOST + gfn, flags);

  let nextTable = 0;
  const allocate = () => {
    const gfn = gap * nextTable++;
    if (ept) mapEpt(gfn, 1, EPT_RWX_WB);
    return gfn;
  };
  const guestTables = new Tables(memory, GUEST_RW, allocate, (gfn) => (ept ? HOST + gfn : gfn));

  /** @param {number} n */
  const guestLeaf = (n) => (mixed && GUEST_LEAVES[n % 37]) || GUEST_RW;
  /** @param {number} n */
  const eptLeaf = (n) => (mixed && EPT_LEAVES[n % 41]) || EPT_RWX_WB;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const first = chunk * PAGES_2M;
    const end = Math.min(first + PAGES_2M, pages);
    // All four ways in which pages of 4 Kbyte and 2 Mbyte of the guest and the EPT can meet.
    const guestLarge = mixed && (chunk & 1) !== 0;
    const eptLarge = mixed && (chunk & 2) !== 0;
    if (guestLarge) guestTables.map(first, 2, data + first, large(guestLeaf(chunk), PTE_PAGE_SIZE));
    if (eptLarge) mapEpt(data + first, 2, large(eptLeaf(chunk), EPT_PAGE_SIZE));
    for (let page = first; page < end; page++) {
      if (!guestLarge) guestTables.map(page, 1, data + page, guestLeaf(page));
      if (ept && !eptLarge) mapEpt(data + page, 1, eptLeaf(page));
    }
  }

  mmu.writeCr3(guestTables.root * PAGE);
  if (ept) mmu.enableEpt(eptTables.root * PAGE + EPTP);
}

/**
 * @param {Flags} flags
 * @param {number} pageSize
 * @returns {Flags}
 */
const large = ([low, high], pageSize) => [low | pageSize, high];

/**
 * The rows' loops. Each returns a digest of what it saw; 0 means that all accesses were translated, but for `mixed`.
 *
 * @type {Readonly<Record<import("./processor-rows.mjs").Operation, (mmu: Mmu, pages: number, iterations: number) => number>>}
 */
const LOOPS = {
  translate(mmu, pages, iterations) {
    const kind = READ;
    let digest = 0;
    let page = 0;
    for (let i = 0; i < iterations; i++) {
      digest += mmu.translate(page, 0, kind);
      page = page + 1 === pages ? 0 : page + 1;
    }
    return digest;
  },

  /** Each page's datum is in the next line, so that they spread over the sets of the data caches. */
  access(mmu, pages, iterations) {
    const kind = READ;
    let digest = 0;
    let page = 0;
    for (let i = 0; i < iterations; i++) {
      digest += mmu.access(page, (page & 63) << 6, kind);
      page = page + 1 === pages ? 0 : page + 1;
    }
    return digest;
  },

  clearAndTranslate(mmu, pages, iterations) {
    let digest = 0;
    let page = 0;
    for (let i = 0; i < iterations; i++) {
      mmu.caches.clear();
      mmu.hierarchy.evictL1();
      digest += mmu.translate(page, 0, READ);
      page = page + 1 === pages ? 0 : page + 1;
    }
    return digest;
  },

  /** Accesses of all kinds to random pages, half of them to the first few. */
  mixed(mmu, pages, iterations) {
    let digest = 0;
    let x = 1;
    for (let i = 0; i < iterations; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      const page = (x >>> 12) % (x < 0 ? 32 : pages);
      const kind = ((x >>> 26) % 3) | (((x >>> 28) % 3) << 2);
      const outcome = mmu.access(page, x & 0xfff, kind);
      let seen = mmu.pfn;
      if (outcome === PAGE_FAULT) seen = mmu.errorCode;
      if (outcome === EPT_VIOLATION) seen = mmu.guestPhysicalAddress + mmu.exitQualification;
      if (outcome === EPT_MISCONFIG) seen = mmu.guestPhysicalAddress;
      digest = (Math.imul(31, digest) + seen) | 0;
    }
    return digest >>> 0;
  },
};

/**
 * @param {Row} row
 * @param {number} iterations
 * @returns {Measurement}
 */
export function measureProcessor(row, iterations) {
  const memory = new PhysicalMemory();
  const ledger = new Ledger(X86_PRIMITIVES);
  const mmu = new Mmu(geometry, memory, ledger);
  buildGuest(row, memory, mmu);
  const loop = LOOPS[row.operation];
  loop(mmu, row.pages, warmUpOf(row));
  ledger.reset();

  const start = processorTime();
  const digest = loop(mmu, row.pages, iterations);
  const nanoseconds = processorTime() - start;
  return { nanoseconds, digest, counts: ledger.toRecord() };
}
