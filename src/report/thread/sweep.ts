/**
 * The sweep over what may surround a doorbell: how the differences of two designs are spread over the settings, where along an
 * axis one overtakes the other, and both as a mail that says it in conditions.
 */
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError } from "../../cost/input.js";
import type { Overtakes, PairInSetting, PairResult } from "../../study/thread/overtakes.js";
import type { Condition } from "../../study/thread/pair-on-line.js";
import type { Setting } from "../../study/thread/setting.js";
import type { NumericAxis } from "../../study/thread/sweep.js";
import { Figure, plotlyText } from "../figure.js";
import { range, signed, smallCycles } from "../format.js";
import { mail } from "../mail.js";
import type { Records } from "../records.js";
import { headed, listItem, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import { INK, LINES, SIMULATED_RANGE } from "../theme.js";
import { type Panel, panelsOf } from "./panels.js";

const UNIT = "TSC cycles per kick";
const signedCycles = (value: number) => signed(smallCycles(value));
const pairName = ({ a, b }: { readonly a: string; readonly b: string }) => `${a} - ${b}`;

/**
 * One record per pair and setting, in the order of the differences: TSC cycles per kick, A less B, as the costs and as the
 * seeds have it, the share of the ranges in which A costs less, counts per kick and incidents per thousand kicks.
 */
export function tableOvertakes({ pairs }: Overtakes): Records {
  return pairs.flatMap((pair) =>
    ranked(pair).map(({ setting, difference, seeds, rangesWon, counts, incidents }, rank) => ({
      pair: pairName(pair),
      rank: rank + 1,
      ...settingRecord(setting),
      low: difference.low,
      difference: difference.value,
      high: difference.high,
      leastSeed: seeds.low,
      greatestSeed: seeds.high,
      rangesWon,
      referencesA: counts.a.references,
      referencesB: counts.b.references,
      exitsA: counts.a.exits,
      exitsB: counts.b.exits,
      userspaceExitsA: counts.a.userspaceExits,
      userspaceExitsB: counts.b.userspaceExits,
      busLookupsA: counts.a.busLookups,
      busLookupsB: counts.b.busLookups,
      incidentsA: incidents.a,
      incidentsB: incidents.b,
    })),
  );
}

function ranked({ settings }: PairResult): PairInSetting[] {
  return [...settings].sort((one, other) => one.difference.value - other.difference.value);
}

function settingRecord(setting: Setting) {
  const { cpu, faultsPerKick, readShare, busSize, perPage, walkState, vcpus, waiter } = setting;
  return { cpu, faultsPerKick, readShare, busSize, perPage, walkState, vcpus, waiter };
}

/** A panel per pair: the difference in each setting, from the least to the greatest, with what the ranges of the costs allow. */
export function plotOvertakes(overtakes: Overtakes): Figure {
  const { pairs, provenance } = overtakes;
  const headings = pairs.map((pair) => {
    const { wins, canWin, settings } = pair;
    return `<b>${plotlyText(pairName(pair))}</b>: less in ${wins} of ${settings.length}, can be in ${canWin}`;
  });
  const { plotHeight, panels, notes, rest } = panelsOf(
    headings,
    { rangemode: "tozero", showticklabels: false },
    "settings, from the least difference to the greatest",
    "cycles per kick",
  );
  return new Figure({
    title: "SIMULATED: what a kick takes more, setting by setting",
    provenance,
    machine: `${sizeText(overtakes)}. ${UNIT}, reads and faults in them: below 0 where the first of the two costs less. Each panel has its own scale`,
    plotHeight,
    left: 70,
    right: 24,
    notes,
    rest: { ...rest, showlegend: true },
    data: pairs.flatMap((pair, index) => settingTraces(pair, panels[index], index === 0)),
    table: () => tableOvertakes(overtakes),
  });
}

function settingTraces(pair: PairResult, { xaxis, yaxis }: Panel, isFirst: boolean): Figure["data"] {
  const settings = ranked(pair);
  const places = settings.map((_, rank) => rank + 1);
  return [
    {
      type: "scatter",
      mode: "lines",
      name: "what the ranges of the costs allow",
      legendgroup: "ranges",
      showlegend: isFirst,
      xaxis,
      yaxis,
      x: places.flatMap((place) => [place, place, null]),
      y: settings.flatMap(({ difference: { low, high } }) => [low, high, null]),
      line: { color: SIMULATED_RANGE.fill, width: 3 },
      hoverinfo: "skip",
    },
    {
      type: "scatter",
      mode: "markers",
      name: "each cost at its value",
      legendgroup: "values",
      showlegend: isFirst,
      xaxis,
      yaxis,
      x: places,
      y: settings.map(({ difference }) => difference.value),
      marker: { color: INK, size: 3.5 },
      hoverinfo: "text",
      hovertext: settings.map(({ setting, difference, seeds }) =>
        [
          Object.entries(settingRecord(setting))
            .map(([axis, value]) => `${axis} ${value}`)
            .join(", "),
          `${signedCycles(difference.value)} (${range(difference, signedCycles)}), over seeds ${range(seeds, signedCycles)}`,
        ]
          .map(plotlyText)
          .join("<br>"),
      ),
    },
  ];
}

const AXIS_TITLES: Readonly<Record<NumericAxis, string>> = {
  faultsPerKick: "ordinary faults per kick",
  readShare: "reads per access to a doorbell",
  busSize: "ioeventfds on the bus",
  vcpus: "vCPUs",
};

function conditionsAlong({ pairs }: Overtakes, axis: NumericAxis): Condition[] {
  const all = pairs.flatMap(({ conditions }) => conditions);
  const along = all.filter((condition) => condition.axis === axis);
  if (along.length > 0) return along;
  const allowed = `one of ${[...new Set(all.map((condition) => condition.axis))].join(", ")}`;
  throw new InputError("axis", `${axis} has no line in this sweep`, allowed);
}

/**
 * One record per pair, state of the walk and value of the axis that was run: TSC cycles per kick, A less B.
 *
 * @throws InputError for an axis without a line
 */
export function tableConditions(overtakes: Overtakes, axis: NumericAxis): Records {
  return conditionsAlong(overtakes, axis).flatMap((condition) =>
    condition.points.map(({ at, difference, seeds }) => ({
      pair: pairName(condition),
      cpu: condition.cpu,
      walkState: condition.walkState,
      [axis]: at,
      low: difference.low,
      difference: difference.value,
      high: difference.high,
      leastSeed: seeds.low,
      greatestSeed: seeds.high,
    })),
  );
}

/**
 * A panel per pair: the difference along an axis, a line for each state of the walk, and rings where the two cost the same. The
 * axis is of square roots, so that small values have room.
 *
 * @throws InputError for an axis without a line
 */
export function plotConditions(overtakes: Overtakes, axis: NumericAxis = "faultsPerKick"): Figure {
  const conditions = conditionsAlong(overtakes, axis);
  const names = [...new Set(conditions.map(pairName))];
  const states = [...new Set(conditions.map(({ walkState }) => walkState))];
  const values = levelsOf(conditions);
  const { plotHeight, panels, notes, rest } = panelsOf(
    names.map((name) => `<b>${plotlyText(name)}</b>`),
    { tickvals: values.map(Math.sqrt), ticktext: values.map(String) },
    AXIS_TITLES[axis],
    "cycles per kick",
  );
  const models = [...new Set(conditions.map(({ cpu }) => loadCpu(cpu).model))];
  const drawn = new Set<string>();
  return new Figure({
    title: `SIMULATED: where one overtakes the other along ${AXIS_TITLES[axis]}`,
    provenance: overtakes.provenance,
    machine:
      `${models.join("; ")}; ${seedsText(overtakes)}. ${UNIT}, below 0 where the first of the two costs less. ` +
      "Band: what the ranges of the costs allow in the usual state of the walk. All else is usual; each panel has its own scale",
    plotHeight,
    left: 70,
    right: 24,
    notes,
    rest: { ...rest, showlegend: true },
    data: conditions.flatMap((condition) => {
      const state = states.indexOf(condition.walkState);
      const traces = conditionTraces(condition, panels[names.indexOf(pairName(condition))], state);
      // Each name of the legend once, with the first of its traces.
      return traces.map((trace) => {
        const name = String(trace.name);
        const showlegend = !drawn.has(name);
        drawn.add(name);
        return { ...trace, legendgroup: name, showlegend };
      });
    }),
    table: () => tableConditions(overtakes, axis),
  });
}

/** Values that all lines have: those of the sweep. */
function levelsOf(conditions: readonly Condition[]): number[] {
  const [first, ...others] = conditions.map(({ points }) => points.map(({ at }) => at));
  return first.filter((at) => others.every((values) => values.includes(at)));
}

const WALKS: Readonly<Record<Setting["walkState"], string>> = {
  hot: "hot walks",
  footprint: "walks as an exit leaves them",
  cold: "cold walks",
};

function conditionTraces(
  { points, overtakings, walkState }: Condition,
  { xaxis, yaxis }: Panel,
  state: number,
): Figure["data"] {
  const { color, symbol, dash } = LINES[state];
  const common = { type: "scatter", xaxis, yaxis };
  const x = points.map(({ at }) => Math.sqrt(at));
  const band = [
    {
      ...common,
      mode: "lines",
      name: "what the ranges of the costs allow",
      x: [...x, ...x.toReversed()],
      y: [
        ...points.map(({ difference }) => difference.high),
        ...points.map(({ difference }) => difference.low).toReversed(),
      ],
      fill: "toself",
      fillcolor: SIMULATED_RANGE.fill,
      line: { color: SIMULATED_RANGE.line, width: 0 },
      hoverinfo: "skip",
    },
  ];
  return [
    ...(walkState === "footprint" ? band : []),
    {
      ...common,
      mode: "lines+markers",
      name: WALKS[walkState],
      x,
      y: points.map(({ difference }) => difference.value),
      line: { color, dash, width: 1.6 },
      marker: { color, symbol, size: 4.5 },
      hoverinfo: "text",
      hovertext: points.map(({ at, difference, seeds }) =>
        plotlyText(
          `${at}: ${signedCycles(difference.value)} (${range(difference, signedCycles)}), over seeds ${range(seeds, signedCycles)}`,
        ),
      ),
    },
    ...(overtakings.length === 0
      ? []
      : [
          {
            ...common,
            mode: "markers",
            name: "both cost the same",
            x: overtakings.map(({ at }) => Math.sqrt(at)),
            y: overtakings.map(() => 0),
            marker: { color: "#ffffff", size: 10, symbol: "circle", line: { color: INK, width: 2 } },
            hoverinfo: "text",
            hovertext: overtakings.map(({ at, seeds }) =>
              plotlyText(
                `at ${at.toPrecision(3)}${seeds === null ? "" : `, over seeds ${range(seeds, (value) => value.toPrecision(3))}`}`,
              ),
            ),
          },
        ]),
  ];
}

// The mail.

const COLUMNS: readonly TextColumn<PairResult>[] = [
  { header: simulated("pair"), align: "left", text: pairName },
  { header: "settings", align: "right", text: ({ settings }) => String(settings.length) },
  { header: "less", align: "right", text: ({ wins }) => String(wins) },
  { header: "same", align: "right", text: ({ ties }) => String(ties) },
  { header: "can", align: "right", text: ({ canWin }) => String(canWin) },
  { header: "always", align: "right", text: ({ alwaysWins }) => String(alwaysWins) },
  { header: "wrong A/B", align: "right", text: wrongText },
];

/** In how many settings each side has incidents. */
function wrongText({ settings }: PairResult): string {
  const wrong = (side: "a" | "b") => settings.filter(({ incidents }) => incidents[side] > 0).length;
  return `${wrong("a")}/${wrong("b")}`;
}

const countColumn = (header: string, of: (usual: PairInSetting, side: "a" | "b") => number) => ({
  header,
  align: "right" as const,
  text: ({ usual }: PairResult) => (["a", "b"] as const).map((side) => of(usual, side).toFixed(1)).join("/"),
});
const COUNTS: readonly TextColumn<PairResult>[] = [
  { header: simulated("pair, A - B"), align: "left", text: pairName },
  countColumn("walk refs", ({ counts }, side) => counts[side].references),
  countColumn("exits", ({ counts }, side) => counts[side].exits),
  countColumn("userspace", ({ counts }, side) => counts[side].userspaceExits),
  countColumn("lookups", ({ counts }, side) => counts[side].busLookups),
];

const USUAL: readonly TextColumn<PairResult>[] = [
  { header: simulated("pair, A - B"), align: "left", text: pairName },
  { header: "value", align: "right", text: ({ usual }) => signedCycles(usual.difference.value) },
  { header: "range", align: "right", text: ({ usual }) => range(usual.difference, signedCycles) },
  { header: "seeds", align: "right", text: ({ usual }) => range(usual.seeds, signedCycles) },
  { header: "won", align: "right", text: ({ usual }) => `${(100 * usual.rangesWon).toFixed(0)}%` },
];

/** The study for a mail: over all settings, in the usual one, and the conditions under which one overtakes the other. */
export function overtakesTable(overtakes: Overtakes): string {
  const { pairs, provenance } = overtakes;
  return mail({
    provenance,
    parts: [
      ...headed("Kicks alone, all else usual: counts per kick, of A and of B", textTables(COUNTS, pairs)),
      ...headed(`The same, A - B [${UNIT}]`, textTables(USUAL, pairs)),
      wrapText(
        "range: what the ranges of the costs allow, both sides under one cost vector. seeds: each cost at its value. won: share of " +
          "the ranges in which A costs less; that is no probability.",
      ),
      ...settingsParts(overtakes),
      ...pairParts(overtakes),
    ],
  });
}

/** Over all settings, and where one overtakes the other. */
export function overtakesParts(overtakes: Overtakes): string[] {
  const { pairs } = overtakes;
  const overtaken = pairs.flatMap(({ conditions }) =>
    conditions.flatMap(({ overtakings, words }) => (overtakings.length === 0 ? [] : [listItem(words)])),
  );
  return [
    ...settingsParts(overtakes),
    [
      overtaken.length === 0
        ? "Along the axes none overtakes another."
        : wrapText(
            "Where one overtakes the other, located (along reads a design may cost less because it loses what the other loads):",
          ),
      ...overtaken,
    ].join("\n"),
  ];
}

function settingsParts(overtakes: Overtakes): string[] {
  const { pairs } = overtakes;
  return [
    wrapText(`The sweep: ${sizeText(overtakes)}.`),
    ...headed("Over all settings: in how many A costs less than B", textTables(COLUMNS, pairs)),
    wrapText(
      "less, same: each cost at its value. can: under some costs of the ranges. always: under all of them. wrong: in how " +
        "many of them guest or device see what they should not, with A and with B; what costs less may have left something " +
        "undone. How many settings there are of a kind was chosen, so their number says nothing of guests.",
    ),
  ];
}

/** Of each pair all that is known of where one overtakes the other. */
function pairParts({ pairs }: Overtakes): string[] {
  return pairs.map(({ conditions, breakEvens, words }) => {
    const turning = breakEvens.filter(({ assumed }) => assumed).map((breakEven) => breakEven.words);
    return [
      wrapText(`${words}.`),
      ...[...conditions.map((condition) => condition.words), ...turning].map(listItem),
    ].join("\n");
  });
}

function sizeText({ points, seeds, accesses, furtherRuns }: Overtakes): string {
  return (
    `${points} points (a design with a kind of slot in a setting), each with ${seeds} ${seeds === 1 ? "seed" : "seeds"} and ` +
    `${accesses} accesses, and ${furtherRuns} further runs to find where one overtakes another`
  );
}

function seedsText({ seeds }: Overtakes): string {
  return seeds === 1 ? "one seed" : `all of ${seeds} seeds`;
}
