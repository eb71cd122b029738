/** Runs of designs in settings: those of a sweep, and further ones, each with every seed and none twice. */
import type { Measured } from "../run/run.js";
import { parseScenario } from "../run/scenario.js";
import { canonicalJson } from "../sweep/canonical-json.js";
import type { Executor, Job } from "../sweep/executor.js";
import { keyOf } from "../sweep/point.js";
import { designOf } from "./designs.js";
import type { Runs } from "./pairs.js";
import { type Setting, scenarioOf } from "./setting.js";
import { type Variant, variantName } from "./sweep.js";

export interface Wanted {
  readonly variant: Variant;
  readonly setting: Setting;
}

export class KnownRuns {
  /** How many runs there were beyond those that were added. */
  further = 0;
  private readonly known = new Map<string, Runs>();

  constructor(
    private readonly seeds: readonly number[],
    private readonly executor: Executor,
  ) {}

  add(variant: string, setting: Setting, runs: Runs): void {
    this.known.set(canonicalJson([variant, setting]), runs);
  }

  of(variant: Variant, setting: Setting): Runs {
    const runs = this.known.get(canonicalJson([variantName(variant), setting]));
    if (runs === undefined) throw new Error(`${variantName(variant)} has not been run in a setting`);
    return runs;
  }

  /** Runs what has not been run, with each seed. */
  async execute(wanted: readonly Wanted[]): Promise<void> {
    const distinct = new Map(
      wanted.map((want) => [canonicalJson([variantName(want.variant), want.setting]), want]),
    );
    for (const key of this.known.keys()) distinct.delete(key);
    const jobs = new Map<string, Job>();
    const keys = new Map<string, string[]>();
    for (const [name, { variant, setting }] of distinct) {
      for (const seed of this.seeds) {
        const scenario = parseScenario(
          scenarioOf(designOf(variant.design), { ...setting, slot: variant.slot, seed }),
        );
        const key = await keyOf(scenario);
        jobs.set(key, { key, scenario });
        keys.set(name, [...(keys.get(name) ?? []), key]);
      }
    }
    const results = new Map<string, Measured>();
    for await (const outcome of this.executor.execute([...jobs.values()], new AbortController().signal)) {
      if (outcome.status === "failed") throw new Error(`a further run failed: ${outcome.error}`);
      results.set(outcome.key, outcome.result);
    }
    this.further += jobs.size;
    for (const [name, of] of keys)
      this.known.set(
        name,
        of.flatMap((key) => results.get(key) ?? []),
      );
  }
}
