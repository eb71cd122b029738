/**
 * What a worker does with a job from the queue.
 *
 * A job is data and nothing else: a scenario, checked here before it is run, whoever put it into the queue. A recording that
 * it names is read from this machine's disk, so it has to lie below the folder that the worker was started in, or below the
 * package's data, and be the one that the job's key was made with.
 */
import { isAbsolute, relative, resolve } from "node:path";
import { dataPath, InputError, notAllowed } from "../../cost/input.js";
import { parseScenario, type Scenario } from "../run/scenario.js";
import { executeJob, type Outcome } from "./executor.js";
import { keyOf } from "./point.js";
import type { JobData } from "./redis-queue.js";

/** A job as it comes out of the queue. */
export interface QueuedJob {
  readonly key: string;
  /** `JobData`, or whatever somebody put there. */
  readonly data: unknown;
}

export async function executeQueued({ key, data }: QueuedJob): Promise<Outcome> {
  let scenario: Scenario;
  try {
    scenario = parseScenario((data as Partial<JobData> | null)?.scenario);
    refuseForeignFile(scenario);
    if ((await keyOf(scenario)) !== key) {
      const found = "gives another key here than the job has";
      throw new InputError(
        "scenario",
        found,
        "a recording like the submitter's, and the key of the scenario",
      );
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { key, status: "failed", error: error.message, ms: 0 };
  }
  return executeJob({ key, scenario });
}

/** @throws InputError for a recording that a worker does not read for others */
function refuseForeignFile({ recording }: Scenario): void {
  if (recording === undefined) return;
  const { file } = recording;
  if ([process.cwd(), dataPath()].some((folder) => isBelow(folder, file))) return;
  const allowed = "a path below the folder in which the worker was started, or below the package's data";
  throw new InputError("scenario: recording.file", notAllowed(file), allowed);
}

function isBelow(folder: string, file: string): boolean {
  const path = relative(folder, resolve(file));
  return path !== "" && path.split(/[\\/]/)[0] !== ".." && !isAbsolute(path);
}
