/** A figure in files: what each ending stands for. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { InputError, notAllowed } from "../cost/input.js";
import { NoChromiumError } from "./chromium.js";
import { toCsv } from "./csv.js";
import type { Figure } from "./figure.js";
import { withKeptRenderer } from "./kept-renderer.js";
import { mail } from "./mail.js";
import { figurePage, scriptSource } from "./page.js";
import { plotlyPath } from "./plotly.js";
import { recordTables } from "./record-table.js";
import { headed, mailText, measured } from "./text-table.js";

/** Of a file, in one piece or in some. */
export type Content = string | Uint8Array | readonly (string | Uint8Array)[];

const FORMATS: Readonly<Record<string, (figure: Figure) => Content | Promise<Content>>> = {
  ".html": async (figure) => {
    const [before, behind] = figurePage(figure);
    return [before, await plotlySource(), behind];
  },
  ".svg": (figure) => withKeptRenderer((renderer) => renderer.svg(figure)),
  ".png": (figure) => withKeptRenderer((renderer) => renderer.png(figure)),
  ".pdf": (figure) => withKeptRenderer((renderer) => renderer.pdf(figure)),
  ".csv": ({ table }) => toCsv(table),
  ".json": (figure) => `${JSON.stringify(allOf(figure), null, 2)}\n`,
  ".txt": figureText,
};

let plotly: Promise<Buffer> | undefined;

/** Of plotly.js, as it stands in a page; read once. */
function plotlySource(): Promise<Buffer> {
  plotly ??= readFile(plotlyPath(), "utf8").then((source) => Buffer.from(scriptSource(source)));
  return plotly;
}

/** The endings that a figure can be saved under. */
export const FIGURE_FORMATS = Object.keys(FORMATS);

/** Those that a browser draws. */
export const PICTURE_FORMATS: readonly string[] = [".svg", ".png", ".pdf"];

/** What stands in a file with this ending. @throws NoChromiumError for a picture where there is no Chromium */
export function contentOf(figure: Figure, format: string): Content | Promise<Content> {
  return FORMATS[format](figure);
}

/** See `Figure.save()`. */
export async function saveFigure(figure: Figure, paths: readonly string[]): Promise<void> {
  if (paths.length === 0)
    throw new InputError("save", "names no file", `files that end in ${FIGURE_FORMATS.join(", ")}`);
  for (const path of paths) {
    if (FORMATS[extname(path)] !== undefined) continue;
    throw new InputError("save", notAllowed(path), `a file that ends in ${FIGURE_FORMATS.join(", ")}`);
  }
  let missing: NoChromiumError | undefined;
  for (const path of paths) {
    try {
      await writeFigure(path, await contentOf(figure, extname(path)));
    } catch (error) {
      if (!(error instanceof NoChromiumError)) throw error;
      missing = error;
    }
  }
  if (missing !== undefined) throw missing;
}

async function writeFigure(path: string, content: Content): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a file that can be written");
  }
}

/** The figure's numbers as a mail. */
export function figureText({ title, provenance, machine, table }: Figure): string {
  if (provenance === null) return mailText(`${headed(title, recordTables(table, measured)).join("\n\n")}\n`);
  return mail({
    provenance,
    head: [`Machine: ${machine}`],
    parts: headed(title, recordTables(table)),
  });
}

function allOf({ data, layout, table, provenance, machine }: Figure) {
  return { data, layout, table, provenance, machine };
}
