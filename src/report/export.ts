/**
 * A report as a folder of files: figures to look at, text to paste, numbers to compute with, and what it takes to make them
 * again. `index.html` shows them, from a disk as from a server.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InputError, notAllowed } from "../cost/input.js";
import type { Provenance } from "../study/result.js";
import { toCsv } from "./csv.js";
import type { Figure } from "./figure.js";
import { inTurn } from "./in-turn.js";
import { indexPage } from "./index-page.js";
import { startKeptRenderer } from "./kept-renderer.js";
import type { Records } from "./records.js";
import { type Content, contentOf, FIGURE_FORMATS, PICTURE_FORMATS } from "./save.js";

/** What can be exported: a study, a run or a sweep, as this folder presents it. */
export interface Report {
  /** As plain text. */
  readonly title: string;
  readonly provenance: Provenance;
  /** What was asked: a scenario, the specification of a sweep, the options of a study; JSON. */
  readonly scenario: unknown;
  /** What came of it, in full; JSON. */
  readonly rows: unknown;
  /** The mail. */
  readonly text: string;
  /** A shorter one, for whoever wants no more than the answer. */
  readonly short?: string;
  /** By the names of their files, without an ending. */
  readonly figures: Readonly<Record<string, Figure>>;
  /** Numbers beside those of the figures, in the same way. */
  readonly tables: Readonly<Record<string, Records>>;
}

/** What an export left in its folder. */
export interface ExportResult {
  /** Paths of the files written. */
  readonly files: readonly string[];
  /** What could not be written and why, one line each. */
  readonly notes: readonly string[];
}

/** Of a figure, unless said otherwise: text is in the mail, and JSON in the rows. */
const FORMATS = FIGURE_FORMATS.filter((format) => format !== ".txt" && format !== ".json");

/** Starts what an export will need, while the report is being made. @param formats as of `exportReport()` */
export function expectExport(formats: readonly string[] = FORMATS): void {
  if (formats.some((format) => PICTURE_FORMATS.includes(format))) startKeptRenderer();
}

/**
 * Writes the report into the folder, which is made when it is absent. What fails is a note, and costs no other file.
 *
 * @param formats of the figures, of `FIGURE_FORMATS`
 * @throws InputError for a format that is not known, before anything is written; Error when the folder cannot be made
 */
export async function exportReport(
  report: Report,
  directory: string,
  formats: readonly string[] = FORMATS,
): Promise<ExportResult> {
  const unknown = formats.find((format) => !FIGURE_FORMATS.includes(format));
  if (unknown !== undefined)
    throw new InputError("formats", notAllowed(unknown), `some of ${FIGURE_FORMATS.join(", ")}`);
  await mkdir(directory, { recursive: true });
  const write = async (name: string, content: () => Content | Promise<Content>): Promise<Written> => {
    const path = join(directory, name);
    try {
      await writeFile(path, await content());
      return { name, path };
    } catch (error) {
      return { name, path, failure: firstLine(error) };
    }
  };
  // Formats side by side, for a browser draws some of them; of each one figure at a time, for a page takes 10 Mbyte.
  const lanes = formats.map((format) => ({ format, lane: inTurn() }));
  const writing = [
    write("mail.txt", () => report.text),
    write("scenario.json", () => json(report.scenario)),
    write("rows.json", () => json(report.rows)),
    write("provenance.json", () => json(report.provenance)),
    ...Object.entries(report.tables).map(([name, table]) => write(`${name}.csv`, () => toCsv(table))),
    ...Object.entries(report.figures).flatMap(([name, figure]) =>
      lanes.map(({ format, lane }) => lane(() => write(`${name}${format}`, () => contentOf(figure, format)))),
    ),
  ];
  const written = await Promise.all(writing);
  const files = written.flatMap(({ path, failure }) => (failure === undefined ? [path] : []));
  // Last: it shows what is there.
  const index = join(directory, "index.html");
  const last = await write("index.html", () => indexPage(report, [...files, index]));
  return {
    files: last.failure === undefined ? [...files, index] : files,
    notes: notesOf([...written, last]),
  };
}

interface Written {
  readonly name: string;
  readonly path: string;
  /** Why it was not, in a line. */
  readonly failure?: string;
}

/** A line for each reason, with the files that were not written for it. */
function notesOf(written: readonly Written[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, failure } of written)
    if (failure !== undefined) names.set(failure, [...(names.get(failure) ?? []), name]);
  return [...names].map(([failure, of]) => `${of.join(", ")}: ${failure}`);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
