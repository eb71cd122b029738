/** `exitlab compare`: results against each other, the first being the base. */
import { type Command, Option } from "commander";
import { InputError } from "../cost/input.js";
import { COMPARE_STYLES, type CompareStyle, compareTable } from "../report/compare/table.js";
import { compareFiles } from "../study/compare/files.js";
import { PER } from "../study/compare/simulated.js";
import { wholeNumber } from "./input.js";

interface Options {
  readonly by?: string;
  readonly base?: string;
  readonly patches?: readonly string[];
  readonly seeds?: string;
  readonly of?: string;
  readonly per?: (typeof PER)[number];
  readonly style?: CompareStyle;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addCompare(program: Command): void {
  program
    .command("compare")
    .description("compare results, each against the first: measured, with tests; or simulated, with ranges")
    .argument(
      "<base>",
      "what vmexit, perf kvm stat report or ftrace printed, or a CSV file of rows; or results.jsonl of a sweep or its folder, what run --json printed, or a scenario, in a file or as JSON that begins with {",
    )
    .argument("[new...]", "others of the same kind")
    .option("--by <field>", "compare one sweep along a field that varies in it")
    .option(
      "--patches <series...>",
      "compare one scenario under series of patches: none, names joined with +, or a list in JSON",
    )
    .option("--base <value>", "the column that is the base (default: the first)")
    .option("--seeds <n>", "with how many seeds to run a scenario (default: 10)")
    .option("--of <figure>", "cycles, or a primitive that is counted (default: cycles)")
    .addOption(new Option("--per <what>", "of what each (default: access)").choices(PER))
    .addOption(
      new Option("--style <style>", "layout of the table (default: benchstat)").choices(COMPARE_STYLES),
    )
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  exitlab compare before.txt after.txt
  exitlab compare out/neighbours --by kernel
  exitlab compare scenario.json --patches none svm-fast-mmio`,
    )
    .action(compareCommand);
}

export async function compareCommand(
  base: string,
  others: readonly string[],
  options: Options,
): Promise<void> {
  const { patches, seeds, style, json = false, ...rest } = options;
  const compared = await compareFiles([base, ...others], {
    ...rest,
    ...(patches !== undefined && { patches: patches.map(seriesOf) }),
    ...(seeds !== undefined && { seeds: wholeNumber("--seeds", seeds) }),
  });
  process.stdout.write(json ? `${JSON.stringify(compared, null, 2)}\n` : compareTable(compared, style));
}

/** "none", or names joined with "+"; or JSON, a list of patches. */
function seriesOf(text: string): unknown[] {
  if (text.startsWith("[")) return readList(text);
  return text === "none" ? [] : text.split("+");
}

function readList(text: string): unknown[] {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(
      "--patches",
      (error as Error).message,
      "none, names joined with +, or a list in JSON",
    );
  }
}
