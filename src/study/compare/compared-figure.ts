/**
 * The figure that simulated runs are compared by: cycles, or how often a primitive was counted.
 *
 * Cycles are priced by the ranges of the data files, and a difference has both sides under one cost vector, so that what they
 * have in common cancels.
 */
import { type Counts, occurrences } from "../../cost/counts.js";
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError, notAllowed, suggestion } from "../../cost/input.js";
import { type Cycles, priceCounts } from "../../cost/price.js";
import { type PrimitiveCost, primitiveCosts } from "../../cost/primitive-costs.js";
import { ratioBounds } from "../../cost/ratio-bounds.js";
import { PRIMITIVES } from "../../kvm/primitives.js";
import { costsOfBoth, countsOfKernel } from "../kernel-costs.js";
import type { Scenario } from "../run/scenario.js";

/** What was counted per access or signal, and on what. */
export interface Counted {
  readonly scenario: Scenario;
  readonly counts: Counts;
}

/** A figure with the ends that the ranges of the costs allow it; all alike where nothing is priced. */
export interface ComparedFigure {
  readonly name: string;
  /** @throws InputError for a primitive that was counted and that nothing prices */
  of(run: Counted): Cycles;
  /** (figure - base's) / base's; null where the ranges allow the base's to be 0. @throws InputError for another processor */
  versus(base: Counted, run: Counted): Cycles | null;
}

/** @param of "cycles", or a primitive @throws InputError for another name */
export function figureOf(of: string): ComparedFigure {
  if (of === "cycles") return new CyclesFigure();
  if (PRIMITIVES.includes(of)) return new CountFigure(of);
  const known = ["cycles", ...PRIMITIVES];
  throw new InputError("of", `${notAllowed(of)}${suggestion(of, known)}`, `one of ${known.join(", ")}`);
}

class CyclesFigure implements ComparedFigure {
  readonly name = "TSC cycles";
  private readonly known = new Map<string, readonly PrimitiveCost[]>();

  of({ scenario, counts }: Counted): Cycles {
    return priceCounts(this.costsOf(scenario), counts, 1).perAccess;
  }

  versus(base: Counted, run: Counted): Cycles | null {
    const { cpu } = base.scenario;
    if (run.scenario.cpu !== cpu) {
      const allowed = `${JSON.stringify(cpu)}, as in the base: costs belong to their machine; counts of a primitive do not`;
      throw new InputError("cpu", notAllowed(run.scenario.cpu), allowed);
    }
    const [before, after] = [base, run].map(({ scenario, counts }) => ({
      kernel: scenario.kernel,
      costs: this.costsOf(scenario),
      counts: countsOfKernel(counts, scenario.kernel),
    }));
    const costs = costsOfBoth(before, after);
    return ratioBounds(
      costs,
      occurrences(costs, after.counts, before.counts),
      occurrences(costs, before.counts),
    );
  }

  /** Read once for each machine. */
  private costsOf({ cpu, kernel }: Scenario): readonly PrimitiveCost[] {
    const machine = `${cpu} ${kernel}`;
    const costs = this.known.get(machine) ?? primitiveCosts(loadCpu(cpu), kernel);
    this.known.set(machine, costs);
    return costs;
  }
}

class CountFigure implements ComparedFigure {
  constructor(readonly name: string) {}

  of({ counts }: Counted): Cycles {
    return alike(counts[this.name] ?? 0);
  }

  versus(base: Counted, run: Counted): Cycles | null {
    const from = this.of(base).value;
    return from === 0 ? null : alike((this.of(run).value - from) / from);
  }
}

const alike = (value: number): Cycles => ({ low: value, value, high: value });
