/** The designs of the thread under every value of what the manual leaves open. */
import type { SwitchRow } from "../../study/thread/open-switches.js";
import type { ThreadStudy } from "../../study/thread/thread.js";
import { Figure, linesAxis } from "../figure.js";
import { cycles, range, signed } from "../format.js";
import type { Records } from "../records.js";
import { headed, simulated, type TextColumn, textTables } from "../text-table.js";
import { CHARACTER_WIDTH, DIVERGING, FONT, GRID, LABEL_TICKS } from "../theme.js";

const ROW_HEIGHT = 36;

/** One record per value of a switch and design: walk references per kick of the design and its base, and TSC cycles less the base. */
export function tableOpenSwitches({ switches }: Pick<ThreadStudy, "switches">): Records {
  return switches.flatMap((row) =>
    row.designs.map(({ design, references, referencesOfBase, difference }) => ({
      switch: row.name ?? "as usual",
      value: row.name === null ? "" : row.value,
      design,
      references,
      referencesOfBase,
      low: difference.low,
      difference: difference.value,
      high: difference.high,
    })),
  );
}

/** A line for each value of a switch: what each design takes more than its base. */
export function openSwitchesParts({ switches }: Pick<ThreadStudy, "switches">): string[] {
  const columns: TextColumn<SwitchRow>[] = [
    { header: simulated("switch"), align: "left", text: nameOf },
    ...(switches[0]?.designs ?? []).map(({ design }, index) => ({
      header: design,
      align: "right" as const,
      text: ({ designs }: SwitchRow) => signed(cycles(designs[index].difference.value)),
    })),
  ];
  return headed(
    "Open switches, one at a time: TSC cycles per kick less the base, each cost at its value:",
    textTables(columns, switches),
  );
}

function nameOf({ name, value }: SwitchRow): string {
  return name === null ? "as usual" : `${name}=${value}`;
}

/** The difference to the base by switch and design, in colour and as a number; below it the references of the walks. */
export function plotOpenSwitches(study: Pick<ThreadStudy, "switches" | "provenance" | "machine">): Figure {
  const { switches, provenance, machine } = study;
  const names = switches.map(nameOf);
  const designs = switches[0]?.designs.map(({ design }) => design) ?? [];
  const values = switches.map((row) => row.designs.map(({ difference }) => difference.value));
  const most = Math.max(1, ...values.flat().map(Math.abs));
  return new Figure({
    title: "SIMULATED: what a kick takes more than under the base, by what the manual leaves open",
    provenance,
    machine: `${machine}. TSC cycles per kick, each cost at its value; in brackets references of the walk, of the design and its base`,
    plotHeight: ROW_HEIGHT * names.length,
    left: 24 + Math.max(...names.map(({ length }) => length)) * CHARACTER_WIDTH,
    right: 16,
    below: 12,
    notes: switches.flatMap((row, y) =>
      row.designs.map(({ difference, references, referencesOfBase }, x) => ({
        text: `${signed(cycles(difference.value))}<br>(${count(references)}, ${count(referencesOfBase)})`,
        x,
        y,
        showarrow: false,
        font: { ...FONT, size: 10 },
      })),
    ),
    rest: {
      xaxis: {
        side: "top",
        tickvals: designs.map((_, x) => x),
        ticktext: designs,
        showgrid: false,
        zeroline: false,
        ...LABEL_TICKS,
      },
      yaxis: { ...linesAxis(names), gridcolor: GRID },
    },
    data: [
      {
        type: "heatmap",
        x: designs.map((_, x) => x),
        y: names.map((_, y) => y),
        z: values,
        zmin: -most,
        zmax: most,
        colorscale: DIVERGING,
        showscale: false,
        xgap: 2,
        ygap: 2,
        customdata: switches.map((row) =>
          row.designs.map(({ design, difference }) => `${design}: ${range(difference, cycles)}`),
        ),
        hovertemplate: "%{customdata} cycles per kick<extra></extra>",
      },
    ],
    table: () => tableOpenSwitches(study),
  });
}

const count = (value: number) => String(Number(value.toFixed(1)));
