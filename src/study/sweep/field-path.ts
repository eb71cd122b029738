/**
 * Fields of a scenario by their path, as the errors of the schema write it: `kernel`, `doorbells.queues`,
 * `memslots[0].size`. An element of a list that has a name may be meant by it: `workload[reads].weight`.
 */
import { InputError, notAllowed } from "../../cost/input.js";
import type { Json } from "./spec.js";

type JsonObject = { readonly [key: string]: Json };

/**
 * The scenario with another value at a path, or for null without the field; what is absent on the way to it becomes an
 * object.
 */
export function withField(scenario: JsonObject, path: string, value: Json, what: string): JsonObject {
  const keys = keysOf(path, what);
  const replace = (inner: Json | undefined, depth: number): Json => {
    if (depth === keys.length) return value;
    const { key, index } = keys[depth];
    if (index !== undefined) {
      if (!Array.isArray(inner))
        throw new InputError(`${what}: ${path}`, "is in no list", "a list in the base");
      const place = placeOf(inner, index, `${what}: ${path}`);
      return inner.map((element, at) => (at === place ? replace(element, depth + 1) : element));
    }
    const object = inner === undefined ? {} : inner;
    if (typeof object !== "object" || object === null || Array.isArray(object)) {
      throw new InputError(`${what}: ${path}`, `${key} is in no object`, "a field of an object in the base");
    }
    const { [key ?? ""]: before, ...others } = object as JsonObject;
    const after = replace(before, depth + 1);
    return after === null ? others : { ...object, [key ?? ""]: after };
  };
  return replace(scenario, 0) as JsonObject;
}

/** The keys and indexes of a path; names of elements as the indexes that they have in the scenario. */
export function segmentsOf(scenario: JsonObject, path: string, what: string): string[] {
  let inner: Json | undefined = scenario;
  return keysOf(path, what).map(({ key, index }) => {
    if (index !== undefined && Array.isArray(inner)) {
      const place = placeOf(inner, index, `${what}: ${path}`);
      inner = inner[place];
      return `[${place}]`;
    }
    inner = (inner as JsonObject | null | undefined)?.[key ?? ""];
    return key ?? `[${index}]`;
  });
}

interface Key {
  readonly key?: string;
  readonly index?: string;
}

function keysOf(path: string, what: string): Key[] {
  if (!/^\w+(\[[^\]]+\])*(\.\w+(\[[^\]]+\])*)*$/.test(path)) {
    throw new InputError(what, notAllowed(path), "a field of a scenario, such as kernel or memslots[0].size");
  }
  return [...path.matchAll(/\[([^\]]+)\]|(\w+)/g)].map(([, index, key]) =>
    index === undefined ? { key } : { index },
  );
}

/** The element of a list that an index or a name means. */
function placeOf(elements: readonly Json[], index: string, field: string): number {
  const isNumber = /^\d+$/.test(index);
  const names = elements.map((element) => (element as { readonly name?: Json } | null)?.name);
  const place = isNumber ? Number(index) : names.indexOf(index);
  if (place >= 0 && place < elements.length) return place;
  const known = names.filter((name) => typeof name === "string");
  const allowed = [`0 to ${elements.length - 1}`, ...known].join(", ");
  throw new InputError(
    field,
    notAllowed(index),
    elements.length === 0 ? "nothing: the list is empty" : allowed,
  );
}
