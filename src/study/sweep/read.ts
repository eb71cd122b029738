/** The results of a sweep from the file that it wrote. */
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { InputError, parseInput, text } from "../../cost/input.js";
import { coreVersion } from "../provenance.js";
import type { Measured } from "../run/run.js";
import { nameOf, pointsOf } from "./point.js";
import { readResults } from "./results.js";
import { parseSweep, type SweepSpec } from "./spec.js";
import { journalPath, provenanceOfSweep, RESULTS, resultsOf, type SweepResult } from "./sweep.js";

/** What a file holds, whatever version of the simulation wrote it. */
export interface WrittenResults {
  /** Of the results.jsonl. */
  readonly file: string;
  readonly spec: SweepSpec;
  /** Digests of the simulation and of the data, 8 hex digits. */
  readonly core: string;
  readonly data: string;
  readonly points: readonly WrittenPoint[];
}

export interface WrittenPoint {
  readonly key: string;
  readonly values: SweepResult["rows"][number]["values"];
  readonly result?: Measured;
  /** Why it failed. */
  readonly error?: string;
}

const count = z.number({ error: "a number" }).nonnegative({ error: "a number" });

const headLine = z.looseObject(
  { core: text("digest of the simulation"), data: text("digest of the data"), spec: z.unknown() },
  { error: "the head of a sweep's results" },
);
const measured = z.looseObject({
  accesses: count.positive({ error: "a number of accesses" }),
  counts: z.record(z.string(), count, { error: "counts by primitive" }),
  signals: z.array(count, { error: "a list of numbers" }),
});
const pointLine = z.looseObject(
  {
    key: text("the point's key"),
    point: z.record(z.string(), z.json(), { error: "values by field" }),
    error: z.string({ error: "why the point failed" }).optional(),
    result: measured.optional(),
  },
  { error: "a point of a sweep's results" },
);

/**
 * @param path of a sweep's folder, or of the results.jsonl in it
 * @throws InputError for a file that is none, or is damaged, with the line
 */
export function readWritten(path: string): WrittenResults {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const file = isFolder ? join(path, RESULTS) : path;
  const { head, rows } = readResults(file);
  const { core, data, spec } = parseInput(headLine, head, `${file}: line 1`);
  const points = rows.map((row, index): WrittenPoint => {
    const { key, point: values, result, error } = parseInput(pointLine, row, `${file}: line ${index + 2}`);
    return {
      key,
      values,
      ...(result && { result: result as unknown as Measured }),
      ...(error !== undefined && { error }),
    };
  });
  return { file, spec: parseSweep(spec, `${file}: line 1: spec`), core, data, points };
}

/**
 * Reads a finished sweep.
 *
 * @param path as `readWritten()`
 * @throws InputError as `readWritten()`, and for results of another version of the simulation
 */
export async function readSweep(path: string): Promise<SweepResult> {
  const { file, spec, core, points: written } = readWritten(path);
  const byKey = new Map(written.map((point) => [point.key, point]));
  const points = await pointsOf(spec);
  // The key names all that the result depends on.
  const missing = points.find(({ key }) => !byKey.has(key));
  if (missing !== undefined) {
    const versions =
      core === coreVersion() ? "" : `; they are of version ${core}, and this is ${coreVersion()}`;
    throw new InputError(
      file,
      `has no result for ${nameOf(missing.values)} under this version of the simulation${versions}`,
      "results of this version; run the sweep again",
    );
  }
  return {
    spec,
    provenance: provenanceOfSweep(spec, points),
    ...resultsOf(points, byKey),
    ran: 0,
    journal: journalPath(dirname(file)),
    results: file,
  };
}
