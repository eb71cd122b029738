/**
 * Where the cycles of an access go: six measured rows, each a simulated bar by cost category with the measured value on it.
 */
import { CATEGORIES } from "../cost/primitive-costs.js";
import type { CalibratedRow, PciTestdevStudy } from "../study/result.js";
import { categoryBars } from "./category-bars.js";
import { cyclesAxis, Figure, plotlyText } from "./figure.js";
import { cycles, percent } from "./format.js";
import type { Records } from "./records.js";
import { CHARACTER_WIDTH, INK, LABEL_TICKS } from "./theme.js";

const ROW_HEIGHT = 52;
/** Room for the words behind the longest bar. */
const RESIDUAL_WIDTH = 190;

/** One record per measured row: cycles per access, the residual in per cent of the measured value, then cycles by category. */
export function tableBreakdown(study: PciTestdevStudy): Records {
  return study.rows.map(({ name, measured, simulated, residual, breakdown }) => ({
    row: name,
    measured,
    simulated,
    residualPercent: 100 * residual,
    ...Object.fromEntries(CATEGORIES.map((category) => [category, breakdown[category]])),
  }));
}

/** Horizontal stacked bars, cycles per access by category, the measured value as a black mark and the residual in words. */
export function plotBreakdown(study: PciTestdevStudy): Figure {
  const { rows } = study;
  const widest = Math.max(...rows.flatMap(({ measured, simulated }) => [measured, simulated]));
  const longest = Math.max(...rows.map(({ name }) => name.length));
  return new Figure({
    title: "SIMULATED: what an access costs, by category, and what was measured",
    provenance: study.provenance,
    machine: `${study.provenance.machine}; shown as ${study.provenance.shownAs}`,
    plotHeight: ROW_HEIGHT * rows.length,
    left: 24 + longest * CHARACTER_WIDTH,
    right: RESIDUAL_WIDTH,
    rest: {
      barmode: "stack",
      bargap: 0.4,
      xaxis: {
        ...cyclesAxis("TSC cycles per access"),
        range: [0, widest],
        zerolinecolor: INK,
      },
      yaxis: { type: "category", autorange: "reversed", ...LABEL_TICKS },
    },
    data: [...categoryBars(rows), measuredMarks(rows), residuals(rows)],
    table: () => tableBreakdown(study),
  });
}

const namesOf = (rows: readonly CalibratedRow[]) => rows.map(({ name }) => plotlyText(name));

function measuredMarks(rows: readonly CalibratedRow[]): Figure["data"][number] {
  return {
    type: "scatter",
    mode: "markers",
    name: "measured",
    y: namesOf(rows),
    x: rows.map(({ measured }) => measured),
    marker: { symbol: "line-ns", size: 25, color: INK, line: { color: INK, width: 3 } },
    cliponaxis: false,
    hovertemplate: "%{y}<br>measured: %{x:.0f} cycles<extra></extra>",
  };
}

function residuals(rows: readonly CalibratedRow[]): Figure["data"][number] {
  return {
    type: "scatter",
    mode: "text",
    showlegend: false,
    y: namesOf(rows),
    x: rows.map(({ measured, simulated }) => Math.max(measured, simulated)),
    text: rows.map(
      ({ measured, simulated, residual }) =>
        `   measured ${cycles(measured)}<br>   simulated ${cycles(simulated)} (${percent(residual)})`,
    ),
    textposition: "middle right",
    textfont: { size: 11 },
    cliponaxis: false,
    hoverinfo: "skip",
  };
}
