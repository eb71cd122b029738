/** Under which conditions a figure holds, so far as a reader asks for them first: processor, kernel, mitigations, open switches. */
import { DEFAULT_SWITCHES, type Switches } from "../x86/cpu.js";
import { patchName } from "./run/patch-source.js";
import type { Scenario } from "./run/scenario.js";

/** Each list without repetitions, in the order in which its values first occur. */
export interface Conditions {
  /** Names of processor profiles. */
  readonly cpus: readonly string[];
  /** Kernels with their patches, such as "v6.19 + svm-fast-mmio"; none where no kernel is simulated. */
  readonly kernels: readonly string[];
  readonly mitigations: readonly string[];
  /** What the manual leaves open, by the switch's name: the values it had. */
  readonly switches: Readonly<Record<string, readonly string[]>>;
}

/** What of a scenario is a condition; of a processor alone, only its profile and its switches. */
export interface Conditioned extends Pick<Scenario, "cpu"> {
  readonly kernel?: Scenario["kernel"];
  readonly patches?: Scenario["patches"];
  readonly mitigations?: Scenario["mitigations"] | undefined;
  readonly switches?: Switches;
}

export function conditionsOf(machines: readonly Conditioned[]): Conditions {
  const distinct = (of: (machine: Conditioned) => string | undefined) => [
    ...new Set(machines.flatMap((machine) => of(machine) ?? [])),
  ];
  const names = Object.keys(DEFAULT_SWITCHES) as (keyof Switches)[];
  return {
    cpus: distinct(({ cpu }) => cpu),
    kernels: distinct(
      ({ kernel, patches = [] }) => kernel && [kernel, ...patches.map(patchName)].join(" + "),
    ),
    mitigations: distinct(({ kernel, mitigations = "off" }) => kernel && mitigations),
    switches: Object.fromEntries(
      names.map((name) => [name, distinct(({ switches = DEFAULT_SWITCHES }) => String(switches[name]))]),
    ),
  };
}

/** Of results that are shown together. */
export function joinConditions(all: readonly Conditions[]): Conditions {
  const distinct = (of: (conditions: Conditions) => readonly string[] | undefined) => [
    ...new Set(all.flatMap((conditions) => of(conditions) ?? [])),
  ];
  const names = distinct(({ switches }) => Object.keys(switches));
  return {
    cpus: distinct(({ cpus }) => cpus),
    kernels: distinct(({ kernels }) => kernels),
    mitigations: distinct(({ mitigations }) => mitigations),
    switches: Object.fromEntries(names.map((name) => [name, distinct(({ switches }) => switches[name])])),
  };
}
