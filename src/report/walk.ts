/**
 * A walk with nothing cached, entry by entry: a column for each guest paging structure and for the datum, in it the EPT's
 * entries that find out where it lies and, below, the guest's entry that it holds.
 */
import type { ColdWalk, WalkStep } from "../study/two-dimensional-walk.js";
import { ENTRY_NAMES } from "../x86/probe.js";
import { Figure, plotlyText } from "./figure.js";
import { hex } from "./format.js";
import type { Records } from "./records.js";
import { CHARACTER_WIDTH, ENTRY_FILLS, FONT, INK, LABEL_TICKS } from "./theme.js";

const ROW_HEIGHT = 66;
/** Diameter of an entry, pixels, and how far an arrow stays away from its middle. */
const ENTRY = 34;
const STANDOFF = 20;

/**
 * One record per entry read, in order: what it is, what it finds out, the guest-physical address (of a guest's entry its own,
 * of an EPT entry the one that it translates), where it lies, host-physical, and its value. Addresses and values in hex.
 */
export function tableWalk({ steps }: ColdWalk): Records {
  return steps.map((step) => ({
    step: step.number,
    entry: nameOf(step),
    findsOut: step.purpose,
    guestPhysical: hex(step.guestPhysicalAddress),
    entryAt: hex(step.hostPhysicalAddress),
    value: step.entry,
  }));
}

const nameOf = ({ structure, level }: WalkStep) => `${structure} ${ENTRY_NAMES[level]}`;

/** The entries as a numbered grid in the order in which they are read, with arrows from each to the next. */
export function plotWalk(walk: ColdWalk): Figure {
  const { steps, linearAddress, hostPhysicalAddress } = walk;
  const columns = [...new Set(steps.map(({ purpose }) => purpose))];
  const eptLevels = [
    ...new Set(steps.filter(({ structure }) => structure === "EPT").map(({ level }) => level)),
  ];
  const rows = [...eptLevels.map((level) => `EPT ${ENTRY_NAMES[level]}`), "guest's entry"];
  const placed = steps.map((step) => ({
    step,
    x: columns.indexOf(step.purpose),
    y: step.structure === "EPT" ? eptLevels.indexOf(step.level) : rows.length - 1,
  }));
  const datum = { x: columns.length - 1, y: rows.length - 1 };
  const longest = Math.max(...rows.map((row) => row.length));
  return new Figure({
    title: `SIMULATED: the ${steps.length} references of a walk with nothing cached`,
    provenance: walk.provenance,
    machine: `${walk.machine}. A read of linear address ${hex(linearAddress)}; no entry serves two structures`,
    plotHeight: ROW_HEIGHT * rows.length,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24,
    below: 16,
    notes: [...placed, datum].slice(1).map((to, index) => arrow(placed[index], to)),
    rest: {
      xaxis: {
        side: "top",
        range: [-0.5, columns.length - 0.5],
        tickvals: columns.map((_, x) => x),
        ticktext: columns.map((purpose) => columnText(purpose, steps)),
        showgrid: false,
        zeroline: false,
      },
      yaxis: {
        range: [rows.length - 0.5, -0.5],
        tickvals: rows.map((_, y) => y),
        ticktext: rows.map(plotlyText),
        showgrid: false,
        zeroline: false,
        ...LABEL_TICKS,
      },
      showlegend: false,
    },
    data: [entries("EPT", placed), entries("guest", placed), theDatum(datum, hostPhysicalAddress)],
    table: () => tableWalk(walk),
  });
}

/** What a column is about, and the guest-physical address that its EPT entries translate. */
function columnText(purpose: string, steps: readonly WalkStep[]): string {
  const first = steps.find((step) => step.purpose === purpose);
  return `<b>${plotlyText(purpose)}</b><br>gpa ${hex(first?.guestPhysicalAddress ?? 0)}`;
}

interface Place {
  readonly x: number;
  readonly y: number;
}

interface Placed extends Place {
  readonly step: WalkStep;
}

function entries(structure: WalkStep["structure"], placed: readonly Placed[]): Figure["data"][number] {
  const own = placed.filter(({ step }) => step.structure === structure);
  const { color, symbol } = ENTRY_FILLS[structure];
  return {
    type: "scatter",
    mode: "markers+text",
    name: structure,
    x: own.map(({ x }) => x),
    y: own.map(({ y }) => y),
    text: own.map(({ step }) => `<b>${step.number}</b>`),
    textfont: { ...FONT, size: 13 },
    marker: { color, symbol, size: ENTRY, line: { color: INK, width: 1 } },
    cliponaxis: false,
    customdata: own.map(({ step }) => [nameOf(step), hex(step.hostPhysicalAddress), step.entry]),
    hovertemplate:
      "%{text}: %{customdata[0]}<br>at host-physical %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
  };
}

function theDatum({ x, y }: Place, hostPhysicalAddress: number): Figure["data"][number] {
  return {
    type: "scatter",
    mode: "text",
    x: [x],
    y: [y],
    text: [`the datum<br>hpa ${hex(hostPhysicalAddress)}`],
    textfont: { ...FONT, size: 11 },
    hoverinfo: "skip",
  };
}

function arrow(from: Place, to: Place): Readonly<Record<string, unknown>> {
  return {
    xref: "x",
    yref: "y",
    axref: "x",
    ayref: "y",
    ax: from.x,
    ay: from.y,
    x: to.x,
    y: to.y,
    text: "",
    showarrow: true,
    arrowhead: 2,
    arrowsize: 0.9,
    arrowwidth: 1.2,
    arrowcolor: INK,
    standoff: STANDOFF,
    startstandoff: STANDOFF,
  };
}
