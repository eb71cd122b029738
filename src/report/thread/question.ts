/** The question of the thread, answered: two designs against each other, cost by cost. */
import { PAGE_STATES } from "../../study/thread/kicks-beside.js";
import type { Question, QuestionTerm } from "../../study/thread/question.js";
import type { ThreadStudy } from "../../study/thread/thread.js";
import { Figure, linesAxis } from "../figure.js";
import { cycles, range, signed, smallCycles } from "../format.js";
import type { Records } from "../records.js";
import { headed, simulated, type TextColumn, textTables } from "../text-table.js";
import { barMarker, CATEGORY_FILLS, CHARACTER_WIDTH, type Fill, GRID, INK } from "../theme.js";

const ROW_HEIGHT = 42;
/** Of a bar, of the distance of two rows. */
const WIDTH = 0.28;

/** Low, value and high of so many occurrences, TSC cycles. */
function cyclesOf({ each }: QuestionTerm, times: number): { low: number; value: number; high: number } {
  const [low, high] = times < 0 ? [each.high, each.low] : [each.low, each.high];
  return { low: times * low, value: times * each.value, high: times * high };
}

/**
 * One record per cost that occurs more often on one side: times and TSC cycles, A less B, per kick at a page that was never read, per
 * kick at one that was, and per ordinary fault.
 */
export function tableQuestion({ question }: Pick<ThreadStudy, "question">): Records {
  return question.terms.map((term) => ({
    cost: term.cost,
    ...Object.fromEntries(
      SERIES.flatMap(({ key, of }) => {
        const { low, value, high } = cyclesOf(term, of(term));
        return [
          [`${key}Times`, of(term)],
          [`${key}Low`, low],
          [key, value],
          [`${key}High`, high],
        ];
      }),
    ),
  }));
}

/** The costs that make the answer. */
export function questionParts({ question }: Pick<ThreadStudy, "question">): string[] {
  const columns: TextColumn<QuestionTerm>[] = [
    { header: simulated("cost"), align: "left", text: ({ cost }) => cost },
    { header: "of one", align: "right", text: ({ each }) => range(each, cycles) },
    ...SERIES.map(
      ({ name, of }): TextColumn<QuestionTerm> => ({
        header: name,
        align: "right",
        text: (term) => (of(term) === 0 ? "" : times(of(term))),
      }),
    ),
  ];
  return headed(
    `${question.a} less ${question.b}: how often each cost occurs more, and TSC cycles of one:`,
    textTables(columns, question.terms),
  );
}

/** What a kick and a fault take more or less, and where both designs cost the same. */
export function answerText({ a, b, perKick, perFault, breakEven }: Question): string {
  const text = (of: Question["perFault"]) => `${signed(cycles(of.value))} cycles (${range(of, cycles)})`;
  const pages = PAGE_STATES.map(
    (page) =>
      `${text(perKick[page])} per kick at a page ${page === "populated" ? "that was read" : "never read"}`,
  );
  const even = PAGE_STATES.map((page) => `${breakEven[page].at?.toPrecision(2) ?? "no number"}`);
  return (
    `${a} less ${b}: ${pages.join(", ")}; ${text(perFault)} per ordinary fault. ${a} takes less below ${even.join(" and ")} ordinary ` +
    "faults per kick."
  );
}

const times = (value: number) => signed(String(Number(value.toFixed(2))));

interface QuestionSeries {
  readonly key: string;
  readonly name: string;
  readonly fill: Fill;
  readonly of: (term: QuestionTerm) => number;
}

const SERIES: readonly QuestionSeries[] = [
  {
    key: "neverRead",
    name: "kick, unread",
    fill: CATEGORY_FILLS.exit,
    of: ({ timesPerKick }) => timesPerKick["never touched"],
  },
  {
    key: "read",
    name: "kick, read",
    fill: CATEGORY_FILLS.emulation,
    of: ({ timesPerKick }) => timesPerKick.populated,
  },
  {
    key: "fault",
    name: "ordinary fault",
    fill: CATEGORY_FILLS.bus,
    of: ({ timesPerFault }) => timesPerFault,
  },
];

/** What each cost adds to the difference, A less B: per kick and per ordinary fault, with the ranges of the costs. */
export function plotQuestion(study: Pick<ThreadStudy, "question" | "provenance" | "machine">): Figure {
  const { question, provenance, machine } = study;
  const { a, b, terms } = question;
  const names = terms.map(({ cost }) => cost);
  const bars = ({ name, fill, of }: QuestionSeries, index: number) => {
    const ofTerms = terms.map((term) => cyclesOf(term, of(term)));
    return {
      type: "bar",
      orientation: "h",
      name,
      y: terms.map((_, row) => row + WIDTH * (index - 1)),
      width: WIDTH * 0.92,
      x: ofTerms.map(({ value }) => value),
      error_x: {
        type: "data",
        symmetric: false,
        array: ofTerms.map(({ value, high }) => high - value),
        arrayminus: ofTerms.map(({ value, low }) => value - low),
        color: INK,
        thickness: 1.4,
        width: 3,
      },
      marker: barMarker(fill),
      customdata: terms.map((term, row) => [term.cost, times(of(term)), range(ofTerms[row], smallCycles)]),
      hovertemplate: `%{customdata[0]}<br>%{customdata[1]} times: %{customdata[2]} cycles per ${name}<extra></extra>`,
    };
  };
  return new Figure({
    title: `SIMULATED: ${a} less ${b}, cost by cost`,
    provenance,
    machine: `${machine}. ${answerText(question)}`,
    plotHeight: ROW_HEIGHT * terms.length,
    left: 24 + Math.max(...names.map(({ length }) => length)) * CHARACTER_WIDTH,
    right: 24,
    rest: {
      barmode: "overlay",
      xaxis: {
        title: { text: "TSC cycles, difference", standoff: 8 },
        gridcolor: GRID,
        zerolinecolor: INK,
        zerolinewidth: 1.6,
        tickformat: "d",
      },
      yaxis: linesAxis(names),
    },
    data: SERIES.map(bars),
    table: () => tableQuestion(study),
  });
}
