/**
 * The sweep over what may surround a doorbell: every design, with either kind of memory slot where that says something, in
 * settings that lie on lines through the usual one, an axis at a time, and in settings that fill the space of all axes, with
 * seeds in common. It is a sweep like any other, so `exitlab sweep` runs it from a file.
 *
 * The space has too many corners to run them all. A line says what an axis does where all else is usual, and the scattered
 * settings (a Sobol' sequence) say whether that holds elsewhere.
 */
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError } from "../../cost/input.js";
import { quasiRandomPoints } from "../../cost/quasi-random.js";
import type { ScenarioInput } from "../run/scenario.js";
import { canonicalJson } from "../sweep/canonical-json.js";
import { nameOf } from "../sweep/point.js";
import type { SweepInput } from "../sweep/spec.js";
import type { SweepRow } from "../sweep/sweep.js";
import { DESIGNS, type DesignName, designOf } from "./designs.js";
import { type Setting, scenarioOf, USUAL_SETTING, WALK_STATES } from "./setting.js";

/** A design, and what lies behind its doorbells. */
export interface Variant {
  readonly design: DesignName;
  readonly slot: "none" | "read-only";
}

/** The axes along which a place can be looked for where one design overtakes another. */
export const NUMERIC_AXES = ["faultsPerKick", "readShare", "busSize", "vcpus"] as const;
export type NumericAxis = (typeof NUMERIC_AXES)[number];

/** What each axis of a setting may be. */
const LEVELS = {
  faultsPerKick: [0, 0.25, 1, 4, 16],
  readShare: [0, 0.01, 0.1, 0.5],
  busSize: [16, 64, 256, 1000],
  vcpus: [1, 2, 4],
  walkState: WALK_STATES,
  perPage: [1, 16],
  waiter: ["nobody", "poller", "sleeper"],
  cpu: [
    "haswell-ep-e5-2660v3",
    "zen-3-ryzen-9-5900x",
    "sandy-bridge-ep",
    "skylake-sp-platinum-8160",
    "zen-2-epyc-7742",
    "sapphire-rapids-w7-2475x",
  ],
} as const satisfies { readonly [Axis in keyof Setting]?: readonly Setting[Axis][] };
export type Axis = keyof typeof LEVELS;
const AXES = Object.keys(LEVELS) as Axis[];
/** Those of the guest's mix, on which the thread's arguments hang. */
const MIX_AXES = ["faultsPerKick", "readShare"] as const;

export const USUAL_CPU = { Intel: USUAL_SETTING.cpu, AMD: "zen-3-ryzen-9-5900x" } as const;

interface Size {
  /** Of the scattered settings, a power of two. */
  readonly scattered: number;
  /** The axes with a line through the usual setting. */
  readonly lines: readonly Axis[];
  /** In which other states of the walk the mix has lines of its own. */
  readonly walkStates: readonly Setting["walkState"][];
  readonly seeds: number;
  /** Of each run, of all vCPUs. */
  readonly accesses: number;
  /** Kicks before those that count: so many that every doorbell's page has been touched, however rare kicks are in the mix. */
  readonly warmupKicks: number;
}

export const THREAD_SWEEP_SIZES = {
  full: {
    scattered: 64,
    lines: AXES,
    walkStates: ["hot", "cold"],
    seeds: 10,
    accesses: 20_000,
    warmupKicks: 200,
  },
  short: { scattered: 4, lines: MIX_AXES, walkStates: [], seeds: 1, accesses: 1000, warmupKicks: 150 },
} as const satisfies Readonly<Record<string, Size>>;
export type ThreadSweepSize = keyof typeof THREAD_SWEEP_SIZES;

/** Designs for which the other kind of slot is another case: a base then emulates, and the RFC's violations find no slot. */
const EITHER_SLOT: readonly DesignName[] = ["base-4.2", "rfc", "base-6.19"];

const VARIANTS: readonly Variant[] = DESIGNS.flatMap(({ name, slot }) => {
  const other = slot === "none" ? "read-only" : "none";
  return [slot, ...(EITHER_SLOT.includes(name) ? [other] : [])].map((behind) => ({
    design: name,
    slot: behind as Variant["slot"],
  }));
});

/** What a variant is called: as its design, with the slot where that is not what the design wants. */
export function variantName({ design, slot }: Variant): string {
  if (slot === designOf(design).slot) return design;
  return `${design}, ${slot === "none" ? "no" : "with"} slot`;
}

/** A setting of a size. Whatever the number of vCPUs, all of them together execute as much. */
export function settingOf(name: ThreadSweepSize, changes: Partial<Setting>): Setting {
  const { accesses, warmupKicks } = THREAD_SWEEP_SIZES[name];
  const setting = { ...USUAL_SETTING, ...changes };
  const { vcpus, faultsPerKick, readShare } = setting;
  const perKick = (1 + faultsPerKick) / (1 - readShare);
  const ofEach = (instructions: number) => Math.round(instructions / vcpus);
  return { ...setting, accesses: ofEach(accesses), warmup: ofEach(warmupKicks * perKick) };
}

/** A line of settings: all is usual but the state of the walk, and one axis takes each of its levels. */
export interface Line {
  readonly axis: Axis;
  /** A vendor's usual processor. */
  readonly cpu: string;
  readonly walkState: Setting["walkState"];
  readonly levels: readonly Setting[Axis][];
}

export function threadLines(name: ThreadSweepSize): Line[] {
  const { lines, walkStates }: Size = THREAD_SWEEP_SIZES[name];
  const { walkState } = USUAL_SETTING;
  return Object.values(USUAL_CPU).flatMap((cpu) => [
    ...lines.filter((axis) => axis !== "cpu").map((axis) => ({ axis, cpu, walkState, levels: LEVELS[axis] })),
    ...walkStates.flatMap((state) =>
      MIX_AXES.map((axis) => ({ axis, cpu, walkState: state, levels: LEVELS[axis] })),
    ),
  ]);
}

/** A setting on a line, at a level of it or between two of them. */
export function settingOn(name: ThreadSweepSize, line: Line, at: Setting[Axis]): Setting {
  const { axis, cpu, walkState } = line;
  return settingOf(name, { cpu, walkState, [axis]: at });
}

/** The settings of a size, each once: those on the lines, then the scattered ones. */
export function threadSettings(name: ThreadSweepSize): Setting[] {
  const size: Size = THREAD_SWEEP_SIZES[name];
  const processors = size.lines.includes("cpu") ? LEVELS.cpu : [];
  const all = [
    ...threadLines(name).flatMap((line) => line.levels.map((level) => settingOn(name, line, level))),
    ...processors.map((cpu) => settingOf(name, { cpu })),
    ...scattered(size.scattered).map((changes) => settingOf(name, changes)),
  ];
  return [...new Map(all.map((setting) => [canonicalJson(setting), setting])).values()];
}

/** Settings spread over all axes, each axis evenly over its levels. */
function scattered(count: number): Partial<Setting>[] {
  const points = quasiRandomPoints(AXES.length, count, USUAL_SETTING.seed);
  return Array.from({ length: count }, (_, index) =>
    Object.fromEntries(
      AXES.map((axis, dimension) => {
        const levels = LEVELS[axis];
        return [axis, levels[Math.floor(points[dimension][index] * levels.length)]];
      }),
    ),
  );
}

/** Fields of a scenario that a design decides, in whatever setting. */
const DESIGN_FIELDS = [
  "kernel",
  "patches",
  "paging",
  "doorbells.address",
  "doorbells.len",
  "doorbells.pio",
  "doorbells.slot",
  "ioeventfds[0].addr",
  "ioeventfds[0].len",
  "ioeventfds[0].pio",
  "ioeventfds[0].stride",
] as const;

/** Fields that a setting decides, whatever the design. */
const SETTING_FIELDS = [
  "cpu",
  "vcpus",
  "memslots",
  "ioeventfds[0].count",
  "doorbells.perPage",
  "doorbells.waiter",
  "workload",
  "exitEvicts",
  "exitFootprint",
  "accesses",
  "warmup",
] as const;

/** The specification of the sweep: the designs' fields with those of the settings. */
export function threadSweep(name: ThreadSweepSize): SweepInput {
  const { seeds } = THREAD_SWEEP_SIZES[name];
  const settings = threadSettings(name);
  const { name: _, ...base } = scenarioOfSetting(settings[0]);
  return {
    name: `thread-${name}`,
    base,
    zip: [
      columns(DESIGN_FIELDS, VARIANTS.map(scenarioOfVariant)),
      columns(SETTING_FIELDS, settings.map(scenarioOfSetting)),
    ],
    exclude: [...new Set(settings.map(({ cpu }) => cpu))].map((cpu) => ({
      cpu,
      paging: loadCpu(cpu).vendor === "Intel" ? "npt" : "ept",
    })),
    seeds,
  };
}

/** In the usual setting. */
function scenarioOfVariant({ design, slot }: Variant): ScenarioInput {
  return scenarioOf(designOf(design), { ...USUAL_SETTING, slot });
}

/** Of the first design: one of the other vendor has the same fields. */
function scenarioOfSetting(setting: Setting): ScenarioInput {
  return scenarioOf(DESIGNS[0], setting);
}

function columns(
  fields: readonly string[],
  scenarios: readonly ScenarioInput[],
): Record<string, readonly unknown[]> {
  return Object.fromEntries(
    fields.map((field) => [field, scenarios.map((scenario) => fieldOf(scenario, field))]),
  );
}

/** What a scenario has at a path, or null for nothing: that is how a sweep says so. */
function fieldOf(scenario: ScenarioInput, field: string): unknown {
  const keys = field.split(/[.[\]]+/);
  return keys.reduce((inner: unknown, key) => (inner as Record<string, unknown>)[key], scenario) ?? null;
}

/** What a sweep measured in a setting: for each variant, by its name, a row for each seed. */
export interface MeasuredSetting {
  readonly setting: Setting;
  readonly rows: ReadonlyMap<string, readonly SweepRow[]>;
}

/** The rows of a sweep of this size by their setting, in its order. @throws InputError for a row of another sweep */
export function measuredSettings(name: ThreadSweepSize, rows: readonly SweepRow[]): MeasuredSetting[] {
  const keyOf = (fields: readonly string[], of: (field: string) => unknown) => canonicalJson(fields.map(of));
  const keyOfScenario = (fields: readonly string[], scenario: ScenarioInput) =>
    keyOf(fields, (field) => fieldOf(scenario, field));
  const variants = new Map(
    VARIANTS.map((variant) => [
      keyOfScenario(DESIGN_FIELDS, scenarioOfVariant(variant)),
      variantName(variant),
    ]),
  );
  const settings = new Map(
    threadSettings(name).map((setting) => [
      keyOfScenario(SETTING_FIELDS, scenarioOfSetting(setting)),
      { setting, rows: new Map<string, SweepRow[]>() },
    ]),
  );
  for (const row of rows) {
    const measured = settings.get(keyOf(SETTING_FIELDS, (field) => row.values[field]));
    const variant = variants.get(keyOf(DESIGN_FIELDS, (field) => row.values[field]));
    if (measured === undefined || variant === undefined)
      throw new InputError("rows", `have ${nameOf(row.values)}`, `those of the sweep thread-${name}`);
    measured.rows.set(variant, [...(measured.rows.get(variant) ?? []), row]);
  }
  return [...settings.values()];
}
