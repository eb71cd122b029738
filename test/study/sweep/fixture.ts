/** What the tests of sweeps share: a small sweep, and an executor without threads. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Executor, executeJob, type Job, type Outcome } from "../../../src/study/sweep/executor.js";

/** A doorbell, kicked and read, on a machine that runs in a millisecond. */
export const BASE = {
  cpu: "sandy-bridge-ep",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x400000" }],
  doorbells: { address: "0xfebf0000" },
  workload: [{ op: "kick" }, { name: "reads", op: "doorbell-read", weight: 0.5 }],
  accesses: 50,
} as const;

export const SWEEP = {
  name: "doorbells",
  base: BASE,
  axes: { kernel: ["v4.2", "v6.19"], "workload[reads].weight": [0, 1] },
  seeds: 2,
} as const;

/** Executes jobs one after the other, and counts them. */
export class InThread implements Executor {
  readonly executed: string[] = [];

  async *execute(jobs: readonly Job[], signal: AbortSignal): AsyncGenerator<Outcome> {
    for (const job of jobs) {
      signal.throwIfAborted();
      this.executed.push(job.key);
      yield await executeJob(job);
    }
  }
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "exitlab-sweep-"));
}
