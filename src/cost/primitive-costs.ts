/**
 * Costs as data: what each primitive of the ledger costs, as a range with its source. Two files give them: the processor's
 * profile for references to memory, `data/costs/kvm.json` for KVM's own steps.
 *
 * One cost may price several primitives. That is how a physical constraint is stated: all exits share one round trip.
 */
import * as z from "zod";
import { MEMORY_LEVELS } from "../x86/ledger.js";
import { type CpuProfile, TAGS, type Tag } from "./cpu-profile.js";
import { InputError, notAllowed, readDataJson } from "./input.js";

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
  /** Cycles: TSC cycles, or core cycles for references to memory. */
  readonly low: number;
  readonly high: number;
  readonly tag: Tag;
  readonly source: string;
}

const costsFile = z.strictObject({
  about: z.string(),
  costs: z.array(
    z
      .strictObject({
        name: z.string(),
        category: z.enum(CATEGORIES),
        primitives: z.array(z.string()).min(1),
        unit: z.literal("TSC cycles"),
        low: z.number().nonnegative(),
        high: z.number().nonnegative(),
        tag: z.enum(TAGS),
        source: z.string().min(1),
      })
      .refine(({ low, high }) => low <= high, { error: "low at most high" }),
  ),
});

/** Ranges, in cycles, to put in place of those of the data files, by the cost's name. */
export type CostRanges = Readonly<Record<string, { readonly low: number; readonly high: number }>>;

/**
 * Prior costs of every primitive on this processor.
 *
 * @throws InputError for a range of an unknown cost, or one that is empty or negative
 */
export function primitiveCosts(cpu: CpuProfile, ranges: CostRanges = {}): PrimitiveCost[] {
  const costs = costsOf(cpu);
  for (const [name, range] of Object.entries(ranges)) {
    const index = costs.findIndex((cost) => cost.name === name);
    if (index < 0) {
      const known = costs.map((cost) => cost.name).join(", ");
      throw new InputError("costs", notAllowed(name), `one of ${known}`);
    }
    if (!(range.low >= 0 && range.low <= range.high && Number.isFinite(range.high))) {
      throw new InputError(`costs: ${name}`, notAllowed(range), "low and high in cycles, 0 <= low <= high");
    }
    costs[index] = { ...costs[index], ...range, tag: "assumed", source: "given for this study" };
  }
  return costs;
}

function costsOf(cpu: CpuProfile): PrimitiveCost[] {
  const reference = (
    name: string,
    category: Category,
    primitives: string[],
    key: keyof CpuProfile["latency"],
  ) => {
    const { low, high, tag, source } = cpu.latency[key];
    return { name, category, primitives, low, high, tag, source };
  };
  return [
    ...MEMORY_LEVELS.map((level) =>
      reference(`walkReference${level}`, "walk", [`guestWalkRef${level}`, `eptWalkRef${level}`], level),
    ),
    ...MEMORY_LEVELS.map((level) => reference(`dataReference${level}`, "memory", [`dataRef${level}`], level)),
    reference("stlbHit", "memory", ["stlbHitLoad", "stlbHitStore", "stlbHitFetch"], "stlbHit"),
    ...readDataJson(costsFile, "costs", "kvm.json").costs,
  ];
}
