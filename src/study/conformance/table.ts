/**
 * Conformance: the model against a table of outcomes that somebody else made, one JSON object a line. What a row is about
 * its fields say.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import type * as z from "zod";
import { InputError, parseInput } from "../../cost/input.js";
import { BUS_SCHEMAS, compareBus } from "./bus-rows.js";
import {
  type Comparison,
  compareEpt,
  compareEptp,
  compareGuest,
  compareNested,
  PAGING_SCHEMAS,
} from "./paging-rows.js";
import { compareReplacement, compareTrace, TLB_SCHEMAS } from "./tlb-rows.js";

export interface ConformanceFailure extends Comparison {
  /** Line in the table, from 1. */
  readonly line: number;
  /** The row as it stands there. */
  readonly row: string;
}

export interface Conformance {
  readonly passed: number;
  readonly failed: number;
  /** Rows whose outcome depends on the implementation (`amb` 2). */
  readonly skipped: number;
  /** The first failures, in the order of the table. */
  readonly failures: readonly ConformanceFailure[];
}

/** Failures that are kept with their rows. */
const KEPT_FAILURES = 10;

/**
 * Compares every row of a table, `.jsonl` or `.jsonl.gz`, in the formats that the README names. A row that cannot be read
 * fails.
 *
 * @throws InputError for a file that cannot be read, has no row, or is of no known kind
 */
export async function conform(path: string): Promise<Conformance> {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const failures: ConformanceFailure[] = [];
  for await (const { line, text } of linesOf(path)) {
    const verdict = judge(text, `${path}: line ${line}`);
    if (verdict === null) {
      skipped++;
    } else if (verdict.expected === verdict.got) {
      passed++;
    } else {
      failed++;
      if (failures.length < KEPT_FAILURES) failures.push({ line, row: text, ...verdict });
    }
  }
  if (passed + failed + skipped === 0) throw new InputError(path, "has no row", "one JSON object a line");
  return { passed, failed, skipped, failures };
}

/** The comparison of one row, or null if it is to be skipped. @throws InputError for no known kind of table */
function judge(text: string, where: string): Comparison | null {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (error) {
    return malformed((error as Error).message);
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) return malformed("not an object");
  if ("amb" in row && row.amb === 2) return null;
  const compare = comparer(row, where);
  try {
    return compare(row);
  } catch (error) {
    if (error instanceof InputError || error instanceof RangeError) return malformed(error.message);
    throw error;
  }
}

function malformed(reason: string): Comparison {
  return { expected: "a row of the format", got: reason };
}

/** What compares rows of this kind. */
function comparer(row: object, where: string): (row: unknown) => Comparison {
  const checked =
    <T>(schema: z.ZodType<T>, compare: (row: T) => Comparison) =>
    (value: unknown) =>
      compare(parseInput(schema, value, "row"));
  if ("ops" in row) return checked(BUS_SCHEMAS.ioeventfd, compareBus);
  if ("trace" in row) return checked(TLB_SCHEMAS.trace, compareTrace);
  if ("pol" in row) return checked(TLB_SCHEMAS.result, compareReplacement);
  if ("p5" in row) return checked(PAGING_SCHEMAS.eptp, compareEptp);
  if ("la" in row) {
    return "eptp" in row
      ? checked(PAGING_SCHEMAS.nested, compareNested)
      : checked(PAGING_SCHEMAS.guest, compareGuest);
  }
  if ("gpa" in row) return checked(PAGING_SCHEMAS.ept, compareEpt);
  throw new InputError(where, `has the fields ${Object.keys(row).join(", ")}, of no kind of table`, ALLOWED);
}

const ALLOWED = "rows of guest paging, EPT, nested, EPT pointer, TLB replacement or ioeventfd tables";

async function* linesOf(path: string): AsyncGenerator<{ line: number; text: string }> {
  const file = createReadStream(path);
  const input = path.endsWith(".gz") ? file.pipe(createGunzip()) : file;
  // An error of the file does not reach what it is piped into.
  file.on("error", (error) => input.destroy(error));
  let line = 0;
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      if (text !== "") yield { line, text };
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(path, (error as Error).message, "a readable table, .jsonl or .jsonl.gz");
  }
}
