/**
 * How the runs of a sweep get executed: here or elsewhere, one after another or many at a time. What a run yields does not
 * depend on it.
 */
import { InputError } from "../../cost/input.js";
import { PatchError } from "../../patches/define-patch.js";
import { type Measured, measure } from "../run/run.js";
import type { Scenario } from "../run/scenario.js";
import { keyOf } from "./point.js";

/** One run of a sweep, JSON-serialisable. */
export interface Job {
  /** Names the run: equal keys, equal results. 64 hex digits. */
  readonly key: string;
  /** Complete: parsed, with all defaults. */
  readonly scenario: Scenario;
}

/** How a job ended, JSON-serialisable. */
export type Outcome = JobDone | JobFailed;

export interface JobDone {
  readonly key: string;
  readonly status: "done";
  readonly result: Measured;
  /** Wall time in milliseconds. */
  readonly ms: number;
}

export interface JobFailed {
  readonly key: string;
  readonly status: "failed";
  /** One line. */
  readonly error: string;
  readonly ms: number;
}

export interface Executor {
  /**
   * Executes the jobs and yields each outcome as soon as it is there, in any order, one for each job. A job that fails is an
   * outcome like any other.
   *
   * @param signal stops it within a second: jobs in flight are given up, and the iteration ends by throwing the reason
   * @throws what keeps all jobs from being executed, such as a server that is not there
   */
  execute(jobs: readonly Job[], signal: AbortSignal): AsyncIterable<Outcome>;
}

/** Executes one job in this thread. */
export async function executeJob({ key, scenario }: Job): Promise<Outcome> {
  const begin = performance.now();
  const ms = () => Math.round(performance.now() - begin);
  try {
    const result = await measure(scenario);
    // A recording can have changed since the key was made, or while it was read.
    if (scenario.recording !== undefined && (await keyOf(scenario)) !== key) {
      const found = "is not, or no longer, the file that the run was asked for";
      throw new InputError("scenario: recording.file", found, "a file that stays as it is");
    }
    return { key, status: "done", result, ms: ms() };
  } catch (error) {
    return { key, status: "failed", error: oneLine(error), ms: ms() };
  }
}

/** What went wrong, in a line; for what is no mistake in the input or in a patch, with its kind. */
function oneLine(error: unknown): string {
  const isNamed = error instanceof InputError || error instanceof PatchError;
  const text = isNamed ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, " ");
}
