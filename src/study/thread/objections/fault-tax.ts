/**
 * Second objection: "The workload of _bus_write is added for all kinds of page fault." What an ordinary fault pays for each design
 * by the size of the fast bus, and at how many faults per kick that eats up what a kick gains.
 *
 * Differences are against the kernel without a patch, under one cost vector at a time.
 */
import { breakEvenShare, type ShareBreakEven } from "../../../cost/break-even.js";
import { type Counts, occurrences } from "../../../cost/counts.js";
import { loadCpu } from "../../../cost/cpu-profile.js";
import { priceCounts } from "../../../cost/price.js";
import { type PrimitiveCost, primitiveCosts } from "../../../cost/primitive-costs.js";
import { ratioBounds } from "../../../cost/ratio-bounds.js";
import { linearBounds } from "../../../cost/uncertainty.js";
import { DEFAULT_SWITCHES, type Switches } from "../../../x86/cpu.js";
import { PAGE } from "../../../x86/mmu.js";
import { studyCommand } from "../../command.js";
import { conditionsOf } from "../../conditions.js";
import { provenanceOf } from "../../provenance.js";
import type { Interval, Provenance } from "../../result.js";
import { run } from "../../run/run.js";
import type { Scenario, ScenarioInput } from "../../run/scenario.js";
import { type DesignName, designOf } from "../designs.js";
import { faultsAlone, OTHERS, type Setting, scenarioOf } from "../setting.js";
import { type ObjectionOptions, settingOf } from "./setting.js";
import { perInstruction, type SplitRun, splitRun } from "./split-run.js";

/** What one ordinary fault pays, with nobody kicking. A difference is the design less its base. */
export interface BusTax {
  readonly design: DesignName;
  readonly base: DesignName;
  /** Ioeventfds on the fast bus. */
  readonly busSize: number;
  /** How much more often per fault. */
  readonly busLookups: number;
  readonly busCompares: number;
  readonly slotLookups: number;
  /** TSC cycles. */
  readonly difference: Interval;
  /** The fault itself, in the base. */
  readonly fault: Interval;
  /** difference / fault; null where the ranges allow a fault to cost nothing. */
  readonly share: Interval | null;
}

/** What is taken for granted about the RFC's kick. */
export interface Assumption {
  readonly name: string;
  /** The guest has read the doorbells' pages, so that they are mapped. */
  readonly populated: boolean;
  readonly switches: Switches;
  /** What a violation takes more than a misconfiguration is the least of its range, and not anywhere in it. */
  readonly cheapViolation: boolean;
}

/** No processor can know the address that faults without a walk: the most that its caches could do for the RFC, and more. */
const BOUND = {
  populated: true,
  switches: { ...DEFAULT_SWITCHES, violationDrops: "nothing", permissionFaultWalks: 0 },
} as const;

export const ASSUMPTIONS: readonly Assumption[] = [
  { name: "page never read", populated: false, switches: DEFAULT_SWITCHES, cheapViolation: false },
  { name: "page read before", populated: true, switches: DEFAULT_SWITCHES, cheapViolation: false },
  { name: "no walk (a bound)", ...BOUND, cheapViolation: false },
  { name: "no walk, cheap violation", ...BOUND, cheapViolation: true },
];

/** What is assumed of an EPT violation, over a misconfiguration. */
const VIOLATION_COST = "eptViolationExtra";

/** TSC cycles, the RFC less base-4.2. */
export interface RatePoint {
  readonly faultsPerKick: number;
  readonly kicks: number;
  readonly faults: number;
  readonly perKick: Interval;
}

export interface RateCurve {
  readonly assumption: string;
  readonly points: readonly RatePoint[];
  /** Of a kick without faults, and of a fault without kicks. */
  readonly perKick: Interval;
  readonly perFault: Interval;
  /** In ordinary faults per kick. */
  readonly breakEven: ShareBreakEven;
}

/** Plain data, JSON-serialisable. */
export interface FaultTaxStudy {
  readonly provenance: Provenance;
  readonly machine: string;
  readonly taxes: readonly BusTax[];
  /** At this size of the bus. */
  readonly busSizeOfRates: number;
  readonly rates: readonly RateCurve[];
  /** For the verdict table. */
  readonly verdict: string;
}

export const BUS_SIZES = [0, 1, 64, 1000] as const;
export const FAULTS_PER_KICK = [0, 0.1, 1, 10, 100] as const;
const TAXED = ["rfc", "bad-page", "repaired"] as const;
/** Of the rates: the RFC, and what it is measured against. */
const SIDES = ["rfc", "base-4.2"] as const;

const WHAT = "studyFaultTax";
const ACCESSES = 1000;
/** In a mix, about. */
const LEAST_KICKS = 10;

/** Where the ioeventfds lie that are on the bus and that nobody writes to. */

/** @throws InputError that names the option, its value and what is allowed */
export function studyFaultTax(options: ObjectionOptions = {}): FaultTaxStudy {
  const setting = settingOf(options, ACCESSES, WHAT);
  const counted = new Counted(setting);
  const taxes = TAXED.flatMap((design) =>
    BUS_SIZES.map((busSize) => taxOf(design, busSize, setting, counted)),
  );
  const rates = ASSUMPTIONS.map((assumption) => rateCurve(assumption, setting, counted));
  return {
    provenance: provenanceOf({
      seed: setting.seed,
      conditions: conditionsOf(counted.scenarios),
      command: studyCommand("fault-tax", options),
    }),
    machine: loadCpu(setting.cpu).model,
    taxes,
    busSizeOfRates: setting.busSize,
    rates,
    verdict: verdictOf(taxes, rates),
  };
}

/** What was counted; each scenario is run once. */
class Counted {
  readonly scenarios: Scenario[] = [];
  private readonly faults = new Map<string, Counts>();
  private readonly mixes = new Map<string, SplitRun>();

  constructor(private readonly setting: Setting) {}

  /** Of an ordinary fault, where nobody kicks. */
  fault(design: DesignName, busSize: number): Counts {
    return remembered(this.faults, `${design} ${busSize}`, () => {
      const { scenario, counts, accesses } = run(onlyFaults(design, busSize, this.setting));
      this.scenarios.push(scenario);
      return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / accesses]));
    });
  }

  /** Kicks and ordinary faults. A page without a slot cannot be populated. */
  mix(design: DesignName, faultsPerKick: number, { populated, switches }: Assumption): SplitRun {
    const isPopulated = populated && designOf(design).slot === "read-only";
    const key = JSON.stringify([design, faultsPerKick, isPopulated, switches]);
    return remembered(this.mixes, key, () => {
      const accesses = Math.max(this.setting.accesses, LEAST_KICKS * (1 + faultsPerKick));
      const scenario = scenarioOf(designOf(design), { ...this.setting, faultsPerKick, accesses });
      const done = splitRun({ ...scenario, switches }, isPopulated);
      this.scenarios.push(done.scenario);
      return done;
    });
  }
}

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

/** First touches of RAM alone, with other ioeventfds on the bus than those of doorbells. */
function onlyFaults(design: DesignName, busSize: number, setting: Setting): ScenarioInput {
  const { doorbells: _, ...faults } = faultsAlone(designOf(design), setting);
  const ioeventfds = [{ addr: OTHERS, len: 0, count: busSize, stride: PAGE }] as const;
  return { ...faults, ioeventfds, semantics: "off" };
}

function taxOf(design: DesignName, busSize: number, setting: Setting, counted: Counted): BusTax {
  const { base, kernel } = designOf(design);
  const costs = primitiveCosts(loadCpu(setting.cpu), kernel);
  const [own, before] = [counted.fault(design, busSize), counted.fault(base, busSize)];
  // Refuses what no cost prices.
  for (const counts of [own, before]) priceCounts(costs, counts, 1);
  const more = occurrences(costs, own, before);
  const times = occurrences(costs, before);
  const moreOf = (name: string) => (own[name] ?? 0) - (before[name] ?? 0);
  return {
    design,
    base,
    busSize,
    busLookups: moreOf("ioBusLookup"),
    busCompares: moreOf("ioBusCompare"),
    slotLookups: moreOf("memslotLookup"),
    difference: linearBounds(costs, more),
    fault: linearBounds(costs, times),
    share: ratioBounds(costs, more, times),
  };
}

function rateCurve(assumption: Assumption, setting: Setting, counted: Counted): RateCurve {
  const all = primitiveCosts(loadCpu(setting.cpu), designOf("rfc").kernel);
  const costs = assumption.cheapViolation ? all.map(withCheapViolation) : all;
  const points = FAULTS_PER_KICK.map((faultsPerKick) => {
    const [rfc, base] = SIDES.map((design) => counted.mix(design, faultsPerKick, assumption));
    const timesOf = ({ kicks, others }: SplitRun) => {
      const faults = occurrences(costs, others.counts);
      return occurrences(costs, kicks.counts).map((times, index) => times + faults[index]);
    };
    const before = timesOf(base);
    const kicks = rfc.kicks.instructions;
    const more = timesOf(rfc).map((times, index) => (times - before[index]) / kicks);
    return { faultsPerKick, kicks, faults: rfc.others.instructions, perKick: linearBounds(costs, more) };
  });
  const [rfc, base] = SIDES.map((name) => ({
    name,
    fixed: perInstruction(counted.mix(name, 0, assumption).kicks),
    perUnit: counted.fault(name, setting.busSize),
  }));
  return {
    assumption: assumption.name,
    points,
    perKick: linearBounds(costs, occurrences(costs, rfc.fixed, base.fixed)),
    perFault: linearBounds(costs, occurrences(costs, rfc.perUnit, base.perUnit)),
    breakEven: breakEvenShare(costs, rfc, base, "ordinary faults per kick"),
  };
}

function withCheapViolation(cost: PrimitiveCost): PrimitiveCost {
  return cost.name === VIOLATION_COST ? { ...cost, value: cost.low, high: cost.low } : cost;
}

function verdictOf(taxes: readonly BusTax[], rates: readonly RateCurve[]): string {
  const of = (design: DesignName) => taxes.filter((tax) => tax.design === design);
  const cycles = ({ low, high }: Interval) =>
    low === high ? rounded(low) : `${rounded(low)} to ${rounded(high)}`;
  const [empty, full] = [of("rfc")[0], of("rfc")[BUS_SIZES.length - 1]];
  const share =
    full.share === null ? "" : `, ${percent(full.share.low)} to ${percent(full.share.high)} of a first touch`;
  const others = TAXED.filter((design) => design !== "rfc").map(
    (design) => `${design} ${cycles(of(design)[BUS_SIZES.length - 1].difference)}`,
  );
  const gaining = rates.filter(({ perKick }) => perKick.value < 0);
  const gone = gaining.flatMap(({ assumption, breakEven: { at } }) =>
    at === null ? [] : [`${assumption}, up to ${at.toPrecision(2)} faults per kick`],
  );
  return (
    `An ordinary fault pays ${cycles(empty.difference)} cycles under the RFC with ${empty.busSize} ioeventfds and ` +
    `${cycles(full.difference)} with ${full.busSize}${share} (${others.join(", ")}). With the costs at their values a kick gains ` +
    `${gone.length === 0 ? "under no assumption" : `only with ${gone.join("; ")}`}.`
  );
}

const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
const rounded = (value: number) => String(Math.round(value) + 0);
