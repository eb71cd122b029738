/**
 * Processor profiles: geometry, which decides what happens, and latencies, which decide what it costs. Every value has a
 * source and a tag.
 */
import * as z from "zod";
import type { CpuGeometry } from "../x86/cpu.js";
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

const associativity = sourced(z.strictObject({ entries: count, ways: count }));
const cacheGeometry = sourced(z.strictObject({ bytes: count, ways: count }));
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
  nominalMhz: z.number().positive(),
  about: z.string(),
  geometry: z.strictObject({
    physicalAddressBits: sourced(z.number().int().min(36).max(52)),
    executeOnlyEpt: sourced(z.boolean()),
    dtlb4K: associativity,
    dtlb2M: associativity,
    stlb: associativity,
    stlbHolds2M: sourced(z.boolean()),
    pdeCache: associativity,
    pdpteCache: associativity,
    pml4eCache: associativity,
    nestedTlb: associativity,
    l1d: cacheGeometry,
    l2: cacheGeometry,
    l3: cacheGeometry,
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
  const geometry = Object.fromEntries(Object.entries(file.geometry).map(([key, { value }]) => [key, value]));
  return {
    name: file.name,
    model: file.model,
    geometry: geometry as unknown as CpuGeometry,
    latency: file.latency,
  };
}
