/**
 * The TLB argument: first of all what the walk saved may be worth at most, then what a kick reads and takes in each state of
 * page, paging and caches, under each assumption of the processor.
 */
import { InputError, notAllowed } from "../../cost/input.js";
import type { Interval } from "../../study/result.js";
import {
  type KickState,
  NEIGHBOURHOODS,
  type Neighbourhood,
  PAGE_STATES,
} from "../../study/thread/kicks-beside.js";
import { WALK_STATES, type WalkState } from "../../study/thread/setting.js";
import {
  type KickFigures,
  TLB_ASSUMPTION_NAMES,
  type TlbArgument,
  type TlbBreakEven,
  type TlbCase,
} from "../../study/thread/tlb-argument.js";
import { Figure, linesAxis, plotlyText } from "../figure.js";
import { cycles, hull, range, signed, smallCycles } from "../format.js";
import { mail } from "../mail.js";
import type { Records } from "../records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import { barMarker, CHARACTER_WIDTH, ENTRY_FILLS, FONT, GRID, INK, LINES } from "../theme.js";

/** One record per case: references and TSC cycles per kick; differences are RFC less base, neighbours included. */
export function tableTlbArgument({ cases }: TlbArgument): Records {
  return cases.map((one) => ({
    assumption: one.assumption,
    page: one.page,
    guestPages: one.guestPages,
    ept: one.ept,
    walkState: one.walkState,
    neighbourhood: one.neighbourhood,
    ...kickRecord("pio", one.pio),
    ...kickRecord("base", one.base),
    ...kickRecord("rfc", one.rfc),
    neighboursMore: neighboursMore(one),
    differenceLow: one.difference.low,
    difference: one.difference.value,
    differenceHigh: one.difference.high,
    ...Object.fromEntries(Object.entries(one.terms).map(([term, { value }]) => [`${term}Difference`, value])),
  }));
}

/** One record per assumption and walk state: TSC cycles, and ordinary faults for each kick; "" where there is none. */
export function tableTlbBreakEven({ breakEvens }: TlbArgument): Records {
  return breakEvens.map((one) => ({
    assumption: one.assumption,
    walkState: one.walkState,
    page: one.best.page,
    guestPages: one.best.guestPages,
    ept: one.best.ept,
    neighbourhood: one.best.neighbourhood,
    savedLow: one.saved.low,
    saved: one.saved.value,
    savedHigh: one.saved.high,
    mostSaved: one.mostSaved,
    difference: one.best.difference.value,
    violationExtraAt: costAt(one, "eptViolationExtra"),
    vmreadAt: costAt(one, "vmread"),
    faultsAt: one.faults.at ?? "",
  }));
}

function kickRecord(design: string, figures: KickFigures): Readonly<Record<string, number>> {
  return {
    [`${design}Guest`]: figures.guestReferences,
    [`${design}Ept`]: figures.eptReferences,
    [`${design}Neighbours`]: figures.neighbourReferences,
    [`${design}Low`]: figures.cycles.low,
    [design]: figures.cycles.value,
    [`${design}High`]: figures.cycles.high,
  };
}

/** References that neighbours make more for each kick than beside the base. */
const neighboursMore = ({ base, rfc }: TlbCase) => rfc.neighbourReferences - base.neighbourReferences;

const references = ({ guestReferences, eptReferences }: KickFigures) => guestReferences + eptReferences;

function costAt({ costs }: TlbBreakEven, name: string): number | string {
  return costs.find(({ cost }) => cost === name)?.at ?? "";
}

// The figure.

/** What a column of panels shows. */
const COLUMN_TITLES: Readonly<Record<WalkState, string>> = {
  hot: "hot",
  footprint: "after the exit's handler",
  cold: "cold",
};

const LINE_HEIGHT = 24;
const GAP_HEIGHT = 66;
/** Gap between columns, a share of the width. */
const GAP = 0.045;
/** Half of the distance of two marks of one line. */
const APART = 0.17;

const MARKS: Readonly<
  Record<Neighbourhood, { readonly name: string; readonly style: (typeof LINES)[number] }>
> = {
  alone: { name: "RFC less base, alone", style: LINES[0] },
  "beside neighbours": { name: "beside neighbours", style: LINES[1] },
};

/** The sizes of pages that a figure shows. */
export interface TlbFigureOptions {
  readonly guestPages?: TlbCase["guestPages"];
  readonly ept?: TlbCase["ept"];
}

/**
 * For each walk state a panel with the references of a kick, and below it one with what the RFC takes more or less than the base,
 * over what costs may be. Of one size of guest pages and one of the EPT's: by default the first of the study.
 *
 * @throws InputError for a size that the study has not
 */
export function plotTlbArgument(study: TlbArgument, options: TlbFigureOptions = {}): Figure {
  const { guestPages = study.cases[0].guestPages, ept = study.cases[0].ept } = options;
  const cases = study.cases.filter((one) => one.guestPages === guestPages && one.ept === ept);
  if (cases.length === 0) {
    const sizes = new Set(study.cases.map((one) => `${one.guestPages} under ${one.ept}`));
    throw new InputError("sizes", notAllowed(`${guestPages} under ${ept}`), [...sizes].join(", "));
  }
  const lines = TLB_ASSUMPTION_NAMES.flatMap((assumption) =>
    PAGE_STATES.map((page) => ({ text: `rfc: ${assumption}, ${page}`, assumption, page })),
  );
  const texts = ["pio", "base-4.2", ...lines.map(({ text }) => text)];
  const height = LINE_HEIGHT * (texts.length + lines.length) + GAP_HEIGHT;
  const most = Math.max(...cases.flatMap(({ base, rfc }) => [references(base), references(rfc)]));
  const ends = cases.flatMap(({ difference: { low, high } }) => [low, high]);
  const width = (1 - GAP * (WALK_STATES.length - 1)) / WALK_STATES.length;
  const axes = WALK_STATES.map((_, column) => {
    const domain = [column * (width + GAP), column * (width + GAP) + width];
    const title = (text: string) => ({ title: { text, standoff: 6, font: { ...FONT, size: 11 } }, domain });
    return {
      [`xaxis${axisId(column)}`]: {
        ...title("references per kick"),
        range: [0, 1.08 * most],
        gridcolor: GRID,
        anchor: "y",
      },
      [`xaxis${column + 4}`]: {
        ...title("RFC less base, TSC cycles"),
        range: spread(Math.min(0, ...ends), Math.max(0, ...ends)),
        gridcolor: GRID,
        nticks: 6,
        zeroline: true,
        zerolinecolor: INK,
        anchor: "y2",
      },
    };
  });
  return new Figure({
    title: "SIMULATED: does a cached read-only page spare the RFC the walk?",
    provenance: study.provenance,
    machine:
      `${study.machine}. Guest's pages ${guestPages}, the host's ${ept}, MMIO SPTEs of 4K; ${study.neighbours} loads of ` +
      "neighbours for each kick, where there are some: what these take more is in the difference; marks: each cost at its value, " +
      "bars: what the costs' ranges allow the difference to be. bound: no processor can do that",
    plotHeight: height,
    left: 24 + Math.max(...texts.map(({ length }) => length)) * CHARACTER_WIDTH,
    right: 20,
    notes: WALK_STATES.map((state, column) => ({
      text: `<b>${COLUMN_TITLES[state]}</b>`,
      x: column * (width + GAP) + width / 2,
      xref: "paper",
      y: 1,
      yref: "paper",
      yanchor: "bottom",
      showarrow: false,
      font: FONT,
    })),
    rest: Object.assign(
      {
        barmode: "stack",
        yaxis: { ...linesAxis(texts), domain: [1 - (LINE_HEIGHT * texts.length) / height, 1] },
        yaxis2: {
          ...linesAxis(lines.map(({ text }) => text)),
          domain: [0, (LINE_HEIGHT * lines.length) / height],
        },
      },
      ...axes,
    ),
    data: WALK_STATES.flatMap((walkState, column) => {
      const find = (at: (typeof lines)[number], neighbourhood: Neighbourhood) =>
        caseOf(cases, { ...at, walkState, neighbourhood });
      const alone = lines.map((line) => find(line, "alone"));
      const kicks = [alone[0].pio, alone[0].base, ...alone.map(({ rfc }) => rfc)];
      return [
        bars(
          "guest",
          column,
          kicks.map(({ guestReferences }) => guestReferences),
        ),
        bars(
          "EPT",
          column,
          kicks.map(({ eptReferences }) => eptReferences),
        ),
        ...NEIGHBOURHOODS.map((neighbourhood, index) =>
          differences(
            neighbourhood,
            column,
            lines.map((line) => find(line, neighbourhood)),
            (2 * index - 1) * APART,
          ),
        ),
      ];
    }),
    table: () => tableTlbArgument(study),
  });
}

/** What plotly adds to the names of a panel's axes. */
const axisId = (index: number) => (index === 0 ? "" : String(index + 1));

function spread(low: number, high: number): [number, number] {
  const margin = 0.06 * (high - low);
  return [low - margin, high + margin];
}

function caseOf(cases: readonly TlbCase[], at: KickState & Pick<TlbCase, "assumption">): TlbCase {
  const found = cases.find(
    (one) =>
      one.assumption === at.assumption &&
      one.page === at.page &&
      one.walkState === at.walkState &&
      one.neighbourhood === at.neighbourhood,
  );
  if (found === undefined) throw new Error(`the study has no case ${Object.values(at).join(", ")}`);
  return found;
}

const FILLS = {
  guest: { color: ENTRY_FILLS.guest.color, shape: "" },
  EPT: { color: ENTRY_FILLS.EPT.color, shape: "/" },
} as const;

function bars(structure: keyof typeof FILLS, column: number, x: readonly number[]): Figure["data"][number] {
  return {
    type: "bar",
    orientation: "h",
    name: structure === "guest" ? "guest's entries" : "EPT's entries",
    showlegend: column === 0,
    xaxis: `x${axisId(column)}`,
    yaxis: "y",
    x,
    y: x.map((_, y) => y),
    marker: barMarker(FILLS[structure]),
    hovertemplate: `${structure}: %{x} references<extra></extra>`,
  };
}

function differences(
  neighbourhood: Neighbourhood,
  column: number,
  cases: readonly TlbCase[],
  shift: number,
): Figure["data"][number] {
  const { name, style } = MARKS[neighbourhood];
  const { color, symbol } = style;
  const all = cases.map(({ difference }) => difference);
  return {
    type: "scatter",
    mode: "markers",
    name,
    showlegend: column === 0,
    xaxis: `x${column + 4}`,
    yaxis: "y2",
    x: all.map(({ value }) => value),
    y: all.map((_, y) => y + shift),
    error_x: {
      type: "data",
      symmetric: false,
      array: all.map(({ value, high }) => high - value),
      arrayminus: all.map(({ value, low }) => value - low),
      color,
      thickness: 1.2,
      width: 3,
    },
    marker: { color, symbol, size: 7, line: { width: 1.2, color } },
    customdata: cases.map(({ assumption, page, difference }) => [
      plotlyText(`${assumption}, ${page}`),
      range(difference, signedCycles),
    ]),
    hovertemplate: `%{customdata[0]}: %{x:+.1f} TSC cycles, %{customdata[1]}<extra>${neighbourhood}</extra>`,
  };
}

const signedCycles = (value: number) => signed(cycles(value));
const signedSmall = (value: number) => signed(smallCycles(value));

// The mail.

const BREAK_EVENS: readonly TextColumn<TlbBreakEven>[] = [
  {
    header: simulated("processor"),
    align: "left",
    text: ({ assumption, walkState }) => `${assumption}, ${walkState}`,
  },
  {
    header: "best case",
    align: "left",
    text: ({ best: { page, guestPages, ept } }) =>
      `${page === "populated" ? "read" : "unread"}, ${guestPages}/${ept}`,
  },
  { header: "saved", align: "right", text: ({ saved }) => smallCycles(saved.value) },
  { header: "at most", align: "right", text: ({ mostSaved }) => smallCycles(mostSaved) },
  {
    header: "violation",
    align: "right",
    text: (one) => {
      const at = costAt(one, "eptViolationExtra");
      return typeof at === "number" ? signedSmall(at) : "-";
    },
  },
  { header: "faults", align: "right", text: ({ faults }) => faultsText(faults.at) },
];

function faultsText(at: number | null): string {
  return at === null || at < 0 ? "never" : at.toPrecision(2);
}

/** A line of a table: by walk state, what was found. */
interface StateRow<Of> {
  readonly who: string;
  readonly found: readonly Of[];
}

function stateColumns<Of>(text: (of: Of) => string): TextColumn<StateRow<Of>>[] {
  return [
    { header: simulated("kick, guest/EPT"), align: "left", text: ({ who }) => who },
    ...WALK_STATES.map((header, index): TextColumn<StateRow<Of>> => {
      return { header, align: "right", text: ({ found }) => text(found[index]) };
    }),
  ];
}

/** With a last column for the ranges of all states together. */
function intervalColumns<Of>(
  intervalOf: (of: Of) => Interval,
  value: (cycles: number) => string,
  end: (cycles: number) => string,
): TextColumn<StateRow<Of>>[] {
  return [
    ...stateColumns((of: Of) => value(intervalOf(of).value)),
    { header: "range", align: "right", text: ({ found }) => range(hull(found.map(intervalOf)), end) },
  ];
}

/** The cases of one neighbourhood, those of a row differing in the walk state only. */
function caseRows({ cases }: TlbArgument, neighbourhood: Neighbourhood): StateRow<TlbCase>[] {
  const first = cases.filter(
    (one) => one.neighbourhood === neighbourhood && one.walkState === WALK_STATES[0],
  );
  return first.map((one) => ({
    who: `${one.assumption}, ${one.page}, ${one.guestPages}/${one.ept}`,
    found: WALK_STATES.map((walkState) => {
      const sizes = cases.filter(({ guestPages, ept }) => guestPages === one.guestPages && ept === one.ept);
      return caseOf(sizes, { ...one, walkState });
    }),
  }));
}

/** What kicks take alone: by port, by the base for each size of pages, and by the RFC. */
function kickRows(study: TlbArgument): StateRow<KickFigures>[] {
  const rows = caseRows(study, "alone");
  const [{ found: first }] = rows;
  const sizes = rows.filter(({ found: [{ assumption, page }] }) => {
    return assumption === first[0].assumption && page === first[0].page;
  });
  return [
    { who: "pio", found: first.map(({ pio }) => pio) },
    ...sizes.map(({ found }) => ({
      who: `base-4.2, ${found[0].guestPages}/${found[0].ept}`,
      found: found.map(({ base }) => base),
    })),
    ...rows.map(({ who, found }) => ({ who, found: found.map(({ rfc }) => rfc) })),
  ];
}

/** References of the guest's entries and of the EPT's. */
function referencesText({ guestReferences, eptReferences }: KickFigures): string {
  return `${decimals(guestReferences)}+${decimals(eptReferences)}`;
}

const decimals = (value: number) => String(Math.round(100 * value) / 100);

/** The inequality that decides, before any result. */
export function breakEvenText({ breakEvens, tax, busSize }: TlbArgument): string {
  const [{ best }] = breakEvens;
  return (
    "Break-even first. The RFC wins if the walk that it saves is worth more than a violation takes more than a misconfiguration " +
    `(${range(best.terms.microcode, cycles)} cycles, nobody published it), plus one VMREAD (${range(best.terms.vmread, cycles)}), plus what ` +
    `neighbours miss, plus ${cycles(tax.cycles.value)} (${range(tax.cycles, cycles)}) for each ordinary fault per kick, which looks at a bus ` +
    `of ${busSize} ioeventfds.`
  );
}

/** What the walk saved may be worth at most, and under which assumptions, as parts of a mail. */
export function tlbBreakEvenParts({ breakEvens, assumptions }: TlbArgument): string[] {
  return [
    ...headed(
      "What the walk saved is worth in the best case for the RFC [TSC cycles per kick]",
      textTables(BREAK_EVENS, breakEvens),
    ),
    wrapText(
      "best case: of the page, and the guest's and the host's page size, the one that suits the RFC best. saved: each cost at its " +
        "value, less than 0 where the walk takes more; at most: in any case, with costs as they suit that. violation: how much more than a " +
        "misconfiguration it may take at which the RFC still breaks even. faults: ordinary faults per kick up to which it does; never: " +
        "not without any. What is saved where walks are cold is no translation: the walk of a page that was never touched ends at an " +
        "absent entry, a level before that to an MMIO SPTE would.",
    ),
    ...assumptions.map(({ name, words }) => wrapText(`${name}: ${words}.`)),
  ];
}

/** What each kick reads and takes, case by case, as parts of a mail. */
function casesParts(study: TlbArgument): string[] {
  const [kicks, alone] = [kickRows(study), caseRows(study, "alone")];
  const beside = caseRows(study, "beside neighbours");
  const differences = intervalColumns(({ difference }: TlbCase) => difference, signedSmall, signedCycles);
  return [
    ...headed(
      "References of a kick's walk, guest's entries + EPT's, alone",
      textTables(stateColumns(referencesText), kicks),
    ),
    wrapText(
      "cold: no translation and no table is left from the kick before. With nothing that serves a walk twice that were 24 references " +
        "by 4K/4K; but the tables that its first steps find lead the others on. A fraction: where both pages are large, one read " +
        "caches the translation of all doorbells, and the nested TLB that of one 4K page of them only.",
    ),
    ...headed(
      "A kick alone [TSC cycles]",
      textTables(
        intervalColumns(({ cycles: of }: KickFigures) => of, cycles, cycles),
        kicks,
      ),
    ),
    ...headed("RFC less base-4.2, alone [TSC cycles per kick]", textTables(differences, alone)),
    ...headed(
      `RFC less base-4.2, beside ${study.neighbours} loads of neighbours for each kick, with what these take more [TSC cycles per kick]`,
      textTables(differences, beside),
    ),
    ...headed(
      "References that the neighbours' walks make more for each kick than beside base-4.2",
      textTables(
        stateColumns((one: TlbCase) => signed(decimals(neighboursMore(one)))),
        beside,
      ),
    ),
  ];
}

/** The study in ASCII, at most 72 columns. */
export function tlbArgumentTable(study: TlbArgument): string {
  return mail({
    provenance: study.provenance,
    head: [`Machine: ${study.machine}`],
    parts: [wrapText(breakEvenText(study)), ...tlbBreakEvenParts(study), ...casesParts(study)],
  });
}
