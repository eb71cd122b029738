/**
 * Which worker gets which job: each goes from one to what is most like it. V8 optimizes for up to four classes at one place of
 * the code, and every kernel is one, with each patch another: what has to do with all of them runs slower. And a machine takes
 * over the arrays of the one before, if their processors are the same.
 */
import type { Job } from "./executor.js";

/** Jobs by worker, neighbours alike. */
export class Shares {
  private readonly shares: Job[][];

  /** @param workers one or more */
  constructor(jobs: readonly Job[], workers: number) {
    const likeness = ({ scenario: { kernel, cpu } }: Job) => `${kernel} ${cpu}`;
    const sorted = jobs
      .map((job) => ({ job, text: likeness(job) }))
      .sort((one, other) => (one.text < other.text ? -1 : one.text > other.text ? 1 : 0))
      .map(({ job }) => job);
    const startOf = (worker: number) => Math.floor((worker * jobs.length) / workers);
    this.shares = Array.from({ length: workers }, (_, worker) => {
      const share = sorted.slice(startOf(worker), startOf(worker + 1));
      // Taken from its end: two neighbours begin as far apart as they can.
      return worker % 2 === 0 ? share.reverse() : share;
    });
  }

  /** The next job for a worker: of its share, or once that is done, what the largest would come to last. */
  next(worker: number): Job | undefined {
    const own = this.shares[worker].pop();
    if (own !== undefined) return own;
    return this.shares.reduce((most, share) => (share.length > most.length ? share : most)).shift();
  }
}
