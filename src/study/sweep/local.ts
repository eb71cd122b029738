/**
 * Executes jobs on this machine: worker threads, one for each core.
 */
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Worker } from "node:worker_threads";
import type { Piscina } from "piscina";
import { InputError, notAllowed } from "../../cost/input.js";
import type { Executor, Job, Outcome } from "./executor.js";
import { Shares } from "./shares.js";

/** The compiled worker beside this file. */
const WORKER = fileURLToPath(new URL("./local-worker.js", import.meta.url));

export class LocalExecutor implements Executor {
  /** @param workers threads @throws InputError for none or a thousand */
  constructor(readonly workers = availableParallelism()) {
    if (!(Number.isInteger(workers) && workers >= 1 && workers <= 1024))
      throw new InputError("workers", notAllowed(workers), "a whole number from 1 to 1024");
  }

  async *execute(jobs: readonly Job[], signal: AbortSignal): AsyncGenerator<Outcome> {
    // Loaded by who needs it only, with all that starts threads.
    const { Piscina } = await import("piscina");
    signal.throwIfAborted();
    const threads = Math.min(this.workers, jobs.length);
    if (threads === 0) return;
    // Each by itself, so that it can be told who does which job.
    const workers = Array.from(
      { length: threads },
      () => new Piscina<Job, Outcome>({ filename: WORKER, minThreads: 1, maxThreads: 1 }),
    );
    const loaded = Promise.allSettled(workers.flatMap(({ threads }) => threads.map(firstMessageOf)));
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    // Nobody may be waiting when it comes.
    aborted.catch(() => {});
    const shares = new Shares(jobs, threads);
    const running = new Map<string, Promise<{ readonly outcome: Outcome; readonly worker: number }>>();
    const give = (worker: number) => {
      const job = shares.next(worker);
      if (job === undefined) return;
      running.set(
        job.key,
        runIn(workers[worker], job).then((outcome) => ({ outcome, worker })),
      );
    };
    try {
      for (let worker = 0; worker < threads; worker++) give(worker);
      while (running.size > 0) {
        const { outcome, worker } = await Promise.race([aborted, ...running.values()]);
        running.delete(outcome.key);
        give(worker);
        yield outcome;
      }
    } finally {
      // Node aborts the process when it ends a thread that still loads its modules ("IsGraphAsync", seen with 20.20).
      await loaded;
      await Promise.all(workers.map((worker) => worker.destroy()));
    }
  }
}

/** That it has loaded; or it ends without one. */
async function firstMessageOf(thread: Worker): Promise<void> {
  await Promise.race([once(thread, "message"), once(thread, "exit")]);
}

/** Times that a job may take its worker along. */
const ATTEMPTS = 2;

/** A worker that dies takes its job along, and no other; the job gets another one. */
async function runIn(worker: Piscina<Job, Outcome>, job: Job): Promise<Outcome> {
  const begin = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await worker.run(job);
    } catch (error) {
      if (attempt < ATTEMPTS) continue;
      const ms = Math.round(performance.now() - begin);
      const message = `its worker ended ${attempt} times: ${(error as Error).message}`;
      return { key: job.key, status: "failed", error: message, ms };
    }
  }
}
