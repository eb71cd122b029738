/** `exitlab conform`: the model against tables of outcomes, and against this machine's KVM. */
import type { Command } from "commander";
import { InputError } from "../cost/input.js";
import { differentialText } from "../report/differential.js";
import { terminalLine } from "../report/terminal-line.js";
import { type Conformance, conform } from "../study/conformance/table.js";
import { conformHost } from "../study/differential/conform-host.js";
import { wholeNumber } from "./input.js";

interface Options {
  readonly host?: boolean;
  readonly scenarios?: string;
  readonly seed?: string;
  readonly path?: string;
}

/** Adds the command to the program. */
export function addConform(program: Command): void {
  program
    .command("conform")
    .description(
      "run the model against tables of outcomes, or against this machine's KVM, and tell where they agree",
    )
    .argument(
      "[table.jsonl...]",
      "tables of guest paging, EPT, nested, EPT pointer, TLB or ioeventfd rows, also gzipped",
    )
    .option("--host", "run random scenarios on this machine's KVM, up to the first difference")
    .option("--scenarios <n>", "how many (default: 2000)")
    .option("--seed <n>", "which (default: 1)")
    .option("--path <path>", "begin with the difference that was reported so")
    .addHelpText(
      "after",
      "\nExamples:\n  exitlab conform ept.jsonl.gz\n  exitlab conform --host --scenarios 500 --seed 7",
    )
    .action(conformCommand);
}

async function conformCommand(paths: readonly string[], options: Options): Promise<void> {
  const { host = false } = options;
  if (paths.length === 0 && !host)
    throw new InputError("conform", "nothing is named", "tables, --host, or both");
  for (const path of paths) {
    const result = await conform(path);
    if (paths.length > 1) process.stdout.write(`${path}: `);
    process.stdout.write(`${report(result)}\n`);
    if (result.failed > 0) process.exitCode = 1;
  }
  if (host) await hostCommand(options);
}

async function hostCommand({ scenarios, seed, path }: Options): Promise<void> {
  const line = terminalLine(process.stderr);
  const result = await conformHost({
    onScenario: (compared) => line.show(`${compared} scenarios without a difference`),
    ...(scenarios !== undefined && { scenarios: wholeNumber("--scenarios", scenarios) }),
    ...(seed !== undefined && { seed: wholeNumber("--seed", seed) }),
    ...(path !== undefined && { path }),
  }).finally(line.clear);
  process.stdout.write(differentialText(result));
  if (result.difference !== null) process.exitCode = 1;
}

/** "N passed, M failed, K skipped", and the first failures with their rows. */
function report({ passed, failed, skipped, failures }: Conformance): string {
  const lines = [`${passed} passed, ${failed} failed, ${skipped} skipped`];
  for (const { line, row, expected, got } of failures) {
    const where = `line ${line}: `;
    lines.push(`${where}expected ${expected}`, `${" ".repeat(where.length)}got      ${got}`, `  ${row}`);
  }
  if (failed > failures.length) lines.push(`and ${failed - failures.length} more failures`);
  return lines.join("\n");
}
