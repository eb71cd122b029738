/**
 * The shortest way to an incident: the guest's instructions up to it, shrunk to a smallest sequence that still shows it on
 * a fresh machine. First the last instruction alone is tried, then it with one other before it, then sequences that are
 * halved again and again (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002: ddmin).
 */
import { InputError, notAllowed } from "../../cost/input.js";
import { printFtrace } from "../../kvm/ftrace.js";
import { Trace } from "../../kvm/trace.js";
import { modelVersion, packageVersion } from "../provenance.js";
import { run } from "../run/run.js";
import { parseScenario, type Scenario, type ScenarioInput } from "../run/scenario.js";
import {
  type FirstIncident,
  INCIDENT_KINDS,
  type IncidentKind,
  type MeasuredSemantics,
} from "../run/semantics.js";
import { isOfTheModel } from "../run/stopped.js";
import { type GuestStep, semanticsOf, stepsOf, stepText } from "./guest-steps.js";

/** Plain data, JSON-serialisable. */
export interface Reproduction {
  readonly scenario: Scenario;
  readonly kind: IncidentKind;
  /** On a fresh machine; the last one shows the incident. */
  readonly steps: readonly GuestStep[];
  readonly first: FirstIncident;
  /** KVM's events of the last step as ftrace text. */
  readonly ftrace: string;
}

/** Different steps that are tried as the only one before the last. */
const PAIRS = 256;

const WHAT = "minimalReproduction";

/** @throws InputError for a scenario that cannot be, has a recording or is not checked, and a kind that does not happen in it */
export function minimalReproduction(input: ScenarioInput, kind: IncidentKind): Reproduction {
  if (!INCIDENT_KINDS.includes(kind))
    throw new InputError(`${WHAT}: kind`, notAllowed(kind), INCIDENT_KINDS.join(", "));
  const { semantics, scenario } = run(parseScenario(input, WHAT), WHAT);
  if (semantics === undefined) throw new InputError(`${WHAT}: semantics`, '"off"', '"checked"');
  const { incidents } = semantics;
  const first = incidents[kind]?.first;
  if (first === undefined) {
    const happens = Object.keys(incidents).join(", ") || "none: the scenario has no incidents";
    throw new InputError(`${WHAT}: kind`, `${JSON.stringify(kind)} does not happen`, happens);
  }
  const all = stepsOf(scenario, scenario.warmup + Math.ceil(first.instruction / scenario.vcpus));
  // The warm-up may have one before.
  const { steps, vcpu } = upToFirst(all, semanticsOf(scenario, all), kind);
  return reproductionOf(
    scenario,
    kind,
    shortest(steps, vcpu, (some) => shows(scenario, some, kind)),
  );
}

/** The steps up to the first one that shows the incident, and the vCPU it happens on. */
function upToFirst(steps: readonly GuestStep[], { incidents }: MeasuredSemantics, kind: IncidentKind) {
  const first = incidents[kind]?.first;
  if (first === undefined) throw new Error(`${kind}: what led to it does not lead to it again`);
  let instructions = 0;
  const last = steps.findIndex((step) => {
    instructions += instructionsOf(step);
    return instructions >= first.instruction;
  });
  return { steps: steps.slice(0, last + 1), vcpu: first.vcpu };
}

function instructionsOf(step: GuestStep): number {
  return step.by === "guest" ? step.instructions.length : 0;
}

function reproductionOf(scenario: Scenario, kind: IncidentKind, steps: readonly GuestStep[]): Reproduction {
  const trace = new Trace();
  const incident = semanticsOf(scenario, steps, trace).incidents[kind];
  if (incident === undefined) throw new Error(`${kind}: its reproduction does not show it`);
  const notes = [
    `exitlab ${packageVersion()}, model ${modelVersion()}, ${scenario.cpu}. ${kind}, after:`,
    ...steps.map(
      (step, index) => `${index + 1}. ${stepText(step)}${index === steps.length - 1 ? " (its events)" : ""}`,
    ),
  ];
  const ftrace = printFtrace(trace, { kernel: scenario.kernel, notes });
  return { scenario, kind, steps, first: incident.first, ftrace };
}

type Shows = (steps: readonly GuestStep[]) => boolean;

/** Whether the last step shows the incident, and none before. */
function shows(scenario: Scenario, steps: readonly GuestStep[], kind: IncidentKind): boolean {
  try {
    const first = semanticsOf(scenario, steps).incidents[kind]?.first;
    const before = steps.slice(0, -1).reduce((sum, step) => sum + instructionsOf(step), 0);
    return first !== undefined && first.instruction > before;
  } catch (error) {
    if (!isOfTheModel(error)) throw error;
    // Without what went before, the guest cannot execute it.
    return false;
  }
}

/** @param vcpu that the last step's incident is of */
function shortest(steps: readonly GuestStep[], vcpu: number, shows: Shows): readonly GuestStep[] {
  const last = steps[steps.length - 1];
  const before = steps.slice(0, -1);
  const ends = [...alone(last, ({ vcpu: of }) => of === vcpu), last];
  for (const end of ends) if (shows([end])) return [end];
  const others = new Map(before.toReversed().map((step) => [JSON.stringify(step), step]));
  for (const other of [...others.values()].slice(0, PAIRS)) {
    for (const end of ends) {
      const one = [...alone(other), other].find((some) => shows([some, end]));
      if (one !== undefined) return [one, end];
    }
  }
  return [...ddmin(before, (some) => shows([...some, last])), last];
}

/** The instructions of a step that several vCPUs execute, each as a step. */
function alone(step: GuestStep, which: (of: { readonly vcpu: number }) => boolean = () => true): GuestStep[] {
  if (step.by === "userspace" || step.instructions.length === 1) return [];
  return step.instructions.filter(which).map((one) => ({ by: "guest", instructions: [one] }));
}

/** A subsequence that still fails, and does not without any one of its steps. */
function ddmin(steps: readonly GuestStep[], fails: Shows): readonly GuestStep[] {
  let rest = steps;
  for (let parts = 2; rest.length > 0; ) {
    const length = Math.ceil(rest.length / parts);
    let shorter: readonly GuestStep[] | undefined;
    for (let from = 0; from < rest.length && shorter === undefined; from += length) {
      const without = [...rest.slice(0, from), ...rest.slice(from + length)];
      if (fails(without)) shorter = without;
    }
    if (shorter !== undefined) {
      rest = shorter;
      parts = Math.max(2, parts - 1);
    } else if (length === 1) {
      break;
    } else {
      parts = Math.min(rest.length, 2 * parts);
    }
  }
  return rest;
}
