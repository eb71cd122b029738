/**
 * What a sweep would do, before it does it: which points run and why, which have a result, and how long it may take.
 */
import { join } from "node:path";
import { run } from "../run/run.js";
import type { Scenario } from "../run/scenario.js";
import { entriesByKey, readJournals } from "./journals.js";
import { pointsOf } from "./point.js";
import { reasonsToRun } from "./resume.js";
import { pointsIn, type Shard } from "./shard.js";
import { type Json, parseSweep, type SweepInput, type SweepSpec } from "./spec.js";

export interface PlannedPoint {
  readonly key: string;
  readonly values: Readonly<Record<string, Json>>;
  /** null for a point that has a result; else why it is to run, or cannot. */
  readonly reason: string | null;
}

export interface SweepPlan {
  readonly spec: SweepSpec;
  readonly points: readonly PlannedPoint[];
  readonly cached: number;
  readonly toRun: number;
  /** Seconds that one core takes for what is to run, from a pilot; for runs with a precision, at most. null: not known. */
  readonly seconds: number | null;
  /** Points to run that replay a recording, which is in no estimate. */
  readonly recordings: number;
}

export interface PlanOptions {
  readonly out?: string;
  readonly shard?: Shard;
}

/** @throws InputError as `runSweep()` */
export async function planSweep(input: SweepInput, options: PlanOptions = {}): Promise<SweepPlan> {
  const spec = parseSweep(input);
  const { shard, out = join("out", spec.name) } = options;
  const points = pointsIn(shard, await pointsOf(spec));
  const journals = readJournals(out, { sweep: spec.name, spec });
  const reasons = reasonsToRun(points, entriesByKey(journals).values());
  const planned = points.map(({ key, values }, index) => ({
    key,
    values,
    reason: reasons[index]?.text ?? null,
  }));
  const toRun = points.filter((_, index) => reasons[index] !== null);
  const scenarios = toRun.flatMap(({ scenario }) => scenario ?? []);
  const drawn = scenarios.filter(({ recording }) => recording === undefined);
  return {
    spec,
    points: planned,
    cached: points.length - toRun.length,
    toRun: toRun.length,
    seconds: estimate(drawn),
    recordings: scenarios.length - drawn.length,
  };
}

/** Points of the pilot, and instructions that each runs. */
const PILOTS = 5;
const PILOT_ACCESSES = 20_000;

/** Seconds for all: some of them, evenly spread, run shortened. null for none. */
function estimate(scenarios: readonly Scenario[]): number | null {
  if (scenarios.length === 0) return null;
  const step = Math.max(1, Math.floor(scenarios.length / PILOTS));
  const pilots = scenarios.filter((_, index) => index % step === 0).slice(0, PILOTS);
  const seconds = pilots.flatMap((scenario) => pilot(scenario) ?? []);
  if (seconds.length === 0) return null;
  return (seconds.reduce((sum, each) => sum + each, 0) / seconds.length) * scenarios.length;
}

/** Seconds that a point takes: its set-up, and the rest in proportion to its length. null where it fails. */
function pilot({ precision: _, ...scenario }: Scenario): number | null {
  const { accesses = PILOT_ACCESSES, warmup } = scenario;
  const timed = (short: Scenario) => {
    const begin = performance.now();
    run(short);
    return (performance.now() - begin) / 1000;
  };
  try {
    const setUp = timed({ ...scenario, accesses: 1, warmup: 0 });
    const some = Math.min(accesses + warmup, PILOT_ACCESSES);
    const rest = Math.max(0, timed({ ...scenario, accesses: some, warmup: 0 }) - setUp);
    return setUp + (rest * (accesses + warmup)) / some;
  } catch {
    return null;
  }
}
