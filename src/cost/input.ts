/**
 * Checked input: what a person or a file gives is parsed here once, and a mistake is answered by the field, the value and
 * what is allowed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { closestMatch } from "leven";
import * as z from "zod";

/** The folder with everything that is read at run time. */
const DATA = fileURLToPath(new URL("../../data", import.meta.url));

/** A mistake in the input: `field` says where, `found` what is wrong there, `allowed` what may stand there. */
export class InputError extends Error {
  constructor(
    readonly field: string,
    readonly found: string,
    readonly allowed: string,
  ) {
    super(`${field}: ${found}; allowed: ${allowed}`);
    this.name = "InputError";
  }

  /** As Node.js and notebooks show it: in a line, for where it was noticed helps nobody. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `${this.name}: ${this.message}`;
  }
}

/** A value that is not allowed, for `InputError.found`. */
export function notAllowed(value: unknown): string {
  return value === undefined ? "is missing" : `${shown(value)} is not allowed`;
}

/** A value as JSON, and what JSON does not have by its name. */
function shown(value: unknown): string {
  if (typeof value === "number") return String(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "symbol") return String(value);
  if (typeof value === "function") return "a function";
  try {
    return JSON.stringify(value, (_, inner) => (isJson(inner) ? inner : shown(inner)));
  } catch {
    return "an object that JSON cannot hold";
  }
}

function isJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  return !["bigint", "symbol", "function"].includes(typeof value);
}

/** A whole number from `low` to `high`; `what` says what it is. */
export function integer(low: number, high: number, what: string) {
  return bounded(low, high, `${what}, a whole number from ${low} to ${high}`);
}

function bounded(low: number, high: number, error: string) {
  return z.number({ error }).int({ error }).min(low, { error }).max(high, { error }).describe(error);
}

/** A number for which `isAllowed` holds; `what` says what it is, `allowed` which it may be. */
export function number(what: string, allowed: string, isAllowed: (value: number) => boolean) {
  const error = `${what}, ${allowed}`;
  return z.number({ error }).refine(isAllowed, { error }).describe(error);
}

/** true or false; `what` says what is true. */
export function flag(what: string) {
  const error = `true or false: ${what}`;
  return z.boolean({ error }).describe(error);
}

/** One of some numbers; `what` says what it is, and `allowed` which it may be. */
export function oneNumberOf<const T extends readonly number[]>(values: T, what: string, allowed: string) {
  const error = `${what}, ${allowed}`;
  return z.literal(values, { error }).describe(error);
}

/** Text that is not empty; `what` says what it is. */
export function text(what: string) {
  return z.string({ error: what }).min(1, { error: what }).describe(what);
}

/** A list; `what` says of what. */
export function list<T extends z.ZodType>(element: T, what: string) {
  const error = `a list of ${what}`;
  return z.array(element, { error }).describe(error);
}

/** A whole number from `low` to `high`, and multiple of `unit`, that may also be written as "0x..." text. */
export function address(low: number, high: number, what: string, unit = 1) {
  const kind = unit === 1 ? "a whole number" : `a multiple of ${unit}`;
  const error = `${what}, ${kind} from ${low} to ${high}, or "0x..." as text`;
  const hexadecimal = z.string({ error }).regex(/^0x[0-9a-f]+$/i, { error });
  return z
    .union([z.number(), hexadecimal], { error })
    .transform(Number)
    .pipe(bounded(low, high, error).multipleOf(unit, { error }))
    .describe(error);
}

/** An object with these fields and no other. */
export function record<Shape extends z.ZodRawShape>(shape: Shape) {
  const allowed = `an object with ${Object.keys(shape).join(", ")}`;
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "invalid_type" ? allowed : undefined),
  });
}

/** One of some words; `what`, where it needs saying, says what it is. */
export function oneOf<const T extends readonly string[]>(values: T, what = "") {
  const error = `${what}${what && ", "}one of ${values.join(", ")}`;
  return z.enum(values, { error }).describe(error);
}

/** Parses `value`; `what` names the input as a whole, such as a file. @throws InputError for its first mistake */
export function parseInput<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  // A word that is misspelt is an unknown field, and often a missing one too.
  const { issues } = result.error;
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  const at = [...issue.path];
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0];
    const known = knownKeys(schema, at);
    throw new InputError(
      place(what, [...at, key]),
      `is an unknown field${suggestion(key, known)}`,
      known.join(", ") || "no field",
    );
  }
  throw new InputError(place(what, at), notAllowed(valueAt(value, at)), issue.message);
}

/** " (did you mean ...?)" for a word that is close to one that is known, else nothing. */
export function suggestion(word: string, known: readonly string[]): string {
  const nearest = closestMatch(word, known, { maxDistance: Math.ceil(word.length / 2) });
  return nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
}

/** A field as a reader of the documentation needs it. */
export interface FieldDescription {
  /** Such as "memslots[].size". */
  readonly field: string;
  /** What it is and may be. */
  readonly allowed: string;
  /** As JSON; "required", "as its fields have it" for an object, or "" for what may be absent. */
  readonly default: string;
}

/** All fields of an object schema, those of the objects inside it too, in their order. */
export function describeFields(schema: z.ZodType, prefix = ""): FieldDescription[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodArray) return describeFields(inner.element as z.ZodType, `${prefix}[]`);
  if (!(inner instanceof z.ZodObject)) return [];
  return Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([key, value]) => {
    const field = prefix === "" ? key : `${prefix}.${key}`;
    const described = (unwrap(value) as z.ZodType).description ?? "an object";
    return [{ field, allowed: described, default: defaultOf(value) }, ...describeFields(value, field)];
  });
}

/** A parsed value without the fields of its objects that have their defaults; the others in the order of the schema. */
export function withoutDefaults(schema: z.ZodType, value: unknown): unknown {
  const inner = unwrap(schema);
  if (Array.isArray(value) && inner instanceof z.ZodArray)
    return value.map((element) => withoutDefaults(inner.element as z.ZodType, element));
  if (!(inner instanceof z.ZodObject) || typeof value !== "object" || value === null) return value;
  const fields = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(inner.shape as Record<string, z.ZodType>).flatMap(([key, field]) => {
      const isUsual = JSON.stringify(fields[key]) === JSON.stringify(field.safeParse(undefined).data);
      return isUsual ? [] : [[key, withoutDefaults(field, fields[key])]];
    }),
  );
}

function defaultOf(schema: z.ZodType): string {
  if (schema instanceof z.ZodDefault) {
    return unwrap(schema) instanceof z.ZodObject
      ? "as its fields have it"
      : JSON.stringify(schema.def.defaultValue);
  }
  return schema instanceof z.ZodOptional ? "" : "required";
}

/** What was read from the data folder, by schema and path. */
const readData = new WeakMap<z.ZodType, Map<string, unknown>>();

/** A JSON file of the data folder, read and parsed once in a process and frozen. @throws InputError */
export function readDataJson<T>(schema: z.ZodType<T>, ...path: string[]): T {
  const files = readData.get(schema) ?? new Map<string, unknown>();
  readData.set(schema, files);
  const name = join("data", ...path);
  if (!files.has(name)) files.set(name, deepFrozen(parseDataJson(schema, path, name)));
  return files.get(name) as T;
}

function parseDataJson<T>(schema: z.ZodType<T>, path: readonly string[], name: string): T {
  const text = readFileSync(join(DATA, ...path), "utf8");
  try {
    return parseInput(schema, JSON.parse(text), name);
  } catch (error) {
    if (error instanceof SyntaxError) throw new InputError(name, error.message, "a JSON file");
    throw error;
  }
}

/** The value, that it and what it holds stay as they are: others have it too. */
export function deepFrozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFrozen);
  }
  return value;
}

/** Names, without their ending, of the files of a data folder. */
export function dataNames(folder: string, ending: string): string[] {
  return readdirSync(join(DATA, folder))
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort();
}

/** Path of a file in the data folder. */
export function dataPath(...path: string[]): string {
  return join(DATA, ...path);
}

function place(what: string, path: readonly PropertyKey[]): string {
  const inside = path
    .map((key, depth) => (typeof key === "number" ? `[${key}]` : `${depth === 0 ? "" : "."}${String(key)}`))
    .join("");
  return inside === "" ? what : `${what}: ${inside}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
}

/** The fields of the object schema that stands at `path`. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let inner: unknown = unwrap(schema);
  for (const key of path) {
    if (inner instanceof z.ZodObject) inner = unwrap(inner.shape[String(key)]);
    else if (inner instanceof z.ZodArray) inner = unwrap(inner.element);
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodOptional) inner = inner.unwrap();
  return inner;
}
