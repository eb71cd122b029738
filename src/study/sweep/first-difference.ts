/** Where two JSON values differ first. The order of an object's fields makes no difference. */

export interface Difference {
  /** Such as "axes.kernel[1]"; "" for the whole. */
  readonly path: string;
  /** As JSON, its beginning if it is long, or "absent". */
  readonly was: string;
  readonly is: string;
}

/** The first difference in the order of `was`, then of what only `is` has; undefined if there is none. */
export function firstDifference(was: unknown, is: unknown, path = ""): Difference | undefined {
  if (!isComposite(was) || !isComposite(is) || Array.isArray(was) !== Array.isArray(is)) {
    return was === is ? undefined : { path, was: shown(was), is: shown(is) };
  }
  for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const inner = Array.isArray(was) ? `${path}[${key}]` : `${path}${path === "" ? "" : "."}${key}`;
    const difference = firstDifference(was[key], is[key], inner);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function isComposite(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** More of a value than that nobody reads in a line. */
const MOST = 80;

function shown(value: unknown): string {
  const text = value === undefined ? "absent" : JSON.stringify(value);
  return text.length > MOST ? `${text.slice(0, MOST - 3)}...` : text;
}
