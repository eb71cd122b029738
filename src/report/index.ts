/** Rows to danfo frames, figures, mail tables, files and notebook outputs. */
export { plotBreakdown, tableBreakdown } from "./breakdown.js";
export { calibrationTable, tableCalibratedTimes } from "./calibration.js";
export { findChromium, NoChromiumError } from "./chromium.js";
export { comparisonTable, plotComparison, tableBreakEven, tableComparison, tornadoOf } from "./comparison.js";
export { costTable, tableCosts } from "./costs.js";
export { cpuTable, cpuValueList, tableCpus, tableCpuValues } from "./cpus.js";
export { toCsv } from "./csv.js";
export { display, displayTable, displayText, figureBundle, type MimeBundle } from "./display.js";
export { exitRowsTable, plotExitRows, tableExitRows } from "./exit-rows.js";
export { type ExportResult, exportStudy } from "./export.js";
export { plotFastMmio, tableFastMmio } from "./fast-mmio.js";
export type { Figure, FigureLayout } from "./figure.js";
export { frameHtml, toFrame } from "./frame.js";
export { plotLifeOfFault, tableLifeOfFault } from "./life-of-a-fault.js";
export {
  latencyErrorsTable,
  plotLoadLatency,
  tableLatencyErrors,
  tableLatencySteps,
  tableLoadLatency,
  tableTlbSteps,
} from "./load-latency.js";
export { mailTable } from "./mail-table.js";
export { plotNestedWalks, tableNestedPmu, tableNestedWalks } from "./nested-walks.js";
export { priceTable, tablePrice } from "./price.js";
export { tableProbes } from "./probes.js";
export type { FlatRecord, Records } from "./records.js";
export { plotReferenceCounts, tableReferenceCounts } from "./reference-counts.js";
export { type Renderer, withRenderer } from "./render.js";
export { sweep, tableSweep } from "./sweep.js";
export { plotSweep, type SweepPlot } from "./sweep-figure.js";
export { MAIL_WIDTH, mailText, type TextColumn, textTable, textTables, wrapText } from "./text-table.js";
export { plotTornado, type Tornado, tableTornado, tornadoTable } from "./tornado.js";
export { plotWalk, tableWalk } from "./walk.js";
export { tableWalkFigures, walkFiguresTable } from "./walk-figures.js";
