/**
 * What the fast MMIO bus did to the measured machine: port I/O against fast MMIO, for each CPU profile the machine may have had and for
 * each case of what the exit handler leaves of the guest's cached paging structures.
 */
import type { FastMmioPrediction, Interval, PciTestdevStudy } from "../study/result.js";
import { cyclesAxis, Figure, linesAxis, plotlyText } from "./figure.js";
import type { Records } from "./records.js";
import { CHARACTER_WIDTH, INK, SERIES, type Series } from "./theme.js";

const LINE_HEIGHT = 24;
/** How far the two points of a line are moved apart, in lines, so that their ranges do not cover each other. */
const DODGE = 0.16;

/** One record per CPU and eviction case; cycles per access, references per kick. */
export function tableFastMmio(study: PciTestdevStudy): Records {
  return study.predictions.map((prediction) => ({
    cpu: prediction.cpu,
    model: prediction.model,
    exitEvicts: prediction.exitEvicts,
    references: prediction.references,
    ...columnsOfInterval("portIo", prediction.portIo),
    ...columnsOfInterval("fastMmio", prediction.fastMmio),
    ...columnsOfInterval("difference", prediction.difference),
    ...columnsOfInterval("walk", prediction.walk),
  }));
}

function columnsOfInterval(name: string, { low, value, high }: Interval): Records[number] {
  return { [`${name}Low`]: low, [name]: value, [`${name}High`]: high };
}

/** The predictions of each CPU, in the order in which the CPUs first occur. */
export function byCpu(study: PciTestdevStudy): Map<string, FastMmioPrediction[]> {
  const groups = new Map<string, FastMmioPrediction[]>();
  for (const prediction of study.predictions) {
    groups.set(prediction.cpu, [...(groups.get(prediction.cpu) ?? []), prediction]);
  }
  return groups;
}

/**
 * Points with ranges, one line per CPU and eviction case: on the left port I/O and fast MMIO, on the right their difference
 * and the part of fast MMIO that is the page walk. Both in cycles per access.
 */
export function plotFastMmio(study: PciTestdevStudy): Figure {
  const lines = linesOf(study);
  const placed = lines.flatMap((line, y) => (line.prediction === null ? [] : [{ ...line.prediction, y }]));
  const longest = Math.max(...lines.map(({ label }) => label.length));
  return new Figure({
    title: "SIMULATED: port I/O against fast MMIO, by CPU and by what an exit evicts",
    provenance: study.provenance,
    machine:
      `${study.provenance.machine}; shown for ${byCpu(study).size} that it can have had. Bars are ranges; where in its ` +
      "range a mark stands follows from assumptions, not from the rows",
    plotHeight: LINE_HEIGHT * lines.length,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24,
    rest: {
      xaxis: { ...cyclesAxis("Port I/O and fast MMIO<br>TSC cycles per access"), domain: [0, 0.48] },
      xaxis2: {
        ...cyclesAxis("Difference and page walk<br>TSC cycles per access"),
        domain: [0.54, 1],
        rangemode: "tozero",
        zeroline: true,
        zerolinecolor: INK,
      },
      yaxis: linesAxis(lines.map(({ text }) => text)),
    },
    data: [
      points("port I/O", "x", SERIES.portIo, placed, -DODGE, ({ portIo }) => portIo),
      points("fast MMIO", "x", SERIES.fastMmio, placed, DODGE, ({ fastMmio }) => fastMmio),
      points("fast MMIO - port I/O", "x2", SERIES.difference, placed, -DODGE, ({ difference }) => difference),
      points("page walk in fast MMIO", "x2", SERIES.walk, placed, DODGE, ({ walk }) => walk),
    ],
    table: () => tableFastMmio(study),
  });
}

interface Line {
  /** Plain text, which tells how much room the line needs. */
  readonly label: string;
  readonly text: string;
  readonly prediction: FastMmioPrediction | null;
}

/** The lines from top to bottom: a CPU's name, then its eviction cases. */
function linesOf(study: PciTestdevStudy): Line[] {
  return [...byCpu(study)].flatMap(([cpu, predictions]) => [
    { label: `${cpu} `, text: `<b>${plotlyText(cpu)}</b>`, prediction: null },
    ...predictions.map((prediction) => {
      const label = `evicts ${prediction.exitEvicts}`;
      return { label, text: plotlyText(label), prediction };
    }),
  ]);
}

type Placed = FastMmioPrediction & { readonly y: number };

function points(
  name: string,
  xaxis: string,
  { color, symbol }: Series,
  placed: readonly Placed[],
  dodge: number,
  intervalOf: (prediction: FastMmioPrediction) => Interval,
): Figure["data"][number] {
  const intervals = placed.map(intervalOf);
  return {
    type: "scatter",
    mode: "markers",
    name,
    xaxis,
    yaxis: "y",
    x: intervals.map(({ value }) => value),
    y: placed.map(({ y }) => y + dodge),
    error_x: {
      type: "data",
      symmetric: false,
      array: intervals.map(({ value, high }) => high - value),
      arrayminus: intervals.map(({ value, low }) => value - low),
      color,
      thickness: 1.6,
      width: 3,
    },
    marker: { color, symbol, size: 8, line: { width: 1.4, color } },
    customdata: placed.map((prediction) => {
      const { low, high } = intervalOf(prediction);
      return [
        plotlyText(prediction.cpu),
        plotlyText(prediction.exitEvicts),
        low,
        high,
        prediction.references,
      ];
    }),
    hovertemplate:
      `${name}: %{x:.0f} cycles (%{customdata[2]:.0f}..%{customdata[3]:.0f})<br>%{customdata[0]}, exit evicts ` +
      "%{customdata[1]}<br>%{customdata[4]:.1f} references per kick<extra></extra>",
  };
}
