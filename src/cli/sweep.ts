/** `exitlab sweep`: runs a sweep, or what is left of it. */
import { type Command, Option } from "commander";
import { sweep } from "../report/sweep.js";
import type { Executor } from "../study/sweep/executor.js";
import { LocalExecutor } from "../study/sweep/local.js";
import { nameOf } from "../study/sweep/point.js";
import { parseShard } from "../study/sweep/shard.js";
import type { SweepInput } from "../study/sweep/spec.js";
import type { SweepResult } from "../study/sweep/sweep.js";
import { readJson, wholeNumber } from "./input.js";
import { OUT, SHARD, SWEEP } from "./sweep-words.js";

/** Some points failed; all others are done. */
const SOME_FAILED = 2;

/** Failed points that are shown. */
const SHOWN = 10;

interface Options {
  readonly out?: string;
  readonly workers?: string;
  readonly shard?: string;
  readonly redis?: string;
  readonly failFast?: boolean;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addSweep(program: Command): void {
  program
    .command("sweep")
    .description("run a sweep, or what is left of it after an interrupt, a crash or a change of the model")
    .argument("<sweep.json>", SWEEP)
    .option(...OUT)
    .addOption(new Option("--workers <n>", "threads (default: one for each core)").conflicts("redis"))
    .option(...SHARD)
    .option("--redis <url>", "let workers execute it that are connected to this Redis")
    .option("--fail-fast", "stop at the first point that fails")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  exitlab sweep sweep.json
  exitlab sweep sweep.json --shard $((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))/$SLURM_ARRAY_TASK_COUNT
  exitlab sweep sweep.json --shard $((JOB_COMPLETION_INDEX + 1))/8
  exitlab sweep sweep.json --redis redis://queue.example:6379`,
    )
    .action(sweepCommand);
}

async function sweepCommand(path: string, options: Options): Promise<void> {
  const { out, workers, shard, redis, failFast = false, json = false } = options;
  const result = await sweep(readJson<SweepInput>(path), {
    failFast,
    onStart: sayWhy,
    executor: await executorOf(workers, redis),
    ...(out !== undefined && { out }),
    ...(shard !== undefined && { shard: parseShard(shard) }),
  });
  report(result, json);
}

/** Says of a sweep that was begun before what is left of it, and why. */
function sayWhy(reasons: ReadonlyMap<string, number>): void {
  if ([...reasons.keys()].every((kind) => kind === "new" || kind === "cannot run")) return;
  say(`to run: ${[...reasons].map(([kind, points]) => `${points} (${kind})`).join(", ")}`);
}

async function executorOf(workers: string | undefined, redis: string | undefined): Promise<Executor> {
  if (redis === undefined)
    return new LocalExecutor(workers === undefined ? undefined : wholeNumber("--workers", workers));
  // Loaded by who needs it only: it takes a third of a second.
  const { RedisExecutor } = await import("../study/sweep/redis.js");
  return new RedisExecutor(redis, say);
}

/** What a sweep or a merge came to, on stdout, and what failed, on stderr. */
export function report(result: SweepResult, json: boolean): void {
  const { spec, provenance, rows, failed, ran, journal, results } = result;
  if (json) {
    const summary = {
      ...provenance,
      sweep: spec.name,
      points: rows.length + failed.length,
      done: rows.length,
      ran,
      failed,
      journal,
      results,
    };
    process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
  } else {
    const { version, model, data } = provenance;
    process.stdout.write(`SIMULATED, not hardware: exitlab ${version}, model ${model}, data ${data}\n`);
    process.stdout.write(
      `${spec.name}: ${rows.length} of ${rows.length + failed.length} points done, ${ran} of them now\n`,
    );
    process.stdout.write(`${results === null ? `journal: ${journal}` : `results: ${results}`}\n`);
  }
  const imprecise = rows.filter(({ precision }) => precision?.reached === false).length;
  if (imprecise > 0) say(`${imprecise} points did not reach the wanted precision`);
  for (const { values, error } of failed.slice(0, SHOWN)) say(`failed: ${nameOf(values)}: ${error}`);
  if (failed.length > SHOWN)
    say(`and ${failed.length - SHOWN} more failed; they are in ${results ?? journal}`);
  if (failed.length > 0) process.exitCode = SOME_FAILED;
}

function say(line: string): void {
  process.stderr.write(`exitlab: ${line}\n`);
}
