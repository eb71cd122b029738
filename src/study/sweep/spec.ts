/**
 * The specification of a sweep: a base scenario, and which of its fields take which values. It is data, and its expansion
 * into points is a pure function.
 */
import * as z from "zod";
import { InputError, integer, list, notAllowed, parseInput, record } from "../../cost/input.js";
import { parsePatch } from "../run/patch-source.js";
import type { ScenarioInput } from "../run/scenario.js";
import { canonicalJson } from "./canonical-json.js";
import { segmentsOf, withField } from "./field-path.js";
import { jsonText } from "./shown-value.js";

/** JSON, as scenarios hold it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const NAME = "a name for the sweep's files: letters, digits, dots, dashes and underscores";
const VALUES = "a list of at least one value";

const values = z.array(z.json(), { error: VALUES }).min(1, { error: VALUES });
const fields = z.record(z.string(), values, {
  error: "an object of fields, such as vcpus or memslots[0].size, with lists of values",
});
const seed = integer(0, 0xffff_ffff, "seed");

const sweepSpec = record({
  name: z.string({ error: NAME }).regex(/^[A-Za-z0-9][\w.-]*$/, { error: NAME }),
  base: z.record(z.string(), z.json(), { error: "a scenario" }),
  axes: fields.default({}),
  zip: list(fields, "objects of fields whose values go together").default([]),
  exclude: list(
    z.record(z.string(), z.json(), { error: "an object of fields and values" }),
    "combinations to leave out",
  ).default([]),
  seeds: z
    .union([integer(1, 1e6, "number of seeds"), z.array(seed).min(1, { error: "at least one seed" })], {
      error: "a number of seeds, counted from that of the base, or a list of seeds",
    })
    .default(1),
});

/** A sweep as a person writes it. */
export interface SweepInput extends Omit<z.input<typeof sweepSpec>, "base" | "axes" | "zip" | "exclude"> {
  readonly base: Partial<ScenarioInput>;
  /** Fields of the scenario, such as `kernel` or `workload[0].weight`, and the values that each takes: all combinations. */
  readonly axes?: Readonly<Record<string, readonly unknown[]>>;
  /** Groups of fields whose values go together, the first with the first and so on. */
  readonly zip?: readonly Readonly<Record<string, readonly unknown[]>>[];
  /** Combinations to leave out: points whose fields have all values of one of them. */
  readonly exclude?: readonly Readonly<Record<string, unknown>>[];
}

export interface SweepSpec {
  readonly name: string;
  readonly base: { readonly [field: string]: Json };
  readonly axes: Readonly<Record<string, readonly Json[]>>;
  readonly zip: readonly Readonly<Record<string, readonly Json[]>>[];
  readonly exclude: readonly Readonly<Record<string, Json>>[];
  /** Each point runs once with each. */
  readonly seeds: readonly number[];
}

/** What points that differ in nothing but their seed have in common. */
export interface Configuration {
  /** What they have in place of the base's fields: values by field. */
  readonly values: Readonly<Record<string, Json>>;
  /** The base with these values, and with its own seed. */
  readonly scenario: { readonly [field: string]: Json };
  /** One for each point. */
  readonly seeds: readonly number[];
}

/** What a point has in place of the base's fields: values by field, then its seed. */
export interface Combination {
  readonly values: Readonly<Record<string, Json>>;
  /** The base with these values. */
  readonly scenario: { readonly [field: string]: Json };
}

/** More points than anybody waits for: a mistake in the specification. */
const MAX_POINTS = 1e6;

/** @throws InputError that names the field, the value and what is allowed */
export function parseSweep(input: unknown, what = "sweep"): SweepSpec {
  // What JSON does not have, such as an undefined field, goes here as it would in a file.
  const text = JSON.stringify(input) ?? "null";
  if (text.includes('"__proto__":')) {
    throw new InputError(`${what}: __proto__`, "is no field", "fields of a sweep and of a scenario");
  }
  const parsed = withPatches(parseInput(sweepSpec, JSON.parse(text), what), what);
  const { base, seeds } = parsed;
  const first = parseInput(seed, base.seed ?? 1, `${what}: base.seed`);
  if (typeof seeds === "number") parseInput(seed, first + seeds - 1, `${what}: the last of the seeds`);
  const spec: SweepSpec = {
    ...parsed,
    seeds: typeof seeds === "number" ? Array.from({ length: seeds }, (_, index) => first + index) : seeds,
  };
  checkFields(spec, what);
  return spec;
}

type ParsedSweep = z.output<typeof sweepSpec>;

/** With patches as scenarios hold them: a mistake in one is none of a point, but of the sweep. */
function withPatches({ base, axes, zip, exclude, ...rest }: ParsedSweep, what: string): ParsedSweep {
  const parsed = (value: Json, field: string): Json => {
    if (Array.isArray(value)) return value.map((each, index) => parsed(each, `${field}[${index}]`));
    // A name is checked with the scenario, as any other word.
    if (typeof value !== "object" || value === null) return value;
    return parsePatch(value, `${what}: ${field}`) as Json;
  };
  const inFields = <T extends Json>(fields: Readonly<Record<string, T>>, place: string) =>
    Object.fromEntries(
      Object.entries(fields).map(([field, value]) => [
        field,
        /^patches(\[[\w-]+\])?$/.test(field) ? (parsed(value, `${place}.${field}`) as T) : value,
      ]),
    );
  return {
    ...rest,
    base: inFields(base, "base"),
    axes: inFields(axes, "axes"),
    zip: zip.map((group, index) => inFields(group, `zip[${index}]`)),
    exclude: exclude.map((pattern, index) => inFields(pattern, `exclude[${index}]`)),
  };
}

/** The specification as a person would have written it: without what is empty, and seeds that are counted as a number. */
export function sweepInput({ axes, zip, exclude, seeds, ...rest }: SweepSpec): object {
  const first = rest.base.seed ?? 1;
  const areCounted = seeds.every((value, index) => value === Number(first) + index);
  return {
    ...rest,
    ...(Object.keys(axes).length > 0 && { axes }),
    ...(zip.length > 0 && { zip }),
    ...(exclude.length > 0 && { exclude }),
    ...(!areCounted ? { seeds } : seeds.length > 1 && { seeds: seeds.length }),
  };
}

/** The points in order: axes as written, the last varies fastest; then zipped groups; then seeds. */
export function expand(spec: SweepSpec, what = "sweep"): Combination[] {
  return configurationsOf(spec, what).flatMap(({ values, scenario, seeds }) =>
    seeds.map((seed) => ({ values: { ...values, seed }, scenario: { ...scenario, seed } })),
  );
}

/** The points in the order of `expand()`, those that differ in their seeds as one. */
export function configurationsOf(spec: SweepSpec, what = "sweep"): Configuration[] {
  const { axes, zip, exclude, seeds, base } = spec;
  const dimensions: readonly (readonly Readonly<Record<string, Json>>[])[] = [
    ...Object.entries(axes).map(([field, list]) => list.map((value) => ({ [field]: value }))),
    ...zip.map(rowsOf),
  ];
  const points = dimensions.reduce((product, { length }) => product * length, seeds.length);
  if (points > MAX_POINTS) {
    throw new InputError(`${what}: axes`, `give ${points} points`, `at most ${MAX_POINTS} points`);
  }
  const all = dimensions.reduce<readonly Readonly<Record<string, Json>>[]>(
    (before, dimension) => before.flatMap((some) => dimension.map((more) => ({ ...some, ...more }))),
    [{}],
  );
  const ofSeeds = exclude.filter((pattern) => Object.hasOwn(pattern, "seed"));
  const ofAll = exclude.filter((pattern) => !ofSeeds.includes(pattern));
  const kept = all
    .filter((values) => !ofAll.some((pattern) => matches(values, pattern)))
    .map((values) => ({
      values,
      seeds: seeds.filter((seed) => !ofSeeds.some((pattern) => matches({ ...values, seed }, pattern))),
    }))
    .filter((configuration) => configuration.seeds.length > 0);
  if (kept.length === 0) {
    throw new InputError(`${what}: exclude`, "leaves no point", "exclusions that leave at least one");
  }
  return kept.map((configuration) => ({
    ...configuration,
    scenario: Object.entries(configuration.values).reduce(
      (scenario, [field, value]) => withField(scenario, field, value, `${what}: axes`),
      base,
    ),
  }));
}

/** No field twice, groups of one length, exclusions of fields that vary. */
function checkFields({ base, axes, zip, exclude, seeds }: SweepSpec, what: string): void {
  const names = [...Object.keys(axes), ...zip.flatMap((group) => Object.keys(group))];
  names.forEach((name, index) => {
    if (name === "seed")
      throw new InputError(`${what}: axes.seed`, "is no axis", "seeds, for a list of seeds");
    if (names.indexOf(name) < index)
      throw new InputError(`${what}: ${name}`, "varies twice", "a field once in all of axes and zip");
  });
  const paths = names.map((name) => segmentsOf(base, name, `${what}: axes`));
  paths.forEach((path, index) => {
    const other = paths.findIndex(
      (outer, at) => at !== index && outer.every((key, depth) => key === path[depth]),
    );
    if (other < 0) return;
    const found = `is the same field as ${names[other]}, or inside it`;
    throw new InputError(`${what}: ${names[index]}`, found, "fields that do not overlap");
  });
  zip.forEach((group, index) => {
    if (Object.keys(group).length === 0) {
      throw new InputError(`${what}: zip[${index}]`, "has no field", "an object of fields and values");
    }
    const lengths = Object.entries(group).map(([field, { length }]) => `${field} ${length}`);
    if (new Set(Object.values(group).map(({ length }) => length)).size > 1) {
      const found = `has lists of different lengths: ${lengths.join(", ")}`;
      throw new InputError(`${what}: zip[${index}]`, found, "lists of one length");
    }
  });
  exclude.forEach((pattern, index) => {
    for (const [field, value] of Object.entries(pattern)) {
      const list: readonly Json[] | undefined =
        field === "seed" ? seeds : [axes, ...zip].find((group) => Object.hasOwn(group, field))?.[field];
      if (list === undefined) {
        const allowed = `fields that vary: ${[...names, "seed"].join(", ")}`;
        throw new InputError(`${what}: exclude[${index}].${field}`, "does not vary", allowed);
      }
      if (list.some((one) => canonicalJson(one) === canonicalJson(value))) continue;
      const allowed = `one of ${list.map((one) => jsonText(field, one)).join(", ")}`;
      const found = `${jsonText(field, value)} is not allowed`;
      throw new InputError(`${what}: exclude[${index}].${field}`, found, allowed);
    }
  });
  const once = new Set(seeds);
  const twice = seeds.find((value) => !once.delete(value));
  if (twice !== undefined) throw new InputError(`${what}: seeds`, notAllowed(twice), "each seed once");
}

function rowsOf(group: Readonly<Record<string, readonly Json[]>>): Readonly<Record<string, Json>>[] {
  const [first = []] = Object.values(group);
  return first.map((_, row) =>
    Object.fromEntries(Object.entries(group).map(([field, list]) => [field, list[row]])),
  );
}

function matches(values: Readonly<Record<string, Json>>, pattern: Readonly<Record<string, Json>>): boolean {
  return Object.entries(pattern).every(
    ([field, value]) => canonicalJson(values[field]) === canonicalJson(value),
  );
}
