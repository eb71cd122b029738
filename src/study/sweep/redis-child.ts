/** What runs in the child processes of a worker, whose process id is its first argument: one job after the other. */
import { Worker } from "node:worker_threads";
import { ALLOW_PATCH_SOURCE } from "./redis-options.js";
import { executeQueued, type QueuedJob } from "./redis-processor.js";

// Ctrl-C is for the worker, which ends this process when its job is given back.
process.on("SIGINT", () => {});

const [worker, ...options] = process.argv.slice(2);

const watchdog = new Worker(new URL("./redis-watchdog.js", import.meta.url), { workerData: Number(worker) });
watchdog.unref();

process.on("message", async (job: QueuedJob) => {
  const outcome = await executeQueued(job, options.includes(ALLOW_PATCH_SOURCE));
  // Nobody is there to take it when the worker was killed.
  process.send?.(outcome, undefined, undefined, () => {});
});
