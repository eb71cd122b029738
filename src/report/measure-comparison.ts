/** The model's predictions against the rows of a host: as records, and as a mail. */
import type { HostComparison, PredictedRow } from "../study/measure/compare-with-host.js";
import { type HostMeasurement, staysInKernel } from "../study/measure/result.js";
import { cycles, range } from "./format.js";
import { mail } from "./mail.js";
import { machineText } from "./measure.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";

/** One record per row, TSC cycles of one access; NaN where the other rows contradict each other or the ranges. */
export function tableHostComparison({ rows }: HostComparison): Records {
  return rows.map(({ name, measured, predicted, fromOthers }) => ({
    row: name,
    measured: measured.median,
    measuredLow: measured.low,
    measuredHigh: measured.high,
    predictedLow: predicted.low,
    predicted: predicted.value,
    predictedHigh: predicted.high,
    fromOthersLow: fromOthers?.low ?? Number.NaN,
    fromOthersHigh: fromOthers?.high ?? Number.NaN,
    verdict: verdictOf({ measured, predicted, fromOthers }),
  }));
}

const COLUMNS: readonly TextColumn<PredictedRow>[] = [
  { header: simulated("row"), align: "left", text: ({ name }) => name },
  { header: "measured", align: "right", text: ({ measured }) => cycles(measured.median) },
  { header: "ranges", align: "right", text: ({ predicted }) => range(predicted, cycles) },
  {
    header: "other rows",
    align: "right",
    text: ({ fromOthers }) => (fromOthers === null ? "-" : range(fromOthers, cycles)),
  },
  { header: "it is", align: "left", text: verdictOf },
];

/** Where the measured interval lies: by what is narrower, what the other rows leave. */
function verdictOf({
  measured: { low, high },
  predicted,
  fromOthers,
}: Pick<PredictedRow, "measured" | "predicted" | "fromOthers">): string {
  const bounds = fromOthers ?? predicted;
  if (high < bounds.low) return "below";
  return low > bounds.high ? "above" : "within";
}

/** The comparison in ASCII, at most 72 columns. */
export function hostComparisonTable(measurement: HostMeasurement, comparison: HostComparison): string {
  const { provenance, model, paging, mmioCaching, host, fitted, rows, notPredicted } = comparison;
  const compared = measurement.rows.filter(({ name }) => rows.some((row) => row.name === name));
  const userspace = !compared.every(staysInKernel);
  const parts = [
    ...headed("What one access takes [TSC cycles]", textTables(COLUMNS, rows)),
    wrapText(
      "ranges: what the costs allow. other rows: what all others that were measured leave of that, and - where no costs in their ranges meet " +
        "these. it is: where the measured interval lies, by the narrower of the two.",
    ),
    ...(fitted
      ? [
          wrapText(
            "The costs were fitted to times of this machine: where these rows are among them, ranges predict nothing.",
          ),
        ]
      : []),
    ...(userspace
      ? [
          wrapText(
            "The costs of userspace are QEMU's, the measured ones those of Node through a foreign-function interface.",
          ),
        ]
      : []),
    ...notPredicted.map(({ name, reason }) => wrapText(`Not predicted: ${name}, for ${reason}.`)),
  ];
  return mail({
    provenance,
    head: [
      `Measured: ${machineText(measurement.machine)}; ${measurement.machine.kernel ?? "kernel not named"}; ${measurement.date}`,
      `Simulated: ${model}, ${paging}, MMIO caching ${mmioCaching ? "on" : "off"}, as if on ${host}`,
    ],
    parts,
  });
}
