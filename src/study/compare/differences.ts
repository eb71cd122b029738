/** What two scenarios differ in, in words. */
import { isPatchSource, type ScenarioPatch, seriesText } from "../run/patch-source.js";
import type { Scenario } from "../run/scenario.js";
import { canonicalJson } from "../sweep/canonical-json.js";

/** Names are for people, and seeds are what is averaged. */
const NO_DIFFERENCE: readonly string[] = ["name", "seed"];

/**
 * The fields in which a scenario is not as another, such as "kernel (v6.19, not v4.2)"; of those that are objects or lists of
 * them, the name alone.
 *
 * @param except fields that need no word
 */
export function differencesOf(base: Scenario, other: Scenario, except: readonly string[]): string[] {
  const known = { ...base, ...other };
  return (Object.keys(known) as (keyof Scenario)[])
    .filter((field) => !NO_DIFFERENCE.includes(field) && !except.includes(field))
    .filter((field) => canonicalJson([base[field]]) !== canonicalJson([other[field]]))
    .map((field) =>
      [base, other].every((scenario) => isShort(scenario[field]))
        ? `${field} (${valueText(other[field])}, not ${valueText(base[field])})`
        : field,
    );
}

/** A value of a field as a person writes it: a text as it is, a series of patches as "a+b", or "none". */
export function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  return isSeries(value) ? seriesText(value) : (JSON.stringify(value) ?? "none");
}

function isShort(value: unknown): boolean {
  return typeof value !== "object" || isSeries(value);
}

function isSeries(value: unknown): value is readonly ScenarioPatch[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string" || isPatchSource(each));
}
