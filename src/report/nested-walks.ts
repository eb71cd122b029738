/**
 * The same loads natively and under EPT, over a growing footprint: what a walk reads, what translation costs, what a load
 * costs.
 */
import type { NestedWalkPoint, NestedWalkStudy } from "../study/nested-walks.js";
import { Figure, footprintAxis, plotlyText } from "./figure.js";
import { type Ends, footprint, range } from "./format.js";
import type { Records } from "./records.js";
import { FONT, GRID, LINES } from "./theme.js";

const PLOT_HEIGHT = 330;
/** Of the PMU's events, those of loads. */
const EVENTS = /^(dtlb_load_misses|page_walker_loads)\./;

/** Gap between panels, a share of the width. */
const GAP = 0.08;

/** One record per paging and footprint: per load, and references per walk (0 where nothing walks); core cycles per load. */
export function tableNestedWalks({ points }: NestedWalkStudy): Records {
  return points.map((point) => ({
    paging: point.paging,
    footprintKib: point.footprintKib,
    stlbHits: point.stlbHits / point.loads,
    walks: point.walks / point.loads,
    guestReferences: perWalk(point, point.guestReferences),
    eptReferences: perWalk(point, point.eptReferences),
    translationLow: point.translation.low,
    translationHigh: point.translation.high,
    cyclesLow: point.cycles.low,
    cyclesHigh: point.cycles.high,
  }));
}

/**
 * What `perf stat` would count of the loads over one footprint: one record per event of loads, one column per paging.
 *
 * @throws Error for a footprint that the study has not
 */
export function tableNestedPmu({ points }: NestedWalkStudy, footprintKib: number): Records {
  const shown = points.filter((point) => point.footprintKib === footprintKib);
  if (shown.length === 0) throw new Error(`footprint of ${footprintKib} KiB: the study has none`);
  const events = Object.keys(shown[0].pmu).filter((event) => EVENTS.test(event));
  return events.map((event) => ({
    event,
    ...Object.fromEntries(shown.map(({ paging, pmu }) => [paging, pmu[event]])),
  }));
}

const perWalk = ({ walks }: NestedWalkPoint, references: number) => (walks === 0 ? 0 : references / walks);

interface Panel {
  readonly title: string;
  /** Of a value, as its hover text has it. */
  readonly unit: string;
  /** The range of a point, or null where it has none. */
  readonly rangeOf: (point: NestedWalkPoint) => Ends | null;
}

const PANELS: readonly Panel[] = [
  {
    title: "References per walk",
    unit: "references per walk",
    rangeOf: ({ walks, guestReferences, eptReferences }) => {
      if (walks === 0) return null;
      const references = (guestReferences + eptReferences) / walks;
      return { low: references, high: references };
    },
  },
  {
    title: "Core cycles per load, translation",
    unit: "core cycles",
    rangeOf: ({ translation }) => translation,
  },
  { title: "Core cycles per load, with the datum", unit: "core cycles", rangeOf: ({ cycles }) => cycles },
];

const tenth = (value: number) => value.toFixed(1);

/** Three panels over the footprint, one line per paging; a mark is the middle of its range. */
export function plotNestedWalks(study: NestedWalkStudy): Figure {
  const { points } = study;
  const pagings = [...new Set(points.map(({ paging }) => paging))];
  const footprints = points.map(({ footprintKib }) => footprintKib);
  const width = (1 - GAP * (PANELS.length - 1)) / PANELS.length;
  const axes = PANELS.map(({ title }, index) => {
    const id = axisId(index);
    const left = index * (width + GAP);
    return {
      [`xaxis${id}`]: {
        ...footprintAxis("footprint, bytes", footprints),
        domain: [left, left + width],
        anchor: `y${id}`,
      },
      [`yaxis${id}`]: {
        title: { text: title, standoff: 8, font: FONT },
        rangemode: "tozero",
        gridcolor: GRID,
        anchor: `x${id}`,
      },
    };
  });
  return new Figure({
    title: "SIMULATED: the same random loads natively and under EPT",
    provenance: study.provenance,
    machine:
      `${study.machine}. 4-level paging and EPT; guest memory is contiguous; sizes of the paging-structure caches and of the nested ` +
      "TLB are assumed; bars: a walk's references overlap by up to half, and the latencies' ranges; the mark is the middle. No walks, no mark",
    plotHeight: PLOT_HEIGHT,
    left: 64,
    right: 24,
    rest: Object.assign({}, ...axes),
    data: PANELS.flatMap((panel, index) =>
      pagings.map((paging, line) => lineOf(points, paging, panel, index, line)),
    ),
    table: () => tableNestedWalks(study),
  });
}

/** What plotly adds to the names of a panel's axes. */
const axisId = (index: number) => (index === 0 ? "" : String(index + 1));

function lineOf(
  points: readonly NestedWalkPoint[],
  paging: string,
  { rangeOf, unit }: Panel,
  index: number,
  line: number,
): Figure["data"][number] {
  const shown = points.filter((point) => point.paging === paging && rangeOf(point) !== null);
  const ranges = shown.map((point) => rangeOf(point) as Ends);
  const middle = ranges.map(({ low, high }) => (low + high) / 2);
  const half = ranges.map(({ low, high }) => (high - low) / 2);
  const { color, symbol, dash } = LINES[line % LINES.length];
  return {
    type: "scatter",
    mode: "lines+markers",
    name: plotlyText(paging),
    showlegend: index === PANELS.length - 1,
    xaxis: `x${axisId(index)}`,
    yaxis: `y${axisId(index)}`,
    x: shown.map(({ footprintKib }) => footprintKib),
    y: middle,
    error_y: { type: "data", array: half, color, thickness: 1.2, width: 3 },
    line: { color, dash, width: 1.6 },
    marker: { color, symbol, size: 7, line: { width: 1.4, color } },
    cliponaxis: false,
    customdata: ranges.map(({ low, high }, index) => [
      footprint(shown[index].footprintKib),
      low === high ? tenth(low) : range({ low, high }, tenth),
    ]),
    hovertemplate: `${plotlyText(paging)}, %{customdata[0]}: %{customdata[1]} ${unit}<extra></extra>`,
  };
}
