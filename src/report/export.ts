/**
 * The study as a folder of files: figures to look at, tables to paste, numbers to compute with.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PciTestdevStudy } from "../study/result.js";
import { plotBreakdown, tableBreakdown } from "./breakdown.js";
import { tableCosts } from "./costs.js";
import { toCsv } from "./csv.js";
import { plotFastMmio, tableFastMmio } from "./fast-mmio.js";
import type { Figure } from "./figure.js";
import { frameHtml } from "./frame.js";
import { mailTable } from "./mail-table.js";
import { figurePage } from "./page.js";
import { plotlyPath } from "./plotly.js";
import type { Records } from "./records.js";
import { type Renderer, withRenderer } from "./render.js";

/** What an export left in its folder. */
export interface ExportResult {
  /** Paths of the files written. */
  readonly files: readonly string[];
  /** What could not be written and why, one line each. */
  readonly notes: readonly string[];
}

interface NamedFigure {
  readonly name: string;
  readonly figure: Figure;
  readonly table: Records;
}

/**
 * Writes the study into the folder, which is made when it is absent: each figure as HTML, SVG and PNG, the records as CSV,
 * the mail's text and the study itself as JSON. What fails is a note, and costs no other file.
 *
 * @throws Error when the folder cannot be made.
 */
export async function exportStudy(study: PciTestdevStudy, directory: string): Promise<ExportResult> {
  await mkdir(directory, { recursive: true });
  const files: string[] = [];
  const notes: string[] = [];
  const write = async (name: string, content: () => Promise<string | Uint8Array> | string) => {
    const path = join(directory, name);
    try {
      await writeFile(path, await content());
      files.push(path);
    } catch (error) {
      notes.push(`${name}: ${firstLine(error)}`);
    }
  };

  await write("study.json", () => `${JSON.stringify(study, null, 2)}\n`);
  await write("table.txt", () => mailTable(study));
  await write("rows.csv", () => toCsv(tableBreakdown(study)));
  await write("fast-mmio.csv", () => toCsv(tableFastMmio(study)));
  await write("costs.csv", () => toCsv(tableCosts(study)));

  const figures: readonly NamedFigure[] = [
    { name: "breakdown", figure: plotBreakdown(study), table: tableBreakdown(study) },
    { name: "fast-mmio", figure: plotFastMmio(study), table: tableFastMmio(study) },
  ];
  const plotly = await readFile(plotlyPath(), "utf8");
  for (const { name, figure, table } of figures) {
    await write(`${name}.html`, () => figurePage(figure, plotly, frameHtml(table)));
  }
  const pictures = async (renderer: Renderer) => {
    for (const { name, figure } of figures) {
      await write(`${name}.svg`, () => renderer.svg(figure));
      await write(`${name}.png`, () => renderer.png(figure));
    }
  };
  try {
    await withRenderer(pictures);
  } catch (error) {
    notes.push(
      `${figures.flatMap(({ name }) => [`${name}.svg`, `${name}.png`]).join(", ")}: ${firstLine(error)}`,
    );
  }
  return { files, notes };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
