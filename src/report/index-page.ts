/** The page that shows an exported folder: its text, its pictures, its files, where they come from. It needs no script. */
import { basename } from "node:path";
import type { Report } from "./export.js";
import type { Figure } from "./figure.js";
import { escapeHtml } from "./html.js";
import { basisText, kernelText, switchesText, versionText } from "./provenance.js";

/** @param files paths of the files in the folder */
export function indexPage(report: Report, files: readonly string[]): string {
  const names = files.map((file) => basename(file)).sort();
  const { title, provenance, text, figures } = report;
  const { cpus } = provenance.conditions;
  const facts = [
    ["made by", `${versionText(provenance)}, ${basisText(provenance)}`],
    ["profile", cpus.join(", ")],
    ["kernel", kernelText(provenance)],
    ["open switches", switchesText(provenance, "all")],
    ["to repeat", provenance.command ?? ""],
  ].filter(([, fact]) => fact !== "");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>
body { font: 14px "DejaVu Sans", Verdana, Arial, sans-serif; margin: 24px; max-width: 920px; color: #222 }
img { max-width: 100%; height: auto }
pre { overflow-x: auto; background: #f6f6f6; padding: 12px }
th { text-align: left; vertical-align: top; padding-right: 16px; font-weight: normal; color: #555 }
</style>
<h1>${escapeHtml(title)}</h1>
<p><strong>SIMULATED, not hardware.</strong></p>
<table>
${facts.map(([name, fact]) => `<tr><th>${name}</th><td>${name === "to repeat" ? `<code>${escapeHtml(fact)}</code>` : escapeHtml(fact)}</td></tr>`).join("\n")}
</table>
${Object.entries(figures)
  .map(([name, figure]) => section(name, figure, names))
  .join("\n")}
<h2>The text for a mail</h2>
<pre>${escapeHtml(text)}</pre>
<h2>Files</h2>
<ul>
${names.map((name) => `<li>${link(name, name)}</li>`).join("\n")}
</ul>
</html>
`;
}

/** A figure: its picture, or its title where no picture could be made, and its live form behind it. */
function section(name: string, figure: Figure, names: readonly string[]): string {
  const { width, height } = figure.layout;
  const title = escapeHtml(figure.title);
  const picture = [".svg", ".png"].map((ending) => `${name}${ending}`).find((file) => names.includes(file));
  const shown =
    picture === undefined
      ? title
      : `<img src="${escapeHtml(encodeURIComponent(picture))}" width="${width}" height="${height}" alt="${title}">`;
  const live = `${name}.html`;
  return `<p>${names.includes(live) ? `<a href="${escapeHtml(encodeURIComponent(live))}">${shown}</a>` : shown}</p>`;
}

function link(file: string, text: string): string {
  return `<a href="${escapeHtml(encodeURIComponent(file))}">${escapeHtml(text)}</a>`;
}
