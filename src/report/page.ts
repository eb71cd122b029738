/**
 * A figure as one HTML file that needs nothing else: it embeds plotly.js, opens from a disk without a network, and carries the
 * same numbers as text for those without scripts.
 */
import type { Figure } from "./figure.js";
import { frameHtml } from "./frame.js";
import { escapeHtml, scriptJson } from "./html.js";
import { PLOTLY_CONFIG } from "./plotly.js";

/** The page, but for the source of plotly.js: what stands before and behind it. @see scriptSource */
export function figurePage(figure: Figure): readonly [before: string, behind: string] {
  const { width, height } = figure.layout;
  const title = escapeHtml(figure.title);
  const command = figure.provenance?.command ?? null;
  const before = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>
body { font: 13px "DejaVu Sans", Verdana, Arial, sans-serif; margin: 16px }
#figure { width: ${width}px; min-height: ${height}px }
td, th { padding: 2px 8px }
</style>
<div id="figure"><p>${title}: this figure is drawn by a script. Its numbers are below.</p></div>
<details><summary>The numbers</summary>
${frameHtml(figure.table)}
</details>
${command === null ? "" : `<p>To repeat the numbers: <code>${escapeHtml(command)}</code></p>\n`}<script>`;
  const behind = `</script>
<script>
const figure = ${scriptJson(figure)};
const place = document.getElementById("figure");
place.textContent = "";
Plotly.newPlot(place, figure.data, figure.layout, ${scriptJson(PLOTLY_CONFIG)});
</script>
</html>
`;
  return [before, behind];
}

/** A source as it can stand in a page: with nothing that ends the script there. */
export function scriptSource(source: string): string {
  return source.replaceAll("</script", "<\\/script");
}
