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
import { indexPage } from "./index-page.js";
import type { Records } from "./records.js";
import { type Content, contentOf, FIGURE_FORMATS } from "./save.js";

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
  const files: string[] = [];
  const failures = new Map<string, string[]>();
  const write = async (name: string, content: () => Content | Promise<Content>) => {
    const path = join(directory, name);
    try {
      await writeFile(path, await content());
      files.push(path);
    } catch (error) {
      const reason = firstLine(error);
      failures.set(reason, [...(failures.get(reason) ?? []), name]);
    }
  };
  await write("mail.txt", () => report.text);
  await write("scenario.json", () => json(report.scenario));
  await write("rows.json", () => json(report.rows));
  await write("provenance.json", () => json(report.provenance));
  for (const [name, table] of Object.entries(report.tables)) await write(`${name}.csv`, () => toCsv(table));
  for (const [name, figure] of Object.entries(report.figures)) {
    for (const format of formats) await write(`${name}${format}`, () => contentOf(figure, format));
  }
  // Last: it shows what is there.
  await write("index.html", () => indexPage(report, [...files, join(directory, "index.html")]));
  return { files, notes: [...failures].map(([reason, names]) => `${names.join(", ")}: ${reason}`) };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
