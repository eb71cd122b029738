/**
 * The primitive costs before and after the fit: what was known of each, and what the measured rows leave of it.
 */
import type { CostEstimate, PciTestdevStudy } from "../study/result.js";
import { range, smallCycles } from "./format.js";
import type { Records } from "./records.js";
import { mailText, type TextColumn, textTables } from "./text-table.js";

/** One record per cost; TSC cycles for one occurrence of the primitive. */
export function tableCosts(study: PciTestdevStudy): Records {
  return study.costs.map(({ name, category, identified, tag, prior, fitted, source }) => ({
    name,
    category,
    unit: "TSC cycles",
    identified,
    tag,
    priorLow: prior.low,
    prior: prior.value,
    priorHigh: prior.high,
    fittedLow: fitted.low,
    fitted: fitted.value,
    fittedHigh: fitted.high,
    source,
  }));
}

const COLUMNS: readonly TextColumn<CostEstimate>[] = [
  { header: "cost", align: "left", text: ({ name }) => name },
  { header: "prior is", align: "left", text: ({ tag }) => tag },
  { header: "prior", align: "right", text: ({ prior }) => range(prior, smallCycles) },
  { header: "fitted", align: "right", text: ({ fitted }) => smallCycles(fitted.value) },
  { header: "range", align: "right", text: ({ fitted }) => range(fitted, smallCycles) },
];

/**
 * Prior range against fitted range per cost, TSC cycles, for a mail.
 *
 * @throws Error when a line does not fit a mail, see `mailText`.
 */
export function costTable(study: PciTestdevStudy): string {
  const heading = "SIMULATED costs of a primitive [TSC cycles]: known before, left by the fit";
  return mailText(
    textTables(COLUMNS, study.costs)
      .map((table) => `${heading}\n\n${table}\n`)
      .join("\n"),
  );
}
