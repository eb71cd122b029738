/** The JSON of `exitlab run --json`, read again: the counts of a run with its price and its exits. */
import * as z from "zod";
import { parseInput } from "../cost/input.js";
import { CATEGORIES } from "../cost/primitive-costs.js";
import type { ExitsStudy } from "./exits.js";
import type { RunPrice } from "./price.js";
import type { Run } from "./run/run.js";
import { parseScenario } from "./run/scenario.js";
import { INCIDENT_KINDS } from "./run/semantics.js";

const text = z.string({ error: "text" });
const figure = z.number({ error: "a number" });
const texts = z.array(text, { error: "a list of texts" });
const counts = z.record(text, figure, { error: "numbers by name" });

/** Some fields, and whatever else a later version may write. */
const some = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.looseObject(shape, { error: `an object with ${Object.keys(shape).join(", ")}` });
const each = <Element extends z.ZodType>(element: Element) => z.array(element, { error: "a list" });

const cycles = some({ low: figure, value: figure, high: figure });
const quantity = some({ value: figure, low: figure, high: figure, unit: text, tag: text, source: text });

const provenance = some({
  version: text,
  model: text,
  data: text,
  seed: figure,
  calibration: text.optional(),
  conditions: some({
    cpus: texts,
    kernels: texts,
    mitigations: texts,
    switches: z.record(text, texts, { error: "values by switch" }),
  }),
  command: text.nullable(),
});

const conditions = some({
  model: text,
  paging: text,
  vcpus: figure,
  tsc: quantity,
  core: quantity,
  stretch: figure.optional(),
});

const price = some({
  provenance,
  conditions,
  perAccess: cycles,
  byCategory: z.record(z.enum(CATEGORIES), cycles, { error: "cycles of each category" }),
  items: each(
    some({
      cost: text,
      category: z.enum(CATEGORIES),
      primitives: texts,
      times: figure,
      each: cycles,
      cycles,
      tag: text,
      source: text,
    }),
  ),
  free: each(some({ primitive: text, because: text })),
});

const durations = some({ least: figure, mean: figure, greatest: figure, low: figure, high: figure });

const exits = some({
  provenance,
  machine: text,
  conditions,
  warmUp: figure,
  samples: figure,
  handled: cycles,
  outside: cycles,
  reasons: each(
    some({
      reason: text,
      samples: figure,
      cycles: durations,
      us: durations,
      relativeError: figure.nullable(),
      outside: cycles,
      distribution: each(some({ cycles: figure, us: figure, samples: figure })).min(1),
    }),
  ),
});

const semantics = some({
  kicks: figure,
  kicksByUserspace: figure,
  doorbellReads: figure,
  incidents: z.partialRecord(
    z.enum(INCIDENT_KINDS),
    some({
      count: figure,
      first: some({ instruction: figure, vcpu: figure, op: text, expected: text, happened: text }),
    }),
    { error: "incidents by kind" },
  ),
});

const runJson = some({
  scenario: z.unknown(),
  accesses: figure.positive({ error: "a number of accesses" }),
  counts,
  pmu: counts,
  signals: each(figure),
  semantics: semantics.optional(),
  precision: some({ mean: figure, halfWidth: figure, warmUp: figure, reached: z.boolean() }).optional(),
  recording: some({ lines: figure, steps: figure, leftOut: counts, notes: texts }).optional(),
  price,
  exits: exits.optional(),
});

export interface RunJson {
  readonly run: Run;
  readonly price: RunPrice;
  readonly exits?: ExitsStudy;
}

/** Whether JSON was meant as that of a run. */
export function isRunJson(json: unknown): boolean {
  return typeof json === "object" && json !== null && Object.hasOwn(json, "counts");
}

/** @param what names the JSON in errors @throws InputError for what `exitlab run --json` did not print */
export function parseRunJson(json: unknown, what: string): RunJson {
  const parsed = parseInput(runJson, json, what);
  const scenario = parseScenario(parsed.scenario, `${what}: scenario`);
  const { price: priced, exits: ofRun, ...run } = parsed;
  // The schema has what a report reads of them.
  return {
    run: { ...run, scenario },
    price: priced,
    ...(ofRun && { exits: { ...ofRun, scenario } }),
  } as unknown as RunJson;
}
