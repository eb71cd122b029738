/**
 * Figures, tables and text as outputs of a notebook that runs under tslab.
 *
 * One output carries several forms, and the viewer picks: HTML, plotly JSON, SVG for sites that show no HTML, text. The HTML is a
 * static `<img>`, which is all that is left of a notebook nobody has trusted yet; its script replaces it by the live figure where
 * scripts run and the notebook server offers plotly.js. plotly.js itself is never in a notebook: ten megabytes a figure.
 *
 * The same figure gives the same bytes, so that a notebook's diff shows what changed.
 */
import { createHash } from "node:crypto";
import type { DataFrame } from "danfojs-node";
import { toCsv } from "./csv.js";
import type { Figure } from "./figure.js";
import { frameHtml, recordsOf } from "./frame.js";
import { escapeHtml, scriptJson } from "./html.js";
import { withKeptRenderer } from "./kept-renderer.js";
import { PLOTLY_CONFIG } from "./plotly.js";
import type { Records } from "./records.js";
import { type MimeBundle, tslabOutput } from "./tslab.js";

/**
 * Shows the figure under the cell. Without a Chromium to draw the static picture, a line says so in its place.
 *
 * @throws Error outside a tslab kernel.
 */
export async function display(figure: Figure): Promise<void> {
  // Taken before the first await: the output belongs to the cell that asked for it.
  const show = kernelOutput();
  show(await figureBundle(figure));
}

/**
 * Shows records or a danfo frame as a table under the cell.
 *
 * @throws Error outside a tslab kernel, or when the records differ in their keys.
 */
export function displayTable(table: Records | DataFrame): void {
  kernelOutput()({ "text/html": frameHtml(table), "text/plain": toCsv(recordsOf(table)) });
}

/**
 * Shows text such as a mail table under the cell, in a typewriter's columns.
 *
 * @throws Error outside a tslab kernel.
 */
export function displayText(text: string): void {
  kernelOutput()({ "text/html": `<pre>${escapeHtml(text)}</pre>`, "text/plain": text });
}

/**
 * Shows text about the machine that the notebook runs on, such as a time or a date: it differs from run to run, so the output
 * is marked, in its first line for a reader and in its metadata for a program.
 *
 * @throws Error outside a tslab kernel.
 */
export function displayHost(text: string): void {
  const marked = `HOST, not simulated; differs from run to run\n${text}`;
  kernelOutput(HOST)({ "text/html": `<pre>${escapeHtml(marked)}</pre>`, "text/plain": marked });
}

/** Metadata of an output that differs from run to run. */
const HOST = { exitlab: { host: true } } as const;

/**
 * A line of text under the cell that later ones replace, such as the progress of a sweep; null outside a tslab kernel.
 */
export function displayLine(): ((line: string) => void) | null {
  const write = tslabOutput();
  if (write === null) return null;
  const transient = { display_id: `exitlab-${++lines}` };
  let update = false;
  return (line) => {
    write({ data: { "text/plain": line }, metadata: {}, transient }, update);
    update = true;
  };
}

let lines = 0;

/** The forms of a figure that `display` publishes. */
export async function figureBundle(figure: Figure): Promise<MimeBundle> {
  const common = {
    "application/vnd.plotly.v1+json": { data: figure.data, layout: figure.layout, config: PLOTLY_CONFIG },
    "text/plain": figure.title,
  };
  try {
    const svg = await withKeptRenderer((renderer) => renderer.svg(figure));
    return { ...common, "text/html": figureHtml(figure, staticImage(figure, svg)), "image/svg+xml": svg };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    const note = `${figure.title} (${reason})`;
    return { ...common, "text/html": figureHtml(figure, `<p>${escapeHtml(note)}</p>`), "text/plain": note };
  }
}

function staticImage({ layout, title }: Figure, svg: string): string {
  const source = `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
  return `<img width="${layout.width}" height="${layout.height}" alt="${escapeHtml(title)}" src="${source}">`;
}

/** The static form and the script that replaces it. Named by content: two outputs of one name are the same figure. */
function figureHtml(figure: Figure, still: string): string {
  const name = createHash("sha256").update(JSON.stringify(figure)).digest("hex").slice(0, 12);
  return `<div data-exitlab-figure="${name}">${still}</div>
<script>
(() => {
  // Where the server is, as the classic Notebook and as JupyterLab say it; elsewhere the static form stays.
  const lab = document.getElementById("jupyter-config-data");
  const base = document.body.dataset.baseUrl ?? (lab && JSON.parse(lab.textContent).baseUrl);
  if (!base) return;
  window.exitlabPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = base + "static/exitlab/plotly.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("no plotly.js on this server"));
    document.head.append(script);
  });
  const figure = ${scriptJson(figure)};
  window.exitlabPlotly.then(async (Plotly) => {
    for (const place of document.querySelectorAll('[data-exitlab-figure="${name}"]')) {
      place.removeAttribute("data-exitlab-figure");
      const live = document.createElement("div");
      place.append(live);
      await Plotly.newPlot(live, figure.data, figure.layout, ${scriptJson(PLOTLY_CONFIG)});
      place.replaceChildren(live);
    }
  }).catch((error) => console.info("exitlab: the static figure stays:", error.message));
})();
</script>`;
}

/** Publishes a bundle under the cell. @throws Error outside a tslab kernel */
function kernelOutput(metadata: object = {}): (bundle: MimeBundle) => void {
  const write = tslabOutput();
  if (write === null) throw new Error("display works in a tslab notebook only; figure.save() writes files");
  return (data) => write({ data, metadata, transient: {} }, false);
}
