/**
 * A design that was run: kicks alone, ordinary faults alone, writes to the doorbell's page that no eventfd takes, and a mix in which
 * reads of doorbells come between the kicks. All designs of a vendor run in the same setting with the same seed.
 *
 * Kicks are those of a guest and a host with 4-Kbyte pages, in the setting's walk state, with other pages mapped beside the doorbells.
 * Behind a read-only slot they are counted in both states of its page: never read, so that there is no entry for ever, and read before.
 */
import { type Counts, perOne } from "../../cost/counts.js";
import { loadCpu } from "../../cost/cpu-profile.js";
import { type PrimitiveCost, primitiveCosts } from "../../cost/primitive-costs.js";
import { DEFAULT_SWITCHES } from "../../x86/cpu.js";
import { type Run, run } from "../run/run.js";
import type { Scenario, ScenarioInput } from "../run/scenario.js";
import { INCIDENT_KINDS, type IncidentKind } from "../run/semantics.js";
import { DESIGNS, type Design, type DesignName } from "./designs.js";
import { countKicks, type PageState } from "./kicks-beside.js";
import { DOORBELLS, faultsAlone, type Setting, scenarioOf } from "./setting.js";

/** How often something went wrong. */
export type IncidentCounts = Readonly<Partial<Record<IncidentKind, number>>>;

export interface MeasuredDesign {
  readonly design: Design;
  readonly setting: Setting;
  /** Of the setting's processor and the design's kernel. */
  readonly costs: readonly PrimitiveCost[];
  /** Of kicks alone, per kick, by the state of the doorbell's page: one where there is no slot. */
  readonly perKick: Readonly<Partial<Record<PageState, Counts>>>;
  /** Of ordinary faults alone, per fault. */
  readonly perFault: Counts;
  /** Of writes beside the doorbell in its page, per write. */
  readonly perMiss: Counts;
  /** In the mix, per thousand accesses to doorbells. */
  readonly incidents: IncidentCounts;
  /** All that was run. */
  readonly scenarios: readonly Scenario[];
}

/** The mix in which incidents are counted. */
export const INCIDENT_MIX = { readShare: 0.1, faultsPerKick: 1 } as const;

/** All designs, in their order. @param settingOf what surrounds the doorbells; its mix is not looked at */
export function measureDesigns(
  settingOf: (vendor: Design["vendor"]) => Setting,
): Map<DesignName, MeasuredDesign> {
  return new Map(
    DESIGNS.map((design) => [design.name, measureDesign(design, settingOf(design.vendor))] as const),
  );
}

const PAGING = { switches: DEFAULT_SWITCHES, guestPages: "4K", ept: "4K" } as const;
/** Kicks that count, and those before them: they are alike. */
const KICKS = { accesses: 64, warmup: 64 } as const;

function measureDesign(design: Design, setting: Setting): MeasuredDesign {
  const kicks = countKicks(design, { ...setting, ...KICKS }, PAGING, 0);
  const states = kicks.states.filter(({ walkState }) => walkState === setting.walkState);
  const mixed = run(scenarioOf(design, { ...setting, ...INCIDENT_MIX }));
  const faults = run(faultsAlone(design, setting));
  const misses = run(writesBeside(design, setting));
  return {
    design,
    setting,
    costs: primitiveCosts(loadCpu(setting.cpu), design.kernel),
    perKick: Object.fromEntries(states.map(({ page, kick }) => [page, kick])),
    perFault: perOne(faults.counts, faults.accesses),
    perMiss: perOne(misses.counts, misses.accesses),
    incidents: incidentsOf(mixed),
    scenarios: [kicks.scenario, mixed.scenario, faults.scenario, misses.scenario],
  };
}

/** Bytes into a page: not where its doorbell is. */
const BESIDE = 0x800;
const WRITES = 200;

/** Writes to the doorbell's page that no eventfd takes: userspace gets them. */
function writesBeside(design: Design, setting: Setting): ScenarioInput {
  return {
    ...scenarioOf(design, { ...setting, readShare: 0, faultsPerKick: 0 }),
    workload: [{ op: "store", address: DOORBELLS + BESIDE, size: 2 }],
    accesses: WRITES,
    warmup: 64,
  };
}

function incidentsOf({ semantics }: Run): IncidentCounts {
  if (semantics === undefined) throw new Error("the semantics of the run were not checked");
  const { kicks, doorbellReads, incidents } = semantics;
  return Object.fromEntries(
    INCIDENT_KINDS.flatMap((kind) => {
      const count = incidents[kind]?.count ?? 0;
      return count === 0 ? [] : [[kind, (1000 * count) / (kicks + doorbellReads)]];
    }),
  );
}
