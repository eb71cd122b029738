/**
 * Rows that are measured in turns, one run each, until each is known well enough: what drifts meanwhile, such as a clock or a
 * neighbour on the machine, meets them all.
 */
import { SystemCallError } from "../../host/system-call-error.js";
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

/** The runs of each row, in the order of the rows, and why some get no more. */
export interface Turns<Row, Run> {
  readonly runs: ReadonlyMap<Row, readonly Run[]>;
  readonly failed: ReadonlyMap<Row, string>;
}

/**
 * Runs the rows. Interrupted, it returns what there is. A row that fails costs no other.
 *
 * @param run one run of a row; may fail at an interrupt, which the signal tells before
 * @throws SystemCallError: what the kernel refuses to one row it refuses to all
 */
export async function takeTurns<Row extends { readonly name: string }, Run extends Timed>(
  rows: readonly Row[],
  run: (row: Row) => Promise<Run>,
  { relativeHalfWidth, limitSeconds, signal, onRun }: TurnsOptions,
): Promise<Turns<Row, Run>> {
  const runs = new Map<Row, Run[]>(rows.map((row) => [row, []]));
  const failed = new Map<Row, string>();
  const end = performance.now() + 1000 * limitSeconds;
  const isDone = (of: readonly Run[]) => {
    const intervals = of.map(({ interval }) => interval);
    if (of.length < LEAST_SAMPLES) return false;
    return of.length >= MOST_RUNS || performance.now() >= end || isTight(intervals, relativeHalfWidth);
  };
  for (;;) {
    const open = [...runs].filter(([row, of]) => !isDone(of) && !failed.has(row));
    if (open.length === 0) return { runs, failed };
    for (const [row, of] of open) {
      if (signal.aborted) return { runs, failed };
      onRun?.(row.name, of.length + 1);
      try {
        of.push(await run(row));
      } catch (error) {
        if (signal.aborted) return { runs, failed };
        if (error instanceof SystemCallError) throw error;
        failed.set(row, (error as Error).message);
      }
    }
  }
}
