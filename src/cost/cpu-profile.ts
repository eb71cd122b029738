/**
 * Processor profiles: geometry, which decides what happens, and latencies, which decide what it costs. Every value of the
 * two has a source and a tag.
 */
import * as z from "zod";
import { type CpuGeometry, DEFAULT_SWITCHES } from "../x86/cpu.js";
import { REPLACEMENTS } from "../x86/set-associative.js";
import { dataNames, InputError, notAllowed, readDataJson } from "./input.js";

/** How a value is known. */
export const TAGS = ["measured", "derived", "assumed"] as const;
export type Tag = (typeof TAGS)[number];

const source = z.string().min(1);
const tag = z.enum(TAGS);
const count = z.number().int().positive();

function sourced<T extends z.ZodType>(value: T) {
  return z.strictObject({ value, tag, source });
}

const flag = sourced(z.boolean());
const entriesAndWays = z.strictObject({ entries: count, ways: count });
const associativity = sourced(entriesAndWays);
/** null where the processor has none. */
const associativityOrNone = sourced(entriesAndWays.nullable());
const replacement = z.enum(REPLACEMENTS);
const cacheGeometry = sourced(z.strictObject({ bytes: count, ways: count, replacement }));
const latency = z.strictObject({
  low: z.number().nonnegative(),
  high: z.number().nonnegative(),
  unit: z.literal("core cycles"),
  tag,
  source,
});

const profileFile = z.strictObject({
  name: z.string(),
  model: z.string(),
  year: z.number().int(),
  nominalMhz: z.number().positive(),
  about: z.string(),
  geometry: z.strictObject({
    physicalAddressBits: sourced(z.number().int().min(36).max(52)),
    guest1GPages: flag,
    executeOnlyEpt: flag,
    ept2MPages: flag,
    ept1GPages: flag,
    ept5Levels: flag,
    eptAccessedDirty: flag,
    advancedExitInformation: flag,
    supervisorShadowStack: flag,
    itlb4K: associativity,
    itlb2M: associativity,
    dtlb4K: associativity,
    dtlb2M: associativity,
    dtlb1G: associativityOrNone,
    stlb: associativity,
    stlbHolds2M: flag,
    stlb1G: associativityOrNone,
    pdeCache: associativity,
    pdpteCache: associativity,
    pml4eCache: associativity,
    pml5eCache: associativityOrNone,
    nestedTlb: associativity,
    tlbReplacement: sourced(replacement),
    l1d: cacheGeometry,
    l2: cacheGeometry,
    l3: cacheGeometry,
    l3Inclusive: flag,
  }),
  latency: z.strictObject({ L1: latency, L2: latency, L3: latency, Dram: latency, stlbHit: latency }),
});

/** Cycles from the first to the last of what a source gives. */
export interface Latency {
  readonly low: number;
  readonly high: number;
  readonly tag: Tag;
  readonly source: string;
}

export interface CpuProfile {
  readonly name: string;
  /** The processor as its maker calls it. */
  readonly model: string;
  /** The year in which it came to market. */
  readonly year: number;
  /** With the default switches: what the manual leaves open, no profile knows. */
  readonly geometry: CpuGeometry;
  /** Core cycles of a reference by the level that serves it, and what a second-level TLB hit adds. */
  readonly latency: Readonly<Record<"L1" | "L2" | "L3" | "Dram" | "stlbHit", Latency>>;
}

/** Names of the profiles in `data/cpus`. */
export function cpuNames(): string[] {
  return dataNames("cpus", ".json");
}

/** @throws InputError for a name without a profile, or a file that does not fit the schema */
export function loadCpu(name: string): CpuProfile {
  if (!cpuNames().includes(name))
    throw new InputError("cpu", notAllowed(name), `one of ${cpuNames().join(", ")}`);
  const file = readDataJson(profileFile, "cpus", `${name}.json`);
  return {
    name: file.name,
    model: file.model,
    year: file.year,
    geometry: { ...valuesOf(file.geometry), switches: DEFAULT_SWITCHES },
    latency: file.latency,
  };
}

/** The values, without how they are known. */
function valuesOf<T extends Record<string, { readonly value: unknown }>>(of: T) {
  const values = Object.fromEntries(Object.entries(of).map(([key, { value }]) => [key, value]));
  return values as { [Key in keyof T]: T[Key]["value"] };
}
