/** The options of a comparison as words of `exitlab compare`. */
import { inlineJson } from "../command.js";
import { valueText } from "./differences.js";

const OPTIONS = ["by", "patches", "seeds", "of", "per", "base"] as const;

/** Each as "--name value", but for those that are absent. A series of patches is "a+b", or "none", or JSON where it has sources. */
export function optionWords(options: Readonly<Partial<Record<(typeof OPTIONS)[number], unknown>>>): string[] {
  return OPTIONS.flatMap((name) => {
    const { [name]: value } = options;
    if (value === undefined) return [];
    return [
      `--${name}`,
      ...(name === "patches" && Array.isArray(value) ? value.map(seriesWord) : [valueText(value)]),
    ];
  });
}

function seriesWord(series: unknown): string {
  const hasSource = Array.isArray(series) && series.some((patch) => typeof patch === "object");
  return hasSource ? inlineJson(series) : valueText(series);
}
