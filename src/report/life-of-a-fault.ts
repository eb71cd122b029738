/**
 * The life of a fault, step by step: how the processor exited, what the SPTE says, the generation of the memory slots and
 * the signals of the eventfd in a strip, and below it what each step took, in counts.
 */
import { type FaultStep, type LifeOfFault, SPTE_STATES, type SpteState } from "../study/life-of-a-fault.js";
import { walkReferences } from "../study/loads.js";
import { Figure, plotlyText } from "./figure.js";
import { hex } from "./format.js";
import type { Records } from "./records.js";
import { barMarker, CATEGORY_FILLS, type Fill, FONT, GRID, LABEL_TICKS, SPTE_FILLS } from "./theme.js";

/** Rows of the strip from top to bottom. */
const ROWS = ["exits", "SPTE", "generation", "signals"];
const ROW_HEIGHT = 33;
const GAP = 16;
const BARS_HEIGHT = 290;
const SMALL = 10;

/** What is counted of a step. */
interface Kind {
  readonly name: string;
  readonly fill: Fill;
  readonly of: (step: FaultStep) => number;
}

const counted = (primitive: string) => (step: FaultStep) => step.counts[primitive] ?? 0;

/** Of the processor's walks, to the guest's paging structures and to the EPT's. */
function references({ counts }: FaultStep): number {
  const { guest, ept } = walkReferences(counts);
  return guest + ept;
}

/** In the order in which they are stacked. */
const KINDS: readonly Kind[] = [
  { name: "exits", fill: CATEGORY_FILLS.exit, of: ({ exits }) => exits.length },
  { name: "bus lookups", fill: CATEGORY_FILLS.bus, of: counted("ioBusLookup") },
  { name: "SPTE writes", fill: CATEGORY_FILLS.handler, of: counted("spteInstall") },
  { name: "emulated instructions", fill: CATEGORY_FILLS.emulation, of: counted("emulateInstruction") },
  { name: "exits to userspace", fill: CATEGORY_FILLS.userspace, of: counted("userspaceExitMmio") },
  { name: "signals", fill: CATEGORY_FILLS.eventfd, of: counted("eventfdSignal") },
  { name: "grace periods awaited", fill: CATEGORY_FILLS.memory, of: counted("synchronizeSrcu") },
  { name: "references of walks", fill: CATEGORY_FILLS.walk, of: references },
];

/**
 * One record per step: the exits in their order; SPTE, its state, generation and signals so far after the step; and how often
 * the step did what. References are those of the processor's walks, software walks those of the guest's tables by KVM.
 */
export function tableLifeOfFault({ steps }: LifeOfFault): Records {
  return steps.map((step) => ({
    step: step.number,
    what: step.what,
    exits: step.exits.join(", "),
    spte: step.after.spte,
    state: step.after.state,
    generation: step.generation,
    signals: step.signals,
    userspace: step.userspace,
    references: references(step),
    spteWrites: counted("spteInstall")(step),
    busLookups: counted("ioBusLookup")(step),
    emulated: counted("emulateInstruction")(step),
    softwareWalks: counted("guestWalkInSoftware")(step),
    gracePeriods: counted("synchronizeSrcu")(step),
  }));
}

/** The steps from left to right: the strip above, a stacked bar of counts below. Steps of userspace lie on grey. */
export function plotLifeOfFault(study: LifeOfFault): Figure {
  const { steps, kernel, address, eventfdLength } = study;
  const stripHeight = ROW_HEIGHT * ROWS.length;
  const plotHeight = stripHeight + GAP + BARS_HEIGHT;
  const columns = { range: [0.5, steps.length + 0.5], showgrid: false, zeroline: false };
  return new Figure({
    title: `SIMULATED: the life of a fault, Linux ${kernel.slice(1)}`,
    provenance: study.provenance,
    machine:
      `${study.machine}. A is guest-physical ${hex(address)}, B another page; the ioeventfd has length ${eventfdLength}. On grey: ` +
      "ioctls of userspace. SPTE, generation and signals are those after the step. Counts, no cycles: the parts of a bar do not " +
      "cost the same",
    plotHeight,
    left: 84,
    right: 16,
    below: 84,
    notes: strip(steps),
    rest: {
      barmode: "stack",
      bargap: 0.3,
      xaxis: {
        ...columns,
        tickvals: steps.map(({ number }) => number),
        ticktext: steps.map(columnText),
        tickfont: { ...FONT, size: SMALL },
        tickangle: 0,
        ...LABEL_TICKS,
      },
      yaxis: {
        domain: [0, BARS_HEIGHT / plotHeight],
        title: { text: "times in the step", standoff: 8, font: FONT },
        gridcolor: GRID,
        tickformat: "d",
      },
      xaxis2: { ...columns, anchor: "y2", showticklabels: false, ticks: "" },
      yaxis2: {
        domain: [1 - stripHeight / plotHeight, 1],
        anchor: "x2",
        range: [ROWS.length - 0.5, -0.5],
        tickvals: ROWS.map((_, row) => row),
        ticktext: ROWS,
        showgrid: false,
        zeroline: false,
        ...LABEL_TICKS,
      },
      shapes: steps.filter(({ by }) => by === "ioctl").map(({ number }) => ground(number)),
    },
    data: [...KINDS.map((kind) => bars(steps, kind)), ...SPTE_STATES.map((state) => cells(steps, state))],
    table: () => tableLifeOfFault(study),
  });
}

/** Number, who and what, in lines that fit a column. */
function columnText({ number, by, what }: FaultStep): string {
  const words = plotlyText(what).split(/ (?![AB])/);
  return [`<b>${number}</b>`, ...(by === "ioctl" ? ["<i>ioctl</i>"] : []), ...words].join("<br>");
}

const titleOf = ({ number, what }: FaultStep) => `step ${number}, ${plotlyText(what)}`;

function bars(steps: readonly FaultStep[], { name, fill, of }: Kind): Figure["data"][number] {
  return {
    type: "bar",
    name,
    x: steps.map(({ number }) => number),
    y: steps.map(of),
    marker: barMarker(fill),
    customdata: steps.map(titleOf),
    hovertemplate: `%{customdata}<br>${name}: %{y}<extra></extra>`,
  };
}

/** The cells of the strip in which the SPTE is in a state. */
function cells(steps: readonly FaultStep[], state: SpteState): Figure["data"][number] {
  const own = steps.filter(({ after }) => after.state === state);
  const row = ROWS.indexOf("SPTE");
  return {
    type: "bar",
    name: state,
    showlegend: false,
    xaxis: "x2",
    yaxis: "y2",
    x: own.map(({ number }) => number),
    y: own.map(() => 0.84),
    base: own.map(() => row - 0.42),
    width: own.map(() => 1),
    marker: barMarker(SPTE_FILLS[state]),
    customdata: own.map((step) => [titleOf(step), step.after.spte]),
    hovertemplate: `%{customdata[0]}<br>SPTE %{customdata[1]}: ${state}<extra></extra>`,
  };
}

/** The text of the strip: a line for each of its rows in every column. What has changed is bold. */
function strip(steps: readonly FaultStep[]): Readonly<Record<string, unknown>>[] {
  return steps.flatMap((step, index) => {
    const before = steps[index - 1];
    const changed = (of: (step: FaultStep) => string | number) =>
      before === undefined || of(step) === of(before) ? `${of(step)}` : `<b>${of(step)}</b>`;
    const { state } = step.after;
    const texts = [
      { text: step.exits.map(reasonText).join(",<br>") },
      // On a plain ground, where the cell has a pattern.
      { text: state.replace(" ", "<br>"), bgcolor: SPTE_FILLS[state].color, borderpad: 0 },
      { text: changed(({ generation }) => generation) },
      { text: changed(({ signals }) => signals) },
    ];
    const font = { ...FONT, size: SMALL };
    const place = { x: step.number, xref: "x2", yref: "y2", showarrow: false, font };
    return texts.map((text, row) => ({ ...text, ...place, y: row }));
  });
}

/** "EPT_MISCONFIG" as "misconfig". */
const reasonText = (reason: string) => plotlyText(reason.replace(/^EPT_/, "").toLowerCase());

/** What marks a step of userspace, in both panels. */
function ground(number: number): Readonly<Record<string, unknown>> {
  return {
    type: "rect",
    layer: "below",
    xref: "x",
    x0: number - 0.5,
    x1: number + 0.5,
    yref: "paper",
    y0: 0,
    y1: 1,
    fillcolor: GRID,
    opacity: 0.6,
    line: { width: 0 },
  };
}
