/** Whether it matters at all: the designs' differences at three rates of kicks, as cycles per second and as shares of a core. */
import { loadCpu } from "../../cost/cpu-profile.js";
import type { Interval } from "../../study/result.js";
import { KICK_RATES, type RateCell, type RateRow, type Rates, type Reach } from "../../study/thread/rates.js";
import { Figure, linesAxis, plotlyText } from "../figure.js";
import { range, signed, smallCycles } from "../format.js";
import { mail } from "../mail.js";
import type { Records } from "../records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import { CHARACTER_WIDTH, DIVERGING, FONT, LABEL_TICKS } from "../theme.js";

const ROW_HEIGHT = 40;

const pairName = ({ a, b }: RateRow) => `${a} - ${b}`;
/** 10k, 100k, 1M. */
const rateText = (rate: number) => (rate < 1e6 ? `${rate / 1e3}k` : `${rate / 1e6}M`);
const percentOf = (share: number) => {
  const percent = 100 * share;
  const digits = Math.abs(percent) < 9.995 ? 2 : Math.abs(percent) < 99.95 ? 1 : 0;
  return (Math.round(percent * 10 ** digits) / 10 ** digits + 0).toFixed(digits);
};
const signedPercent = (share: number) => signed(percentOf(share));

/** One record per pair and rate: TSC cycles per second, shares of a core, A less B, and whether one core can do it. */
export function tableRates({ rows }: Rates): Records {
  return rows.flatMap((row) =>
    row.cells.map(({ rate, cyclesPerSecond, difference, share, reach, baseReach }) => ({
      pair: pairName(row),
      cpu: row.cpu,
      kicksPerSecond: rate,
      low: cyclesPerSecond.low,
      cyclesPerSecond: cyclesPerSecond.value,
      high: cyclesPerSecond.high,
      coreLow: difference.low,
      core: difference.value,
      coreHigh: difference.high,
      allLow: share.low,
      all: share.value,
      allHigh: share.high,
      oneCoreA: reach,
      oneCoreB: baseReach,
    })),
  );
}

/** A table as a heat map: pairs down, rates across, shares of a core in the cells; blue where the first costs less. */
export function plotRates(rates: Rates): Figure {
  const { rows, provenance } = rates;
  const names = rows.map((row) => plotlyText(pairName(row)));
  const models = [...new Set(rows.map(({ cpu }) => loadCpu(cpu).model))];
  return new Figure({
    title: "SIMULATED: does it matter? Per cent of a core, by kicks per second",
    provenance,
    machine:
      `${models.join("; ")}. Kicks alone, all else usual; first of the two less the second, in brackets what the ranges of the costs allow. ` +
      "!: one core cannot do as many kicks with either design; ?: that hangs on the costs",
    plotHeight: ROW_HEIGHT * rows.length,
    left: 24 + Math.max(...rows.map((row) => pairName(row).length)) * CHARACTER_WIDTH,
    right: 24,
    rest: {
      xaxis: {
        title: { text: "kicks per second", standoff: 8, font: FONT },
        tickvals: KICK_RATES.map((_, column) => column),
        ticktext: KICK_RATES.map(rateText),
        showgrid: false,
        zeroline: false,
        ...LABEL_TICKS,
      },
      yaxis: { ...linesAxis(names), showgrid: false },
    },
    data: [
      {
        type: "heatmap",
        showscale: false,
        z: rows.map(({ cells }) => cells.map(({ difference }) => difference.value)),
        zmin: -1,
        zmax: 1,
        colorscale: DIVERGING,
        xgap: 2,
        ygap: 2,
        text: rows.map(({ cells }) => cells.map(cellText)),
        texttemplate: "%{text}",
        textfont: { ...FONT, size: 11 },
        hoverinfo: "text",
        hovertext: rows.map(({ cells }) => cells.map(hoverText)),
      },
    ],
    table: () => tableRates(rates),
  });
}

function cellText(cell: RateCell): string {
  return `${signedPercent(cell.difference.value)}% (${range(cell.difference, signedPercent)})${markOf(cell)}`;
}

function hoverText({ rate, cyclesPerSecond, share, reach, baseReach }: RateCell): string {
  return [
    `${rateText(rate)} kicks per second: ${million(cyclesPerSecond)} million cycles per second`,
    `all of it: ${range(share, percentOf)}% of a core`,
    `one core can do it: ${reach}; the other design: ${baseReach}`,
  ].join("<br>");
}

const million = (cycles: Interval) =>
  range({ low: cycles.low / 1e6, high: cycles.high / 1e6 }, (value) => signed(smallCycles(value)));

function markOf({ reach, baseReach }: RateCell): string {
  if (reach === "no" && baseReach === "no") return " !";
  return reach === "yes" && baseReach === "yes" ? "" : " ?";
}

const PAIR: TextColumn<RateRow> = { header: simulated("pair, A - B"), align: "left", text: pairName };
const atRate = (text: (cell: RateCell) => string, unit: string): readonly TextColumn<RateRow>[] => [
  PAIR,
  ...KICK_RATES.map((rate, index) => ({
    header: `${rateText(rate)}${unit}`,
    align: "right" as const,
    text: ({ cells }: RateRow) => text(cells[index]),
  })),
];

const REACH: Readonly<Record<Reach, string>> = { yes: "", "at some costs": "?", no: "!" };

/** The rates for a mail: what the difference is of a core, in million cycles per second, and what all of it is. */
export function ratesTable(rates: Rates): string {
  const { rows, provenance } = rates;
  return mail({
    provenance,
    parts: [
      ...ratesParts(rates),
      ...headed(
        "The same in million TSC cycles per second",
        textTables(
          atRate(({ cyclesPerSecond }) => million(cyclesPerSecond), "/s"),
          rows,
        ),
      ),
      ...headed(
        "All that A takes, per cent of a core",
        textTables(
          atRate(({ share, reach }) => `${range(share, percentOf)}${REACH[reach]}`, "/s"),
          rows,
        ),
      ),
      wrapText("What the guest does beside its kicks is not in it."),
    ],
  });
}

/** What the difference is of a core. */
export function ratesParts({ rows }: Rates): string[] {
  const clocks = [...new Set(rows.map(({ cpu, tscHz }) => `${cpu} ${tscHz / 1e6} MHz`))];
  return [
    ...headed(
      "Does it matter? What A takes more than B, per cent of a core, by kicks per second; kicks alone, all else usual",
      textTables(
        atRate((cell) => `${range(cell.difference, signedPercent)}${markOf(cell)}`, "/s"),
        // Without those that nobody would run: a base with a slot, or the patch without one.
        rows.filter(({ a, b }) => !`${a}${b}`.includes(",")),
      ),
    ),
    wrapText(`A range is what the ranges of the costs allow. Time-stamp counters: ${clocks.join(", ")}.`),
  ];
}
