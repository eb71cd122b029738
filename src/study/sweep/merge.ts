/**
 * Joins the journals of a sweep's shards into its result file.
 */
import { join } from "node:path";
import { InputError } from "../../cost/input.js";
import { entriesByKey, readJournals, type StoredJournal } from "./journals.js";
import { nameOf, type Point, pointsOf } from "./point.js";
import { parseSweep } from "./spec.js";
import { provenanceOfSweep, RESULTS, resultsOf, type SweepResult, writeSweepResults } from "./sweep.js";

/**
 * Writes the result file of the sweep whose journals lie in a folder.
 *
 * @throws InputError for a folder without a journal, journals of different specifications, or points without a result
 */
export async function mergeSweep(folder: string): Promise<SweepResult> {
  const journals = readJournals(folder);
  const [first] = journals;
  if (first === undefined) {
    const allowed = "the folder of a sweep, with journal.jsonl or journal.<i>-of-<N>.jsonl";
    throw new InputError(folder, "holds no journal", allowed);
  }
  const spec = parseSweep(first.head.spec, first.path);
  const entries = entriesByKey(journals);
  const points = await pointsOf(spec);
  const missing = points.filter(({ key }) => !entries.has(key));
  if (missing.length > 0) throw incomplete(folder, missing, points.length, journals);
  const results = join(folder, RESULTS);
  writeSweepResults(results, spec, points, entries);
  const provenance = provenanceOfSweep(spec, points);
  return { spec, provenance, ...resultsOf(points, entries), ran: 0, journal: first.path, results };
}

function incomplete(
  folder: string,
  missing: readonly Point[],
  total: number,
  journals: readonly StoredJournal[],
): InputError {
  const shown = missing.slice(0, 3).map(({ values }) => nameOf(values));
  const more = missing.length > shown.length ? " and others" : "";
  const torn = journals
    .filter(({ tornBytes }) => tornBytes > 0)
    .map(({ path }) => `; ${path} ends in a line that was cut`);
  const found = `${missing.length} of ${total} points have no result under this version: ${shown.join("; ")}${more}${torn.join("")}`;
  return new InputError(folder, found, "journals that hold every point; run the shards that are missing");
}
