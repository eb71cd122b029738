/** `exitlab plan`: what a sweep would run, and why. */

import { availableParallelism } from "node:os";
import type { Command } from "commander";
import { duration } from "../report/format.js";
import { planSweep } from "../study/sweep/plan.js";
import { nameOf } from "../study/sweep/point.js";
import { parseShard } from "../study/sweep/shard.js";
import type { SweepInput } from "../study/sweep/spec.js";
import { readJson } from "./input.js";
import { OUT, SHARD, SWEEP } from "./sweep-words.js";

interface Options {
  readonly out?: string;
  readonly shard?: string;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addPlan(program: Command): void {
  program
    .command("plan")
    .description("print what a sweep would run and why, and how long it may take")
    .argument("<sweep.json>", SWEEP)
    .option(...OUT)
    .option(...SHARD)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  exitlab plan sweep.json")
    .action(planCommand);
}

async function planCommand(path: string, { out, shard, json = false }: Options): Promise<void> {
  const plan = await planSweep(readJson<SweepInput>(path), {
    ...(out !== undefined && { out }),
    ...(shard !== undefined && { shard: parseShard(shard) }),
  });
  if (json) {
    process.stdout.write(`${JSON.stringify(plan, null, 2)}\n`);
    return;
  }
  const { spec, points, cached, toRun, seconds, recordings } = plan;
  const lines = points.map(({ values, reason }) => `${nameOf(values)}: ${reason ?? "has a result"}`);
  lines.push(`${spec.name}: ${points.length} points, ${cached} with a result, ${toRun} to run`);
  const cores = availableParallelism();
  if (seconds !== null) {
    const time = `about ${duration(seconds / cores)} on ${cores} cores, by a pilot`;
    lines.push(spec.base.precision !== undefined ? `at most ${time}` : time);
  }
  if (recordings > 0) lines.push(`${recordings} of them replay recordings, which the estimate leaves out`);
  process.stdout.write(`${lines.join("\n")}\n`);
}
