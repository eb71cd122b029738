/** The verdict on the designs of the thread: counts, then cycles, against the design of the same kernel without a patch. */
import { INCIDENT_KINDS, type IncidentKind } from "../../study/run/semantics.js";
import { INCIDENT_MIX } from "../../study/thread/measured-design.js";
import type { ThreadStudy } from "../../study/thread/thread.js";
import type { VerdictRow } from "../../study/thread/verdict.js";
import { Figure, linesAxis, plotlyText } from "../figure.js";
import { cycles, range, signed, smallCycles } from "../format.js";
import type { Records } from "../records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import { CHARACTER_WIDTH, GRID, INK, SIMULATED_RANGE } from "../theme.js";

const ROW_HEIGHT = 34;
const UNIT = "TSC cycles per kick";

/**
 * One record per design, and per state of its page where that makes a difference. Counts and TSC cycles are per kick, the taxes per
 * ordinary fault and per write that no eventfd takes; a base takes 0 more than itself.
 */
export function tableVerdict({ verdict }: Pick<ThreadStudy, "verdict">): Records {
  return verdict.map((row) => ({
    design: row.design,
    page: row.page ?? "",
    what: row.title,
    base: row.base,
    cpu: row.cpu,
    references: row.references,
    exits: row.exits,
    userspaceExits: row.userspaceExits,
    busLookups: row.busLookups,
    low: row.cycles.low,
    value: row.cycles.value,
    high: row.cycles.high,
    assumedShare: row.assumedShare,
    differenceLow: row.difference?.low ?? 0,
    difference: row.difference?.value ?? 0,
    differenceHigh: row.difference?.high ?? 0,
    rangesWon: row.rangesWon ?? 0,
    faultTaxLow: row.faultTax.low,
    faultTax: row.faultTax.value,
    faultTaxHigh: row.faultTax.high,
    missTaxLow: row.missTax.low,
    missTax: row.missTax.value,
    missTaxHigh: row.missTax.high,
    incidents: incidentsText(row.incidents),
    incidentsOfBase: incidentsText(row.incidentsOfBase),
    breakEven: breakEvenText(row),
  }));
}

/** The tables of a mail, most important first: counts, incidents, cycles; the base first. */
export function verdictParts({ verdict }: Pick<ThreadStudy, "verdict">): string[] {
  const kinds = INCIDENT_KINDS.filter((kind) =>
    verdict.some(({ incidents, incidentsOfBase }) => incidents[kind] ?? incidentsOfBase[kind]),
  );
  const { readShare, faultsPerKick } = INCIDENT_MIX;
  const designs = verdict.filter(({ design }, index) => verdict[index - 1]?.design !== design);
  return [
    ...headed(
      "Counts per kick, 4-Kbyte pages, others mapped beside the doorbells:",
      textTables([ROW, ...COUNTS], verdict),
    ),
    wrapText(
      "read: the guest has read the read-only page, which is mapped then; unread: it never has, so there is no entry for it, for ever.",
    ),
    ...headed(
      `Incidents per 1000 accesses to doorbells, about ${100 * readShare}% of them reads, with ${faultsPerKick} ordinary fault ` +
        "each, at unread pages; in brackets those of the base:",
      textTables([DESIGN, ...kinds.map(incidentColumn)], designs),
    ),
    ...headed(
      `${UNIT}: value and range; difference to the base and its range:`,
      textTables([ROW, ...CYCLES], verdict),
    ),
    wrapText(
      `A range is what the ranges of the costs allow. Of the cycles ${sharesText(verdict)} are of costs that are assumed. won: share of ` +
        "cost vectors spread evenly over the ranges in which it takes less than its base; that is no probability, it moves with the " +
        "ends that were chosen. assumed: the difference is one cost, and its sign was assumed.",
    ),
    wrapText(taxText(designs, "An ordinary fault", ({ faultTax }) => faultTax)),
    wrapText(
      taxText(designs, "A write to the doorbell's page that no eventfd takes", ({ missTax }) => missTax),
    ),
    [
      "Break-even, the other costs at their values:",
      ...verdict
        .filter(({ difference }) => difference !== null)
        .map((row) => wrapText(`${rowName(row)}: ${breakEvenText(row)}`)),
    ].join("\n"),
  ];
}

const PAGES = { "never touched": "unread", populated: "read" } as const;

/** Such as "bad-page, unread". */
function rowName({ design, page }: VerdictRow): string {
  return page === null ? design : `${design}, ${PAGES[page]}`;
}

const ROW: TextColumn<VerdictRow> = { header: simulated("design"), align: "left", text: rowName };

const DESIGN: TextColumn<VerdictRow> = {
  header: simulated("design"),
  align: "left",
  text: ({ design }) => design,
};

const right = (header: string, text: (row: VerdictRow) => string): TextColumn<VerdictRow> => ({
  header,
  align: "right",
  text,
});

const count = (value: number) => String(Number(value.toFixed(2)));

const COUNTS = [
  right("walk refs", ({ references }) => count(references)),
  right("exits", ({ exits }) => count(exits)),
  right("to userspace", ({ userspaceExits }) => count(userspaceExits)),
  right("bus lookups", ({ busLookups }) => count(busLookups)),
];

const CYCLES = [
  right("cycles", ({ cycles: of }) => cycles(of.value)),
  right("range", ({ cycles: of }) => range(of, cycles)),
  right("less base", ({ difference }) => (difference === null ? "base" : signed(cycles(difference.value)))),
  right("range", ({ difference }) => (difference === null ? "" : range(difference, cycles))),
  right("won", wonText),
];

function wonText({ rangesWon, by, difference }: VerdictRow): string {
  if (rangesWon === null || difference === null) return "";
  if (isNothing(difference)) return "same";
  if (by !== null) return "assumed";
  if (rangesWon > 0 && rangesWon < 0.01) return "<1%";
  if (rangesWon === 0 || rangesWon === 1) {
    // Draws miss the corners of the ranges.
    const isCertain = difference.low > 0 || difference.high < 0;
    return isCertain ? (rangesWon === 0 ? "never" : "always") : rangesWon === 0 ? "<1%" : ">99%";
  }
  return `${Math.round(100 * rangesWon)}%`;
}

const isNothing = ({ low, high }: { readonly low: number; readonly high: number }) =>
  Math.abs(low) < 1e-6 && Math.abs(high) < 1e-6;

/** Such as "99% to 100%". */
function sharesText(verdict: readonly VerdictRow[]): string {
  const shares = verdict.map(({ assumedShare }) => Math.floor(100 * assumedShare));
  const [least, most] = [Math.min(...shares), Math.max(...shares)];
  return least === most ? `${least}%` : `${least}% to ${most}%`;
}

/** What something takes more under the designs than under their bases. */
function taxText(
  verdict: readonly VerdictRow[],
  what: string,
  taxOf: (row: VerdictRow) => VerdictRow["faultTax"],
): string {
  const taxed = verdict
    .filter((row) => row.difference !== null && !isNothing(taxOf(row)))
    .map((row) => {
      const tax = taxOf(row);
      return `${signed(smallCycles(tax.value))} (${range(tax, smallCycles)}) under ${row.design}`;
    });
  return taxed.length === 0
    ? `${what}: as under the base, whatever the design.`
    : `${what}, against the base: ${taxed.join(", ")} cycles; the same under the others.`;
}

const incidentColumn = (kind: IncidentKind) =>
  right(kind.replace("-", " "), ({ incidents, incidentsOfBase }) => {
    const [own, base] = [incidents[kind] ?? 0, incidentsOfBase[kind] ?? 0];
    return own === 0 && base === 0 ? "0" : `${count(own)} (${count(base)})`;
  });

/** Such as "spurious-signal 98, lost-load 98", per thousand accesses to doorbells. */
function incidentsText(incidents: VerdictRow["incidents"]): string {
  const texts = INCIDENT_KINDS.flatMap((kind) =>
    incidents[kind] === undefined ? [] : [`${kind} ${count(incidents[kind])}`],
  );
  return texts.length === 0 ? "none" : texts.join(", ");
}

function breakEvenText({ design, base, difference, deciding, by }: VerdictRow): string {
  if (difference === null) return "it is the base";
  if (isNothing(difference)) return "both take the same whatever the costs are";
  if (deciding !== null) {
    const { cost, at, assumed, below } = deciding;
    return `${below} costs less below ${cycles(at)} cycles of ${cost}, assumed ${range(assumed, cycles)}`;
  }
  const winner = difference.value < 0 ? design : base;
  if (by !== null) return `${winner} costs less, as ${by} is assumed to be above 0`;
  const always = difference.low > 0 || difference.high < 0;
  return `${winner} costs less whatever any one cost is in its range${always ? ", and whatever all are" : ""}`;
}

/** What each design takes more per kick than its base, or less, with the range that its costs allow. */
export function plotVerdict(study: Pick<ThreadStudy, "verdict" | "provenance" | "machine">): Figure {
  const rows = study.verdict.flatMap((row) =>
    row.difference === null ? [] : [{ ...row, difference: row.difference }],
  );
  const names = rows.map((row) => `${rowName(row)} - ${row.base}`);
  const words = rows.map(
    ({ difference }) => `${signed(cycles(difference.value))} (${range(difference, cycles)})`,
  );
  const longest = (texts: readonly string[]) => Math.max(...texts.map(({ length }) => length));
  const ends = rows.flatMap(({ difference }) => [difference.low, difference.high]);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const margin = 0.04 * (high - low || 1);
  return new Figure({
    title: "SIMULATED: what a kick takes more than under the design without a patch",
    provenance: study.provenance,
    machine: `${study.machine}. Each cost at its value; the bar is what the ranges of the costs allow, the same costs on both sides`,
    plotHeight: ROW_HEIGHT * rows.length,
    left: 24 + longest(names) * CHARACTER_WIDTH,
    right: 24 + longest(words) * CHARACTER_WIDTH,
    rest: {
      xaxis: {
        range: [low - margin, high + margin],
        title: { text: `difference, ${UNIT}`, standoff: 8 },
        gridcolor: GRID,
        zerolinecolor: INK,
        zerolinewidth: 1.6,
        tickformat: "d",
      },
      yaxis: linesAxis(names),
    },
    data: [
      {
        type: "scatter",
        mode: "markers",
        name: "difference",
        showlegend: false,
        x: rows.map(({ difference }) => difference.value),
        y: rows.map((_, row) => row),
        error_x: {
          type: "data",
          symmetric: false,
          array: rows.map(({ difference }) => difference.high - difference.value),
          arrayminus: rows.map(({ difference }) => difference.value - difference.low),
          color: SIMULATED_RANGE.line,
          thickness: 3,
          width: 6,
        },
        marker: { symbol: "square", size: 9, color: INK },
        customdata: rows.map(({ title }, row) => [plotlyText(title), words[row]]),
        hovertemplate: "%{customdata[0]}<br>%{customdata[1]} cycles<extra></extra>",
      },
      {
        type: "scatter",
        mode: "text",
        showlegend: false,
        x: rows.map(() => high + margin),
        y: rows.map((_, row) => row),
        text: words.map((text) => `  ${text}`),
        textposition: "middle right",
        textfont: { size: 11 },
        cliponaxis: false,
        hoverinfo: "skip",
      },
    ],
    table: () => tableVerdict(study),
  });
}
