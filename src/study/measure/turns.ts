/**
 * Rows that are measured in turns, one run each, until each is known well enough: what drifts meanwhile, such as a clock or a
 * neighbour on the machine, meets them all.
 */
import { isTight, LEAST_SAMPLES, type MedianInterval } from "./statistics.js";

/** A row that is no tighter after so many runs will not get tight. */
const MOST_RUNS = 40;

export interface TurnsOptions {
  /** Half of the 95% interval over the median that is wanted. */
  readonly relativeHalfWidth: number;
  /** After so long no row begins another run, unless it has too few for an interval. */
  readonly limitSeconds: number;
  readonly signal: AbortSignal;
  /** Called before each run. */
  readonly onRun?: (row: string, run: number) => void;
}

/** What one run of a row gave. */
export interface Timed {
  readonly interval: MedianInterval;
}

/**
 * Runs the rows, and returns the runs of each in the order of the rows. Interrupted, it returns what there is.
 *
 * @param run one run of a row; may fail at an interrupt, which the signal tells before
 */
export async function takeTurns<Row extends { readonly name: string }, Run extends Timed>(
  rows: readonly Row[],
  run: (row: Row) => Promise<Run>,
  { relativeHalfWidth, limitSeconds, signal, onRun }: TurnsOptions,
): Promise<ReadonlyMap<Row, readonly Run[]>> {
  const runs = new Map<Row, Run[]>(rows.map((row) => [row, []]));
  const end = performance.now() + 1000 * limitSeconds;
  const isDone = (of: readonly Run[]) => {
    const intervals = of.map(({ interval }) => interval);
    if (of.length < LEAST_SAMPLES) return false;
    return of.length >= MOST_RUNS || performance.now() >= end || isTight(intervals, relativeHalfWidth);
  };
  for (;;) {
    const open = [...runs].filter(([, of]) => !isDone(of));
    if (open.length === 0) return runs;
    for (const [row, of] of open) {
      if (signal.aborted) return runs;
      onRun?.(row.name, of.length + 1);
      try {
        of.push(await run(row));
      } catch (error) {
        if (!signal.aborted) throw error;
        return runs;
      }
    }
  }
}
