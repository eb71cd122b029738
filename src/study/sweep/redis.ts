/**
 * Executes jobs on the workers that are connected to a Redis server.
 *
 * The queue is transport and no record. A job's id is its key, so a submitter that died and comes back finds the jobs it had
 * put there, with their outcomes where they ended, and two sweeps that want the same run share it.
 */
import { type JobsOptions, Queue, type Job as QueuedJob, QueueEvents } from "bullmq";
import type { Redis } from "ioredis";
import type { Executor, Job, Outcome } from "./executor.js";
import {
  connect,
  type JobData,
  modelAndData,
  type OnEvent,
  queueName,
  shownUrl,
  within,
} from "./redis-queue.js";

/** Jobs that a sweep has in the queue at a time: more than there are processors, few enough to look at them all. */
const WINDOW = 1000;

/** Milliseconds without news after which all jobs are looked at: the news of one may have been lost. */
const SILENCE = 3000;

/** Milliseconds that Redis may be away in the middle of a sweep. */
const PATIENCE = 30_000;

/** Milliseconds that removing jobs may take at the end, and closing a connection. */
const CLEAN_UP = 500;
const CLOSE = 200;

/** In seconds. */
const DAY = 24 * 60 * 60;

/**
 * A job that fails has been executed. What is tried again is one whose process ended before it did. What nobody asks for any
 * more is dropped a day later, with the end of another job.
 */
const OPTIONS: JobsOptions = {
  attempts: 3,
  backoff: { type: "fixed", delay: 500 },
  removeOnComplete: { age: DAY },
  removeOnFail: { age: DAY },
};

export class RedisExecutor implements Executor {
  /**
   * @param url redis://, rediss:// or the path of a socket
   * @param onEvent hears of a server without workers, and of one that may lose jobs
   */
  constructor(
    private readonly url: string,
    private readonly onEvent: OnEvent,
  ) {}

  /**
   * Executes jobs, no two with the same key. An outcome is removed from Redis when the next one is asked for.
   *
   * @throws InputError for a server that cannot be used, Error for one that goes away for half a minute
   */
  async *execute(jobs: readonly Job[], signal: AbortSignal): AsyncGenerator<Outcome> {
    const done = new AbortController();
    const over = AbortSignal.any([signal, done.signal]);
    const redis = await connect(this.url, over, this.onEvent);
    const submission = new Submission(redis, shownUrl(this.url), signal, this.onEvent);
    try {
      await submission.open();
      for (let next = 0; next < jobs.length || submission.size > 0; ) {
        const more = jobs.slice(next, next + WINDOW - submission.size);
        next += more.length;
        for (const outcome of await submission.exchange(more)) {
          yield outcome;
          signal.throwIfAborted();
          submission.forget(outcome);
        }
      }
    } finally {
      done.abort();
      await submission.close();
    }
  }
}

/** The jobs that a sweep has in the queue. */
class Submission {
  private readonly queue: Queue<JobData, Outcome>;
  private events: QueueEvents | undefined;
  private readonly jobs = new Map<string, Job>();
  /** Keys of jobs that are said to have ended. */
  private readonly ended = new Set<string>();
  /** Keys of jobs that nobody needs any more. */
  private readonly forgotten = new Set<string>();
  /** The last request. One after another, they are all there is between us and the server. */
  private request: Promise<unknown> = Promise.resolve();
  private wake = () => {};
  private saidNoWorker = false;

  constructor(
    private readonly redis: Redis,
    private readonly shown: string,
    private readonly signal: AbortSignal,
    private readonly onEvent: OnEvent,
  ) {
    // The check would print a warning about eviction, once for each connection.
    this.queue = new Queue(queueName(), { connection: redis, skipVersionCheck: true });
    this.queue.on("error", () => {});
  }

  /** Jobs without an outcome. */
  get size(): number {
    return this.jobs.size;
  }

  /** Begins to listen to what becomes of the jobs in the queue. */
  async open(): Promise<void> {
    // Events from now on, by the server's clock: the first may be there before the stream of events is read.
    const [seconds] = await this.ask(this.redis.time());
    const lastEventId = `${Number(seconds) * 1000}`;
    this.events = new QueueEvents(queueName(), {
      connection: this.redis,
      skipVersionCheck: true,
      lastEventId,
    });
    this.events.on("error", () => {});
    const listen = ({ jobId }: { jobId: string }) => {
      if (!this.jobs.has(jobId)) return;
      this.ended.add(jobId);
      this.wake();
    };
    this.events.on("completed", listen);
    this.events.on("failed", listen);
    await this.sayIfNoWorker();
  }

  /** Puts more jobs into the queue, waits for news of all that are there, and returns the outcomes that they brought. */
  async exchange(more: readonly Job[]): Promise<Outcome[]> {
    await this.ask(this.remove(this.forgotten));
    this.forgotten.clear();
    for (const job of more) this.jobs.set(job.key, job);
    const known = await this.look(
      more.map(({ key }) => key),
      true,
    );
    return known.length > 0 ? known : this.look(await this.news());
  }

  /** The outcome is recorded. */
  forget({ key }: Outcome): void {
    this.forgotten.add(key);
  }

  /** Leaves nothing behind but jobs in flight and outcomes that nobody took. */
  async close(): Promise<void> {
    const leave = async () => {
      // What is just being added goes first.
      await this.request.catch(() => {});
      await this.remove([...this.jobs.keys(), ...this.forgotten]);
      await this.redis.expire(this.queue.toKey("events"), DAY);
      await this.queue.close();
    };
    await within(leave(), CLEAN_UP, () => {}).catch(() => {});
    await within(this.events?.close() ?? Promise.resolve(), CLOSE, () => {}).catch(() => {});
    this.redis.disconnect();
  }

  /**
   * Takes the outcomes of those of the jobs that ended. One that is not in the queue is put there; so is one that was given up
   * there before this sweep began.
   */
  private async look(keys: readonly string[], isNew = false): Promise<Outcome[]> {
    const entries = await this.ask(Promise.all(keys.map((key) => this.queue.getJob(key))));
    const outcomes: Outcome[] = [];
    const absent: string[] = [];
    const givenUp: string[] = [];
    for (const [index, key] of keys.entries()) {
      const entry = entries[index];
      if (entry === undefined) absent.push(key);
      else if (entry.finishedOn === undefined) continue;
      else if (isNew && entry.returnvalue === null) givenUp.push(key);
      else outcomes.push(outcomeOf(key, entry));
    }
    await this.ask(this.remove(givenUp));
    await this.add([...absent, ...givenUp]);
    for (const { key } of outcomes) this.jobs.delete(key);
    return outcomes;
  }

  private async add(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const entries = keys.map((key) => {
      const { scenario } = this.jobs.get(key) as Job;
      return { name: "run", data: { scenario }, opts: { ...OPTIONS, jobId: key } };
    });
    await this.ask(this.queue.addBulk(entries));
  }

  /** Removes jobs; those in flight stay. */
  private remove(keys: Iterable<string>): Promise<unknown> {
    return Promise.allSettled([...keys].map((key) => this.queue.remove(key)));
  }

  /** Keys of the jobs that ended; after a silence, of all jobs. */
  private async news(): Promise<string[]> {
    const heard = new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    if (this.ended.size === 0) await within(heard, SILENCE, () => {}, this.signal);
    if (this.ended.size === 0) {
      await this.sayIfNoWorker();
      return [...this.jobs.keys()];
    }
    const keys = [...this.ended].filter((key) => this.jobs.has(key));
    this.ended.clear();
    return keys;
  }

  private async sayIfNoWorker(): Promise<void> {
    if (this.saidNoWorker || (await this.ask(this.queue.getWorkersCount())) > 0) return;
    this.saidNoWorker = true;
    this.onEvent(
      `no worker with ${modelAndData()} is connected to ${this.shown} yet: ` +
        `start one with: exitlab worker --redis ${this.shown}`,
    );
  }

  /** What the server answers. @throws Error when it does not, and the signal's reason */
  private ask<T>(request: Promise<T>): Promise<T> {
    this.request = request;
    const fail = () => {
      throw new Error(`${this.shown} has not answered for ${PATIENCE / 1000} seconds`);
    };
    return within(request, PATIENCE, fail, this.signal);
  }
}

/** Of a job that ended: what it returned, or why it was given up. */
function outcomeOf(key: string, entry: QueuedJob<JobData, Outcome>): Outcome {
  const { returnvalue, failedReason, processedOn = 0, finishedOn = 0 } = entry;
  if (returnvalue !== null) return returnvalue;
  const error = `given up, every attempt to execute it ended early; the last: ${failedReason}`;
  return { key, status: "failed", error, ms: finishedOn - processedOn };
}
