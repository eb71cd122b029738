/**
 * The cycles of a run under the conditions that anybody asks for first: which processor, which kernel, mitigations on or off.
 */
import type { CostProfile } from "../cost/cost-profile.js";
import { loadCpu, withTsc } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { type Price, priceCounts } from "../cost/price.js";
import { type CostRanges, primitiveCosts } from "../cost/primitive-costs.js";
import type { Quantity } from "../cost/quantity.js";
import { exitlabCommand, inlineJson } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { provenanceOf } from "./provenance.js";
import type { Provenance } from "./result.js";
import type { Run } from "./run/run.js";
import { type Scenario, scenarioInput } from "./run/scenario.js";

export interface PriceConditions
  extends Pick<Scenario, "cpu" | "kernel" | "patches" | "mitigations" | "paging" | "vcpus"> {
  /** The processor as its maker calls it. */
  readonly model: string;
  /** What turns core cycles and ns of the processor's profile into TSC cycles, MHz. */
  readonly tsc: Quantity;
  readonly core: Quantity;
  /** For costs of a calibration: by how much its times contradict each other, or 1. */
  readonly stretch?: number;
}

export interface RunPrice extends Price {
  readonly provenance: Provenance;
  readonly conditions: PriceConditions;
}

/** Costs in place of those of the data files. */
export interface PriceOptions {
  /** Of a calibration on this processor and kernel. */
  readonly profile?: CostProfile;
  /** Those given by hand go before the profile's. */
  readonly ranges?: CostRanges;
}

/**
 * The price of a run, in TSC cycles of its processor.
 *
 * @throws InputError for a profile of another machine, and for ranges that `primitiveCosts()` refuses
 */
export function priceRun(run: Run, options: PriceOptions = {}): RunPrice {
  const { profile, ranges = {} } = options;
  const { scenario, counts, accesses } = run;
  const { cpu, kernel, patches, mitigations, paging, vcpus } = scenario;
  if (profile !== undefined) checkProfile(profile, scenario);
  const processor = profile === undefined ? loadCpu(cpu) : withTsc(loadCpu(cpu), profile.tscMhz);
  const costs = primitiveCosts(processor, kernel, { ...profile?.ranges, ...ranges });
  const { model, clock } = processor;
  return {
    provenance: provenanceOf({
      seed: scenario.seed,
      ...(profile && { calibration: fittedTo(profile) }),
      conditions: conditionsOf([scenario]),
      command: commandOf(scenario, options),
    }),
    conditions: {
      ...{ cpu, model, kernel, patches, mitigations, paging, vcpus, ...clock },
      ...(profile && { stretch: profile.stretch }),
    },
    ...priceCounts(costs, counts, accesses),
  };
}

function fittedTo({ stretch }: CostProfile): string {
  return `times of this machine${stretch > 1 ? `, within ${stretch.toFixed(1)} times their tolerances` : ""}`;
}

/** Of costs that were given there is no file that a command could name. */
function commandOf(scenario: Scenario, { profile, ranges }: PriceOptions): string | null {
  if (profile !== undefined || ranges !== undefined) return null;
  return exitlabCommand("run", inlineJson(scenarioInput(scenario)));
}

/** @throws InputError for a profile of another machine than the scenario's: figures belong to their machine */
export function checkProfile(
  profile: CostProfile,
  scenario: Pick<Scenario, "cpu" | "kernel" | "mitigations">,
): void {
  for (const field of ["cpu", "kernel", "mitigations"] as const) {
    if (profile[field] === scenario[field]) continue;
    const allowed = `${JSON.stringify(scenario[field])}, as in the scenario: costs belong to their machine`;
    throw new InputError(`cost profile: ${field}`, notAllowed(profile[field]), allowed);
  }
}
