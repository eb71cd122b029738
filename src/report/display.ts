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
import { createRequire } from "node:module";
import type { DataFrame } from "danfojs-node";
import { toCsv } from "./csv.js";
import { type Figure, plainText } from "./figure.js";
import { frameHtml, recordsOf } from "./frame.js";
import { escapeHtml, scriptJson } from "./html.js";
import { withKeptRenderer } from "./kept-renderer.js";
import { PLOTLY_CONFIG } from "./plotly.js";
import type { Records } from "./records.js";

/** One output in several forms, keyed by MIME type. */
export type MimeBundle = Readonly<Record<string, unknown>>;

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
    "application/vnd.plotly.v1+json": { ...figure, config: PLOTLY_CONFIG },
    "text/plain": plainText(figure.layout.title.text),
  };
  try {
    const svg = await withKeptRenderer((renderer) => renderer.svg(figure));
    return { ...common, "text/html": figureHtml(figure, staticImage(figure, svg)), "image/svg+xml": svg };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    const note = `${plainText(figure.layout.title.text)} (${reason})`;
    return { ...common, "text/html": figureHtml(figure, `<p>${escapeHtml(note)}</p>`), "text/plain": note };
  }
}

function staticImage({ layout }: Figure, svg: string): string {
  const source = `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
  return `<img width="${layout.width}" height="${layout.height}" alt="${escapeHtml(plainText(layout.title.text))}" src="${source}">`;
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

type TslabOutput = (
  content: { readonly data: MimeBundle; readonly metadata: object; readonly transient: object },
  update: boolean,
) => void;

/** Publishes a bundle under the cell. @throws Error outside a tslab kernel */
function kernelOutput(): (bundle: MimeBundle) => void {
  const write = tslabOutput();
  if (write === null)
    throw new Error("display works in a tslab notebook only; exportStudy writes figures to files");
  return (data) => write({ data, metadata: {}, transient: {} }, false);
}

/**
 * The output of the tslab that runs this process, whichever of the installed ones that is: the one already loaded. Its public
 * display takes one MIME type per output, hence the internal call of tslab 1.0.22.
 */
function tslabOutput(): TslabOutput | null {
  const loaded = Object.values(createRequire(import.meta.url).cache);
  const module = loaded.find((candidate) => candidate?.filename.endsWith(TSLAB_JUPYTER));
  return (
    (module?.exports as { readonly lastWriteDisplayData: TslabOutput | null } | undefined)
      ?.lastWriteDisplayData ?? null
  );
}

const TSLAB_JUPYTER = "/tslab/dist/jupyter.js";
