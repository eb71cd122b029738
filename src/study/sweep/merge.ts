/**
 * Joins the journals of a sweep's shards into its result file.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "../../cost/input.js";
import { provenanceOf } from "../provenance.js";
import { Journal, type JournalEntry } from "./journal.js";
import { canonicalJson, nameOf, type Point, pointsOf } from "./point.js";
import { parseSweep } from "./spec.js";
import { RESULTS, resultsOf, type SweepResult, writeSweepResults } from "./sweep.js";

/**
 * Writes the result file of the sweep whose journals lie in a folder.
 *
 * @throws InputError for a folder without a journal, journals of different specifications, or points without a result
 */
export async function mergeSweep(folder: string): Promise<SweepResult> {
  const paths = journalsIn(folder);
  const [first, ...others] = paths.map((path) => {
    const journal = Journal.read(path);
    if (journal === undefined) throw new InputError(path, "is empty", "a journal");
    return { path, ...journal };
  });
  const other = others.find(({ head }) => canonicalJson(head.spec) !== canonicalJson(first.head.spec));
  if (other !== undefined) {
    const allowed = "journals of one sweep in a folder";
    throw new InputError(other.path, `has another specification than ${first.path}`, allowed);
  }
  const spec = parseSweep(first.head.spec, first.path);
  const entries = new Map<string, JournalEntry>();
  for (const entry of [first, ...others].flatMap((journal) => journal.entries)) {
    // Of a point that failed on one machine and not on another the result counts.
    if (entries.get(entry.key)?.status !== "done") entries.set(entry.key, entry);
  }
  const points = await pointsOf(spec);
  const missing = points.filter(({ key }) => !entries.has(key));
  if (missing.length > 0) throw incomplete(folder, missing, points.length);
  const results = join(folder, RESULTS);
  writeSweepResults(results, spec, points, entries);
  const provenance = provenanceOf(spec.seeds[0]);
  return { spec, provenance, ...resultsOf(points, entries), ran: 0, journal: first.path, results };
}

function journalsIn(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => /^journal(\.\d+-of-\d+)?\.jsonl$/.test(name));
    if (names.length > 0) return names.sort().map((name) => join(folder, name));
  } catch (error) {
    throw new InputError(folder, (error as Error).message, "the folder of a sweep");
  }
  throw new InputError(folder, "holds no journal", "a folder with journal.jsonl or journal.<i>-of-<N>.jsonl");
}

function incomplete(folder: string, missing: readonly Point[], total: number): InputError {
  const shown = missing.slice(0, 3).map(({ values }) => nameOf(values));
  const more = missing.length > shown.length ? " and others" : "";
  const found = `${missing.length} of ${total} points have no result under this version: ${shown.join("; ")}${more}`;
  return new InputError(folder, found, "journals that hold every point; run the shards that are missing");
}
