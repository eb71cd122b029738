/**
 * Checked input: what a person or a file gives is parsed here once, and a mistake is answered by the field, the value and
 * what is allowed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
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
}

/** A value that is not allowed, for `InputError.found`. */
export function notAllowed(value: unknown): string {
  return value === undefined ? "is missing" : `${JSON.stringify(value)} is not allowed`;
}

/** A whole number from `low` to `high`; `what` says what it is. */
export function integer(low: number, high: number, what: string) {
  return bounded(low, high, `${what}, a whole number from ${low} to ${high}`);
}

function bounded(low: number, high: number, error: string) {
  return z.number({ error }).int({ error }).min(low, { error }).max(high, { error });
}

/** A whole number from `low` to `high`, and multiple of `unit`, that may also be written as "0x..." text. */
export function address(low: number, high: number, what: string, unit = 1) {
  const kind = unit === 1 ? "a whole number" : `a multiple of ${unit}`;
  const error = `${what}, ${kind} from ${low} to ${high}, or "0x..." as text`;
  const hexadecimal = z.string({ error }).regex(/^0x[0-9a-f]+$/i, { error });
  return z
    .union([z.number(), hexadecimal], { error })
    .transform(Number)
    .pipe(bounded(low, high, error).multipleOf(unit, { error }));
}

/** An object with these fields and no other. */
export function record<Shape extends z.ZodRawShape>(shape: Shape) {
  const allowed = `an object with ${Object.keys(shape).join(", ")}`;
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "invalid_type" ? allowed : undefined),
  });
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `one of ${values.join(", ")}` });
}

/** Parses `value`; `what` names the input as a whole, such as a file. @throws InputError for its first mistake */
export function parseInput<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const at = [...issue.path];
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0];
    throw new InputError(place(what, [...at, key]), "is an unknown field", knownKeys(schema, at).join(", "));
  }
  throw new InputError(place(what, at), notAllowed(valueAt(value, at)), issue.message);
}

/** Reads and parses a JSON file of the data folder. @throws InputError */
export function readDataJson<T>(schema: z.ZodType<T>, ...path: string[]): T {
  const name = join("data", ...path);
  const text = readFileSync(join(DATA, ...path), "utf8");
  try {
    return parseInput(schema, JSON.parse(text), name);
  } catch (error) {
    if (error instanceof SyntaxError) throw new InputError(name, error.message, "a JSON file");
    throw error;
  }
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
