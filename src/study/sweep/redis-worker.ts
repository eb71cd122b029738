/**
 * A worker: executes the jobs that sweeps put into the queue, on this machine, until it is told to stop.
 *
 * Each job runs in a child process, so that the worker survives whatever becomes of it, and so that its own thread stays free to
 * renew the locks of its jobs. A job whose process ends is tried again, by any worker. So is one whose worker is killed, once
 * its lock has expired.
 */
import { once } from "node:events";
import { type Job, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { ChildProcesses } from "./child-processes.js";
import type { Outcome } from "./executor.js";
import { ALLOW_PATCH_SOURCE } from "./redis-options.js";
import type { QueuedJob } from "./redis-processor.js";
import {
  connect,
  type JobData,
  modelAndData,
  type OnEvent,
  queueName,
  shownUrl,
  within,
} from "./redis-queue.js";

/** Milliseconds for which a job belongs to a worker that is not heard of. */
const LOCK = 5000;

/** Milliseconds between two looks for jobs whose lock has expired. */
const LOOK = 2000;

/** How often a job may lose its worker and be tried again. */
const MAX_STALLED = 2;

/** Milliseconds until a worker that was refused a job by the server asks again. */
const RETRY = 1000;

/** Milliseconds that it may take to give jobs back. */
const GIVE_BACK = 500;

const CHILD = new URL("./redis-child.js", import.meta.url);

type SweepWorker = Worker<JobData, Outcome>;

export interface WorkOptions {
  readonly url: string;
  /** How many jobs to execute at a time. */
  readonly jobs: number;
  /** Whether to run patches from the source that a job brings along: whoever can write to the queue then runs code here. */
  readonly allowPatchSource: boolean;
  /** Ends the work within a second or so. Jobs in flight go back to the head of the queue. */
  readonly signal: AbortSignal;
  /** Hears, a line at a time, when the worker is ready and what goes wrong. */
  readonly onEvent: OnEvent;
}

/**
 * Executes jobs until it is told to stop. When Redis goes away, it waits for it to come back.
 *
 * @throws InputError for a server that cannot be used, and the signal's reason when it comes before the server was reached
 */
export async function work({ url, jobs, allowPatchSource, signal, onEvent }: WorkOptions): Promise<void> {
  const connection = await connect(url, signal, onEvent);
  const children = new ChildProcesses<QueuedJob, Outcome>(CHILD, [
    String(process.pid),
    ...(allowPatchSource ? [ALLOW_PATCH_SOURCE] : []),
  ]);
  const execute = ({ id, data }: Job<JobData>) => children.execute({ key: id as string, data });
  const worker: SweepWorker = new Worker(queueName(), execute, {
    connection,
    concurrency: jobs,
    lockDuration: LOCK,
    stalledInterval: LOOK,
    maxStalledCount: MAX_STALLED,
    runRetryDelay: RETRY,
    // The check would print a warning about eviction, once for each connection.
    skipVersionCheck: true,
  });
  const giveBack = givingBack(worker, signal);
  reportFailures(worker, connection, onEvent);
  reportAbsence(connection, shownUrl(url), onEvent);

  await worker.waitUntilReady();
  onEvent(`ready for jobs of ${modelAndData()} from ${shownUrl(url)}, ${jobs} at a time`);
  if (!signal.aborted) await once(signal, "abort");

  const closed = worker.close(true);
  children.close();
  await within<unknown>(Promise.all([closed, giveBack()]), GIVE_BACK, () => {});
  connection.disconnect();
}

/**
 * Follows which jobs are in flight, and returns how to put them back into the queue. Where Redis is away and cannot take them,
 * their locks expire.
 */
function givingBack(worker: SweepWorker, signal: AbortSignal): () => Promise<unknown> {
  const inFlight = new Set<Job<JobData, Outcome>>();
  const giveBack = (job: Job<JobData, Outcome>) => job.moveToWait(job.token).catch(() => {});
  worker.on("completed", (job) => inFlight.delete(job));
  worker.on("failed", (job) => job !== undefined && inFlight.delete(job));
  worker.on("active", (job) => {
    if (signal.aborted) giveBack(job);
    else inFlight.add(job);
  });
  return () => Promise.all([...inFlight].map(giveBack));
}

function reportFailures(worker: SweepWorker, connection: Redis, onEvent: OnEvent): void {
  worker.on("completed", ({ id }, outcome) => {
    if (outcome.status === "failed") onEvent(`job ${short(id)}: ${outcome.error}`);
  });
  worker.on("failed", (job, { message }) => {
    onEvent(`job ${short(job?.id)}, attempt ${job?.attemptsMade}: not executed: ${message}`);
  });
  worker.on("stalled", (id) => onEvent(`job ${short(id)}: its worker is gone, back in the queue`));
  worker.on("error", ({ message }) => {
    if (connection.status === "ready") onEvent(message);
  });
}

/** Says once when the connection is lost, and once when it is there again. */
function reportAbsence(connection: Redis, shown: string, onEvent: OnEvent): void {
  let lost = false;
  connection.on("reconnecting", () => {
    if (!lost) onEvent(`lost the connection to ${shown}, trying to get it back`);
    lost = true;
  });
  connection.on("ready", () => {
    lost = false;
    onEvent(`connected to ${shown} again`);
  });
}

/** A job's name in messages: the head of its key. */
function short(key: string | undefined): string {
  return key?.slice(0, 8) ?? "?";
}
