/**
 * Processor profiles: geometry, which decides what happens, and latencies, which decide what it costs. Every value has a
 * unit, a range, a tag and a source.
 */
import * as z from "zod";
import { type CpuGeometry, DEFAULT_SWITCHES } from "../x86/cpu.js";
import { HASHES, REPLACEMENTS } from "../x86/set-associative.js";
import type { Clock } from "./clock.js";
import { dataNames, deepFrozen, InputError, notAllowed, oneOf, readDataJson, suggestion } from "./input.js";
import { choice, measure, type Quantity, quantity, type Tag, TIME_UNITS } from "./quantity.js";

const count = z.number().int().positive();
const entriesAndWays = z.strictObject({ entries: count, ways: count });
const associativity = measure(entriesAndWays, "entries");
/** null where the processor has none. */
const associativityOrNone = measure(entriesAndWays.nullable(), "entries");
const cacheSize = measure(z.strictObject({ bytes: count, ways: count }), "bytes");
const flag = choice(z.boolean(), "boolean");
const replacement = choice(z.enum(REPLACEMENTS), "policy");
const hash = choice(z.enum(HASHES), "policy");

const geometry = z.strictObject({
  physicalAddressBits: measure(z.number().int().min(36).max(52), "bits"),
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
  tlbReplacement: replacement,
  l1d: cacheSize,
  l1dReplacement: replacement,
  l2: cacheSize,
  l2Replacement: replacement,
  l2Hash: hash,
  l3: cacheSize,
  l3Replacement: replacement,
  l3Hash: hash,
  l3Inclusive: flag,
});

const coreTime = quantity("core cycles", "ns");
const time = quantity(...TIME_UNITS);

const profileFile = z.strictObject({
  name: z.string(),
  model: z.string(),
  vendor: oneOf(["Intel", "AMD"]),
  year: z.number().int(),
  about: z.string(),
  clock: z.strictObject({ tsc: quantity("MHz"), core: quantity("MHz") }),
  geometry,
  latency: z.strictObject({
    L1: coreTime,
    L2: coreTime,
    L3: coreTime,
    Dram: coreTime,
    stlbHit: coreTime,
    walk: coreTime,
    exitRoundTrip: time,
  }),
  mitigations: z.strictObject({ exit: time, userspaceExit: time, retpoline: time }),
});
type ProfileFile = z.infer<typeof profileFile>;

export interface CpuProfile {
  readonly name: string;
  /** The processor as its maker calls it. */
  readonly model: string;
  readonly vendor: "Intel" | "AMD";
  /** The year in which it came to market. */
  readonly year: number;
  readonly clock: Clock;
  /** With the default switches: what the manual leaves open, no profile knows. */
  readonly geometry: CpuGeometry;
  /**
   * What a reference costs by the level that serves it, what a second-level TLB hit adds, a page walk beside its references,
   * and an exit with the entry after it, of the processor alone.
   */
  readonly latency: Readonly<Record<keyof ProfileFile["latency"], Quantity>>;
  /** What mitigations=auto adds to an exit, to a way to userspace and back, and to an indirect call. */
  readonly mitigations: Readonly<Record<keyof ProfileFile["mitigations"], Quantity>>;
  /** Every value of the file. */
  readonly values: readonly ProfileValue[];
}

export interface ProfileValue {
  /** Such as "geometry.stlb". */
  readonly field: string;
  readonly value: unknown;
  readonly unit: string;
  readonly range: readonly unknown[];
  readonly tag: Tag;
  readonly source: string;
}

/** Names of the profiles in `data/cpus`. */
export function cpuNames(): string[] {
  return dataNames("cpus", ".json");
}

const loaded = new Map<string, CpuProfile>();

/** Frozen, and the same at each call. @throws InputError for a name without a profile, or a file that does not fit the schema */
export function loadCpu(name: string): CpuProfile {
  const profile = loaded.get(name) ?? deepFrozen(readCpu(name));
  loaded.set(name, profile);
  return profile;
}

function readCpu(name: string): CpuProfile {
  if (!cpuNames().includes(name))
    throw new InputError(
      "cpu",
      `${notAllowed(name)}${suggestion(name, cpuNames())}`,
      `one of ${cpuNames().join(", ")}`,
    );
  const file = readDataJson(profileFile, "cpus", `${name}.json`);
  const { model, vendor, year, clock, latency, mitigations } = file;
  return {
    name: file.name,
    model,
    vendor,
    year,
    clock,
    geometry: geometryOf(file.geometry),
    latency,
    mitigations,
    values: valuesOf(file),
  };
}

/** The profile with the frequency of a machine's own TSC. @throws InputError for what is no frequency */
export function withTsc(cpu: CpuProfile, mhz: number): CpuProfile {
  if (!(mhz > 0 && Number.isFinite(mhz))) throw new InputError("tscMhz", notAllowed(mhz), "MHz, more than 0");
  const source = "the machine's own, as it was given";
  const tsc = { ...cpu.clock.tsc, value: mhz, low: mhz, high: mhz, source };
  return { ...cpu, clock: { ...cpu.clock, tsc } };
}

function geometryOf(known: ProfileFile["geometry"]): CpuGeometry {
  const values = Object.fromEntries(Object.entries(known).map(([key, { value }]) => [key, value])) as {
    [Key in keyof typeof known]: (typeof known)[Key]["value"];
  };
  const { l1dReplacement, l2Replacement, l3Replacement, ...rest } = values;
  return {
    ...rest,
    l1d: { ...rest.l1d, replacement: l1dReplacement },
    l2: { ...rest.l2, replacement: l2Replacement },
    l3: { ...rest.l3, replacement: l3Replacement },
    switches: DEFAULT_SWITCHES,
  };
}

function valuesOf({ clock, geometry: known, latency, mitigations }: ProfileFile): ProfileValue[] {
  const ofGeometry = Object.entries(known).map(([key, value]) => ({ field: `geometry.${key}`, ...value }));
  const quantities = Object.entries({ clock, latency, mitigations }).flatMap(([part, fields]) =>
    Object.entries(fields).map(([key, { low, high, ...rest }]) => ({
      field: `${part}.${key}`,
      ...rest,
      range: [low, high],
    })),
  );
  return [...ofGeometry, ...quantities];
}
