/** `exitlab worker`: executes points of sweeps that others submit through Redis. */

import { availableParallelism } from "node:os";
import type { Command } from "commander";
import { Interrupted, interruptible } from "../study/sweep/interrupt.js";
import { ALLOW_PATCH_SOURCE } from "../study/sweep/redis-options.js";
import { wholeNumber } from "./input.js";

interface Options {
  readonly redis: string;
  readonly jobs?: string;
  readonly allowPatchSource?: boolean;
}

/** Adds the command to the program. */
export function addWorker(program: Command): void {
  program
    .command("worker")
    .description("execute points of sweeps that are submitted through Redis, until interrupted")
    .requiredOption("--redis <url>", "where the points are")
    .option("--jobs <n>", "points at a time (default: one for each core)")
    .option(
      ALLOW_PATCH_SOURCE,
      "also run patches that are in no file here, from the source that a point brings along",
    )
    .addHelpText("after", "\nExample:\n  exitlab worker --redis redis://queue.example:6379")
    .action(workerCommand);
}

async function workerCommand({ redis, jobs, allowPatchSource = false }: Options): Promise<void> {
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
