/** Rows to danfo frames, figures, mail tables, files and notebook outputs. */
export { plotBreakdown, tableBreakdown } from "./breakdown.js";
export { calibrationTable, tableCalibratedTimes } from "./calibration.js";
export { findChromium, NoChromiumError } from "./chromium.js";
export { plotCompare } from "./compare/figure.js";
export { COMPARE_STYLES, type CompareStyle, compareTable, tableCompare } from "./compare/table.js";
export {
  comparisonTable,
  plotComparison,
  tableBreakEven,
  tableComparison,
  tableDifference,
  tornadoOf,
} from "./comparison.js";
export { costTable, tableCosts } from "./costs.js";
export { cpuTable, cpuValueList, tableCpus, tableCpuValues } from "./cpus.js";
export { crossings } from "./crossings.js";
export { plotCrossover, tableCrossover } from "./crossover.js";
export { toCsv } from "./csv.js";
export { differentialText } from "./differential.js";
export { display, displayHost, displayTable, displayText, figureBundle } from "./display.js";
export { exitRowsTable, plotExitRows, tableExitRows } from "./exit-rows.js";
export { exitTable, exitTexts, plotExits, tableExits, tableExitTimes } from "./exits.js";
export { type ExportResult, exportReport, type Report } from "./export.js";
export { plotFastMmio, tableFastMmio } from "./fast-mmio.js";
export { Figure, type FigureLayout, type FigureSpec, plotlyText } from "./figure.js";
export {
  type BaseDataFrame,
  type BaseSeries,
  type DataFrame,
  frameHtml,
  type GroupedFrame,
  type Series,
  toFrame,
} from "./frame.js";
export { groupRecords } from "./group.js";
export {
  incidentsTable,
  reproductionText,
  tableIncidents,
  tableThreadCases,
  tableThreadIncidents,
  threadIncidentsTable,
} from "./incidents.js";
export { plotLifeOfFault, tableLifeOfFault } from "./life-of-a-fault.js";
export {
  latencyErrorsTable,
  plotLoadLatency,
  tableLatencyErrors,
  tableLatencySteps,
  tableLoadLatency,
  tableTlbSteps,
} from "./load-latency.js";
export { type MailContents, mail } from "./mail.js";
export { mailTable } from "./mail-table.js";
export { measureTable, tableMeasured } from "./measure.js";
export { hostComparisonTable, tableHostComparison } from "./measure-comparison.js";
export { expectedRowsTable, tableExpectedRows } from "./measure-expected.js";
export { plotMeasured } from "./measure-figure.js";
export { measurementCsv, saveMeasurement, vmexitText } from "./measure-output.js";
export { plotNestedWalks, tableNestedPmu, tableNestedWalks } from "./nested-walks.js";
export { priceTable, tablePrice } from "./price.js";
export { type NamedPrices, plotPrices, tablePrices } from "./price-breakdown.js";
export { tableProbes } from "./probes.js";
export { recordTables } from "./record-table.js";
export type { FlatRecord, Records } from "./records.js";
export { plotReferenceCounts, tableReferenceCounts } from "./reference-counts.js";
export { type Renderer, withRenderer } from "./render.js";
export { type RunReportOptions, runReport, tableCounts } from "./run-report.js";
export { STUDY_DESCRIPTIONS, type StudyDescription, studyReport } from "./studies.js";
export { sweep, tableSweep } from "./sweep.js";
export { plotSweep, type SweepPlot, tableSweepPlot } from "./sweep-figure.js";
export { type SweepReportOptions, sweepReport } from "./sweep-report.js";
export {
  headed,
  MAIL_LIMIT,
  MAIL_WIDTH,
  mailText,
  measured,
  simulated,
  type TextColumn,
  textTable,
  textTables,
  wrapText,
} from "./text-table.js";
export { plotDesigns, tableDesigns } from "./thread/designs.js";
export { plotBypass, tableBypass, tableBypassed } from "./thread/objections/bypass.js";
export { plotFaultTax, tableFaultTax } from "./thread/objections/fault-tax.js";
export { plotReads, tableReads } from "./thread/objections/reads.js";
export { plotSlotPrice, tableSlotPrice } from "./thread/objections/slot-price.js";
export { openSwitchesParts, plotOpenSwitches, tableOpenSwitches } from "./thread/open-switches.js";
export { answerText, plotQuestion, tableQuestion } from "./thread/question.js";
export { plotRates, ratesTable, tableRates } from "./thread/rates.js";
export {
  overtakesParts,
  overtakesTable,
  plotConditions,
  plotOvertakes,
  tableConditions,
  tableOvertakes,
} from "./thread/sweep.js";
export { threadMail, threadShortMail } from "./thread/thread.js";
export {
  plotTlbArgument,
  type TlbFigureOptions,
  tableTlbArgument,
  tableTlbBreakEven,
  tlbArgumentTable,
} from "./thread/tlb-argument.js";
export { plotVerdict, tableVerdict } from "./thread/verdict.js";
export { plotTornado, type Tornado, tableTornado, tornadoTable } from "./tornado.js";
export type { MimeBundle } from "./tslab.js";
export { plotWalk, tableWalk } from "./walk.js";
export { tableWalkFigures, walkFiguresTable } from "./walk-figures.js";
