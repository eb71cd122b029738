/**
 * Load latency over footprint: the measured curve on the simulated range, a row of panels per processor and a column per
 * loop.
 */
import type { LatencyCurve, LatencyPoint, LoadLatencyStudy, MachineLatency } from "../study/load-latency.js";
import { type Figure, figureLayout, footprintAxis, plotlyText } from "./figure.js";
import type { Records } from "./records.js";
import { FONT, GRID, INK, MEASURED, SIMULATED_RANGE } from "./theme.js";

const PANEL_HEIGHT = 190;
/** Between the rows of panels: the ticks of the upper one and the heading of the lower one. */
const PANEL_GAP = 58;
/** Left and right panel, as shares of the width. */
const COLUMNS = [
  [0, 0.46],
  [0.54, 1],
] as const;
const CYCLE_TICKS = [2, 5, 10, 20, 50, 100, 200, 500];

const LOOP_TEXTS: Readonly<Record<LatencyCurve["order"], string>> = {
  "page-random": "page by page",
  "random-full": "at random",
};

/**
 * One record per processor, loop and footprint: core cycles per load, the residual in per cent of the measured value, then
 * second-level TLB hits, walks and paging-structure references per load.
 */
export function tableLoadLatency(study: LoadLatencyStudy): Records {
  return study.machines.flatMap(({ cpu, curves }) =>
    curves.flatMap(({ order, strideBytes, points }) =>
      points.map(({ footprintKib, measured, simulated, residual, stlbHits, walks, references }) => ({
        cpu,
        order,
        strideBytes,
        footprintKib,
        measured,
        low: simulated.low,
        high: simulated.high,
        residualPercent: 100 * residual,
        stlbHits,
        walks,
        references,
      })),
    ),
  );
}

/** One record per processor and TLB: what the first page too many adds, core cycles per load. */
export function tableTlbSteps(study: LoadLatencyStudy): Records {
  return study.machines.flatMap(({ cpu, steps }) =>
    steps.map(({ tlb, entries, insideKib, outsideKib, measured, simulated, sameData }) => ({
      cpu,
      tlb,
      entries,
      fromKib: insideKib,
      toKib: outsideKib,
      measured,
      low: simulated.low,
      high: simulated.high,
      sameData,
    })),
  );
}

/**
 * One record per processor, loop and range of footprints: how many points it has, for how many the measured value lies within
 * the simulated range, and the lowest and highest residual, per cent.
 */
export function tableLatencyResiduals(study: LoadLatencyStudy): Records {
  return study.machines.flatMap(({ cpu, reachKib, curves }) =>
    curves.flatMap(({ order, points }) =>
      regionsOf(reachKib).map(({ region, isIn }) => {
        const residuals = points.filter(isIn).map(({ residual }) => 100 * residual);
        return {
          cpu,
          order,
          footprint: region,
          points: residuals.length,
          within: residuals.filter((residual) => residual === 0).length,
          lowestPercent: residuals.length === 0 ? 0 : Math.min(...residuals),
          highestPercent: residuals.length === 0 ? 0 : Math.max(...residuals),
        };
      }),
    ),
  );
}

function regionsOf({ dataTlb, stlb, l3 }: MachineLatency["reachKib"]) {
  const between = (low: number, high: number) => (point: LatencyPoint) =>
    point.footprintKib > low && point.footprintKib <= high;
  return [
    { region: "data TLB holds it", isIn: between(0, dataTlb) },
    { region: "second-level TLB holds it", isIn: between(dataTlb, stlb) },
    { region: "L3 holds it", isIn: between(stlb, l3) },
    { region: "beyond L3", isIn: between(l3, Number.POSITIVE_INFINITY) },
  ];
}

/** Panels with a logarithmic axis each way; the reach of the TLBs and of L3 as vertical lines. */
export function plotLoadLatency(study: LoadLatencyStudy): Figure {
  const { machines } = study;
  const plotHeight = machines.length * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP;
  const panels = machines.flatMap((machine, row) =>
    machine.curves.map((curve, column) => {
      const number = row * COLUMNS.length + column + 1;
      const top = 1 - (row * (PANEL_HEIGHT + PANEL_GAP)) / plotHeight;
      return {
        machine,
        curve,
        id: number === 1 ? "" : String(number),
        isFirst: number === 1,
        isLeft: column === 0,
        isLowest: row === machines.length - 1,
        x: COLUMNS[column],
        y: [top - PANEL_HEIGHT / plotHeight, top] as const,
      };
    }),
  );
  const axes = panels.map((panel) => axesOf(panel));
  return {
    data: panels.flatMap((panel) => traces(panel)),
    layout: figureLayout({
      title: "SIMULATED against measured: load latency over footprint",
      provenance: study.provenance,
      machine:
        `${machines.map(({ model }) => model).join("; ")}. Native, pages of 4K. Page by page: one line of each page in turn; at random: over ` +
        "all lines. Ranges are the profiles' latencies, read from the same dumps. No overlap, no prefetching, replacement assumed",
      plotHeight,
      left: 64,
      right: 24,
      notes: panels.flatMap((panel) => [heading(panel), ...reachNotes(panel)]),
      rest: { ...Object.assign({}, ...axes), shapes: panels.flatMap((panel) => reachLines(panel)) },
    }),
  };
}

interface Panel {
  readonly machine: MachineLatency;
  readonly curve: LatencyCurve;
  /** What plotly adds to the names of the panel's axes. */
  readonly id: string;
  readonly isFirst: boolean;
  readonly isLeft: boolean;
  readonly isLowest: boolean;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

function axesOf({ machine, id, isLeft, isLowest, x, y }: Panel): Readonly<Record<string, unknown>> {
  const footprints = machine.curves.flatMap(({ points }) => points.map(({ footprintKib }) => footprintKib));
  return {
    [`xaxis${id}`]: {
      ...footprintAxis(isLowest ? "footprint, bytes" : "", footprints),
      domain: x,
      anchor: `y${id}`,
    },
    [`yaxis${id}`]: {
      title: { text: isLeft ? "core cycles per load" : "", standoff: 8, font: FONT },
      type: "log",
      range: [Math.log10(3), Math.log10(500)],
      tickvals: CYCLE_TICKS,
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
    line: { color: SIMULATED_RANGE.line, width: 1.2 },
    ...(name === "high" ? { fill: "tonexty", fillcolor: SIMULATED_RANGE.fill } : {}),
    hovertemplate: `%{x} KiB<br>simulated, ${name}: %{y:.1f} cycles<extra></extra>`,
  });
  const { color, symbol } = MEASURED;
  return [
    end("low"),
    end("high"),
    {
      ...common,
      mode: "markers+lines",
      name: "measured",
      showlegend: isFirst,
      y: curve.points.map(({ measured }) => measured),
      line: { color, width: 1 },
      marker: { color, symbol, size: 4.5 },
      hovertemplate: "%{x} KiB<br>measured: %{y} cycles<extra></extra>",
    },
  ];
}

function heading({ machine, curve, x, y }: Panel): Readonly<Record<string, unknown>> {
  return {
    text: `<b>${plotlyText(machine.cpu)}</b>, ${LOOP_TEXTS[curve.order]}`,
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

function reachOf({ machine: { reachKib } }: Panel) {
  return [
    { kib: reachKib.dataTlb, text: "data TLB" },
    { kib: reachKib.stlb, text: "STLB" },
    { kib: reachKib.l3, text: "L3" },
  ];
}

function reachLines(panel: Panel): Readonly<Record<string, unknown>>[] {
  return reachOf(panel).map(({ kib }) => ({
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

function reachNotes(panel: Panel): Readonly<Record<string, unknown>>[] {
  return reachOf(panel).map(({ kib, text }) => ({
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
