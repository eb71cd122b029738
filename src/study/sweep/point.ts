/**
 * The points of a sweep: complete scenarios, each with a key that names everything its result depends on.
 */
import { hash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError } from "../../cost/input.js";
import { digestOfFile } from "../../workload/recorded/recording.js";
import { coreVersion } from "../provenance.js";
import { figureWeights } from "../run/run.js";
import { parseScenario, type Scenario } from "../run/scenario.js";
import { canonicalJson } from "./canonical-json.js";
import { shownValue } from "./shown-value.js";
import { type Combination, type Configuration, configurationsOf, type SweepSpec } from "./spec.js";

export interface Point {
  /** Values by field, and the seed. */
  readonly values: Combination["values"];
  /** SHA-256 of the canonical scenario, the processor's geometry, the recording and the simulation core, then of the seed; 64 hex digits. */
  readonly key: string;
  /** null for one that cannot be. */
  readonly scenario: Scenario | null;
  /** Why it cannot be. */
  readonly error: string | null;
}

/** Milliseconds after which others have their turn. */
const TURN = 50;

/**
 * The points of a sweep in its order. A combination that is no valid scenario is a point that fails; where all are such, it
 * is the specification that is wrong.
 *
 * @param signal asked now and then, for a sweep may have very many points
 * @throws InputError for a specification of which no point can be; the signal's reason
 */
export async function pointsOf(spec: SweepSpec, signal?: AbortSignal): Promise<Point[]> {
  const digests = new Map<string, Promise<string>>();
  const digest = (file: string) => {
    const known = digests.get(file) ?? digestOfFile(file);
    digests.set(file, known);
    return known;
  };
  const points: Point[] = [];
  let turn = performance.now();
  for (const configuration of configurationsOf(spec)) {
    const pointOf = await pointsOfConfiguration(configuration, digest);
    for (const seed of configuration.seeds) {
      if (performance.now() - turn > TURN) {
        await nextTurn();
        signal?.throwIfAborted();
        turn = performance.now();
      }
      points.push(pointOf(seed));
    }
  }
  const [{ error }] = points;
  if (error !== null && points.every((point) => point.error !== null)) {
    throw new InputError(
      `sweep ${spec.name}`,
      `has no point that can be run; the first: ${error}`,
      "valid scenarios",
    );
  }
  refuseTwins(points, spec);
  return points;
}

/** The point of each seed. All but the seed is checked once: nothing else in a scenario hangs on it. */
async function pointsOfConfiguration(
  { values, scenario, seeds }: Configuration,
  digest: typeof digestOfFile,
): Promise<(seed: number) => Point> {
  try {
    const complete = parseScenario({ ...scenario, seed: seeds[0] });
    const key = await keyBesideSeed(complete, digest);
    return (seed) => ({
      values: { ...values, seed },
      key: keyWithSeed(key, seed),
      scenario: { ...complete, seed },
      error: null,
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const { message } = error;
    return (seed) => ({
      values: { ...values, seed },
      key: digestOf({ invalid: { ...scenario, seed } }),
      scenario: null,
      error: message,
    });
  }
}

/** Two combinations that are one scenario, such as 64 and "0x40" for an address, or that look like one. */
function refuseTwins(points: readonly Point[], { name }: SweepSpec): void {
  const seen = new Map<string, Point>();
  const names = new Set<string>();
  for (const point of points) {
    const pointName = nameOf(point.values);
    const twin = seen.get(point.key);
    if (twin !== undefined) {
      const found = `${nameOf(twin.values)} and ${pointName} are the same scenario`;
      throw new InputError(`sweep ${name}: axes`, found, "values that make a difference");
    }
    seen.set(point.key, point);
    if (names.has(pointName)) {
      const found = `${pointName} is more than one scenario`;
      throw new InputError(`sweep ${name}: axes`, found, "a name of its own for each patch");
    }
    names.add(pointName);
  }
}

/** A point as a person knows it: "kernel=v4.2 seed=1". */
export function nameOf(values: Point["values"]): string {
  return Object.entries(shownValues(values))
    .map(([field, value]) => `${field}=${shownValue(field, value)}`)
    .join(" ");
}

/** The values that tell a point from others: where points have names, lists and objects need not be shown. */
export function shownValues(values: Point["values"]): Point["values"] {
  if (values.name === undefined) return values;
  return Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value !== "object"));
}

/** The key of a complete scenario. @param digest of a recording's file */
export async function keyOf(scenario: Scenario, digest = digestOfFile): Promise<string> {
  return keyWithSeed(await keyBesideSeed(scenario, digest), scenario.seed);
}

/** What the keys of a scenario with different seeds have in common. */
async function keyBesideSeed(scenario: Scenario, digest: typeof digestOfFile): Promise<string> {
  const { recording, cpu, precision } = scenario;
  return digestOf({
    scenario: {
      ...withoutNames(scenario),
      seed: undefined,
      recording: recording && { ...recording, file: await digest(recording.file) },
    },
    geometry: loadCpu(cpu).geometry,
    // The length of the run depends on the costs that make its figure.
    weights: precision && [...figureWeights(scenario)],
    core: coreVersion(),
  });
}

function keyWithSeed(key: string, seed: number): string {
  return hash("sha256", `${key} ${seed}`);
}

/** Names are for people. */
function withoutNames({ name: _, memslots, workload, ...scenario }: Scenario): object {
  const unnamed = (element: { readonly name?: string | undefined }) => ({ ...element, name: undefined });
  return { ...scenario, memslots: memslots.map(unnamed), workload: workload.map(unnamed) };
}

function digestOf(value: unknown): string {
  return hash("sha256", canonicalJson(value));
}
