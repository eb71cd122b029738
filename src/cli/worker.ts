/** `exitlab worker`: executes points of sweeps that others submit through Redis. */
import { availableParallelism } from "node:os";
import { Interrupted, interruptible } from "../study/sweep/interrupt.js";
import { wholeNumber } from "./input.js";

interface Options {
  readonly redis: string;
  readonly jobs?: string;
  readonly allowPatchSource?: boolean;
}

export async function workerCommand({ redis, jobs, allowPatchSource = false }: Options): Promise<void> {
  const onEvent = (line: string) => process.stderr.write(`exitlab: ${line}\n`);
  const concurrency = jobs === undefined ? availableParallelism() : wholeNumber("--jobs", jobs);
  // Loaded by this command only: it takes a third of a second.
  const { work } = await import("../study/sweep/redis-worker.js");
  try {
    await interruptible((signal) =>
      work({ url: redis, jobs: concurrency, allowPatchSource, signal, onEvent }),
    );
  } catch (error) {
    // To be stopped is how a worker ends.
    if (!(error instanceof Interrupted)) throw error;
  }
}
