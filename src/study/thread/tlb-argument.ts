/**
 * The argument that began the thread, executed: mappings of a read-only page are cached, those of a reserved entry are not, so a
 * kick by way of an EPT violation spares a walk. The SDM says that the violation drops what was cached (volume 3C, "Operations that
 * invalidate cached mappings"); what processors do, nobody has published. So each state of page, paging and caches is run under
 * three assumptions of the processor, the last of which no processor can meet.
 *
 * The question before all figures is what the walk saved may be worth at most: the RFC wins only where that exceeds what a
 * violation takes more than a misconfiguration, one more VMREAD, what neighbours miss, and the look at the bus that every ordinary
 * fault pays for.
 */
import type * as z from "zod";
import {
  breakEvenCosts,
  breakEvenShare,
  type CostBreakEven,
  type ShareBreakEven,
} from "../../cost/break-even.js";
import { type Counts, occurrences, perOne } from "../../cost/counts.js";
import { cpuNames, loadCpu } from "../../cost/cpu-profile.js";
import { InputError, integer, list, notAllowed, oneOf, parseInput, record } from "../../cost/input.js";
import { priceCounts } from "../../cost/price.js";
import { type PrimitiveCost, primitiveCosts } from "../../cost/primitive-costs.js";
import { linearBounds } from "../../cost/uncertainty.js";
import { GUEST_PAGES, type GuestPageSize } from "../../workload/guest-tables.js";
import { type CpuGeometry, DEFAULT_SWITCHES, type Switches } from "../../x86/cpu.js";
import { studyCommand } from "../command.js";
import { conditionsOf } from "../conditions.js";
import { walkReferences } from "../loads.js";
import { provenanceOf } from "../provenance.js";
import type { Interval, Provenance } from "../result.js";
import { run } from "../run/run.js";
import type { Scenario } from "../run/scenario.js";
import { type DesignName, designOf } from "./designs.js";
import {
  type CountedKicks,
  countKicks,
  EPT_PAGES,
  type EptPageSize,
  type KickState,
  type Paging,
} from "./kicks-beside.js";
import { faultsAlone, QUEUES, type Setting, USUAL_SETTING, WALK_STATES, type WalkState } from "./setting.js";

export const TLB_ASSUMPTION_NAMES = ["strict", "plausible", "bound"] as const;
export type TlbAssumptionName = (typeof TLB_ASSUMPTION_NAMES)[number];

/** What a processor is taken to do where a translation that a read has cached denies a write. */
export interface TlbAssumption {
  readonly name: TlbAssumptionName;
  readonly words: string;
  /** What it says of the open switches; the others are as usual. */
  readonly switches: Partial<Switches>;
}

export const TLB_ASSUMPTIONS: readonly TlbAssumption[] = [
  {
    name: "strict",
    words:
      "the manual to the letter: a violation drops all that would translate the address, cached upper entries that neighbours share " +
      "among it",
    switches: {
      permissionFaultWalks: 1,
      faultWalkStart: "paging-structure-caches",
      violationDrops: "mappings",
      nestedTlbHolds: "tables",
    },
  },
  {
    name: "plausible",
    words:
      "a violation drops nothing. The exit reports the guest-physical address, which no translation is known to hold: the guest's " +
      "entry is read again. The EPT's is not, for the nested TLB holds pages of data too; held it only tables, as is usual here, " +
      "the EPT's entry would be read as well, and nothing saved",
    switches: {
      permissionFaultWalks: 1,
      faultWalkStart: "paging-structure-caches",
      violationDrops: "nothing",
      nestedTlbHolds: "all",
    },
  },
  {
    name: "bound",
    words:
      "unphysical: as plausible, and the translation alone raises the violation, though it does not hold the address that the exit " +
      "reports. Nothing can save more",
    switches: {
      permissionFaultWalks: 0,
      faultWalkStart: "paging-structure-caches",
      violationDrops: "nothing",
      nestedTlbHolds: "all",
    },
  },
];

/** What a kick takes. */
export interface KickFigures {
  /** References of its walk to paging structures. */
  readonly guestReferences: number;
  readonly eptReferences: number;
  /** Of the walks of its neighbours' loads, all of them. */
  readonly neighbourReferences: number;
  /** TSC cycles, without the neighbours'. */
  readonly cycles: Interval;
}

/** What the difference is made of: costs of kicks, and all costs of the neighbours' loads. */
export const TLB_TERMS = ["walk", "microcode", "vmread", "neighbours", "rest"] as const;
export type TlbTerm = (typeof TLB_TERMS)[number];

/** Per kick. */
export interface TlbCase extends KickState {
  readonly assumption: TlbAssumptionName;
  readonly guestPages: GuestPageSize;
  readonly ept: EptPageSize;
  readonly pio: KickFigures;
  readonly base: KickFigures;
  readonly rfc: KickFigures;
  /** TSC cycles, RFC less base, under one cost vector at a time; with what neighbours take more. */
  readonly difference: Interval;
  /** Its parts. The values add up; the ends need not, for the parts have costs in common. */
  readonly terms: Readonly<Record<TlbTerm, Interval>>;
}

/** Under one assumption and in one walk state, the case in which the RFC is furthest ahead, or least behind. */
export interface TlbBreakEven {
  readonly assumption: TlbAssumptionName;
  readonly walkState: WalkState;
  readonly best: TlbCase;
  /** TSC cycles of a walk that are saved in it: what all that a violation takes more must stay below. */
  readonly saved: Interval;
  /** The most that any of the cases saves, with the costs as they suit that best. */
  readonly mostSaved: number;
  /** The value of each cost that the designs do not share at which both take the same. */
  readonly costs: readonly CostBreakEven[];
  /** Ordinary faults for each kick at which both take the same. */
  readonly faults: ShareBreakEven;
}

/** What the look at the bus adds to an ordinary fault. */
export interface FaultTax {
  readonly lookups: number;
  readonly compares: number;
  /** TSC cycles. */
  readonly cycles: Interval;
}

/** Plain data, JSON-serialisable. */
export interface TlbArgument {
  readonly provenance: Provenance;
  /** The processor as its maker calls it. */
  readonly machine: string;
  /** Ioeventfds on the bus, and loads of neighbours for each kick beside which there are some. */
  readonly busSize: number;
  readonly neighbours: number;
  readonly assumptions: readonly TlbAssumption[];
  readonly breakEvens: readonly TlbBreakEven[];
  readonly tax: FaultTax;
  readonly cases: readonly TlbCase[];
}

export interface TlbArgumentOptions {
  /** A name in `data/cpus`, of Intel's. */
  readonly cpu?: string;
  /** Sizes of pages; by default all that the processor has. */
  readonly guestPages?: readonly GuestPageSize[];
  readonly ept?: readonly EptPageSize[];
  /** Ioeventfds on the bus. */
  readonly busSize?: number;
  /** Loads of neighbours for each kick. */
  readonly neighbours?: number;
  /** Kicks that are counted in each case. */
  readonly kicks?: number;
  readonly seed?: number;
}

const WHAT = "studyTlbArgument";

/** The schema of `TlbArgumentOptions`. */
export const tlbArgumentOptions = record({
  cpu: oneOf(cpuNames()).default(USUAL_SETTING.cpu),
  guestPages: list(oneOf(GUEST_PAGES), "sizes of the guest's pages").min(1).optional(),
  ept: list(oneOf(EPT_PAGES), "sizes of the host's pages").min(1).optional(),
  busSize: integer(QUEUES, 1000, "number of ioeventfds on the bus").default(USUAL_SETTING.busSize),
  neighbours: integer(1, 1000, "loads of neighbours for each kick").default(4),
  kicks: integer(QUEUES, 1e6, "number of kicks that are counted in each case").default(128),
  seed: integer(0, 0xffff_ffff, "seed").default(1),
});

/** Kicks before those that count: each doorbell twice. */
const WARM_UP = 2 * QUEUES;

/** Runs the study. @throws InputError for options that are not allowed, and for a processor without EPT */
export function studyTlbArgument(options: TlbArgumentOptions = {}): TlbArgument {
  const checked = parseInput(tlbArgumentOptions, options, WHAT);
  const { cpu, busSize, neighbours, kicks, seed } = checked;
  const profile = loadCpu(cpu);
  if (profile.vendor !== "Intel")
    throw new InputError(`${WHAT}: cpu`, notAllowed(cpu), "a processor with EPT, one of Intel's");
  const setting: Setting = { ...USUAL_SETTING, cpu, busSize, accesses: kicks, warmup: WARM_UP, seed };
  const costs = primitiveCosts(profile, designOf("rfc").kernel);
  const scenarios: Scenario[] = [];
  const statesOf = (design: DesignName, paging: Paging, loads: number) => {
    const { scenario, states } = countKicks(designOf(design), setting, paging, loads);
    scenarios.push(scenario);
    return states;
  };
  // A port is no page: what is open of those does not matter to it.
  const pagings = sizesOf(checked, profile.geometry).map((paging) => ({
    ...paging,
    pio: statesOf("pio", { ...paging, switches: DEFAULT_SWITCHES }, 0),
  }));
  const counted = TLB_ASSUMPTIONS.flatMap(({ name: assumption, switches: changed }) =>
    pagings.flatMap(({ pio, ...sizes }) => {
      const paging = { ...sizes, switches: { ...DEFAULT_SWITCHES, ...changed } };
      const base = statesOf("base-4.2", paging, neighbours);
      return statesOf("rfc", paging, neighbours).map(
        (rfc): Counted => ({
          about: { assumption, ...sizes },
          pio: sameState(pio, { ...rfc, neighbourhood: "alone" }),
          base: sameState(base, rfc),
          rfc,
        }),
      );
    }),
  );
  const faults = faultsOf(setting);
  const cases = counted.map((one) => caseOf(one, costs));
  return {
    provenance: provenanceOf({
      seed,
      conditions: conditionsOf(scenarios),
      command: studyCommand("tlb-argument", options),
    }),
    machine: profile.model,
    busSize,
    neighbours,
    assumptions: TLB_ASSUMPTIONS,
    breakEvens: TLB_ASSUMPTION_NAMES.flatMap((assumption) =>
      WALK_STATES.map((walkState) => ({
        assumption,
        walkState,
        ...breakEvenOf(
          cases.flatMap((one, index) =>
            one.assumption === assumption && one.walkState === walkState ? [[one, counted[index]]] : [],
          ),
          faults,
          costs,
        ),
      })),
    ),
    tax: taxOf(faults, costs),
    cases,
  };
}

interface Sizes {
  readonly guestPages: GuestPageSize;
  readonly ept: EptPageSize;
}

/** @throws InputError for a size that the processor has not */
function sizesOf(
  { guestPages, ept }: z.output<typeof tlbArgumentOptions>,
  { guest1GPages, ept2MPages }: CpuGeometry,
): Sizes[] {
  const ofGuest = GUEST_PAGES.filter((size) => size !== "1G" || guest1GPages);
  const ofEpt = EPT_PAGES.filter((size) => size !== "2M" || ept2MPages);
  checkSizes("guestPages", guestPages, ofGuest);
  checkSizes("ept", ept, ofEpt);
  return (guestPages ?? ofGuest).flatMap((size) =>
    (ept ?? ofEpt).map((eptSize) => ({ guestPages: size, ept: eptSize })),
  );
}

function checkSizes(option: string, asked: readonly string[] = [], known: readonly string[]): void {
  const unknown = asked.find((size) => !known.includes(size));
  if (unknown !== undefined)
    throw new InputError(`${WHAT}: ${option}`, notAllowed(unknown), `sizes of this cpu: ${known.join(", ")}`);
}

/** The three designs in one case. */
interface Counted {
  readonly about: Sizes & { readonly assumption: TlbAssumptionName };
  readonly pio: CountedKicks;
  readonly base: CountedKicks;
  readonly rfc: CountedKicks;
}

/** Of a design without a slot, whose pages have one state. */
function sameState(states: readonly CountedKicks[], { walkState, neighbourhood }: KickState): CountedKicks {
  const found = states.find((of) => of.walkState === walkState && of.neighbourhood === neighbourhood);
  if (found === undefined) throw new Error(`no state is ${walkState}, ${neighbourhood}`);
  return found;
}

function caseOf({ about, pio, base, rfc }: Counted, costs: readonly PrimitiveCost[]): TlbCase {
  const figures = (of: CountedKicks) => figuresOf(of, costs);
  const { page, walkState, neighbourhood } = rfc;
  const kick = occurrences(costs, rfc.kick, base.kick);
  const besides = occurrences(costs, rfc.neighbours, base.neighbours);
  const only = (term: TlbTerm) => kick.map((times, index) => (termOf(costs[index]) === term ? times : 0));
  const total = kick.map((times, index) => times + besides[index]);
  return {
    ...about,
    page,
    walkState,
    neighbourhood,
    pio: figures(pio),
    base: figures(base),
    rfc: figures(rfc),
    difference: linearBounds(costs, total),
    terms: {
      walk: linearBounds(costs, only("walk")),
      microcode: linearBounds(costs, only("microcode")),
      vmread: linearBounds(costs, only("vmread")),
      neighbours: linearBounds(costs, besides),
      rest: linearBounds(costs, only("rest")),
    },
  };
}

function termOf({ name, category }: PrimitiveCost): Exclude<TlbTerm, "neighbours"> {
  if (category === "walk") return "walk";
  if (name === "eptViolationExtra") return "microcode";
  return name === "vmread" ? name : "rest";
}

function figuresOf({ kick, neighbours }: CountedKicks, costs: readonly PrimitiveCost[]): KickFigures {
  const { guest, ept } = walkReferences(kick);
  const besides = walkReferences(neighbours);
  return {
    guestReferences: guest,
    eptReferences: ept,
    neighbourReferences: besides.guest + besides.ept,
    cycles: priceCounts(costs, kick, 1).perAccess,
  };
}

/** Per ordinary fault. */
interface Faults {
  readonly base: Counts;
  readonly rfc: Counts;
}

/** First touches of RAM alone, with the doorbells on the bus. */
function faultsOf(setting: Setting): Faults {
  const perFault = (design: DesignName) => {
    const { counts, accesses } = run(faultsAlone(designOf(design), { ...setting, walkState: "hot" }));
    return perOne(counts, accesses);
  };
  return { base: perFault("base-4.2"), rfc: perFault("rfc") };
}

function taxOf({ base, rfc }: Faults, costs: readonly PrimitiveCost[]): FaultTax {
  return {
    lookups: rfc.ioBusLookup - base.ioBusLookup,
    compares: rfc.ioBusCompare - base.ioBusCompare,
    cycles: linearBounds(costs, occurrences(costs, rfc, base)),
  };
}

/** Of some cases, each with what was counted in it. */
function breakEvenOf(
  cases: readonly (readonly [TlbCase, Counted])[],
  faults: Faults,
  costs: readonly PrimitiveCost[],
): Omit<TlbBreakEven, "assumption" | "walkState"> {
  const [best, counted] = cases.reduce((least, other) =>
    other[0].difference.value < least[0].difference.value ? other : least,
  );
  const [base, rfc] = [counted.base, counted.rfc].map(withNeighbours);
  return {
    best,
    saved: negative(best.terms.walk),
    mostSaved: Math.max(...cases.map(([{ terms }]) => negative(terms.walk).high)),
    costs: breakEvenCosts(costs, { name: "rfc", counts: rfc }, { name: "base-4.2", counts: base }),
    faults: breakEvenShare(
      costs,
      { name: "rfc", fixed: rfc, perUnit: faults.rfc },
      { name: "base-4.2", fixed: base, perUnit: faults.base },
      "ordinary faults per kick",
    ),
  };
}

function withNeighbours({ kick, neighbours }: CountedKicks): Counts {
  return Object.fromEntries(Object.entries(kick).map(([name, count]) => [name, count + neighbours[name]]));
}

/** Without the sign of a zero. */
function negative({ low, value, high }: Interval): Interval {
  return { low: 0 - high, value: 0 - value, high: 0 - low };
}
