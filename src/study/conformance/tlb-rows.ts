/**
 * Rows of the TLB replacement table: a trace of page numbers, made again here from its published generator, and what a
 * structure of some geometry and replacement does with it.
 */
import * as z from "zod";
import { oneOf, record } from "../../cost/input.js";
import { highOf, lowOf } from "../../x86/page-number.js";
import { ABSENT, type Replacement, SetAssociativeStore } from "../../x86/set-associative.js";
import type { Comparison } from "./paging-rows.js";

const whole = z.number({ error: "a whole number" }).int({ error: "a whole number" }).min(0);
const fnv = z.string({ error: "16 hex digits" }).regex(/^[0-9a-f]{16}$/, { error: "16 hex digits" });

const traceRow = record({
  trace: whole.max(9, { error: "0 to 9" }),
  name: z.string(),
  n: whole.min(1),
  accesses: whole,
  fnv,
  first: z.array(z.string()),
});
const policies = { lru: "lru", fifo: "fifo", plru: "plru", plrul: "plru-fill" } as const;
const resultRow = record({
  t: whole.max(9, { error: "0 to 9" }),
  entries: whole.min(1),
  ways: whole.min(1),
  pol: oneOf(["lru", "fifo", "plru", "plrul"]),
  hits: whole,
  misses: whole,
  fnv,
  o: z.string().optional(),
});

export const TLB_SCHEMAS = { trace: traceRow, result: resultRow };

/** One step of a trace: a page that is looked up, or one that is invalidated. */
interface Trace {
  readonly pages: Float64Array;
  readonly invalidates: Uint8Array;
}

const LENGTH = 100_000;
const traces = new Map<number, Trace>();

export function compareTrace(row: z.output<typeof traceRow>): Comparison {
  const { pages, invalidates } = traceOf(row.trace);
  const digest = new Fnv();
  for (let i = 0; i < pages.length; i++) {
    digest.addWord(BigInt(pages[i]));
    digest.addByte(invalidates[i]);
  }
  const accesses = invalidates.reduce((sum, invalidate) => sum + 1 - invalidate, 0);
  const first = row.first.map((_, i) => (invalidates[i] ? "v" : "") + pages[i].toString(16));
  const text = (n: number, count: number, hash: string, start: readonly string[]) =>
    `${n} steps, ${count} accesses, ${hash}, ${start.join(" ")}`;
  return {
    expected: text(row.n, row.accesses, row.fnv, row.first),
    got: text(pages.length, accesses, digest.hex(), first),
  };
}

export function compareReplacement(row: z.output<typeof resultRow>): Comparison {
  const replacement: Replacement = policies[row.pol];
  const store = new SetAssociativeStore({ entries: row.entries, ways: row.ways }, 0, replacement);
  const { pages, invalidates } = traceOf(row.t);
  const digest = new Fnv();
  let hits = 0;
  let misses = 0;
  for (let i = 0; i < pages.length; i++) {
    const low = lowOf(pages[i]);
    // Never 0: that marks an empty slot.
    const high = highOf(pages[i]) + 1;
    if (invalidates[i] === 1) {
      store.remove(low, high, high);
    } else if (store.lookup(low, high, high) !== ABSENT) {
      hits++;
      digest.addByte(1);
    } else {
      misses++;
      digest.addByte(0);
      store.insert(low, high);
    }
  }
  const text = (hit: number, miss: number, hash: string) => `${hit} hits, ${miss} misses, ${hash}`;
  return {
    expected: text(row.hits, row.misses, row.fnv),
    got: text(hits, misses, digest.hex()),
  };
}

function traceOf(number: number): Trace {
  let trace = traces.get(number);
  if (trace === undefined) {
    trace = makeTrace(number);
    traces.set(number, trace);
  }
  return trace;
}

function makeTrace(number: number): Trace {
  const pages = new Float64Array(LENGTH);
  const invalidates = new Uint8Array(LENGTH);
  const random = new SplitMix(1000n + BigInt(number));
  const below = (limit: number) => random.below(limit);
  /** The smaller of two draws: small ones are more frequent. */
  const skewed = () => Math.min(below(3000), below(3000));
  const table =
    number === 7 ? Array.from({ length: 3000 }, () => Number((random.next() & 0xf_ffff_ffffn) | 1n)) : [];
  const recent: number[] = new Array(64).fill(1);
  let walk = number === 6 ? 0x5_0000 : 0x40_0000;
  for (let i = 0; i < LENGTH; i++) {
    let page = 0;
    switch (number) {
      case 0:
        page = 0x1000 + below(768);
        break;
      case 1:
        page = 0x1_0000 + below(8192);
        break;
      case 2:
        page = 0x400 + Math.min(below(4096), below(4096), below(4096));
        break;
      case 3:
        page = 0x2000 + (i % 1600);
        break;
      case 4:
        page = 0x10_0000 + 128 * below(20);
        break;
      case 5:
        if (below(100) < 70) {
          page = 0x7000 + below(48);
        } else {
          page = walk;
          walk = 0x40_0000 + ((walk - 0x40_0000 + 1) % 20_000);
        }
        break;
      case 6:
        if (below(100) < 1) walk = 0x5_0000 + below(100_000);
        else walk += below(5) - 2;
        page = walk;
        break;
      case 7:
        page = table[skewed()];
        break;
      default: {
        const [share, base] = number === 8 ? [4, 0x9000] : [12, 0xb000];
        if (below(100) < share) {
          invalidates[i] = 1;
          page = recent[below(64)];
        } else {
          page = base + (number === 8 ? skewed() : below(100));
          recent[i % 64] = page;
        }
      }
    }
    pages[i] = page;
  }
  return { pages, invalidates };
}

/** Steele, Lea and Flood's SplitMix64. */
class SplitMix {
  constructor(private state: bigint) {}

  next(): bigint {
    this.state = BigInt.asUintN(64, this.state + 0x9e37_79b9_7f4a_7c15n);
    let z = this.state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return z ^ (z >> 31n);
  }

  below(limit: number): number {
    return Number(this.next() % BigInt(limit));
  }
}

/** The 64-bit FNV-1a digest, in two halves of 32 bits. */
class Fnv {
  private low = 0x8422_2325;
  private high = 0xcbf2_9ce4;

  /** The prime is 2^40 + 0x1b3. */
  addByte(byte: number): void {
    const low = (this.low ^ byte) >>> 0;
    const product = low * 0x1b3;
    this.high = (Math.imul(this.high, 0x1b3) + (low << 8) + Math.floor(product / 2 ** 32)) >>> 0;
    this.low = product >>> 0;
  }

  /** Eight bytes, the lowest first. */
  addWord(word: bigint): void {
    for (let shift = 0n; shift < 64n; shift += 8n) this.addByte(Number((word >> shift) & 0xffn));
  }

  hex(): string {
    return this.high.toString(16).padStart(8, "0") + this.low.toString(16).padStart(8, "0");
  }
}
