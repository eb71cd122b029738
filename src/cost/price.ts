/**
 * What a run cost, and of what: cycles as a range, and the list of all costs in it, how often each occurs and who says so.
 *
 * The list is complete. What was counted is priced by an item of it, or is known to be free (`FREE_PRIMITIVES`); anything
 * else is a mistake, and never nothing. The range is what the ranges of the costs allow, each cost anywhere in its own.
 */
import { type Bounds, type Counts, occurrences } from "./counts.js";
import { InputError, notAllowed } from "./input.js";
import { CATEGORIES, type Category, FREE_PRIMITIVES, type PrimitiveCost } from "./primitive-costs.js";
import type { Tag } from "./quantity.js";
import { checkRanges, linearBounds } from "./uncertainty.js";

/** TSC cycles: the lowest, with every cost at its value, and the highest. */
export interface Cycles extends Bounds {
  readonly value: number;
}

/** A cost that occurs. */
export interface PricedCost {
  readonly cost: string;
  readonly category: Category;
  /** Which of the primitives that it prices were counted. */
  readonly primitives: readonly string[];
  /** Those that spared one of them, if any was counted. */
  readonly spares?: readonly string[];
  /** Per access. */
  readonly times: number;
  /** Of one occurrence. */
  readonly each: Cycles;
  /** Per access: `times` of them. */
  readonly cycles: Cycles;
  readonly tag: Tag;
  readonly source: string;
}

/** A primitive that was counted, and that costs nothing of its own. */
export interface FreePrimitive {
  readonly primitive: string;
  /** Per access. */
  readonly times: number;
  readonly because: string;
}

export interface Price {
  readonly accesses: number;
  /** Of all accesses. */
  readonly total: Cycles;
  readonly perAccess: Cycles;
  /** Per access; the categories add up to `perAccess`. */
  readonly byCategory: Readonly<Record<Category, Cycles>>;
  /** In the order of the costs. */
  readonly items: readonly PricedCost[];
  readonly free: readonly FreePrimitive[];
}

/**
 * The price of what was counted in some accesses.
 *
 * @param counts of all accesses, by primitive
 * @throws InputError for a primitive that was counted and that nothing prices, a count or a number of accesses that is none,
 *   or a cost whose range does not hold its value
 */
export function priceCounts(costs: readonly PrimitiveCost[], counts: Counts, accesses: number): Price {
  checkRanges(costs);
  if (!(accesses > 0 && Number.isFinite(accesses)))
    throw new InputError("accesses", notAllowed(accesses), "a number above 0");
  const counted = checkedNames(counts);
  const priced = new Set(costs.flatMap(({ primitives }) => primitives));
  const free = counted
    .filter((name) => !priced.has(name))
    .map((name) => freePrimitive(name, counts, accesses));
  const times = occurrences(costs, counts).map((n) => n / accesses);
  const items = costs
    .map((cost, index) => pricedCost(cost, times[index], counts))
    .filter((item) => item.times > 0);
  return {
    accesses,
    total: linearBounds(costs, occurrences(costs, counts)),
    perAccess: linearBounds(costs, times),
    byCategory: Object.fromEntries(
      CATEGORIES.map((category) => [category, sum(items.filter((item) => item.category === category))]),
    ) as Record<Category, Cycles>,
    items,
    free,
  };
}

/** Names of what was counted at all. */
function checkedNames(counts: Counts): string[] {
  for (const [name, count] of Object.entries(counts)) {
    if (!(count >= 0 && Number.isFinite(count)))
      throw new InputError(`counts: ${name}`, notAllowed(count), "how often it happened, 0 or more");
  }
  return Object.keys(counts).filter((name) => counts[name] > 0);
}

function freePrimitive(primitive: string, counts: Counts, accesses: number): FreePrimitive {
  if (!Object.hasOwn(FREE_PRIMITIVES, primitive)) {
    const allowed = `primitives that a cost prices, or that are free: ${Object.keys(FREE_PRIMITIVES).join(", ")}`;
    throw new InputError(`counts: ${primitive}`, `is ${counts[primitive]}, and no cost prices it`, allowed);
  }
  return { primitive, times: counts[primitive] / accesses, because: FREE_PRIMITIVES[primitive] };
}

function pricedCost(cost: PrimitiveCost, times: number, counts: Counts): PricedCost {
  const { name, category, primitives, spares, low, value, high, tag, source } = cost;
  return {
    cost: name,
    category,
    primitives: primitives.filter((primitive) => counts[primitive] > 0),
    ...(spares?.some((primitive) => counts[primitive] > 0) && { spares }),
    times,
    each: { low, value, high },
    cycles: linearBounds([cost], [times]),
    tag,
    source,
  };
}

function sum(items: readonly PricedCost[]): Cycles {
  const total = (end: keyof Cycles) => items.reduce((cycles, item) => cycles + item.cycles[end], 0);
  return { low: total("low"), value: total("value"), high: total("high") };
}
