/** The designs of the thread as a diagram: who handles a write to a doorbell, from the guest's instruction to the bus. */
import type { Provenance } from "../../study/result.js";
import { DESIGNS, type Design, LANES } from "../../study/thread/designs.js";
import { Figure, linesAxis } from "../figure.js";
import type { Records } from "../records.js";
import { fillLines } from "../text-table.js";
import { CATEGORY_FILLS, CHARACTER_WIDTH, FONT, INK, LABEL_TICKS } from "../theme.js";

const ROW_HEIGHT = 46;
const SMALL = 10;
/** Characters of the small font in a line of a box. */
const COLUMNS = 23;

/** Exits by their colour, lighter than the categories of costs. */
const EXITS: Readonly<Record<string, string>> = {
  "EPT misconfiguration": "#d3ebf8",
  "EPT violation": "#fbdcb8",
  "#NPF": "#e4d5e8",
  "I/O instruction": "#ffffff",
};
const PLAIN = "#f6f6f6";

/** One record per design: what it is, and who does what. */
export function tableDesigns(): Records {
  return DESIGNS.map(({ name, title, kernel, patches, slot, pio, handles }) => ({
    design: name,
    what: title,
    kernel: [kernel, ...patches].join(" + "),
    slot: pio ? "none" : slot,
    ...handles,
  }));
}

/** A row for each design, from the guest on the left to the bus on the right. Where a patch acts the frame is thick. */
export function plotDesigns(provenance: Provenance): Figure {
  const names = DESIGNS.map(({ name }) => name);
  return new Figure({
    title: "SIMULATED: who handles a write to a doorbell, by design",
    provenance,
    machine:
      "of each row as its design says. A thick frame: here a patch acts. The last box signals the eventfd. rfc, bad-page, write-mostly " +
      "and repaired have a read-only memory slot behind the doorbell, the others none",
    plotHeight: ROW_HEIGHT * DESIGNS.length,
    left: 24 + Math.max(...names.map(({ length }) => length)) * CHARACTER_WIDTH,
    right: 16,
    below: 12,
    notes: DESIGNS.flatMap(texts),
    rest: {
      showlegend: false,
      xaxis: {
        side: "top",
        range: [-0.5, LANES.length - 0.5],
        tickvals: LANES.map((_, lane) => lane),
        ticktext: LANES,
        showgrid: false,
        zeroline: false,
        ...LABEL_TICKS,
      },
      yaxis: { ...linesAxis(names), showgrid: false },
      shapes: DESIGNS.flatMap(boxes),
    },
    // Plotly draws no axes without a trace.
    data: [
      {
        type: "scatter",
        mode: "markers",
        x: DESIGNS.flatMap(() => LANES.map((_, lane) => lane)),
        y: DESIGNS.flatMap((_, row) => LANES.map(() => row)),
        marker: { size: 1, color: PLAIN },
        customdata: DESIGNS.flatMap(({ title, handles }) => LANES.map((lane) => [title, handles[lane]])),
        hovertemplate: "%{customdata[0]}<br>%{x}: %{customdata[1]}<extra></extra>",
      },
    ],
    table: tableDesigns,
  });
}

function boxes({ handles, patched }: Design, row: number): Readonly<Record<string, unknown>>[] {
  return LANES.map((lane, column) => ({
    type: "rect",
    layer: "below",
    x0: column - 0.47,
    x1: column + 0.47,
    y0: row - 0.42,
    y1: row + 0.42,
    fillcolor: lane === "exit" ? EXITS[handles.exit] : lane === "bus" ? BUS : PLAIN,
    line: { color: INK, width: lane === patched ? 2.6 : 0.6 },
  }));
}

const BUS = CATEGORY_FILLS.bus.color;

function texts({ handles }: Design, row: number): Readonly<Record<string, unknown>>[] {
  return LANES.map((lane, column) => ({
    text: fillLines(handles[lane], COLUMNS).join("<br>"),
    x: column,
    y: row,
    showarrow: false,
    font: { ...FONT, size: SMALL },
  }));
}
