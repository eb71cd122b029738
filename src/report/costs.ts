/**
 * The primitive costs before and after the fit: what was known of each, and what the measured rows leave of it.
 */
import type { CostEstimate, Provenance } from "../study/result.js";
import { range, smallCycles } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables } from "./text-table.js";

/** Of a study, or of a calibration to a machine of one's own. */
interface Fitted {
  readonly costs: readonly CostEstimate[];
}

/** One record per cost; TSC cycles for one occurrence of the primitive. */
export function tableCosts({ costs }: Fitted): Records {
  return costs.map(({ name, category, identified, tag, prior, fitted, source }) => ({
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

/** @param tagHeader of what the tag is */
export function costColumns(tagHeader: string): readonly TextColumn<CostEstimate>[] {
  return [
    { header: simulated("cost"), align: "left", text: ({ name }) => name },
    { header: tagHeader, align: "left", text: ({ tag }) => tag },
    { header: "prior", align: "right", text: ({ prior }) => range(prior, smallCycles) },
    { header: "fitted", align: "right", text: ({ fitted }) => smallCycles(fitted.value) },
    { header: "range", align: "right", text: ({ fitted }) => range(fitted, smallCycles) },
  ];
}

/** Prior range against fitted range per cost, TSC cycles, for a mail. */
export function costTable({ costs, provenance }: Fitted & { readonly provenance: Provenance }): string {
  const heading = "Costs of a primitive [TSC cycles]: known before, left by the fit";
  return mail({ provenance, parts: headed(heading, textTables(costColumns("prior is"), costs)) });
}
