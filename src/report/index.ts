/** Rows to danfo frames, figures, mail tables, files and notebook outputs. */
export { plotBreakdown, tableBreakdown } from "./breakdown.js";
export { findChromium, NoChromiumError } from "./chromium.js";
export { costTable, tableCosts } from "./costs.js";
export { toCsv } from "./csv.js";
export { display, displayTable, displayText, figureBundle, type MimeBundle } from "./display.js";
export { type ExportResult, exportStudy } from "./export.js";
export { plotFastMmio, tableFastMmio } from "./fast-mmio.js";
export type { Figure, FigureLayout } from "./figure.js";
export { frameHtml, toFrame } from "./frame.js";
export { plotLoadLatency, tableLatencyResiduals, tableLoadLatency, tableTlbSteps } from "./load-latency.js";
export { mailTable } from "./mail-table.js";
export { plotNestedWalks, tableNestedPmu, tableNestedWalks } from "./nested-walks.js";
export { tableProbes } from "./probes.js";
export type { FlatRecord, Records } from "./records.js";
export { plotReferenceCounts, tableReferenceCounts } from "./reference-counts.js";
export { type Renderer, withRenderer } from "./render.js";
export { MAIL_WIDTH, mailText, type TextColumn, textTable, textTables, wrapText } from "./text-table.js";
export { plotWalk, tableWalk } from "./walk.js";
