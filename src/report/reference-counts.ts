/**
 * References of one walk with nothing cached, for every guest paging mode and page size under every EPT.
 */
import type { ReferenceCount, ReferenceCounts } from "../study/two-dimensional-walk.js";
import { Figure, plotlyText } from "./figure.js";
import type { FlatRecord, Records } from "./records.js";
import { CHARACTER_WIDTH, FONT, LABEL_TICKS, SHADES } from "./theme.js";

const ROW_HEIGHT = 30;

const guestOf = ({ guest: { mode, pages } }: ReferenceCount) =>
  mode === "none" ? "unpaged" : `${mode}, ${pages}`;
const eptOf = ({ ept }: ReferenceCount) =>
  ept === null ? "native" : `EPT ${ept.levels}-level, ${ept.pages}`;
const total = ({ guestReferences, eptReferences }: ReferenceCount) => guestReferences + eptReferences;

/** One record per guest, one column per EPT: references of the guest's structures and the EPT's together. */
export function tableReferenceCounts({ counts }: ReferenceCounts): Records {
  const rows = new Map<string, Record<string, string | number>>();
  for (const count of counts) {
    const guest = guestOf(count);
    rows.set(guest, { ...(rows.get(guest) ?? { guest }), [eptOf(count)]: total(count) });
  }
  return [...rows.values()];
}

/** The table as a grid of numbers, darker where there are more. */
export function plotReferenceCounts(study: ReferenceCounts): Figure {
  const rows: readonly FlatRecord[] = tableReferenceCounts(study);
  const guests = rows.map(({ guest }) => String(guest));
  const epts = Object.keys(rows[0]).filter((key) => key !== "guest");
  const longest = Math.max(...guests.map((guest) => guest.length));
  return new Figure({
    title: "SIMULATED: references of one walk with nothing cached, by guest paging and EPT",
    provenance: study.provenance,
    machine: study.machine,
    plotHeight: ROW_HEIGHT * rows.length,
    left: 64 + longest * CHARACTER_WIDTH,
    right: 24,
    below: 16,
    rest: {
      xaxis: {
        side: "top",
        type: "category",
        title: { text: "EPT: levels, size of all its pages", font: FONT },
        showgrid: false,
        ticks: "",
      },
      yaxis: {
        type: "category",
        autorange: "reversed",
        title: { text: "guest: paging mode, page size", standoff: 16, font: FONT },
        showgrid: false,
        ...LABEL_TICKS,
      },
    },
    data: [
      {
        type: "heatmap",
        x: epts.map((ept) => plotlyText(ept).replace(", ", "<br>")),
        y: guests.map(plotlyText),
        z: rows.map((row) => epts.map((ept) => row[ept])),
        texttemplate: "%{z}",
        textfont: { ...FONT, size: 13 },
        colorscale: SHADES,
        showscale: false,
        xgap: 2,
        ygap: 2,
        hovertemplate: "%{y} under %{x}: %{z} references<extra></extra>",
      },
    ],
    table: () => tableReferenceCounts(study),
  });
}
