/** A report into a folder, as `exitlab study --out` and `exitlab export` write it. */
import { InputError, notAllowed } from "../cost/input.js";
import { exportReport, type Report } from "../report/export.js";
import { FIGURE_FORMATS } from "../report/save.js";

/** The option, for commander. */
export const FORMATS_OPTION = [
  "--formats <list>",
  `of the figures in the folder: ${FIGURE_FORMATS.map((format) => format.slice(1)).join(",")} (default: all but json and txt)`,
] as const;

/** @param text such as "svg,csv" */
export function parseFormats(text: string): string[] {
  const formats = text.split(",").map((format) => `.${format.trim().replace(/^\./, "")}`);
  const unknown = formats.find((format) => !FIGURE_FORMATS.includes(format));
  if (unknown === undefined) return formats;
  const allowed = FIGURE_FORMATS.map((format) => format.slice(1)).join(", ");
  throw new InputError("--formats", notAllowed(unknown.slice(1)), `a list of some of ${allowed}`);
}

/**
 * Writes the folder and says on stderr what is missing, which is a failure where it was asked for by name.
 *
 * @returns paths of what was written
 */
export async function writeReport(
  report: Report,
  out: string,
  formats: readonly string[] | undefined,
): Promise<readonly string[]> {
  const { files, notes } = await exportReport(report, out, formats);
  for (const note of notes) process.stderr.write(`exitlab: not written: ${note}\n`);
  if (formats !== undefined && notes.length > 0) process.exitCode = 1;
  return files;
}
