/**
 * Random scenarios on the model and on another kernel, until an outcome differs; that scenario is shrunk to as few steps as
 * still show the difference. The same seed gives the same scenarios, and with the path that fast-check names the same
 * difference again, on a kernel that does it again.
 */
import fc from "fast-check";
import { scenarioArbitrary } from "./arbitrary.js";
import { Coverage, type Covered } from "./coverage.js";
import { runOnModel } from "./model-driver.js";
import type { ModelSetting } from "./model-vm.js";
import {
  eventText,
  isSame,
  type MemoryDifference,
  memoryDifference,
  type Outcome,
  sameEvents,
} from "./outcome.js";
import type { Scenario } from "./scenario.js";

export interface DifferentialOptions {
  /** How many. */
  readonly scenarios: number;
  /** A whole number of 32 bits. */
  readonly seed: number;
  /** Begins at the scenario of a difference, as `Difference` names it. */
  readonly path?: string | undefined;
  /** Called before each scenario, with how many were compared so far. */
  readonly onScenario?: ((compared: number) => void) | undefined;
}

/** The first scenario with a difference, shrunk. */
export interface Difference {
  /** For `DifferentialOptions`. */
  readonly path: string;
  readonly scenario: Scenario;
  /** By step, what came of it on both kernels, in words. */
  readonly events: readonly { readonly model: readonly string[]; readonly other: readonly string[] }[];
  /** Where no step differs: the first byte of a memory that is another in the end. */
  readonly memory: MemoryDifference | null;
}

/** JSON-serialisable. */
export interface DifferentialReport {
  readonly seed: number;
  /** Scenarios that were compared, without those of shrinking; their steps; guest instructions among them. */
  readonly scenarios: number;
  readonly steps: number;
  readonly instructions: number;
  readonly covered: Covered;
  readonly difference: Difference | null;
}

/**
 * @param other runs a scenario on the other kernel
 * @throws whatever `other` throws
 */
export async function differential(
  { scenarios, seed, path, onScenario }: DifferentialOptions,
  setting: ModelSetting,
  other: (scenario: Scenario) => Outcome | Promise<Outcome>,
): Promise<DifferentialReport> {
  const coverage = new Coverage(setting);
  let compared = 0;
  let steps = 0;
  let instructions = 0;
  let last: Compared | null = null;
  let broken: { readonly error: unknown } | null = null;

  const agrees = async (scenario: Scenario): Promise<boolean> => {
    // What breaks down is no difference, and not to be shrunk.
    if (broken !== null) return true;
    const isShrinking = last !== null;
    if (!isShrinking) {
      onScenario?.(compared);
      compared++;
      steps += scenario.length;
      instructions += scenario.filter(({ does }) => does === "access").length;
    }
    try {
      const model = runOnModel(scenario, setting, isShrinking ? undefined : coverage);
      const one: Compared = { scenario, model, other: await other(scenario) };
      if (isSame(one.model, one.other)) return true;
      last = one;
      return false;
    } catch (error) {
      broken = { error };
      return true;
    }
  };

  const property = fc.asyncProperty(scenarioArbitrary, agrees);
  const { counterexamplePath } = await fc.check(property, {
    numRuns: scenarios,
    seed,
    ...(path !== undefined && { path }),
  });
  if (broken !== null) throw (broken as { readonly error: unknown }).error;
  const difference = last === null ? null : told(last, counterexamplePath ?? "");
  return { seed, scenarios: compared, steps, instructions, covered: coverage.covered, difference };
}

interface Compared {
  readonly scenario: Scenario;
  readonly model: Outcome;
  readonly other: Outcome;
}

/** Steps behind the first that differs are left out: they do not matter to it. */
function told({ scenario, model, other }: Compared, path: string): Difference {
  const events = scenario.map((_, step) => ({
    model: model.steps[step].map(eventText),
    other: other.steps[step].map(eventText),
  }));
  const first = model.steps.findIndex((one, step) => !sameEvents(one, other.steps[step]));
  if (first < 0) return { path, scenario, events, memory: memoryDifference(model, other) };
  const end = first + 1;
  return { path, scenario: scenario.slice(0, end), events: events.slice(0, end), memory: null };
}
