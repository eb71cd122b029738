/**
 * Published figures of page walks beside their simulation: what was predicted, as the profiles have it and from the other
 * processors; and, named as such, what was not.
 */
import type { WalkFigure, WalkFiguresStudy } from "../study/walk-figures.js";
import { errorTables } from "./errors.js";
import { percent, range, smallCycles } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";

/** One record per figure; core cycles, errors shares of the measured value, and "" is what there is not. */
export function tableWalkFigures({ figures }: WalkFiguresStudy): Records {
  return figures.map((figure) => ({
    row: figure.row,
    kind: figure.kind,
    machine: figure.machine,
    cpu: figure.cpu ?? "",
    outcome: figure.outcome,
    measured: figure.measured?.value ?? "",
    atMost: figure.atMost,
    simulated: figure.simulated?.value ?? "",
    low: figure.simulated?.low ?? "",
    high: figure.simulated?.high ?? "",
    error: figure.error ?? "",
    leaves: figure.leaves ?? "",
    leftOut: figure.leftOut?.simulated.value ?? "",
    leftOutLow: figure.leftOut?.simulated.low ?? "",
    leftOutHigh: figure.leftOut?.simulated.high ?? "",
    leftOutError: figure.leftOut?.error ?? "",
    uses: figure.uses.map(({ cost, times }) => `${decimals(times)} * ${cost}`).join("; "),
    note: figure.note,
    source: figure.measured?.source ?? "",
  }));
}

const decimals = (times: number) => String(Math.round(times * 1000) / 1000);

const row: TextColumn<WalkFigure> = {
  header: simulated("figure"),
  align: "left",
  text: (figure) => figure.row,
};
const measured: TextColumn<WalkFigure> = {
  header: "measured",
  align: "right",
  text: (figure) =>
    figure.measured === null ? "-" : `${figure.atMost ? "<= " : ""}${String(figure.measured.value)}`,
};

const AS_ASSUMED: readonly TextColumn<WalkFigure>[] = [
  row,
  measured,
  {
    header: "simulated",
    align: "right",
    text: ({ simulated }) => (simulated === null ? "-" : smallCycles(simulated.value)),
  },
  {
    header: "range",
    align: "right",
    text: ({ simulated }) => (simulated === null ? "-" : range(simulated, smallCycles)),
  },
  { header: "error", align: "right", text: errorText },
];

/** Of a bound whether it is met, as well as rounding tells. */
function errorText({ measured: published, atMost, simulated, error }: WalkFigure): string {
  if (error !== null) return percent(error);
  if (!atMost || published === null || simulated === null) return "-";
  return simulated.value <= published.high ? "met +-1" : "not met";
}

const LEFT_OUT: readonly TextColumn<WalkFigure>[] = [
  row,
  measured,
  {
    header: "others' rest",
    align: "right",
    text: ({ leftOut }) => (leftOut === null ? "-" : smallCycles(leftOut.fixedPart.value)),
  },
  {
    header: "simulated",
    align: "right",
    text: ({ leftOut }) => (leftOut === null ? "-" : smallCycles(leftOut.simulated.value)),
  },
  {
    header: "error",
    align: "right",
    text: ({ leftOut }) => (leftOut === null ? "-" : percent(leftOut.error)),
  },
];

/**
 * The study in ASCII, at most 72 columns.
 */
export function walkFiguresTable({ provenance, figures, errors }: WalkFiguresStudy): string {
  const of = (...outcomes: readonly WalkFigure["outcome"][]) =>
    figures.filter(({ outcome }) => outcomes.includes(outcome));
  const predicted = of("predicted");
  const parts = [
    wrapText(
      `Of ${figures.length} published figures of walks and second-level TLB hits ${predicted.length} are predicted. ` +
        `${of("input").length} entered the profiles and test nothing, ${of("not simulated").length} are of processors without a profile, ` +
        `and ${of("cannot be validated").length}, every nested walk among them, cannot be validated: no figure of them was read.`,
    ),
    ...errorTables("figures", [
      { of: "as the profiles have it", errors: errors.profile },
      { of: "from the other processors", errors: errors.leftOut },
    ]),
    ...headed("Predicted, as the profiles have it [core cycles]", textTables(AS_ASSUMED, predicted)),
    wrapText(
      "error = (simulated - measured) / measured. The rest of a walk beside its references is assumed, by people who knew some " +
        "of these figures: the range is the evidence, not the value. The next table does without that knowledge.",
    ),
    ...headed(
      "Predicted from the other processors [core cycles]",
      textTables(
        LEFT_OUT,
        predicted.filter(({ leftOut }) => leftOut !== null),
      ),
    ),
    wrapText(
      "others' rest: the median of what the figures of the other processors leave of a walk beside its references, in place of " +
        "the profile's. Only figures whose references hit L1 say something of it.",
    ),
    ...headed("No test: the profile knows the figure [core cycles]", textTables(AS_ASSUMED, of("input"))),
    ...headed(
      "Not validated [core cycles]",
      textTables(AS_ASSUMED.slice(0, -1), of("not simulated", "cannot be validated")),
    ),
    ...notesOf(figures),
  ];
  return mail({ provenance, parts });
}

/** Each note once, with the figures that it is for. */
function notesOf(figures: readonly WalkFigure[]): string[] {
  const notes = [...new Set(figures.map(({ note }) => note))].filter((note) => note !== "");
  return notes.map((note) => {
    const names = figures.filter((figure) => figure.note === note).map((figure) => figure.row);
    return wrapText(`${names.join("; ")}: ${note}.`);
  });
}
