/**
 * Runs the points of a sweep that have no result yet, and keeps what each yields at once. Whatever ends it, the same call goes
 * on where it was: the journal is the record, and the result file is written from it.
 */
import { join } from "node:path";
import { InputError } from "../../cost/input.js";
import { PRIMITIVES } from "../../kvm/primitives.js";
import { exitlabCommand, inlineJson } from "../command.js";
import { conditionsOf } from "../conditions.js";
import { coreVersion, dataVersion, packageVersion, provenanceOf } from "../provenance.js";
import type { Provenance } from "../result.js";
import type { Measured } from "../run/run.js";
import type { Executor, Outcome } from "./executor.js";
import { Journal, type JournalEntry } from "./journal.js";
import { entriesByKey, readJournals } from "./journals.js";
import { LocalExecutor } from "./local.js";
import { nameOf, type Point, pointsOf } from "./point.js";
import { writeResults } from "./results.js";
import { type Reason, reasonsToRun } from "./resume.js";
import { pointsIn, type Shard } from "./shard.js";
import { type Json, parseSweep, type SweepInput, type SweepSpec, sweepInput } from "./spec.js";

export interface SweepOptions {
  /** Folder of the sweep's files; by default `out/` and its name. */
  readonly out?: string;
  /** By default all cores of this machine. */
  readonly executor?: Executor;
  /** Only these of the points; no result file is written, for `merge()` does that. */
  readonly shard?: Shard;
  /** Stop at the first point that fails. */
  readonly failFast?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: SweepProgress) => void;
  /** Called before the first point runs: how many run, by reason. */
  readonly onStart?: (reasons: ReadonlyMap<Reason["kind"], number>) => void;
  /** Called with each line that a person should see, such as of a journal that was repaired. */
  readonly onNote?: (note: string) => void;
}

export interface SweepProgress {
  readonly total: number;
  /** Points with a result, from this call or an earlier one. */
  readonly done: number;
  readonly failed: number;
  /** Points that were done before this call. */
  readonly cached: number;
  /** Points a second in this call; 0 before the first. */
  readonly rate: number;
}

/** A point with its result. */
export interface SweepRow extends Measured {
  readonly key: string;
  /** Values by field, and the seed. */
  readonly values: Readonly<Record<string, Json>>;
}

export interface FailedPoint {
  readonly key: string;
  readonly values: Readonly<Record<string, Json>>;
  readonly error: string;
}

export interface SweepResult {
  readonly spec: SweepSpec;
  readonly provenance: Provenance;
  /** In the order of the specification. */
  readonly rows: readonly SweepRow[];
  readonly failed: readonly FailedPoint[];
  /** Points that this call ran. */
  readonly ran: number;
  readonly journal: string;
  /** null for a shard. */
  readonly results: string | null;
}

/**
 * Runs a sweep, or what is left of it.
 *
 * @throws InputError for a specification that is wrong, or another than that of the journal; the signal's reason once it is
 *   aborted; what keeps the executor from executing. What was finished before is kept.
 */
export async function runSweep(input: SweepInput, options: SweepOptions = {}): Promise<SweepResult> {
  const spec = parseSweep(input);
  const { shard, executor = new LocalExecutor(), onNote } = options;
  const points = pointsIn(shard, await pointsOf(spec, options.signal));
  const folder = options.out ?? join("out", spec.name);
  const path = journalPath(folder, shard);
  const own = { sweep: spec.name, spec };
  const journal = Journal.open(path, {
    ...own,
    ...(shard && { shard: `${shard.index}/${shard.of}` }),
  });
  if (journal.repaired !== null) onNote?.(journal.repaired);
  try {
    const others = readJournals(folder, own).filter((other) => other.path !== path);
    const known = () => entriesByKey([...others, { entries: [...journal.entries.values()] }]);
    const reasons = reasonsToRun(points, known().values());
    const todo = points.filter((_, index) => reasons[index] !== null);
    options.onStart?.(countKinds(reasons));
    await execute(todo, points.length, journal, { ...options, executor });
    const entries = known();
    const { rows, failed } = resultsOf(points, entries);
    const results = shard === undefined ? join(folder, RESULTS) : null;
    if (results !== null) writeSweepResults(results, spec, points, entries);
    return {
      spec,
      provenance: provenanceOfSweep(spec, points),
      rows,
      failed,
      ran: todo.filter(({ error }) => error === null).length,
      journal: path,
      results,
    };
  } finally {
    journal.close();
  }
}

function countKinds(reasons: readonly (Reason | null)[]): Map<Reason["kind"], number> {
  const counts = new Map<Reason["kind"], number>();
  for (const reason of reasons) {
    if (reason !== null) counts.set(reason.kind, (counts.get(reason.kind) ?? 0) + 1);
  }
  return counts;
}

/** Name of the result file in the sweep's folder. */
export const RESULTS = "results.jsonl";

export function journalPath(folder: string, shard?: Shard): string {
  return join(folder, shard === undefined ? "journal.jsonl" : `journal.${shard.index}-of-${shard.of}.jsonl`);
}

/** Ends a sweep that is to stop at the first failure. */
export class FirstFailure extends Error {
  constructor(readonly point: FailedPoint) {
    super(`${nameOf(point.values)}: ${point.error}`);
    this.name = "FirstFailure";
  }
}

interface Execution extends SweepOptions {
  readonly executor: Executor;
}

async function execute(
  todo: readonly Point[],
  total: number,
  journal: Journal,
  options: Execution,
): Promise<void> {
  const { executor, failFast = false, signal = new AbortController().signal, onProgress } = options;
  const byKey = new Map(todo.map((point) => [point.key, point]));
  const cached = total - todo.length;
  const begin = performance.now();
  let ended = 0;
  let failed = 0;
  const progress = () => {
    const rate = ended === 0 ? 0 : ended / ((performance.now() - begin) / 1000);
    onProgress?.({ total, done: cached + ended - failed, failed, cached, rate });
  };
  const note = (outcome: Outcome) => {
    const { key, ms } = outcome;
    const point = byKey.get(key);
    if (point === undefined) throw new Error(`the executor made up a job: ${key}`);
    const { values } = point;
    const { status } = outcome;
    const what = status === "done" ? { result: outcome.result } : { error: outcome.error };
    const before = journal.entries.get(key);
    // What cannot be need not be noted twice.
    if (point.error === null || before?.error !== point.error)
      journal.append({ key, model: coreVersion(), point: values, status, ...what, ms });
    ended++;
    if (status === "failed") failed++;
    progress();
    if (status === "failed" && failFast) throw new FirstFailure({ key, values, error: outcome.error });
  };
  progress();
  signal.throwIfAborted();
  for (const { key, error } of todo) if (error !== null) note({ key, status: "failed", error, ms: 0 });
  const jobs = todo.flatMap(({ key, scenario }) => (scenario === null ? [] : [{ key, scenario }]));
  if (jobs.length === 0) return;
  for await (const outcome of executor.execute(jobs, signal)) note(outcome);
  signal.throwIfAborted();
}

/** Of the results of these points. */
export function provenanceOfSweep(spec: SweepSpec, points: readonly Point[]): Provenance {
  return provenanceOf({
    seed: spec.seeds[0],
    ...(spec.seeds.length > 1 && { seeds: spec.seeds }),
    conditions: conditionsOf(points.flatMap(({ scenario }) => scenario ?? [])),
    command: exitlabCommand("sweep", inlineJson(sweepInput(spec))),
  });
}

/** What the points yielded, in their order. */
export function resultsOf(
  points: readonly Point[],
  entries: ReadonlyMap<string, Pick<JournalEntry, "result" | "error">>,
): { rows: SweepRow[]; failed: FailedPoint[] } {
  const rows: SweepRow[] = [];
  const failed: FailedPoint[] = [];
  for (const { key, values } of points) {
    const entry = entries.get(key);
    if (entry?.result !== undefined) rows.push({ key, values, ...withZeros(entry.result) });
    else if (entry !== undefined) failed.push({ key, values, error: entry.error ?? "" });
  }
  return { rows, failed };
}

/** Writes the result file: what was specified, and each point with what it yielded. The same results give the same bytes. */
export function writeSweepResults(
  path: string,
  spec: SweepSpec,
  points: readonly Point[],
  entries: ReadonlyMap<string, JournalEntry>,
): void {
  const rows = points.map(({ key, values }) => {
    const entry = entries.get(key);
    if (entry === undefined)
      throw new InputError(path, `${nameOf(values)} has no result`, "a finished sweep");
    const { status, result, error } = entry;
    return { key, point: values, status, ...(result && { result }), ...(error !== undefined && { error }) };
  });
  const head = { sweep: spec.name, simulated: true, version: packageVersion(), core: coreVersion(), spec };
  try {
    writeResults(path, { ...head, data: dataVersion() }, rows);
  } catch (error) {
    const allowed = "a place that can be written; the journal has everything, so the same call goes on";
    throw new InputError(path, (error as Error).message, allowed);
  }
}

/** Files leave out what did not happen. */
function withZeros(measured: Measured): Measured {
  const counts = Object.fromEntries(PRIMITIVES.map((name) => [name, measured.counts[name] ?? 0]));
  return { ...measured, counts };
}
