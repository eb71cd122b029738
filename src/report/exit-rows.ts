/**
 * Every published row against its prediction from the other rows of its machine; what cannot be predicted stands beside, named
 * as such.
 */
import {
  EXPLAINED_FROM,
  type ExitMachine,
  type ExitRow,
  type ExitRowsStudy,
  PREDICTION_LIMIT,
} from "../study/exit-rows.js";
import { errorTables, unsigned } from "./errors.js";
import { Figure, linesAxis, plotlyText } from "./figure.js";
import { cycles, percent, range } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";
import { CHARACTER_WIDTH, FONT, INK, SERIES } from "./theme.js";

/** One record per published row; cycles are TSC cycles per access, errors shares of the row, and "" is what there is not. */
export function tableExitRows({ machines }: ExitRowsStudy): Records {
  return machines.flatMap(({ measurement, machine, kernel, source, as, rows }) =>
    rows.map(({ row, measured, steps, declared, because, outcome, prediction, priors, priorsAndRows }) => ({
      measurement,
      row,
      measured,
      outcome,
      predicted: prediction?.predicted ?? "",
      error: prediction?.error ?? "",
      spread: prediction?.spread ?? "",
      evidence: prediction?.evidence ?? "",
      needsSharedCosts: prediction?.needsSharedCosts ?? "",
      from: prediction?.from.map(({ row: name, weight }) => `${decimals(weight)} * ${name}`).join("; ") ?? "",
      explanation: prediction?.explanation ?? "",
      steps,
      declared: Object.keys(declared).join(", "),
      because,
      priorsLow: priors?.low ?? "",
      priorsHigh: priors?.high ?? "",
      priorsAndRowsLow: priorsAndRows?.low ?? "",
      priorsAndRowsHigh: priorsAndRows?.high ?? "",
      as: asText(as),
      machine,
      kernel,
      source,
    })),
  );
}

const decimals = (weight: number) => String(Math.round(weight * 1000) / 1000);

const asText = ({ cpu, kernel, paging, mitigations, exitEvicts }: ExitMachine["as"]) =>
  [
    cpu,
    kernel,
    ...(paging === undefined ? [] : [paging]),
    ...(mitigations === undefined ? [] : [`mitigations=${mitigations}`]),
    ...(exitEvicts === undefined ? [] : [`exits evict ${exitEvicts}`]),
  ].join(", ");

// The figure.

const LINE_HEIGHT = 17;
const GREY = "#666666";
/** Of a word behind the line that it would else stand on, per cent. */
const BEHIND = 0.4;

interface Line {
  /** Plain text, which tells how much room the line needs. */
  readonly label: string;
  readonly text: string;
  readonly row: ExitRow | null;
}

/** Errors of the predictions, a line a row under its machine's name; rows without one are grey and say why. */
export function plotExitRows(study: ExitRowsStudy): Figure {
  const lines = study.machines.flatMap(({ measurement, rows }): Line[] => [
    { label: `${measurement} `, text: `<b>${plotlyText(measurement)}</b>`, row: null },
    ...rows.map((row) => {
      const label = row.prediction?.simulated === false ? `${row.row} *` : row.row;
      const text = plotlyText(label);
      return { label, text: row.prediction === undefined ? grey(text) : text, row };
    }),
  ]);
  const placed = lines.flatMap(({ row }, y) => (row === null ? [] : [{ row, y }]));
  const longest = Math.max(...lines.map(({ label }) => label.length));
  const { all } = study;
  const widest = Math.max(110 * Math.abs(all.worst), 18);
  return new Figure({
    title: "SIMULATED: published rows, each predicted from the other rows of its machine",
    provenance: study.provenance,
    machine:
      `those named at the left. No assumed cost enters. *: some steps are declared, not simulated. ${all.points} of ${placed.length} ` +
      `rows are predictable: median error ${unsigned(all.median)}, 90% within ${unsigned(all.p90)}, worst ${percent(all.worst)}. ` +
      "Bars: what the spread of the measured rows allows",
    plotHeight: LINE_HEIGHT * lines.length,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24,
    rest: {
      shapes: [EXPLAINED_FROM, PREDICTION_LIMIT].flatMap((limit) => [limitLine(-limit), limitLine(limit)]),
      xaxis: {
        title: {
          text: "predicted less measured, % of measured; lines at 5% and 15%",
          standoff: 8,
          font: FONT,
        },
        range: [-widest, widest],
        tickvals: [-15, -10, -5, 0, 5, 10, 15],
        showgrid: false,
        ticks: "outside",
        zeroline: true,
        zerolinecolor: INK,
      },
      yaxis: { ...linesAxis(lines.map(({ text }) => text)), tickfont: { ...FONT, size: 11 } },
    },
    data: [
      errors("a difference of other rows", SERIES.portIo, placed, "difference"),
      errors("another row of the same path: weak", SERIES.fastMmio, placed, "same path"),
      {
        type: "scatter",
        mode: "text",
        textposition: "middle right",
        name: "not predictable, not simulated",
        showlegend: false,
        x: placed.flatMap(({ row }) => (row.prediction === undefined ? [100 * EXPLAINED_FROM + BEHIND] : [])),
        y: placed.flatMap(({ row, y }) => (row.prediction === undefined ? [y] : [])),
        text: placed.flatMap(({ row }) => (row.prediction === undefined ? [row.outcome] : [])),
        textfont: { ...FONT, size: 10, color: GREY },
        hoverinfo: "skip",
      },
    ],
    table: () => tableExitRows(study),
  });
}

const grey = (text: string) => `<span style="color:${GREY}">${text}</span>`;

const limitLine = (share: number) => ({
  type: "line",
  x0: 100 * share,
  x1: 100 * share,
  yref: "paper",
  y0: 0,
  y1: 1,
  line: { color: INK, width: 1, dash: Math.abs(share) === EXPLAINED_FROM ? "dot" : "dash" },
});

function errors(
  name: string,
  { color, symbol }: (typeof SERIES)["portIo" | "fastMmio"],
  placed: readonly { readonly row: ExitRow; readonly y: number }[],
  evidence: string,
): Figure["data"][number] {
  const shown = placed.flatMap(({ row: { row, measured, prediction }, y }) =>
    prediction?.evidence === evidence ? [{ row, measured, y, ...prediction }] : [],
  );
  return {
    type: "scatter",
    mode: "markers",
    name,
    x: shown.map(({ error }) => 100 * error),
    y: shown.map(({ y }) => y),
    error_x: {
      type: "data",
      array: shown.map(({ spread }) => 100 * spread),
      color,
      thickness: 1.2,
      width: 2,
    },
    marker: { color, symbol, size: 8, line: { width: 1.2, color } },
    customdata: shown.map(({ row, measured, predicted, error }) => [
      plotlyText(row),
      cycles(measured),
      cycles(predicted),
      percent(error),
    ]),
    hovertemplate:
      "%{customdata[0]}: %{customdata[2]} cycles predicted, %{customdata[1]} measured: %{customdata[3]}<extra></extra>",
  };
}

// The mail.

const name: TextColumn<ExitRow> = { header: simulated("row"), align: "left", text: ({ row }) => row };
const measured: TextColumn<ExitRow> = {
  header: "measured",
  align: "right",
  text: (row) => cycles(row.measured),
};

const PREDICTED: readonly TextColumn<ExitRow>[] = [
  name,
  measured,
  {
    header: "predicted",
    align: "right",
    text: ({ prediction }) => (prediction === undefined ? "-" : cycles(prediction.predicted)),
  },
  {
    header: "error",
    align: "right",
    text: ({ prediction }) => (prediction === undefined ? "-" : percent(prediction.error)),
  },
  {
    header: "by",
    align: "left",
    text: ({ prediction, outcome }) =>
      prediction === undefined ? outcome : `${prediction.evidence}${prediction.simulated ? "" : " *"}`,
  },
];

const PRIORS: readonly TextColumn<ExitRow>[] = [
  name,
  measured,
  {
    header: "priors alone",
    align: "right",
    text: ({ priors }) => (priors === undefined ? "-" : range(priors, cycles)),
  },
  {
    header: "and rows",
    align: "right",
    text: ({ priorsAndRows }) => (priorsAndRows ? range(priorsAndRows, cycles) : "-"),
  },
];

/**
 * The study in ASCII, at most 72 columns: summary, predictions machine by machine, what explains them, what priors add.
 */
export function exitRowsTable(study: ExitRowsStudy): string {
  const { provenance, machines, all, differences, simulated: simulatedRows } = study;
  const rows = machines.flatMap((machine) => machine.rows);
  const count = (outcome: ExitRow["outcome"]) => rows.filter((row) => row.outcome === outcome).length;
  const relations = machines.reduce((sum, machine) => sum + machine.relations, 0);
  const shared = rows.filter(({ prediction }) => prediction?.needsSharedCosts).length;
  const parts = [
    wrapText(
      `Of ${rows.length} published rows ${all.points} follow from other rows of their machine, without any assumed cost. ` +
        `${count("not predictable")} do not, which is no success, and the steps of ${count("not simulated")} are not modelled. The ` +
        `${all.points} rest on ${relations} independent relations; ${shared === 0 ? "none" : shared} of them on one cost for all kinds of exits.`,
    ),
    ...errorTables("rows", [
      { of: "all predictions", errors: all },
      { of: "differences of rows", errors: differences },
      { of: "simulated rows alone", errors: simulatedRows },
    ]),
    wrapText(
      "error = (predicted - measured) / measured; bias: its median, signs counted, which says nothing here: the rows of a relation share one error, with either sign. same path: another row has the same steps, so two " +
        "measurements of one thing are compared, which is weak evidence. *: some steps are declared, not simulated.",
    ),
    ...machines.flatMap((machine) => [
      ...headed(heading("Predicted from the other rows", machine), textTables(PREDICTED, machine.rows)),
      ...notesOf(machine),
    ]),
    wrapText(
      "What priors contribute: the range that the assumed costs leave of a row, and what is left of it by the other rows within 1%. Some " +
        "priors were set with some of these rows in sight, as their sources say. " +
        "-: no costs meet these. A declared step that nobody priced costs up to the dearest row.",
    ),
    ...machines
      .filter((machine) => machine.rows.some(({ priors }) => priors !== undefined))
      .flatMap((machine) =>
        headed(
          `${heading("Assumed ranges", machine)}; as ${asText(machine.as)}`,
          textTables(
            PRIORS,
            machine.rows.filter(({ priors }) => priors !== undefined),
          ),
        ),
      ),
  ];
  return mail({ provenance, parts });
}

function heading(what: string, { measurement, machine, kernel }: ExitMachine): string {
  return `${what}, ${measurement} [TSC cycles]: ${machine}; ${kernel}`;
}

/** Why rows have the steps that they have, or none, and what explains their errors. */
function notesOf({ rows }: ExitMachine): string[] {
  const notes = new Map<string, string[]>();
  const add = (note: string, row: string) => {
    if (note !== "") notes.set(note, [...(notes.get(note) ?? []), row]);
  };
  for (const { row, because } of rows) add(because, row);
  for (const { row, prediction } of rows) add(prediction?.explanation ?? "", row);
  const texts = [...notes].map(([note, of]) =>
    of.length === rows.length ? wrapText(`All: ${note}.`) : wrapText(`${of.join("; ")}: ${note}.`),
  );
  return texts.length === 0 ? [] : [texts.join("\n")];
}
