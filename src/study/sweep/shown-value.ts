/** Values of a scenario's fields as a person reads them. */
import { isPatchSource, patchName, seriesText } from "../run/patch-source.js";

/** A text as it is, patches by their names, all else as JSON. */
export function shownValue(field: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (isPatchSource(value)) return patchName(value);
  return field === "patches" && Array.isArray(value) ? seriesText(value) : JSON.stringify(value);
}

/** As JSON, but for patches, be it a series or one of its places, `patches[0]`. */
export function jsonText(field: string, value: unknown): string {
  return /^patches(\[[^\]]+\])?$/.test(field) ? shownValue(field, value) : JSON.stringify(value);
}
