/**
 * What is left of a sweep: the points that have no result under the present version, and why each of them runs.
 */
import { coreVersion } from "../provenance.js";
import { canonicalJson } from "./canonical-json.js";
import type { JournalEntry } from "./journal.js";
import type { Point } from "./point.js";

/** Why a point runs, in a word or two, and in full. */
export interface Reason {
  readonly kind: "new" | "failed before" | "the model changed" | "its inputs changed" | "cannot run";
  readonly text: string;
}

/** Why each point is to run; null for one that has a result. @param entries of the journal, in its order */
export function reasonsToRun(points: readonly Point[], entries: Iterable<JournalEntry>): (Reason | null)[] {
  const byKey = new Map<string, JournalEntry>();
  const byValues = new Map<string, JournalEntry>();
  for (const entry of entries) {
    byKey.set(entry.key, entry);
    byValues.set(canonicalJson(entry.point), entry);
  }
  return points.map((point) =>
    reasonToRun(point, byKey.get(point.key), byValues.get(canonicalJson(point.values))),
  );
}

function reasonToRun(
  { error }: Point,
  same: JournalEntry | undefined,
  before: JournalEntry | undefined,
): Reason | null {
  if (same?.status === "done") return null;
  if (error !== null) return { kind: "cannot run", text: `cannot run: ${error}` };
  if (same !== undefined) return { kind: "failed before", text: `failed before: ${same.error}` };
  if (before === undefined) return { kind: "new", text: "new" };
  const { model } = before;
  if (model !== coreVersion()) {
    return { kind: "the model changed", text: `the model changed: it was ${model}, is now ${coreVersion()}` };
  }
  const inputs = "the processor's profile, a cost of its figure, or the recording";
  return { kind: "its inputs changed", text: `its inputs changed: ${inputs}` };
}
