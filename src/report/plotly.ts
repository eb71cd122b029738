/** Where the installed plotly.js is: 10 MB of script that runs in browsers only. */
import { createRequire } from "node:module";

/** Absolute path of plotly.js. */
export function plotlyPath(): string {
  return createRequire(import.meta.url).resolve("plotly.js-dist");
}

/** How plotly draws a figure everywhere: no logo, no button that sends the chart to anybody's service. */
export const PLOTLY_CONFIG: Readonly<Record<string, unknown>> = {
  displaylogo: false,
  responsive: false,
  showSendToCloud: false,
  plotlyServerURL: "",
};
