/** `exitlab compare`: results against each other, the first being the base. */

import { InputError } from "../cost/input.js";
import { type CompareStyle, compareTable } from "../report/compare/table.js";
import { compareFiles } from "../study/compare/files.js";
import type { PER } from "../study/compare/simulated.js";
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
