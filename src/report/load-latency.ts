/**
 * Load latency over footprint: the measured points on the simulated curve, a row of panels per processor and a column per
 * loop; and how far the two are apart, by loop and near the size of each cache and TLB.
 */
import type { ErrorSummary } from "../study/errors.js";
import type { Capacity, LatencyCurve, LoadLatencyStudy, MachineLatency } from "../study/load-latency.js";
import { errorTables } from "./errors.js";
import { Figure, footprintAxis, plotlyText } from "./figure.js";
import { footprint, percent } from "./format.js";
import { mail } from "./mail.js";
import type { FlatRecord, Records } from "./records.js";
import { wrapText } from "./text-table.js";
import { FONT, GRID, INK, MEASURED, SIMULATED_RANGE } from "./theme.js";

const CAPACITY_TEXTS: Readonly<Record<Capacity, string>> = {
  l1d: "L1D",
  l2: "L2",
  dataTlb: "data TLB",
  stlb: "STLB",
  l3: "L3",
};

/** Such as "page-random, stride 64". */
const loopText = ({ order, strideBytes }: LatencyCurve) => `${order}, stride ${strideBytes}`;

// The tables.

/**
 * One record per processor, loop and footprint: core cycles per load, the error in per cent of the measured value, then
 * second-level TLB hits, walks and paging-structure references per load.
 */
export function tableLoadLatency({ machines }: LoadLatencyStudy): Records {
  return machines.flatMap(({ cpu, curves }) =>
    curves.flatMap(({ order, strideBytes, points }) =>
      points.map(({ footprintKib, measured, simulated, error, stlbHits, walks, references }) => ({
        cpu,
        order,
        strideBytes,
        footprintKib,
        measured,
        simulated: simulated.value,
        low: simulated.low,
        high: simulated.high,
        errorPercent: 100 * error,
        stlbHits,
        walks,
        references,
      })),
    ),
  );
}

/** One record per processor and TLB: what the first page too many adds, core cycles per load. */
export function tableTlbSteps({ machines }: LoadLatencyStudy): Records {
  return machines.flatMap(({ cpu, tlbSteps }) =>
    tlbSteps.map(({ tlb, entries, insideKib, outsideKib, measured, simulated, sameData }) => ({
      cpu,
      tlb,
      entries,
      fromKib: insideKib,
      toKib: outsideKib,
      measured,
      simulated: simulated.value,
      low: simulated.low,
      high: simulated.high,
      sameData,
    })),
  );
}

/**
 * One record per processor and loop, and a last one for all points: errors in per cent of the measured value. `worst` and
 * `bias` have a sign, more than 0 where too much was simulated.
 */
export function tableLatencyErrors({ machines, errors }: LoadLatencyStudy): Records {
  return [
    ...machines.flatMap(({ cpu, curves }) =>
      curves.map((curve) => ({ cpu, loop: loopText(curve), ...sizes(curve.errors), ...bias(curve.errors) })),
    ),
    { cpu: "all", loop: "all", ...sizes(errors), ...bias(errors) },
  ];
}

/**
 * One record per processor and cache or TLB: the errors, per cent, of the footprints from half to twice of what it holds, in
 * all loops.
 */
export function tableLatencySteps({ machines }: LoadLatencyStudy): Records {
  return machines.flatMap(({ cpu, steps }) =>
    steps.map(({ capacity, kib, errors }) => ({
      cpu,
      capacity: CAPACITY_TEXTS[capacity],
      kib,
      ...sizes(errors),
    })),
  );
}

function sizes({ points, median, p90, worst }: ErrorSummary): FlatRecord {
  return { points, medianPercent: 100 * median, p90Percent: 100 * p90, worstPercent: 100 * worst };
}

const bias = (errors: ErrorSummary): FlatRecord => ({ biasPercent: 100 * errors.bias });

// The mail.

/**
 * The errors of the study in ASCII, at most 72 columns: by processor, loop by loop and near the size of each cache and TLB,
 * then of all points.
 */
export function latencyErrorsTable({ provenance, machines, errors: all }: LoadLatencyStudy): string {
  const parts = [
    wrapText(
      "Load latency against the published dumps, natively, in pages of 4K: error = (simulated - measured) / measured; bias: its " +
        "median, signs counted. Nothing was fitted, but latencies were read on the curves' plateaus, where a small error is no success: " +
        "look near the sizes (all loops, from half to twice of each).",
    ),
    ...errorTables("points", [
      ...machines.flatMap(({ cpu, curves, steps }) => [
        { of: cpu },
        ...curves.map((curve) => ({ of: `  ${loopText(curve)}`, errors: curve.errors })),
        ...steps.map(({ capacity, kib, errors }) => ({
          of: `  near ${CAPACITY_TEXTS[capacity]}, ${footprint(kib)}`,
          errors,
        })),
      ]),
      { of: "all", errors: all },
    ]),
  ];
  return mail({ provenance, parts });
}

// The figure.

const PANEL_HEIGHT = 190;
/** Between the rows of panels: the ticks of the upper one and the heading of the lower one. */
const PANEL_GAP = 58;
/** Between the columns, a share of the width. */
const COLUMN_GAP = 0.03;
const CYCLE_TICKS = [2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** Panels with a logarithmic axis each way; what the TLBs and the caches hold as vertical lines. */
export function plotLoadLatency(study: LoadLatencyStudy): Figure {
  const { machines } = study;
  const plotHeight = machines.length * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP;
  const points = machines.flatMap(({ curves }) => curves.flatMap((curve) => curve.points));
  const most = Math.max(...points.map(({ measured, simulated }) => Math.max(measured, simulated.high)));
  const panels = machines.flatMap((machine, row) =>
    machine.curves.map((curve, column, { length }) => {
      const number = row * length + column + 1;
      const width = (1 - COLUMN_GAP * (length - 1)) / length;
      const left = column * (width + COLUMN_GAP);
      const top = 1 - (row * (PANEL_HEIGHT + PANEL_GAP)) / plotHeight;
      return {
        machine,
        curve,
        most,
        id: number === 1 ? "" : String(number),
        isFirst: number === 1,
        isLeft: column === 0,
        isLowest: row === machines.length - 1,
        x: [left, left + width] as const,
        y: [top - PANEL_HEIGHT / plotHeight, top] as const,
      };
    }),
  );
  const axes = panels.map((panel) => axesOf(panel));
  return new Figure({
    title: "SIMULATED against measured: load latency over footprint",
    provenance: study.provenance,
    machine:
      `${machines.map(({ model }) => model).join("; ")}. Native, pages of 4K, each load waits for the one before. page-random: all places ` +
      "of a window of pages at random, half as many pages as the second-level TLB (STLB) has entries, then the next window; " +
      "random-full: all places at random. Latencies are those of the profiles, read on plateaus of the same curves less the TLBs' " +
      "part. No prefetching; how the caches replace lines is assumed",
    plotHeight,
    left: 78,
    right: 24,
    notes: panels.flatMap((panel) => [heading(panel), ...capacityNotes(panel)]),
    rest: { ...Object.assign({}, ...axes), shapes: panels.flatMap((panel) => capacityLines(panel)) },
    data: panels.flatMap((panel) => traces(panel)),
    table: () => tableLoadLatency(study),
  });
}

interface Panel {
  readonly machine: MachineLatency;
  readonly curve: LatencyCurve;
  /** The most core cycles of any panel: all have one scale. */
  readonly most: number;
  /** What plotly adds to the names of the panel's axes. */
  readonly id: string;
  readonly isFirst: boolean;
  readonly isLeft: boolean;
  readonly isLowest: boolean;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

function axesOf({ machine, most, id, isLeft, isLowest, x, y }: Panel): Readonly<Record<string, unknown>> {
  const footprints = machine.curves.flatMap(({ points }) => points.map(({ footprintKib }) => footprintKib));
  return {
    [`xaxis${id}`]: {
      ...footprintAxis(isLowest ? "footprint, bytes" : "", footprints),
      domain: x,
      anchor: `y${id}`,
    },
    [`yaxis${id}`]: {
      title: {
        text: isLeft ? `<b>${plotlyText(machine.cpu)}</b><br>core cycles per load` : "",
        standoff: 8,
        font: { ...FONT, size: 11 },
      },
      type: "log",
      range: [Math.log10(3), Math.log10(1.5 * most)],
      tickvals: CYCLE_TICKS,
      showticklabels: isLeft,
      gridcolor: GRID,
      domain: y,
      anchor: `x${id}`,
    },
  };
}

function traces({ curve, id, isFirst }: Panel): Figure["data"] {
  const common = {
    type: "scatter",
    xaxis: `x${id}`,
    yaxis: `y${id}`,
    x: curve.points.map(({ footprintKib }) => footprintKib),
  };
  const end = (name: "low" | "high") => ({
    ...common,
    mode: "lines",
    name: "simulated, lowest to highest",
    showlegend: isFirst && name === "high",
    y: curve.points.map(({ simulated }) => simulated[name]),
    line: { color: SIMULATED_RANGE.line, width: 0 },
    ...(name === "high" ? { fill: "tonexty", fillcolor: SIMULATED_RANGE.fill } : {}),
    hoverinfo: "skip",
  });
  const { color, symbol } = MEASURED;
  return [
    end("low"),
    end("high"),
    {
      ...common,
      mode: "lines",
      name: "simulated",
      showlegend: isFirst,
      y: curve.points.map(({ simulated }) => simulated.value),
      line: { color: SIMULATED_RANGE.line, width: 1.6 },
      customdata: curve.points.map(({ footprintKib, simulated, error }) => [
        footprint(footprintKib),
        simulated.low,
        simulated.high,
        percent(error),
      ]),
      hovertemplate:
        "%{customdata[0]}<br>simulated: %{y:.1f} cycles, %{customdata[1]:.1f} to %{customdata[2]:.1f}<br>" +
        "error of %{customdata[3]}<extra></extra>",
    },
    {
      ...common,
      mode: "markers",
      name: "measured",
      showlegend: isFirst,
      y: curve.points.map(({ measured }) => measured),
      marker: { color, symbol, size: 4.5 },
      customdata: curve.points.map(({ footprintKib }) => footprint(footprintKib)),
      hovertemplate: "%{customdata}<br>measured: %{y} cycles<extra></extra>",
    },
  ];
}

function heading({ curve, x, y }: Panel): Readonly<Record<string, unknown>> {
  return {
    text: loopText(curve),
    align: "left",
    showarrow: false,
    xref: "paper",
    x: x[0],
    xanchor: "left",
    yref: "paper",
    y: y[1],
    yanchor: "bottom",
    font: { ...FONT, size: 11 },
  };
}

/** What ends at one footprint, such as L2 and the pages of the data TLB, has one line. */
function capacitiesOf({ machine: { capacitiesKib } }: Panel) {
  const capacities = Object.entries(capacitiesKib) as [Capacity, number][];
  return [...new Set(Object.values(capacitiesKib))].map((kib) => ({
    kib,
    text: capacities.flatMap(([capacity, of]) => (of === kib ? CAPACITY_TEXTS[capacity] : [])).join(", "),
  }));
}

function capacityLines(panel: Panel): Readonly<Record<string, unknown>>[] {
  return capacitiesOf(panel).map(({ kib }) => ({
    type: "line",
    xref: `x${panel.id}`,
    x0: kib,
    x1: kib,
    yref: `y${panel.id} domain`,
    y0: 0,
    y1: 1,
    line: { color: INK, width: 1, dash: "dot" },
  }));
}

function capacityNotes(panel: Panel): Readonly<Record<string, unknown>>[] {
  return capacitiesOf(panel).map(({ kib, text }) => ({
    text,
    textangle: -90,
    showarrow: false,
    xref: `x${panel.id}`,
    x: Math.log10(kib),
    xanchor: "right",
    yref: `y${panel.id} domain`,
    y: 0.98,
    yanchor: "top",
    font: { ...FONT, size: 10 },
  }));
}
