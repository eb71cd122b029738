/**
 * The exits of a run as `perf kvm stat report` prints them, and the distribution of their times. The names of the columns are
 * perf's; that the first one says SIMULATED keeps the table from being read, by a person or a parser, as perf's own.
 */
import type { ExitsStudy, SimulatedExits } from "../study/exits.js";
import { cyclesAxis, Figure, plotlyText, scaleOf } from "./figure.js";
import { cycles, range, smallCycles } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";
import { FONT, GRID, LABEL_TICKS, LINES } from "./theme.js";

/**
 * One record per reason, in the order of perf's table. Times are from kvm_exit to kvm_entry, each cost at its value;
 * `averageLow` and `averageHigh` are what the ranges of the costs allow; `outside` is what an exit takes beside. Cycles are
 * those of the TSC. The error of one sample is 0, as perf prints it.
 */
export function tableExits(study: ExitsStudy): Records {
  return study.reasons.map((exits) => {
    const { reason, samples, cycles: of, us, relativeError, outside } = exits;
    return {
      reason,
      samples,
      samplesPercent: 100 * samplesShare(study, exits),
      timePercent: 100 * timeShare(study, exits),
      minUs: us.least,
      maxUs: us.greatest,
      averageUs: us.mean,
      errorPercent: 100 * (relativeError ?? 0),
      minCycles: of.least,
      maxCycles: of.greatest,
      averageCycles: of.mean,
      averageLowCycles: of.low,
      averageHighCycles: of.high,
      outsideCycles: outside.value,
      outsideLowCycles: outside.low,
      outsideHighCycles: outside.high,
    };
  });
}

/** One record per reason and distinct time, ascending: how many exits took just that, and which share of the reason's at most that. */
export function tableExitTimes({ reasons }: ExitsStudy): Records {
  return reasons.flatMap((exits) => stepsOf(exits).map((step) => ({ reason: exits.reason, ...step })));
}

function stepsOf({ distribution, samples }: SimulatedExits) {
  let atMost = 0;
  return distribution.map((equal) => {
    atMost += equal.samples;
    return { ...equal, shareAtMost: atMost / samples };
  });
}

const samplesShare = ({ samples }: ExitsStudy, exits: SimulatedExits) => exits.samples / samples;

function timeShare({ handled }: ExitsStudy, { samples, cycles: of }: SimulatedExits): number {
  return handled.value === 0 ? 0 : (samples * of.mean) / handled.value;
}

// The mail.

/** The exits of a run as a mail of at most 75 columns, in ASCII. */
export function exitTable(study: ExitsStudy): string {
  const { provenance, machine } = study;
  return mail({ provenance, head: [`Machine: ${machine}`], parts: exitTexts(study) });
}

/** Tables and paragraphs of `exitTable`, without what stands around them. */
export function exitTexts(study: ExitsStudy): string[] {
  const { reasons, samples, handled, conditions, warmUp } = study;
  if (samples === 0) return ["SIMULATED: no exit."];
  const total = `Total Samples:${samples}, Total events handled time:${hundredth(handled.value / conditions.tsc.value)} us.`;
  return [
    ...headed(
      "Time from kvm_exit to kvm_entry, without the CPU's transitions [us]",
      textTables(perfColumns(study), reasons),
    ),
    wrapText(total),
    ...headed("What the ranges of the costs make of an exit [TSC cycles]", textTables(RANGES, reasons)),
    wrapText(
      "Min, Max, Avg: each cost at its value. low..high: each cost anywhere in its range. outside: the transitions of the " +
        "processor with their mitigations, and KVM around the tracepoints, which perf does not see; so it is in no time of the " +
        "first table. What the guest does without an exit, such as TLB hits and page walks, is in neither.",
    ),
    wrapText(
      "+-%: perf's standard error of Avg. It says how much the exits differ, not how well their costs are known. " +
        `Time-stamp counter at ${cycles(conditions.tsc.value)} MHz (${conditions.tsc.tag}).` +
        (warmUp > 0 ? ` The run left ${warmUp} instructions out as warm-up; their exits are here.` : ""),
    ),
  ];
}

const hundredth = (value: number) => value.toFixed(2);

function perfColumns(study: ExitsStudy): TextColumn<SimulatedExits>[] {
  const figures = (header: string, text: TextColumn<SimulatedExits>["text"]) =>
    ({ header, align: "right", text }) as const;
  return [
    REASON,
    figures("Samples", ({ samples }) => String(samples)),
    figures("Samples%", (exits) => hundredth(100 * samplesShare(study, exits))),
    figures("Time%", (exits) => hundredth(100 * timeShare(study, exits))),
    figures("Min", ({ us }) => hundredth(us.least)),
    figures("Max", ({ us }) => hundredth(us.greatest)),
    figures("Avg", ({ us }) => hundredth(us.mean)),
    figures("+-%", ({ relativeError }) => hundredth(100 * (relativeError ?? 0))),
  ];
}

const REASON: TextColumn<SimulatedExits> = {
  header: simulated("VM-EXIT"),
  align: "left",
  text: ({ reason }) => reason,
};
const RANGES: readonly TextColumn<SimulatedExits>[] = [
  REASON,
  { header: "Avg", align: "right", text: ({ cycles: of }) => smallCycles(of.mean) },
  { header: "low..high", align: "right", text: ({ cycles: of }) => range(of, smallCycles) },
  { header: "outside", align: "right", text: ({ outside }) => smallCycles(outside.value) },
  { header: "low..high", align: "right", text: ({ outside }) => range(outside, smallCycles) },
];

// The figure.

const PLOT_HEIGHT = 330;
const MARKER_SIZE = 7;

/** The share of the exits of each reason that take at most so long. @throws Error when there is no exit */
export function plotExits(study: ExitsStudy): Figure {
  const { reasons, provenance, machine } = study;
  if (reasons.length === 0) throw new Error("no exit to show: the guest did nothing that exits");
  const least = Math.min(...reasons.map(({ cycles: of }) => of.least));
  const greatest = Math.max(...reasons.map(({ cycles: of }) => of.greatest));
  return new Figure({
    title: "SIMULATED: how long exits take, by reason",
    provenance,
    machine:
      `${machine}. Each cost at its value, from kvm_exit to kvm_entry: without the transitions of the processor, which perf does ` +
      "not see, and without what the guest does between exits",
    plotHeight: PLOT_HEIGHT,
    left: 72,
    right: 24,
    rest: {
      xaxis: { ...cyclesAxis("time of an exit, TSC cycles"), ...LABEL_TICKS, ...scaleOf(least, greatest) },
      yaxis: {
        // Room for the second line of a long legend.
        range: [0, 1.05],
        tickformat: ".0%",
        title: { text: "share of the reason's exits that take at most that", font: FONT },
        gridcolor: GRID,
        zeroline: false,
      },
    },
    data: reasons.map(lineOf),
    table: () => tableExitTimes(study),
  });
}

function lineOf(exits: SimulatedExits, index: number): Figure["data"][number] {
  const steps = stepsOf(exits);
  // More than the reasons that one kind of paging has.
  const { color, symbol, dash } = LINES[index % LINES.length];
  const name = plotlyText(exits.reason);
  // The line comes up from zero: one time alone would have no line.
  const points = [{ ...steps[0], y: 0 }, ...steps.map((step) => ({ ...step, y: step.shareAtMost }))];
  return {
    type: "scatter",
    mode: "lines+markers",
    name,
    showlegend: true,
    x: points.map((point) => point.cycles),
    y: points.map(({ y }) => y),
    line: { color, dash, width: 2, shape: "hv" },
    marker: {
      color,
      symbol,
      size: points.map(({ y }) => (y === 0 ? 0 : MARKER_SIZE)),
      // Marks that differ in size would be taken for bubbles and drawn paler.
      opacity: 1,
      line: { width: 1.4, color },
    },
    cliponaxis: false,
    customdata: points.map(({ us, samples, shareAtMost }) => [
      us.toFixed(3),
      samples,
      `${(100 * shareAtMost).toFixed(2)}%`,
    ]),
    hovertemplate:
      `${name}: %{customdata[2]} of ${exits.samples} take at most<br>%{x:.1f} TSC cycles (%{customdata[0]} us)` +
      "<br>%{customdata[1]} take just that<extra></extra>",
  };
}
