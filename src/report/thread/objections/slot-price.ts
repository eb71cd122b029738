/** The price of a read-only slot behind the doorbells: what pages pay after it is made or deleted, and what a kick pays. */

import type { Interval } from "../../../study/result.js";
import { PAGE_KINDS, type SlotEvent } from "../../../study/thread/objections/slot-events.js";
import type { SlotKick, SlotPriceStudy } from "../../../study/thread/objections/slot-price.js";
import { Figure, linesAxis, plotlyText } from "../../figure.js";
import { cycles, range, smallCycles } from "../../format.js";
import type { Records } from "../../records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "../../text-table.js";
import { CHARACTER_WIDTH, FONT, GRID, INK, SERIES } from "../../theme.js";
import { rangeMarks } from "./range-marks.js";

const ROW_HEIGHT = 22;

const KINDS = {
  doorbell: "another doorbell",
  device: "a page of a device in userspace",
  ram: "a page of RAM in use",
} as const;

/**
 * One record per kernel, event and kind of page; per design; and per kernel, RAM in use and how often the slot is made again. TSC
 * cycles, of what `per` says.
 */
export function tableSlotPrice({ events, kicks, recreations }: SlotPriceStudy): Records {
  const record = (of: string, per: string, { low, value, high }: Interval) => ({ of, per, low, value, high });
  return [
    ...events.flatMap(({ kernel, event, ioctl, perPage }) => [
      record(`${event}, ${kernel}`, "ioctl", ioctl),
      ...PAGE_KINDS.map((kind) => record(`${event}, ${kernel}`, KINDS[kind], perPage[kind].cycles)),
    ]),
    ...kicks.map(({ design, cycles: of }) => record(`look-ups, ${design}`, "kick", of)),
    ...recreations.map(({ kernel, ramPages, perMillionKicks, perKick }) =>
      record(
        `made again ${perMillionKicks} per million kicks, ${kernel}, ${ramPages} RAM pages`,
        "kick",
        perKick,
      ),
    ),
  ];
}

interface Line {
  readonly label: string;
  readonly range: Interval;
}

/** The recreations that are drawn: this RAM in use, so often per million kicks. */
const RAM_PAGES = 4096;
const MOST_RECREATIONS = 100;

/** Above what pages pay, below what a kick pays. */
export function plotSlotPrice(study: SlotPriceStudy): Figure {
  const { events, provenance, machine } = study;
  // To delete and make it in a row costs pages what deleting does.
  const pages = events
    .filter(({ event }) => event !== "recreate")
    .flatMap(({ kernel, event, perPage }) =>
      PAGE_KINDS.map((kind) => ({
        label: `${event}, ${kernel}: ${KINDS[kind]}`,
        range: perPage[kind].cycles,
      })),
    );
  const kicks = kickLines(study);
  const longest = Math.max(...[...pages, ...kicks].map(({ label }) => label.length));
  const gap = 3;
  const rows = pages.length + gap + kicks.length;
  const axis = (text: string, anchor: string) => ({
    title: { text, standoff: 6, font: FONT },
    gridcolor: GRID,
    zeroline: true,
    zerolinecolor: INK,
    anchor,
  });
  const marks = (lines: readonly Line[]) =>
    lines.map(({ label, range: of }, at) => ({ at, of: label, range: of }));
  const lines = (of: readonly Line[]) => linesAxis(of.map(({ label }) => plotlyText(label)));
  return new Figure({
    title:
      "SIMULATED: what a slot behind the doorbells costs: the guest's pages when it comes and goes, and each kick",
    provenance,
    machine:
      `${machine}. Bars: what the ranges of the costs allow. A page is touched for the first time after the slot was made or ` +
      "deleted; what it takes more than before. The ioctl itself is userspace's time, and not shown",
    plotHeight: ROW_HEIGHT * rows,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24,
    rest: {
      xaxis: axis("TSC cycles more per page", "y"),
      yaxis: { ...lines(pages), domain: [1 - pages.length / rows, 1] },
      xaxis2: axis("TSC cycles per kick", "y2"),
      yaxis2: { ...lines(kicks), domain: [0, kicks.length / rows] },
    },
    data: [
      rangeMarks({
        name: "per page",
        ...SERIES.fastMmio,
        marks: marks(pages),
        unit: "TSC cycles",
        along: "x",
        axes: "",
      }),
      rangeMarks({
        name: "per kick",
        ...SERIES.portIo,
        marks: marks(kicks),
        unit: "TSC cycles",
        along: "x",
        axes: "2",
      }),
    ],
    table: () => tableSlotPrice(study),
  });
}

function kickLines({ kicks, recreations }: SlotPriceStudy): Line[] {
  return [
    ...kicks.map(({ design, cycles: of }) => ({ label: `look-ups, ${design}`, range: of })),
    ...recreations
      .filter(
        ({ ramPages, perMillionKicks }) => ramPages === RAM_PAGES && perMillionKicks <= MOST_RECREATIONS,
      )
      .map(({ kernel, perMillionKicks, perKick }) => ({
        label: `made again ${perMillionKicks} per 1M kicks, ${RAM_PAGES} pages, ${kernel}`,
        range: perKick,
      })),
  ];
}

const EVENTS: readonly TextColumn<SlotEvent>[] = [
  { header: simulated("slot"), align: "left", text: ({ event, kernel }) => `${event}, ${kernel}` },
  {
    header: "SRCU waits",
    align: "right",
    text: ({ ioctlCounts }) => String(ioctlCounts.synchronizeSrcu ?? 0),
  },
  { header: "zaps all", align: "right", text: ({ ioctlCounts }) => String(ioctlCounts.zapAllPages ?? 0) },
  ...PAGE_KINDS.map(
    (kind): TextColumn<SlotEvent> => ({
      header: `per ${kind}`,
      align: "right",
      text: ({ perPage }) => range(perPage[kind].cycles, cycles),
    }),
  ),
];

const KICKS: readonly TextColumn<SlotKick>[] = [
  { header: simulated("design"), align: "left", text: ({ design }) => design },
  { header: "slot look-ups", align: "right", text: ({ memslotLookups }) => String(memslotLookups) },
  { header: "fault path", align: "right", text: ({ faultPaths }) => String(faultPaths) },
  { header: "cycles per kick", align: "right", text: ({ cycles: of }) => range(of, smallCycles) },
  { header: "host bytes", align: "right", text: ({ hostBytes }) => String(hostBytes) },
];

/** For a mail: what making and deleting the slot costs, what kicks pay for it, and memory. */
export function slotPriceParts({ events, kicks, doorbells, wraps, verdict }: SlotPriceStudy): string[] {
  const wrapped = wraps.map(({ kernel, updates, of }) =>
    updates === null
      ? `on ${kernel} none of the first ${of}`
      : `on ${kernel} update ${updates} of a new machine`,
  );
  return [
    ...headed(
      "The slot comes and goes: TSC cycles more of the guest for each page that it touches after it",
      textTables(EVENTS, events),
    ),
    wrapText(
      "doorbell: of another device on the fast bus; device: a page that userspace emulates; ram: a page of RAM in use. An update " +
        `whose generation wraps around drops all tables, too: ${wrapped.join("; ")}.`,
    ),
    ...headed(`The slot is there: ${doorbells} doorbells, a page each`, textTables(KICKS, kicks)),
    wrapText(verdict),
  ];
}
