/**
 * What the manual leaves open, one switch at a time: the difference of each design that hangs on the walk to its base, with every other
 * value that the switch can have. The state is the one in which a switch can matter most: a read has mapped the page, and the exit
 * leaves all that is cached.
 */
import { type Counts, occurrences } from "../../cost/counts.js";
import { loadCpu } from "../../cost/cpu-profile.js";
import { primitiveCosts } from "../../cost/primitive-costs.js";
import { linearBounds } from "../../cost/uncertainty.js";
import { DEFAULT_SWITCHES, DROPS, type Switches } from "../../x86/cpu.js";
import { walkReferences } from "../loads.js";
import type { Interval } from "../result.js";
import { type DesignName, designOf } from "./designs.js";
import { countKicks } from "./kicks-beside.js";
import type { Setting } from "./setting.js";

/** Designs whose exits are those of EPT. */
export const SWITCHED = ["rfc", "bad-page", "write-mostly", "repaired", "fastpath"] as const;

const VALUES = {
  permissionFaultWalks: [0, 1, 2],
  faultWalkStart: ["paging-structure-caches", "root"],
  violationDrops: DROPS,
  misconfigDrops: DROPS,
  nestedTlbHolds: ["tables", "all"],
  guestFlags: ["before-final-translation", "after-final-translation"],
} as const satisfies { readonly [Name in keyof Switches]?: readonly Switches[Name][] };

export interface SwitchRow {
  /** Name and value; null: all as usual. */
  readonly name: keyof Switches | null;
  readonly value: string;
  /** By design: walk references per kick, its own and those of its base, and TSC cycles per kick less the base. */
  readonly designs: readonly {
    readonly design: DesignName;
    readonly references: number;
    readonly referencesOfBase: number;
    readonly difference: Interval;
  }[];
}

export function studyOpenSwitches(setting: Setting): SwitchRow[] {
  const rowOf = (name: SwitchRow["name"], value: string, switches: Switches): SwitchRow => {
    const counted = new Map<DesignName, Counts>();
    const countsOf = (design: DesignName) => {
      const known = counted.get(design) ?? kickOf(design, setting, switches);
      counted.set(design, known);
      return known;
    };
    const referencesOf = (design: DesignName) => {
      const { guest, ept } = walkReferences(countsOf(design));
      return guest + ept;
    };
    return {
      name,
      value,
      designs: SWITCHED.map((design) => {
        const { base, kernel } = designOf(design);
        const costs = primitiveCosts(loadCpu(setting.cpu), kernel);
        return {
          design,
          references: referencesOf(design),
          referencesOfBase: referencesOf(base),
          difference: linearBounds(costs, occurrences(costs, countsOf(design), countsOf(base))),
        };
      }),
    };
  };
  const usual = rowOf(null, "as usual", DEFAULT_SWITCHES);
  const others = Object.entries(VALUES).flatMap(([name, values]) =>
    values
      .filter((value) => value !== DEFAULT_SWITCHES[name as keyof typeof VALUES])
      .map((value) =>
        rowOf(name as keyof Switches, String(value), { ...DEFAULT_SWITCHES, [name]: value } as Switches),
      ),
  );
  return [usual, ...others];
}

function kickOf(design: DesignName, setting: Setting, switches: Switches): Counts {
  const { states } = countKicks(designOf(design), setting, { switches, guestPages: "4K", ept: "4K" }, 0);
  const state = states.find(({ page, walkState }) => page === "populated" && walkState === "hot");
  if (state === undefined) throw new Error(`${design} was not run in this state`);
  return state.kick;
}
