/**
 * A comparison as a mail, in the layout that its readers know: benchstat's, mmtests' or ministat's.
 *
 * What was measured has p-values and marks of significance. What is simulated has neither: it has the spread of its seeds and
 * the range of its costs, apart, and a verdict in words.
 */
import { InputError, notAllowed } from "../../cost/input.js";
import type { Compared, MeasuredComparison, SimulatedComparison } from "../../study/compare/result.js";
import { mail, wrapCommand } from "../mail.js";
import type { Records } from "../records.js";
import { MAIL_WIDTH, mailText, wrapText } from "../text-table.js";
import { benchstatMeasured, benchstatSimulated } from "./benchstat.js";
import { ministatMeasured, ministatSimulated } from "./ministat.js";
import { mmtestsMeasured, mmtestsSimulated } from "./mmtests.js";
import { figuresText } from "./words.js";

export const COMPARE_STYLES = ["benchstat", "mmtests", "ministat"] as const;
export type CompareStyle = (typeof COMPARE_STYLES)[number];

interface Layout {
  readonly measured: (compared: MeasuredComparison) => string[];
  readonly simulated: (compared: SimulatedComparison) => string[];
}

const LAYOUTS: Readonly<Record<CompareStyle, Layout>> = {
  benchstat: { measured: benchstatMeasured, simulated: benchstatSimulated },
  mmtests: { measured: mmtestsMeasured, simulated: mmtestsSimulated },
  ministat: { measured: ministatMeasured, simulated: ministatSimulated },
};

/** The comparison as a mail, in ASCII. @throws InputError for another style */
export function compareTable(compared: Compared, style: CompareStyle = "benchstat"): string {
  if (!COMPARE_STYLES.includes(style))
    throw new InputError("style", notAllowed(style), `one of ${COMPARE_STYLES.join(", ")}`);
  const { measured, simulated } = LAYOUTS[style];
  const notes = compared.notes.map((note) => wrapText(`Note: ${note}.`));
  if (compared.kind === "measured") return measuredMail(compared, style, [...measured(compared), ...notes]);
  const { provenance, machine } = compared;
  return mail({
    provenance: { ...provenance, command: inStyle(provenance.command, style) },
    head: [`Machine: ${machine}`, figuresText(compared)],
    parts: [...simulated(compared), ...notes],
  });
}

/** Without the head of simulated figures: there is no model in it. */
function measuredMail(
  { version, command }: MeasuredComparison,
  style: CompareStyle,
  parts: readonly string[],
): string {
  const again = inStyle(command, style);
  const end = again === null ? [] : [`To repeat:\n${wrapCommand(again, MAIL_WIDTH)}`];
  const head = wrapText(`MEASURED, compared by exitlab ${version}`);
  return mailText(`${[head, ...parts, ...end].join("\n\n")}\n`);
}

/** The first style is what the command has without an option. */
function inStyle(command: string | null, style: CompareStyle): string | null {
  return command && style !== COMPARE_STYLES[0] ? `${command} --style ${style}` : command;
}

/**
 * One record per row and column that has it, all figures in the unit of the comparison, differences relative to the base, the
 * base first. What is not known is NaN; a difference of the base, and one to a base that has no such row, is not known.
 */
export function tableCompare(compared: Compared): Records {
  return compared.kind === "measured" ? measuredRecords(compared) : simulatedRecords(compared);
}

function measuredRecords({ columns, rows }: MeasuredComparison): Records {
  return rows.flatMap(({ name, cells }) =>
    cells.flatMap((cell, index) => {
      if (cell === null) return [];
      const { samples, mean, standardDeviation, min, median, max, interval, centre, versusBase } = cell;
      return {
        row: name,
        column: columns[index],
        samples: known(samples),
        mean,
        standardDeviation: known(standardDeviation),
        min: known(min),
        median: known(median),
        max: known(max),
        centre,
        low: known(interval?.low),
        high: known(interval?.high),
        relative: known(versusBase?.relative),
        p: known(versusBase?.p),
        test: versusBase?.test ?? "",
        significant: versusBase?.significant ?? false,
        meansDifference: known(versusBase?.means?.value),
        meansDifferenceLow: known(versusBase?.means?.low),
        meansDifferenceHigh: known(versusBase?.means?.high),
      };
    }),
  );
}

function simulatedRecords({ columns, rows }: SimulatedComparison): Records {
  return rows.flatMap(({ name, cells }) =>
    cells.flatMap((cell, index) => {
      if (cell === null) return [];
      const { mean, ofSeeds, ofCosts, versusBase } = cell;
      return {
        row: name,
        column: columns[index],
        mean,
        seedsLow: ofSeeds.low,
        seedsHigh: ofSeeds.high,
        costsLow: ofCosts.low,
        costsHigh: ofCosts.high,
        relative: known(versusBase?.relative),
        relativeSeedsLow: known(versusBase?.ofSeeds?.low),
        relativeSeedsHigh: known(versusBase?.ofSeeds?.high),
        relativeCostsLow: known(versusBase?.ofCosts.low),
        relativeCostsHigh: known(versusBase?.ofCosts.high),
        verdict: versusBase?.verdict ?? "",
      };
    }),
  );
}

/** Records hold no null. */
function known(value: number | null | undefined): number {
  return value ?? Number.NaN;
}
