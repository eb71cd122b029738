/** `exitlab export`: the folder of a result at hand, or of a scenario that is run for it. */

import { statSync } from "node:fs";
import type { Command } from "commander";
import { InputError } from "../cost/input.js";
import type { Report } from "../report/export.js";
import { runReport } from "../report/run-report.js";
import { sweepReport } from "../report/sweep-report.js";
import { exitlabCommand, shellWord } from "../study/command.js";
import { parseScenario } from "../study/run/scenario.js";
import { isRunJson, parseRunJson } from "../study/run-json.js";
import { readSweep } from "../study/sweep/read.js";
import { isJson, nameOf, readJson, repeated } from "./input.js";
import { reportOfScenario } from "./run.js";
import { FORMATS_OPTION, parseFormats, writeReport } from "./write-report.js";

interface Options {
  readonly out: string;
  readonly formats?: string;
  readonly x?: string;
}

const ALLOWED = "results.jsonl of a sweep or its folder, the JSON of exitlab run --json, or a scenario";

/** Adds the command to the program. */
export function addExport(program: Command): void {
  program
    .command("export")
    .description("write figures, rows and mail of a result, or of a scenario, into a folder")
    .argument(
      "<result>",
      "results.jsonl of a sweep or its folder, what run --json printed, or a scenario, in a file or as JSON",
    )
    .requiredOption("--out <folder>", "where to")
    .option(...FORMATS_OPTION)
    .option("--x <field>", "horizontal axis of a sweep (default: the field with most values)")
    .addHelpText(
      "after",
      "\nExamples:\n  exitlab export out/doorbells --out report --formats svg,csv\n  exitlab export scenario.json --out report",
    )
    .action(exportCommand);
}

async function exportCommand(given: string, { out, formats, x }: Options): Promise<void> {
  const wanted = formats === undefined ? undefined : parseFormats(formats);
  const report = await reportOf(given, out, x);
  const files = await writeReport(report, out, wanted);
  process.stdout.write(`${report.text}\nWritten: ${files.join(", ")}\n`);
}

async function reportOf(given: string, out: string, x: string | undefined): Promise<Report> {
  if (isSweep(given)) return sweepReport(await readSweep(given), { ...(x !== undefined && { x }) });
  if (x !== undefined) throw new InputError("--x", "is for sweeps", "nothing for a run");
  const what = nameOf(given, "scenario");
  const json = readJson<unknown>(given);
  if (isRunJson(json)) {
    const { run, price, exits } = parseRunJson(json, what);
    const then = exitlabCommand("export", given, "--out", out);
    const again = (command: string | null) => command && `${command} > ${shellWord(given)} && ${then}`;
    const provenance = { ...price.provenance, command: again(price.provenance.command) };
    return runReport(run, {
      price: { ...price, provenance },
      ...(exits && { exits: { ...exits, provenance } }),
    });
  }
  if (!isScenario(json)) throw new InputError(what, "is no result and no scenario", ALLOWED);
  const command = exitlabCommand("export", repeated(given), "--out", out);
  return reportOfScenario(parseScenario(json, what), { what, command });
}

function isSweep(given: string): boolean {
  if (isJson(given)) return false;
  return given.endsWith(".jsonl") || statSync(given, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Whether it was meant as one: what is wrong in it is for the schema to say. */
function isScenario(json: unknown): boolean {
  if (typeof json !== "object" || json === null) return false;
  return ["cpu", "kernel", "memslots"].some((field) => Object.hasOwn(json, field));
}
