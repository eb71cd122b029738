/**
 * The parts of the study of the thread: none needs another, so that each may be worked on by a core of its own. What they find
 * does not depend on it.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { conditionsOf } from "../conditions.js";
import { studyThreadIncidents } from "../incidents/thread-cases.js";
import type { Design } from "./designs.js";
import { type MeasuredDesign, measureDesigns } from "./measured-design.js";
import { studyBypass } from "./objections/bypass.js";
import { studyFaultTax } from "./objections/fault-tax.js";
import { studyReads } from "./objections/reads.js";
import { studySlotPrice } from "./objections/slot-price.js";
import { studyOpenSwitches } from "./open-switches.js";
import { answer } from "./question.js";
import type { Setting } from "./setting.js";
import { studyTlbArgument } from "./tlb-argument.js";
import { verdictRows } from "./verdict.js";

const require = createRequire(import.meta.url);

export interface PartOptions {
  /** What surrounds the doorbells of a vendor's designs in the verdict. */
  readonly settings: Readonly<Record<Design["vendor"], Setting>>;
  /** Of the other parts: a processor of Intel. */
  readonly cpu: string;
  readonly seed: number;
}

/** Kicks in each case of the open switches: they are alike. */
const ALIKE = 64;

/** Those that take longest come first, so that no core waits for one at the end. */
const PARTS = {
  verdict({ settings }: PartOptions) {
    const designs = measureDesigns((vendor) => settings[vendor]);
    return {
      verdict: verdictRows(designs),
      question: answer(designs.get("rfc") as MeasuredDesign, designs.get("bad-page") as MeasuredDesign),
      conditions: conditionsOf([...designs.values()].flatMap(({ scenarios }) => scenarios)),
    };
  },
  switches: ({ settings }: PartOptions) =>
    studyOpenSwitches({ ...settings.Intel, accesses: ALIKE, warmup: ALIKE }),
  tlb: ({ cpu, seed }: PartOptions) => studyTlbArgument({ cpu, seed }),
  faultTax: ({ cpu, seed }: PartOptions) => studyFaultTax({ cpu, seed }),
  bypass: ({ cpu, seed }: PartOptions) => studyBypass({ cpu, seed }),
  incidents: () => studyThreadIncidents(),
  slotPrice: ({ cpu, seed }: PartOptions) => studySlotPrice({ cpu, seed }),
  reads: ({ cpu, seed }: PartOptions) => studyReads({ cpu, seed }),
} as const;

type PartName = keyof typeof PARTS;
export type Parts = { readonly [Name in PartName]: ReturnType<(typeof PARTS)[Name]> };

/** What a worker is asked for. */
export interface WantedPart {
  readonly name: PartName;
  readonly options: PartOptions;
}

/** Works on a part in this thread. */
export function executePart({ name, options }: WantedPart): Parts[PartName] {
  return PARTS[name](options);
}

/** The compiled worker beside this file. */
const WORKER = fileURLToPath(new URL("./part-worker.js", import.meta.url));

/**
 * All parts, by threads on all cores but one: that is for the browser, which gets ready for the figures, and what one thread has
 * compiled another would compile again. In this thread where there is one core, or no worker because the sources run uncompiled.
 */
export async function executeParts(options: PartOptions): Promise<Parts> {
  const names = Object.keys(PARTS) as PartName[];
  const threads = Math.min(availableParallelism() - 1, names.length);
  const wanted = names.map((name): WantedPart => ({ name, options }));
  if (threads === 0 || !existsSync(WORKER)) return byName(names, wanted.map(executePart));
  // Loaded here, for a worker has no threads of its own; and at once, so that these load while the caller goes on.
  const { Piscina } = require("piscina") as typeof import("piscina");
  const pool = new Piscina<WantedPart, Parts[PartName]>({
    filename: WORKER,
    minThreads: threads,
    maxThreads: threads,
  });
  try {
    return byName(names, await Promise.all(wanted.map((part) => pool.run(part))));
  } finally {
    await pool.destroy();
  }
}

function byName(names: readonly PartName[], parts: readonly Parts[PartName][]): Parts {
  return Object.fromEntries(names.map((name, index) => [name, parts[index]])) as unknown as Parts;
}
