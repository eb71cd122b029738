/**
 * A sweep as a person starts it, in a notebook or a terminal: with a line that shows how far it is, and an interrupt that
 * loses nothing.
 */
import { interruptible } from "../study/sweep/interrupt.js";
import { shownValues } from "../study/sweep/point.js";
import { shownValue } from "../study/sweep/shown-value.js";
import type { SweepInput } from "../study/sweep/spec.js";
import { runSweep, type SweepOptions, type SweepProgress, type SweepResult } from "../study/sweep/sweep.js";
import { displayLine } from "./display.js";
import { duration } from "./format.js";
import type { Records } from "./records.js";
import { terminalLine } from "./terminal-line.js";

/** Milliseconds between two updates of the line. */
const UPDATE = 500;

/**
 * Runs a sweep, or what is left of it, and shows its progress: under the cell of a notebook, or on a terminal.
 *
 * @throws as `runSweep()`; Interrupted after Ctrl-C or an interrupt of the kernel
 */
export async function sweep(input: SweepInput, options: SweepOptions = {}): Promise<SweepResult> {
  const line = progressLine();
  let last: SweepProgress | undefined;
  const show = () => last !== undefined && line.show(progressText(last));
  const onProgress = (progress: SweepProgress) => {
    options.onProgress?.(progress);
    const isFirst = last === undefined;
    last = progress;
    if (isFirst) show();
  };
  const timer = setInterval(show, UPDATE);
  try {
    const result = await interruptible((signal) =>
      runSweep(input, { signal, onNote: line.note, ...options, onProgress }),
    );
    line.end(summary(result));
    return result;
  } catch (error) {
    line.end(last === undefined ? "" : `stopped with ${last.done} of ${last.total} done; they are kept`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** "120 of 2000 done, 3 failed, 41.2 points/s, 46 s left". */
function progressText({ total, done, failed, cached, rate }: SweepProgress): string {
  const left = total - done - failed;
  const speed = rate === 0 ? "" : `, ${rate.toFixed(1)} points/s, ${duration(left / rate)} left`;
  return `${done} of ${total} done${cached > 0 ? ` (${cached} before)` : ""}, ${failed} failed${speed}`;
}

/** What a sweep came to, without any time. */
export function summary({ rows, failed }: SweepResult): string {
  return `${rows.length + failed.length} points: ${rows.length} done, ${failed.length} failed`;
}

/**
 * The rows of a sweep as records: values by field, then so much of each figure. Where the points have a `name`, fields that
 * are lists or objects are left out.
 *
 * @param figures by column, what to show of a row
 */
export function tableSweep(
  { rows }: SweepResult,
  figures: Readonly<Record<string, (row: SweepResult["rows"][number]) => number>>,
): Records {
  return rows.map((row) => ({
    ...Object.fromEntries(
      Object.entries(shownValues(row.values)).map(([field, value]) => [field, cell(field, value)]),
    ),
    ...Object.fromEntries(Object.entries(figures).map(([column, figure]) => [column, figure(row)])),
  }));
}

function cell(field: string, value: unknown): string | number | boolean {
  return typeof value === "number" || typeof value === "boolean" ? value : shownValue(field, value);
}

interface ProgressLine {
  readonly show: (text: string) => void;
  readonly note: (text: string) => void;
  readonly end: (text: string) => void;
}

/** Where the line is: under a cell, or on a terminal. */
function progressLine(): ProgressLine {
  const cell = displayLine();
  if (cell !== null) return { show: cell, note: (text) => console.log(text), end: cell };
  const line = terminalLine(process.stderr);
  return { show: line.show, note: line.say, end: line.say };
}
