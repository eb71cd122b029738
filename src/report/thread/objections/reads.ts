/** Reads of doorbells: signals that no kick explains over the share of reads, and what a read takes and ends as. */
import { fateOf, type ReadsCurve, type ReadsStudy } from "../../../study/thread/objections/reads.js";
import { Figure, linesAxis, plotlyText } from "../../figure.js";
import { cycles, range } from "../../format.js";
import type { Records } from "../../records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "../../text-table.js";
import { FONT, GRID, LABEL_TICKS, LINES, SERIES } from "../../theme.js";
import { rangeMarks } from "./range-marks.js";

const ROW_HEIGHT = 34;
const UNIT = "TSC cycles";

/** What a read ends as, with what draws it. */
const FATES = {
  signal: { name: "read: signals, loads nothing", series: SERIES.fastMmio },
  memory: { name: "read: loads from the slot", series: SERIES.walk },
  userspace: { name: "read: goes to userspace", series: { ...SERIES.difference, symbol: "square-open" } },
} as const;

/** One record per design, state of its page and share of reads; TSC cycles per kick and per read, "" where nothing is read. */
export function tableReads({ curves }: ReadsStudy): Records {
  return curves.flatMap(({ design, populated, points }) =>
    points.map(
      ({
        readShare,
        kicks,
        reads,
        unexplained,
        spuriousSignals,
        lostLoads,
        perKick: kick,
        perRead: read,
      }) => ({
        design,
        populated,
        readShare,
        kicks,
        reads,
        signalsPerKickBeyondOne: unexplained,
        spuriousSignals,
        lostLoads,
        kickLow: kick.cycles.low,
        kick: kick.cycles.value,
        kickHigh: kick.cycles.high,
        readExits: read?.exits ?? "",
        readUserspaceExits: read?.userspaceExits ?? "",
        readSignals: read?.signals ?? "",
        readLow: read?.cycles.low ?? "",
        read: read?.cycles.value ?? "",
        readHigh: read?.cycles.high ?? "",
      }),
    ),
  );
}

/** Curves that are one are drawn as one; beside them a line per design with what a kick and a read take. */
export function plotReads(study: ReadsStudy): Figure {
  const { curves, provenance, machine } = study;
  const groups = alike(curves);
  const labels = curves.map(({ label }) => label);
  return new Figure({
    title: "SIMULATED: signals that no kick explains, by the share of reads; and what a read takes",
    provenance,
    machine: `${machine}. Left: designs with the same signals share a line. Right: half of the accesses are reads; bars: what the ranges of the costs allow`,
    plotHeight: ROW_HEIGHT * curves.length,
    left: 64,
    right: 24,
    notes: groups.map(({ points, members }) => {
      const rises = points[points.length - 1].unexplained > 0.01;
      return {
        text: members.map(({ label }) => plotlyText(label)).join("<br>"),
        showarrow: false,
        align: rises ? "left" : "right",
        xref: "x",
        // Above a line that rises from the left, and below it.
        x: rises ? 0.02 : 0.5,
        xanchor: rises ? "left" : "right",
        yref: "y",
        y: rises ? 0.55 : 0.03,
        yanchor: "bottom",
        font: { ...FONT, size: 10.5 },
      };
    }),
    rest: {
      xaxis: {
        title: { text: "share of reads among accesses to doorbells", standoff: 8, font: FONT },
        domain: [0, 0.36],
        gridcolor: GRID,
        tickformat: ".0%",
        range: [0, 0.52],
        ...LABEL_TICKS,
      },
      yaxis: {
        title: { text: "signals beyond one per kick", font: FONT },
        gridcolor: GRID,
        zeroline: false,
        range: [-0.04, 1.1],
      },
      xaxis2: {
        title: { text: `${UNIT} per kick and per read`, standoff: 8, font: FONT },
        domain: [0.58, 1],
        type: "log",
        dtick: 1,
        gridcolor: GRID,
        anchor: "y2",
      },
      yaxis2: { ...linesAxis(labels.map(plotlyText)), anchor: "x2" },
    },
    data: [
      ...groups.map(({ members, points }, index) => ({
        type: "scatter",
        mode: "lines+markers",
        name: members.map(({ label }) => plotlyText(label)).join(", "),
        showlegend: false,
        x: points.map(({ readShare }) => readShare),
        y: points.map(({ unexplained }) => unexplained),
        line: { color: LINES[index].color, dash: LINES[index].dash, width: 1.8 },
        marker: { color: LINES[index].color, symbol: LINES[index].symbol, size: 7 },
        hovertemplate: "%{x:.0%} reads: %{y:.2f} signals beyond one per kick<extra></extra>",
      })),
      rangeMarks({
        name: "kick",
        ...SERIES.portIo,
        marks: curves.map(({ label, points }, at) => ({
          at: at - 0.16,
          of: label,
          range: points[points.length - 1].perKick.cycles,
        })),
        unit: UNIT,
        along: "x",
        axes: "2",
      }),
      ...(["signal", "memory", "userspace"] as const).map((fate) =>
        rangeMarks({
          name: FATES[fate].name,
          ...FATES[fate].series,
          marks: curves.flatMap((curve, at) => {
            const read = curve.points[curve.points.length - 1].perRead;
            return fateOf(curve) !== fate || read === null
              ? []
              : [{ at: at + 0.16, of: curve.label, range: read.cycles }];
          }),
          unit: UNIT,
          along: "x",
          axes: "2",
        }),
      ),
    ],
    table: () => tableReads(study),
  });
}

interface Alike {
  readonly members: readonly ReadsCurve[];
  readonly points: ReadsCurve["points"];
}

function alike(curves: readonly ReadsCurve[]): Alike[] {
  const groups = new Map<string, ReadsCurve[]>();
  for (const curve of curves) {
    const key = JSON.stringify(curve.points.map(({ unexplained }) => unexplained.toFixed(3)));
    groups.set(key, [...(groups.get(key) ?? []), curve]);
  }
  return [...groups.values()].map((members) => ({ members, points: members[0].points }));
}

const COLUMNS: readonly TextColumn<ReadsCurve>[] = [
  { header: simulated("design"), align: "left", text: ({ label }) => label },
  { header: "signals", align: "right", text: ({ signalled }) => signalled.toFixed(2) },
  { header: "userspace", align: "right", text: ({ userspace }) => userspace.toFixed(2) },
  { header: "memory", align: "right", text: ({ served }) => served.toFixed(2) },
  {
    header: "cycles",
    align: "right",
    text: ({ points }) => {
      const read = points[points.length - 1].perRead;
      return read === null ? "-" : range(read.cycles, cycles);
    },
  },
];

/** For a mail: what becomes of a read, as shares of the reads, and what it takes. */
export function readsParts({ curves, verdict }: ReadsStudy): string[] {
  return [
    ...headed(`A read of a doorbell: what becomes of it, and ${UNIT}`, textTables(COLUMNS, curves)),
    wrapText(verdict),
  ];
}
