/** A write to a read-only slot, as each kernel and design handles it: what it takes, and what no longer happens. */
import {
  BYPASS_OPS,
  type BypassChange,
  type BypassRow,
  type BypassStudy,
  type Happening,
  type Population,
} from "../../../study/thread/objections/bypass.js";
import { Figure, linesAxis, plotlyText } from "../../figure.js";
import { cycles, range, signed } from "../../format.js";
import type { Records } from "../../records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "../../text-table.js";
import { CHARACTER_WIDTH, FONT, GRID, SERIES } from "../../theme.js";
import { rangeMarks } from "./range-marks.js";

const ROW_HEIGHT = 21;
const UNIT = "TSC cycles per write";

/** One record per design, instruction and ioeventfd: how often per write, and TSC cycles. */
export function tableBypass({ rows }: BypassStudy): Records {
  return rows.map(({ cycles: { low, value, high }, ...row }) => ({ ...row, low, value, high }));
}

/** One record per step or event that happens more or less often per write than without the patch. */
export function tableBypassed({ changes }: BypassStudy): Records {
  return changes.flatMap(({ design, base, baseEventfd, steps, events }) =>
    [
      ...steps.map((step) => ({ kind: "step", ...step })),
      ...events.map((event) => ({ kind: "event", ...event })),
    ].map(({ kind, name, base: before, design: now }) => ({
      design,
      base,
      baseEventfd,
      kind,
      name,
      before,
      now,
    })),
  );
}

/** A line per design and ioeventfd, with what a store becomes in words; ranges on a logarithmic axis. */
export function plotBypass(study: BypassStudy): Figure {
  const { rows, provenance, machine } = study;
  const stores = rows.filter(({ op }) => op === "store");
  const labels = stores.map(({ design, eventfd }) => `${design}, ioeventfd: ${eventfd}`);
  const longest = Math.max(...labels.map(({ length }) => length));
  const fates = stores.map(fateText);
  const fateLongest = Math.max(...fates.map(({ length }) => length));
  return new Figure({
    title: "SIMULATED: a write to a read-only slot, by design and the ioeventfd at its address",
    provenance,
    machine: `${machine}. A write of 2 bytes to one page. Bars: what the ranges of the costs allow. In words: what a store becomes`,
    plotHeight: ROW_HEIGHT * stores.length,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24 + fateLongest * CHARACTER_WIDTH,
    notes: fates.map((text, at) => ({
      text: plotlyText(text),
      showarrow: false,
      xref: "paper",
      x: 1,
      xanchor: "left",
      xshift: 8,
      yref: "y",
      y: at,
      font: { ...FONT, size: 11 },
    })),
    rest: {
      xaxis: {
        title: { text: UNIT, standoff: 8, font: FONT },
        type: "log",
        dtick: "D2",
        gridcolor: GRID,
      },
      yaxis: linesAxis(labels.map(plotlyText)),
    },
    data: BYPASS_OPS.map((op, index) =>
      rangeMarks({
        name: op,
        ...(index === 0 ? SERIES.portIo : SERIES.fastMmio),
        marks: rows
          .filter((row) => row.op === op)
          .map((row, at) => ({
            at: at + 0.34 * (index - 0.5),
            of: `${labels[at]}: ${fateText(row)}`,
            range: row.cycles,
          })),
        unit: UNIT,
        along: "x",
        axes: "",
      }),
    ),
    table: () => tableBypass(study),
  });
}

/** Such as "emulated, signals". */
function fateText({ emulations, userspaceExits, signals }: BypassRow): string {
  return [
    emulations > 0 ? "emulated" : "skipped",
    ...(signals > 0 ? ["signals"] : []),
    ...(userspaceExits > 0 ? ["to userspace"] : []),
  ].join(", ");
}

const WRITE: readonly TextColumn<BypassRow>[] = [
  {
    header: simulated("write"),
    align: "left",
    text: ({ design, op, eventfd }) => `${design}, ${op}, ${eventfd}`,
  },
  { header: "exits", align: "right", text: ({ exits }) => String(exits) },
  { header: "emul", align: "right", text: ({ emulations }) => String(emulations) },
  { header: "user", align: "right", text: ({ userspaceExits }) => String(userspaceExits) },
  { header: "sig", align: "right", text: ({ signals }) => String(signals) },
  { header: "cycles", align: "right", text: (row) => range(row.cycles, cycles) },
];

const POPULATION: readonly TextColumn<Population>[] = [
  { header: simulated("design"), align: "left", text: ({ design }) => design },
  { header: "reads", align: "right", text: ({ reads }) => String(reads) },
  { header: "exits", align: "right", text: ({ exits }) => String(exits) },
  { header: "host pages", align: "right", text: ({ hostPages }) => String(hostPages) },
  { header: "SPTEs", align: "right", text: ({ sptes }) => String(sptes) },
  { header: "signals", align: "right", text: ({ signals }) => String(signals) },
];

/** For a mail: writes without the value matched left out, what is saved and what is lost, and what becomes of the page. */
export function bypassParts({ rows, changes, population, verdict }: BypassStudy): string[] {
  const shown = rows.filter(({ eventfd }) => ["none", "any length", "2 bytes"].includes(eventfd));
  return [
    ...headed("A write of 2 bytes to a read-only slot [per write, TSC cycles]", textTables(WRITE, shown)),
    ...changes.filter(({ baseEventfd }) => baseEventfd === "2 bytes").map(changeText),
    ...headed("A page of the slot that is read at its ioeventfd", textTables(POPULATION, population)),
    wrapText(verdict),
  ];
}

function changeText({ design, base, baseEventfd, steps, events, difference }: BypassChange): string {
  const listed = (all: readonly Happening[], sign: 1 | -1) =>
    all
      .filter((of) => sign * (of.design - of.base) > 0)
      .map((of) => `${signed(String(of.design - of.base))} ${of.name}`)
      .join(", ") || "nothing";
  const all = [...steps, ...events].filter(({ name }) => !/WalkRef/.test(name));
  return wrapText(
    `${design} with an ioeventfd of any length against ${base} with one of ${baseEventfd}: ${range(difference, (value) => signed(cycles(value)))} cycles; ` +
      `less: ${listed(all, -1)}; more: ${listed(all, 1)}.`,
  );
}
