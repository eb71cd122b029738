/** Small panels of one figure, two in a row: a heading, axes of their own, and the line of no difference in each. */
import { FONT, GRID, INK } from "../theme.js";

const COLUMNS = 2;
const PANEL_HEIGHT = 120;
/** Between the rows: the ticks of the upper panel, and the heading of the lower one. */
const ROW_GAP = 58;
/** Between the columns, a share of the width: room for the labels of the right panel. */
const COLUMN_GAP = 0.1;

type Part = Readonly<Record<string, unknown>>;

/** Where a panel's traces and notes go. */
export interface Panel {
  readonly xaxis: string;
  readonly yaxis: string;
}

export interface Panels {
  readonly plotHeight: number;
  readonly panels: readonly Panel[];
  readonly notes: readonly Part[];
  /** Axes and lines. */
  readonly rest: Part;
}

/**
 * A panel for each heading, which are plotly's text.
 *
 * @param x what all horizontal axes have; @param xTitle under the lowest of them; @param yTitle left of the figure
 */
export function panelsOf(headings: readonly string[], x: Part, xTitle: string, yTitle: string): Panels {
  const rows = Math.ceil(headings.length / COLUMNS);
  const plotHeight = rows * (PANEL_HEIGHT + ROW_GAP) - ROW_GAP;
  const width = (1 - COLUMN_GAP * (COLUMNS - 1)) / COLUMNS;
  const placed = headings.map((heading, index) => {
    const left = (index % COLUMNS) * (width + COLUMN_GAP);
    const row = Math.floor(index / COLUMNS);
    const top = 1 - (row * (PANEL_HEIGHT + ROW_GAP)) / plotHeight;
    return {
      heading,
      id: index === 0 ? "" : String(index + 1),
      isLeft: left === 0,
      isLowest: index + COLUMNS >= headings.length,
      x: [left, left + width],
      y: [Math.max(0, top - PANEL_HEIGHT / plotHeight), top],
    };
  });
  return {
    plotHeight,
    panels: placed.map(({ id }) => ({ xaxis: `x${id}`, yaxis: `y${id}` })),
    notes: placed.map((panel) => ({
      text: panel.heading,
      showarrow: false,
      align: "left",
      xref: "paper",
      x: panel.x[0],
      xanchor: "left",
      yref: "paper",
      y: panel.y[1],
      yanchor: "bottom",
      font: { ...FONT, size: 11 },
    })),
    rest: Object.fromEntries(
      placed.flatMap(({ id, isLeft, isLowest, x: domain, y }) => [
        [
          `xaxis${id}`,
          {
            ...x,
            title: { text: isLowest ? xTitle : "", standoff: 8, font: { ...FONT, size: 11 } },
            domain,
            anchor: `y${id}`,
            gridcolor: GRID,
            zeroline: false,
          },
        ],
        [
          `yaxis${id}`,
          {
            title: { text: isLeft ? yTitle : "", standoff: 6, font: { ...FONT, size: 11 } },
            domain: y,
            anchor: `x${id}`,
            gridcolor: GRID,
            rangemode: "tozero",
            nticks: 5,
            tickformat: "+.3~s",
            zeroline: true,
            zerolinecolor: INK,
            zerolinewidth: 1.2,
          },
        ],
      ]),
    ),
  };
}
