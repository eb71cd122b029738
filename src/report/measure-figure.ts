/** The rows of a host as a figure: medians with their intervals, and beside them what the model allows, where it is asked. */
import type { Bounds } from "../cost/counts.js";
import type { HostComparison } from "../study/measure/compare-with-host.js";
import type { HostMeasurement, MeasuredRow } from "../study/measure/result.js";
import { cyclesAxis, Figure, linesAxis, plotlyText, scaleOf } from "./figure.js";
import { cycles, range } from "./format.js";
import { machineText, tableMeasured } from "./measure.js";
import { tableHostComparison } from "./measure-comparison.js";
import { CHARACTER_WIDTH, MEASURED, SIMULATED_RANGE } from "./theme.js";

const LINE_HEIGHT = 26;
/** How far ranges stand below their row's line, in lines, so that marks do not cover each other. */
const BELOW = 0.24;

/**
 * Rows that the guest has timed, in TSC cycles. With a comparison its ranges stand under each row.
 *
 * @throws Error where there is no such row
 */
export function plotMeasured(measurement: HostMeasurement, comparison: HostComparison | null = null): Figure {
  const rows = measurement.rows.filter(({ unit }) => unit === "TSC cycles");
  if (rows.length === 0) throw new Error("nothing to show: no row is in TSC cycles");
  const predicted = rows.flatMap(({ name }, y) => {
    const row = comparison?.rows.find((of) => of.name === name);
    return row === undefined ? [] : [{ ...row, y }];
  });
  const shown: readonly Bounds[] = [...rows, ...predicted.map((row) => row.predicted)];
  const longest = Math.max(...rows.map(({ name }) => name.length));
  const machine = `${machineText(measurement.machine)}; ${measurement.machine.kernel ?? "kernel not named"}`;
  const bars = "Measured: the median of the runs' medians with its 95% interval; userspace is Node";
  return new Figure({
    title:
      comparison === null
        ? "MEASURED: what one access takes on a host's KVM"
        : "SIMULATED ranges under what was measured on a host's KVM",
    provenance: comparison?.provenance ?? null,
    machine:
      comparison === null ? `${machine}. ${bars}` : `${machine}, simulated as ${comparison.model}. ${bars}`,
    plotHeight: LINE_HEIGHT * rows.length,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24,
    rest: {
      xaxis: {
        ...cyclesAxis("TSC cycles of one access"),
        ...scaleOf(Math.min(...shown.map(({ low }) => low)), Math.max(...shown.map(({ high }) => high))),
      },
      yaxis: linesAxis(rows.map(({ name }) => plotlyText(name))),
    },
    data: [
      ...(predicted.length === 0
        ? []
        : [
            rangesOf(
              "simulated: the costs' ranges",
              predicted.map((row) => ({ ...row, bounds: row.predicted })),
              { thickness: 5, opacity: 0.45, symbol: "square" },
            ),
            rangesOf(
              "simulated: what the other rows leave",
              predicted.flatMap((row) =>
                row.fromOthers === null ? [] : [{ ...row, bounds: row.fromOthers }],
              ),
              { thickness: 5, opacity: 1, symbol: "diamond" },
            ),
          ]),
      medians(rows),
    ],
    table: () => (comparison === null ? tableMeasured(measurement) : tableHostComparison(comparison)),
  });
}

function medians(rows: readonly MeasuredRow[]): Figure["data"][number] {
  const { color, symbol } = MEASURED;
  return {
    type: "scatter",
    mode: "markers",
    name: "measured",
    x: rows.map(({ median }) => median),
    y: rows.map((_, y) => y),
    error_x: {
      type: "data",
      symmetric: false,
      array: rows.map(({ median, high }) => high - median),
      arrayminus: rows.map(({ median, low }) => median - low),
      color,
      thickness: 1.6,
      width: 4,
    },
    marker: { color, symbol, size: 7 },
    customdata: rows.map((row) => [plotlyText(row.name), range(row, cycles)]),
    hovertemplate: "%{customdata[0]}<br>measured: %{x:.0f} cycles, %{customdata[1]}<extra></extra>",
  };
}

/** A thick bar for each range, from its middle to both sides. */
function rangesOf(
  name: string,
  rows: readonly { readonly name: string; readonly y: number; readonly bounds: Bounds }[],
  {
    thickness,
    opacity,
    symbol,
  }: { readonly thickness: number; readonly opacity: number; readonly symbol: "square" | "diamond" },
): Figure["data"][number] {
  const half = rows.map(({ bounds: { low, high } }) => (high - low) / 2);
  return {
    type: "scatter",
    mode: "markers",
    name,
    x: rows.map(({ bounds }, index) => bounds.low + half[index]),
    y: rows.map(({ y }) => y + BELOW),
    error_x: { type: "data", array: half, color: SIMULATED_RANGE.line, thickness, width: 0 },
    marker: { color: SIMULATED_RANGE.line, symbol, size: 7 },
    opacity,
    customdata: rows.map((row) => [plotlyText(row.name), range(row.bounds, cycles)]),
    hovertemplate: "%{customdata[0]}<br>%{customdata[1]} cycles<extra></extra>",
  };
}
