/**
 * Costs as data: what each primitive of the ledger costs, as a range with its source. Two files give them: the processor's
 * profile for references, exits and mitigations, `data/costs/kvm.json` for KVM's own steps in each kernel.
 *
 * One cost may price several primitives. That is how a physical constraint is stated: all exits share one round trip. And
 * one primitive may have several costs, its parts: an exit is a transition of the processor and KVM's path around it.
 */
import * as z from "zod";
import { KERNEL_VERSIONS, type KernelVersion } from "../kvm/eras.js";
import { PRIMITIVES } from "../kvm/primitives.js";
import { MEMORY_LEVELS } from "../x86/ledger.js";
import { type Clock, type Converted, toCoreCycles, toTscCycles } from "./clock.js";
import type { Bounds } from "./counts.js";
import type { CpuProfile } from "./cpu-profile.js";
import { InputError, list, notAllowed, oneOf, readDataJson, record, text } from "./input.js";
import { difference, type Quantity, quantity, type Tag, TIME_UNITS } from "./quantity.js";

/** What cycles are spent on. The categories of a run add up to its total. */
export const CATEGORIES = [
  "walk",
  "memory",
  "exit",
  "handler",
  "emulation",
  "bus",
  "eventfd",
  "userspace",
] as const;
export type Category = (typeof CATEGORIES)[number];

export interface PrimitiveCost {
  readonly name: string;
  readonly category: Category;
  /** Primitives of the ledger that cost this much each. */
  readonly primitives: readonly string[];
  /** Primitives each of which spares one of these; none unless given. */
  readonly spares?: readonly string[];
  /** TSC cycles; core cycles of `loadCosts()`. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly tag: Tag;
  readonly source: string;
}

/** All kinds of exits. */
const EXITS = PRIMITIVES.filter((name) => /^exit(?!Mitigation|Fastpath)/.test(name));

/** Page walks, however they end. */
const WALKS = ["walkLoad", "walkStore", "walkFetch"];

const FIRST_LEVEL_HIT = "the latency of a reference is measured with a hit in the first-level TLB before it";
const COUNTED_TWICE =
  "a walk, counted once more by its page size as a PMU does; walkLoad, walkStore and walkFetch have a cost";

/** The primitives that no cost prices, and why none has to: what they take is in the costs of others. */
export const FREE_PRIMITIVES: Readonly<Record<string, string>> = Object.fromEntries([
  ["dtlbHit", FIRST_LEVEL_HIT],
  ["exitFastpath", "it only spares: handleExit is counted once less"],
  ...PRIMITIVES.filter((name) => name.startsWith("walkCompleted")).map((name) => [name, COUNTED_TWICE]),
]);

const cost = difference(...TIME_UNITS);
const costsFile = z.strictObject({
  about: z.string(),
  costs: list(
    z.strictObject({
      name: text("a name"),
      category: oneOf(CATEGORIES),
      primitives: z.array(z.string()).min(1),
      spares: z.array(z.string()).optional(),
      cost,
      kernels: z.array(record({ of: z.array(oneOf(KERNEL_VERSIONS)).min(1), cost })).optional(),
    }),
    "costs",
  ),
});

const overlapFile = z.strictObject({ about: z.string(), walkOverlap: quantity("factor") });

/** A range in TSC cycles in place of that of the data files: one assumed for a study, if nobody says how it is known. */
export interface CostRange extends Bounds {
  /** By default the middle. */
  readonly value?: number;
  readonly tag?: Tag;
  readonly source?: string;
}

/** Ranges by the cost's name. */
export type CostRanges = Readonly<Record<string, CostRange>>;

/**
 * Prior costs of every primitive on this processor under this kernel, in TSC cycles.
 *
 * @throws InputError for a range of an unknown cost, or one that is empty
 */
export function primitiveCosts(
  cpu: CpuProfile,
  kernel: KernelVersion,
  ranges: CostRanges = {},
): PrimitiveCost[] {
  const costs = [...processorCosts(cpu, toTscCycles), ...kernelCosts(cpu.clock, kernel)];
  for (const [name, range] of Object.entries(ranges)) {
    const { low, high, value = (low + high) / 2, tag = "assumed", source = "given for this study" } = range;
    const index = costs.findIndex((known) => known.name === name);
    if (index < 0) {
      const known = costs.map((known) => known.name).join(", ");
      throw new InputError("costs", notAllowed(name), `one of ${known}`);
    }
    const isRange = low <= value && value <= high && Number.isFinite(low) && Number.isFinite(high);
    // A difference of two costs may be negative.
    const isPositive = costs[index].low >= 0;
    if (!isRange || (isPositive && low < 0)) {
      const allowed = `low and high in cycles, ${isPositive ? "0 <= " : ""}low <= high`;
      throw new InputError(`costs: ${name}`, notAllowed(range), allowed);
    }
    costs[index] = { ...costs[index], value, low, high, tag, source };
  }
  return costs;
}

/**
 * Costs of an exit that lie before kvm_exit and behind kvm_entry. The tracepoints stand in vcpu_enter_guest() of
 * arch/x86/kvm/x86.c and what it calls to run the vCPU.
 */
export const OUTSIDE_OF_TRACEPOINTS: readonly string[] = [
  "exitTransition",
  "eptExitExtra",
  "eptViolationExtra",
  "exitMitigation",
  "vcpuEnterGuest",
];

/** What loads of a processor without a hypervisor cost, in core cycles. */
export function loadCosts(cpu: CpuProfile): PrimitiveCost[] {
  return memoryCosts(cpu, toCoreCycles);
}

/** What a tracer adds to a time that it measures, by primitives that are in no ledger: perfEvent and ftraceEvent. */
export function tracingCosts({ clock }: CpuProfile): PrimitiveCost[] {
  return readDataJson(costsFile, "costs", "tracing.json").costs.map(
    ({ name, category, primitives, cost: of }) => pricing(toTscCycles, clock)(name, category, primitives, of),
  );
}

type Convert = (quantity: Quantity, clock: Clock) => Converted;

function processorCosts(cpu: CpuProfile, convert: Convert): PrimitiveCost[] {
  const { clock, latency, mitigations } = cpu;
  const priced = pricing(convert, clock);
  return [
    ...memoryCosts(cpu, convert),
    priced("exitTransition", "exit", EXITS, latency.exitRoundTrip),
    priced("exitMitigation", "exit", ["exitMitigation"], mitigations.exit),
    priced("retpoline", "handler", ["retpoline"], mitigations.retpoline),
    priced("userspaceExitMitigation", "userspace", ["userspaceExitMitigation"], mitigations.userspaceExit),
  ];
}

function memoryCosts({ clock, latency }: CpuProfile, convert: Convert): PrimitiveCost[] {
  const { walkOverlap } = readDataJson(overlapFile, "costs", "overlap.json");
  const priced = pricing(convert, clock);
  return [
    ...MEMORY_LEVELS.map((level) => {
      const primitives = [`guestWalkRef${level}`, `eptWalkRef${level}`];
      return overlapped(priced(`walkReference${level}`, "walk", primitives, latency[level]), walkOverlap);
    }),
    { ...priced("stlbMiss", "walk", WALKS, latency.stlbHit), ...missOf(latency.stlbHit) },
    priced("pageWalk", "walk", WALKS, latency.walk),
    ...MEMORY_LEVELS.map((level) =>
      priced(`dataReference${level}`, "memory", [`dataRef${level}`], latency[level]),
    ),
    priced("stlbHit", "memory", ["stlbHitLoad", "stlbHitStore", "stlbHitFetch"], latency.stlbHit),
  ];
}

/** A cost from a quantity. */
function pricing(convert: Convert, clock: Clock) {
  return (name: string, category: Category, primitives: readonly string[], of: Quantity): PrimitiveCost => {
    const { value, low, high, tag } = convert(of, clock);
    return { name, category, primitives, value, low, high, tag, source: of.source };
  };
}

/** A walk comes after a look into the second-level TLB: that this takes as long as a hit there is assumed. */
function missOf({ source }: Quantity): Pick<PrimitiveCost, "tag" | "source"> {
  return { tag: "assumed", source: `a miss taken to cost what a hit does: ${source}` };
}

/** Times the share of a latency that a walk's reference costs. The product is known no better than that share. */
function overlapped(latency: PrimitiveCost, { value, low, high, tag }: Quantity): PrimitiveCost {
  return {
    ...latency,
    value: latency.value * value,
    low: latency.low * low,
    high: latency.high * high,
    tag,
    source: `${latency.source}; times ${low} to ${high}, walkOverlap of data/costs/overlap.json`,
  };
}

function kernelCosts(clock: Clock, kernel: KernelVersion): PrimitiveCost[] {
  const { costs } = readDataJson(costsFile, "costs", "kvm.json");
  return costs.map(({ kernels = [], spares, ...priced }) => {
    const known = kernels.find(({ of }) => of.includes(kernel))?.cost ?? priced.cost;
    const { name, category, primitives } = priced;
    return { ...pricing(toTscCycles, clock)(name, category, primitives, known), ...(spares && { spares }) };
  });
}
