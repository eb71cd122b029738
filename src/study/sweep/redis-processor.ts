/**
 * What a worker does with a job from the queue.
 *
 * A job is data: a scenario, checked here before it is run, whoever put it into the queue. A recording that it names is read
 * from this machine's disk, so it has to lie below the folder that the worker was started in, or below the package's data, and
 * be the one that the job's key was made with. Of patches it runs those that it has in its files. One that brings its source
 * along is code of whoever can write to the queue, which no check makes harmless: it is not even looked at, unless the worker was
 * started for it.
 */
import { hostname } from "node:os";
import { isAbsolute, relative, resolve } from "node:path";
import { dataPath, InputError, notAllowed } from "../../cost/input.js";
import { isPatchSource } from "../run/patch-source.js";
import { parseScenario, type Scenario } from "../run/scenario.js";
import { executeJob, type Outcome } from "./executor.js";
import { keyOf } from "./point.js";
import { ALLOW_PATCH_SOURCE } from "./redis-options.js";
import type { JobData } from "./redis-queue.js";

/** A job as it comes out of the queue. */
export interface QueuedJob {
  readonly key: string;
  /** `JobData`, or whatever somebody put there. */
  readonly data: unknown;
}

/** @param allowPatchSource whether the worker was started with `ALLOW_PATCH_SOURCE` */
export async function executeQueued({ key, data }: QueuedJob, allowPatchSource: boolean): Promise<Outcome> {
  let scenario: Scenario;
  try {
    const { scenario: given } = (data ?? {}) as Partial<JobData>;
    if (!allowPatchSource) refusePatchSource(given);
    scenario = parseScenario(given);
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

/** @throws InputError for a scenario with a patch that is no name, before it is run */
function refusePatchSource(scenario: Partial<Scenario> | undefined): void {
  const patches: unknown = scenario?.patches ?? [];
  const source = Array.isArray(patches) ? patches.find((patch) => typeof patch !== "string") : undefined;
  if (source === undefined) return;
  const name = JSON.stringify(isPatchSource(source) ? source.name : source);
  const found = `${name} comes with its source, which the worker on ${hostname()} does not run`;
  const allowed = `patches that it has in its files; started with ${ALLOW_PATCH_SOURCE} it runs any`;
  throw new InputError("scenario: patches", found, allowed);
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
