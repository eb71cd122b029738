/**
 * What went wrong for guest and device in a scenario, absolutely and against a base: the same guest on the kernel as it is,
 * which has incidents of its own. (A read at a zero-length doorbell signals wherever a misconfiguration does not tell
 * reads from writes.)
 */
import { InputError } from "../../cost/input.js";
import { studyCommand } from "../command.js";
import { conditionsOf } from "../conditions.js";
import { provenanceOf } from "../provenance.js";
import type { Provenance } from "../result.js";
import { run } from "../run/run.js";
import { parseScenario, type Scenario, type ScenarioInput, scenarioInput } from "../run/scenario.js";
import {
  type FirstIncident,
  INCIDENT_KINDS,
  type IncidentKind,
  type MeasuredSemantics,
} from "../run/semantics.js";

export interface IncidentsOptions {
  readonly scenario: ScenarioInput;
  /** The same mix and seed on another kernel, or with another slot behind the doorbells. */
  readonly base?: ScenarioInput;
}

export interface IncidentRow {
  readonly kind: IncidentKind;
  /** Instructions that it happened in. */
  readonly count: number;
  /** That less the base's; null without a base. */
  readonly lessBase: number | null;
  /** Null where it happens in the base only. */
  readonly first: FirstIncident | null;
}

/** Plain data, JSON-serialisable. */
export interface Incidents {
  readonly provenance: Provenance;
  readonly scenario: Scenario;
  readonly base: Scenario | null;
  /** Counted instructions. */
  readonly accesses: number;
  readonly seen: MeasuredSemantics;
  readonly seenOfBase: MeasuredSemantics | null;
  /** Kinds that happen here or in the base, in the order of `INCIDENT_KINDS`. */
  readonly rows: readonly IncidentRow[];
}

const WHAT = "studyIncidents";

/** @throws InputError for a scenario that cannot be, has no workload, or differs from the base in what the guest does */
export function studyIncidents({ scenario: input, base: baseInput }: IncidentsOptions): Incidents {
  const scenario = parseScenario(input, `${WHAT}: scenario`);
  const base = baseInput === undefined ? null : parseScenario(baseInput, `${WHAT}: base`);
  if (base !== null) checkSameGuest(scenario, base);
  const measured = run(scenario, `${WHAT}: scenario`);
  const seen = semanticsOf(measured, "scenario");
  const seenOfBase = base === null ? null : semanticsOf(run(base, `${WHAT}: base`), "base");
  return {
    provenance: provenanceOf({
      seed: scenario.seed,
      conditions: conditionsOf(base === null ? [scenario] : [scenario, base]),
      command: studyCommand("incidents", {
        scenario: scenarioInput(scenario),
        ...(base && { base: scenarioInput(base) }),
      }),
    }),
    ...{ scenario, base, accesses: measured.accesses, seen, seenOfBase },
    rows: incidentRows(seen, seenOfBase),
  };
}

/** Kinds of incidents that happen in either, with how often. */
export function incidentRows(seen: MeasuredSemantics, seenOfBase: MeasuredSemantics | null): IncidentRow[] {
  return INCIDENT_KINDS.flatMap((kind) => {
    const incident = seen.incidents[kind];
    const count = incident?.count ?? 0;
    const ofBase = seenOfBase?.incidents[kind]?.count ?? 0;
    if (count === 0 && ofBase === 0) return [];
    return [{ kind, count, lessBase: seenOfBase && count - ofBase, first: incident?.first ?? null }];
  });
}

function semanticsOf(
  { semantics }: { readonly semantics?: MeasuredSemantics },
  which: string,
): MeasuredSemantics {
  if (semantics === undefined) throw new InputError(`${WHAT}: ${which}.semantics`, '"off"', '"checked"');
  return semantics;
}

const SAME = ["workload", "seed", "accesses", "warmup", "vcpus"] as const;

function checkSameGuest(scenario: Scenario, base: Scenario): void {
  for (const field of SAME) {
    const [found, wanted] = [base, scenario].map((one) => JSON.stringify(one[field]));
    if (found !== wanted)
      throw new InputError(`${WHAT}: base.${field}`, found, `that of the scenario, ${wanted}`);
  }
}
