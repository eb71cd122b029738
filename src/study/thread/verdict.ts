/**
 * The verdict table: what each design of the thread counts and costs per kick, against the design of its kernel without a
 * patch, what others pay for it, and what goes wrong.
 *
 * Both sides of a difference are priced under one cost vector at a time, so that what they have in common cancels.
 */
import { breakEvenCosts } from "../../cost/break-even.js";
import { type Counts, occurrences } from "../../cost/counts.js";
import { type Price, priceCounts } from "../../cost/price.js";
import type { PrimitiveCost } from "../../cost/primitive-costs.js";
import { drawCosts, linearBounds, propagate, shareOfRangesBelow } from "../../cost/uncertainty.js";
import type { Interval } from "../result.js";
import type { DesignName } from "./designs.js";
import { type KickCounts, kickCounts } from "./kick-counts.js";
import { PAGE_STATES, type PageState } from "./kicks-beside.js";
import type { IncidentCounts, MeasuredDesign } from "./measured-design.js";

/** Where a cost would have to be for the design to cost what its base does. */
export interface DecidingCost {
  readonly cost: string;
  /** TSC cycles, with the other costs at their values. */
  readonly at: number;
  readonly assumed: Interval;
  /** The side that costs less below it. */
  readonly below: string;
}

/** Cycles are TSC cycles. Counts are per kick. */
export interface VerdictRow extends KickCounts {
  readonly design: DesignName;
  readonly title: string;
  readonly base: DesignName;
  readonly cpu: string;
  /** Of a slot behind the doorbell; null where there is none, or where it makes no difference. */
  readonly page: PageState | null;
  readonly cycles: Interval;
  /** Less the base; null for a base. */
  readonly difference: Interval | null;
  /** Share of cost vectors spread evenly over the assumed ranges in which it costs less than its base, 0 to 1; null for a base. */
  readonly rangesWon: number | null;
  /** The one cost that the difference is made of, if it is one: then its assumed sign decides, and nothing that was run. */
  readonly by: string | null;
  /** Share of its cycles, each cost at its value, that comes from costs that are assumed. */
  readonly assumedShare: number;
  /** What an ordinary fault takes more than under the base, and a write to the doorbell's page that no eventfd takes. */
  readonly faultTax: Interval;
  readonly missTax: Interval;
  /** In a mix of kicks, reads of doorbells and ordinary faults: per thousand accesses to doorbells, and those of the base. */
  readonly incidents: IncidentCounts;
  readonly incidentsOfBase: IncidentCounts;
  /** Of the costs that alone could turn the difference within their ranges, the one that moves it most; null if none can. */
  readonly deciding: DecidingCost | null;
}

const DRAWS = 4096;

/** A row for each design, and each state of its page that makes a difference. */
export function verdictRows(designs: ReadonlyMap<DesignName, MeasuredDesign>): VerdictRow[] {
  return [...designs.values()].flatMap((own) => {
    const base = designs.get(own.design.base) as MeasuredDesign;
    const states = PAGE_STATES.filter((page) => own.perKick[page] !== undefined);
    const rows = states.map((page) => rowOf(own, base, page));
    const [first] = rows;
    const isOne = rows.every(
      ({ cycles }) => cycles.low === first.cycles.low && cycles.high === first.cycles.high,
    );
    return isOne ? [{ ...first, page: null }] : rows;
  });
}

/** What a design counts per kick in a state of its page; one without a slot has one state. */
export function kickOf({ perKick, design }: MeasuredDesign, page: PageState): Counts {
  const kick = perKick[page] ?? Object.values(perKick)[0];
  if (kick === undefined) throw new Error(`${design.name} was not run`);
  return kick;
}

function rowOf(own: MeasuredDesign, base: MeasuredDesign, page: PageState): VerdictRow {
  const { design, costs, setting } = own;
  const [kick, kickOfBase] = [kickOf(own, page), kickOf(base, page)];
  const price = priceCounts(costs, kick, 1);
  const isBase = own === base;
  const times = occurrences(costs, kick, kickOfBase);
  const differing = costs.filter((_, index) => times[index] !== 0);
  const priced = (items: Price["items"]) =>
    items.reduce((sum, { cycles }) => sum + Math.abs(cycles.value), 0);
  const more = (counts: Counts, ofBase: Counts) => linearBounds(costs, occurrences(costs, counts, ofBase));
  return {
    design: design.name,
    title: design.title,
    base: design.base,
    cpu: setting.cpu,
    page,
    ...kickCounts(kick),
    cycles: price.perAccess,
    difference: isBase ? null : linearBounds(costs, times),
    rangesWon: isBase ? null : shareWon(costs, kick, kickOfBase, setting.seed),
    by: !isBase && differing.length === 1 ? differing[0].name : null,
    assumedShare: priced(price.items.filter(({ tag }) => tag === "assumed")) / priced(price.items),
    faultTax: more(own.perFault, base.perFault),
    missTax: more(own.perMiss, base.perMiss),
    incidents: own.incidents,
    incidentsOfBase: base.incidents,
    deciding: isBase
      ? null
      : decidingCost(
          costs,
          { name: design.name, counts: kick },
          { name: base.design.name, counts: kickOfBase },
        ),
  };
}

function shareWon(costs: readonly PrimitiveCost[], own: Counts, base: Counts, seed: number): number {
  const cycles = propagate(drawCosts(costs, { draws: DRAWS, seed }), { own, base });
  return shareOfRangesBelow(cycles.own, cycles.base);
}

type Side = Parameters<typeof breakEvenCosts>[1];

function decidingCost(costs: readonly PrimitiveCost[], own: Side, base: Side): DecidingCost | null {
  let most = 0;
  let deciding: DecidingCost | null = null;
  for (const { cost, at, times, assumed, below } of breakEvenCosts(costs, own, base)) {
    const { low, value, high } = costs.find(({ name }) => name === cost) as PrimitiveCost;
    const swing = Math.abs(times) * (high - low);
    if (!assumed || swing <= most) continue;
    most = swing;
    deciding = { cost, at, assumed: { low, value, high }, below };
  }
  return deciding;
}
