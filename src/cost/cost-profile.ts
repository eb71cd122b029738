/**
 * Costs as a calibration left them, in a file: those that the measurements of one machine bear on, under one kernel. What no
 * measurement bears on stays as the data files have it.
 */
import { readFileSync } from "node:fs";
import * as z from "zod";
import { KERNEL_VERSIONS, type KernelVersion } from "../kvm/eras.js";
import { MITIGATIONS, type Mitigations } from "../kvm/kvm.js";
import { InputError, list, number, oneOf, parseInput, text } from "./input.js";
import type { CostRanges } from "./primitive-costs.js";
import { source, TAGS } from "./quantity.js";

const cycles = z.number({ error: "a number of cycles" });

const cost = z
  .object({
    name: text("a cost"),
    value: cycles,
    unit: z.literal("TSC cycles", { error: '"TSC cycles"' }),
    range: z.tuple([cycles, cycles], { error: "[low, high] in cycles" }),
    tag: oneOf(TAGS),
    source,
  })
  .refine(({ value, range: [low, high] }) => low <= value && value <= high, {
    error: "a value within its range, [low, high]",
  });

/** What a run is priced by. The file holds more, for its reader. */
const profileFile = z.object({
  cpu: text("a processor profile"),
  kernel: oneOf(KERNEL_VERSIONS),
  mitigations: oneOf(MITIGATIONS),
  tscMhz: number("the TSC's frequency", "MHz, more than 0", (mhz) => mhz > 0),
  stretch: number("what the tolerances were stretched by", "1 or more", (stretch) => stretch >= 1),
  costs: list(cost, "costs").superRefine((costs, context) => {
    const names = costs.map(({ name }) => name);
    const index = names.findIndex((name, at) => names.indexOf(name) < at);
    if (index >= 0) context.addIssue({ code: "custom", path: [index, "name"], message: "each cost once" });
  }),
});

export type CostProfileFile = z.infer<typeof profileFile>;

export interface CostProfile {
  readonly cpu: string;
  readonly kernel: KernelVersion;
  readonly mitigations: Mitigations;
  /** Of the machine's TSC. */
  readonly tscMhz: number;
  /** By how much the times contradict each other; 1 where they do not. */
  readonly stretch: number;
  readonly ranges: CostRanges;
}

/** Reads what `exitlab calibrate -o` wrote. @throws InputError */
export function readCostProfile(path: string): CostProfile {
  const { costs, ...machine } = parseInput(profileFile, readJson(path), path);
  return {
    ...machine,
    ranges: Object.fromEntries(
      costs.map(({ name, value, range: [low, high], tag, source: from }) => [
        name,
        { value, low, high, tag, source: from },
      ]),
    ),
  };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a file that exitlab calibrate wrote");
  }
}
