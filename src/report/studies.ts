/**
 * The studies by their names: what each may be asked, and the report that comes of it. The names are those of the commands in
 * their provenance.
 */
import * as z from "zod";
import { cpuNames } from "../cost/cpu-profile.js";
import {
  describeFields,
  type FieldDescription,
  InputError,
  integer,
  list,
  notAllowed,
  number,
  oneOf,
  parseInput,
  record,
  suggestion,
  text,
  withoutDefaults,
} from "../cost/input.js";
import { TAGS } from "../cost/quantity.js";
import { EXIT_EVICTS } from "../kvm/x86.js";
import { studyCommand } from "../study/command.js";
import { studyComparison } from "../study/comparison.js";
import { studyExitRows } from "../study/exit-rows.js";
import { studyExits } from "../study/exits.js";
import { type LifeOfFaultOptions, lifeOfFaultOptions, studyLifeOfFault } from "../study/life-of-a-fault.js";
import { studyLoadLatency } from "../study/load-latency.js";
import { studyNestedWalks } from "../study/nested-walks.js";
import { studyPciTestdev } from "../study/pci-testdev.js";
import { studyColdWalk, studyReferenceCounts } from "../study/two-dimensional-walk.js";
import { studyWalkFigures } from "../study/walk-figures.js";
import { plotBreakdown } from "./breakdown.js";
import { comparisonTable, plotComparison, tableBreakEven, tableComparison, tornadoOf } from "./comparison.js";
import { tableCosts } from "./costs.js";
import { exitRowsTable, plotExitRows } from "./exit-rows.js";
import { exitTable, plotExits, tableExits } from "./exits.js";
import type { Report } from "./export.js";
import { plotFastMmio } from "./fast-mmio.js";
import { geometryOptions } from "./geometry-options.js";
import { plotLifeOfFault } from "./life-of-a-fault.js";
import {
  latencyErrorsTable,
  plotLoadLatency,
  tableLatencyErrors,
  tableLatencySteps,
  tableTlbSteps,
} from "./load-latency.js";
import { mailTable } from "./mail-table.js";
import { plotNestedWalks } from "./nested-walks.js";
import { plotReferenceCounts } from "./reference-counts.js";
import { figureOnly, type Study, scenarioOption, study, withRows } from "./study-entry.js";
import { THREAD_STUDIES } from "./thread/studies.js";
import { plotTornado } from "./tornado.js";
import { plotWalk } from "./walk.js";
import { tableWalkFigures, walkFiguresTable } from "./walk-figures.js";

/** What a study is about, and what it may be asked. */
export interface StudyDescription {
  readonly name: string;
  /** A line. */
  readonly summary: string;
  readonly options: readonly FieldDescription[];
}

const seed = integer(0, 0xffff_ffff, "seed").optional();
const cpu = oneOf(cpuNames(), "processor");
const finite = (what: string) => number(what, "a finite number", Number.isFinite);
const range = { low: finite("lowest cycles"), high: finite("highest cycles") };

const side = record({ name: text("what it is called"), scenario: scenarioOption });

const nothing = record({});

const STUDIES: Readonly<Record<string, Study>> = {
  "pci-testdev": study(
    "six published rows of doorbell writes, fitted, and what the fast MMIO bus did to their machine",
    record({
      cpu: cpu.optional(),
      exitEvicts: oneOf(EXIT_EVICTS, "what an exit evicts").optional(),
      costs: z
        .record(z.string(), record(range))
        .describe("other prior ranges, TSC cycles: an object of costs, each with low, high")
        .optional(),
      measurement: text("path of a CSV file of rows of a machine of your own").optional(),
      accesses: integer(1, 1e9, "guest instructions per row").optional(),
      seed,
    }),
    (options) => {
      const made = studyPciTestdev(options);
      return {
        study: made,
        text: mailTable(made),
        figures: { breakdown: plotBreakdown(made), "fast-mmio": plotFastMmio(made) },
        tables: { costs: tableCosts(made) },
      };
    },
  ),
  "exit-rows": study("published exits, each predicted from the other rows of its machine", nothing, () => {
    const made = studyExitRows();
    return { study: made, text: exitRowsTable(made), figures: { "exit-rows": plotExitRows(made) } };
  }),
  "walk-figures": study(
    "published figures of page walks and second-level TLB hits against their simulation",
    record({ seed }),
    (options) => {
      const made = studyWalkFigures(options);
      return {
        study: made,
        text: walkFiguresTable(made),
        tables: { "walk-figures": tableWalkFigures(made) },
      };
    },
  ),
  "load-latency": study(
    "load latency over footprint, simulated against measured",
    record({
      cpus: list(cpu, "processors with measured latency")
        .min(1, { error: "at least one processor" })
        .optional(),
      maxFootprintKib: number(
        "KiB, larger footprints are left out",
        "more than 0",
        (kib) => kib > 0,
      ).optional(),
      seed,
    }),
    (options) => {
      const made = studyLoadLatency(options);
      return {
        study: made,
        text: latencyErrorsTable(made),
        figures: { "load-latency": plotLoadLatency(made) },
        tables: withRows({
          errors: tableLatencyErrors(made),
          "errors-near-sizes": tableLatencySteps(made),
          "tlb-steps": tableTlbSteps(made),
        }),
      };
    },
  ),
  "nested-walks": study(
    "the same random loads natively and under EPT, over a growing footprint",
    record({
      cpu: cpu.optional(),
      geometry: geometryOptions.optional(),
      footprintsKib: list(integer(4, 2 ** 24, "KiB of a footprint"), "footprints in KiB, multiples of 4")
        .min(1, { error: "at least one footprint" })
        .optional(),
      seed,
    }),
    (options) => {
      const made = studyNestedWalks(options);
      return figureOnly(made, "nested-walks", plotNestedWalks(made));
    },
  ),
  "cold-walk": study("the two-dimensional walk with nothing cached, entry by entry", nothing, () => {
    const made = studyColdWalk();
    return figureOnly(made, "cold-walk", plotWalk(made));
  }),
  "reference-counts": study(
    "references of a walk with nothing cached, for every guest paging mode and EPT",
    nothing,
    () => {
      const made = studyReferenceCounts();
      return figureOnly(made, "reference-counts", plotReferenceCounts(made));
    },
  ),
  "life-of-a-fault": study(
    "one address through violation, misconfiguration, fast MMIO bus, stale generation and RAM",
    lifeOfFaultOptions,
    (options) => {
      // Defaults would only lengthen its command.
      const made = studyLifeOfFault(withoutDefaults(lifeOfFaultOptions, options) as LifeOfFaultOptions);
      return figureOnly(made, "life-of-a-fault", plotLifeOfFault(made));
    },
  ),
  ...THREAD_STUDIES,
  comparison: study(
    "two scenarios on one processor: what each takes, and which costs decide the difference",
    record({
      a: side.describe("one side, A"),
      b: side.describe("the other, B"),
      costs: z
        .record(
          z.string(),
          record({
            ...range,
            value: finite("usual cycles").optional(),
            tag: oneOf(TAGS).optional(),
            source: text("who says so").optional(),
          }),
        )
        .describe("other ranges for both sides, TSC cycles: an object of costs, each with low, high")
        .optional(),
      draws: number("how many cost vectors", "a power of two from 2 to 1048576", isPowerOfTwo).optional(),
      seed,
    }),
    (options) => {
      const made = studyComparison(options);
      const moves = made.swings.some(({ atLow, atHigh }) => atLow !== atHigh);
      return {
        study: made,
        text: comparisonTable(made),
        figures: {
          comparison: plotComparison(made),
          ...(moves && { "costs-that-decide": plotTornado(tornadoOf(made)) }),
        },
        tables: withRows({ sides: tableComparison(made), "break-even": tableBreakEven(made) }),
      };
    },
  ),
  exits: study(
    "the exits of a scenario by reason, as perf kvm stat reports them",
    record({ scenario: scenarioOption }),
    async (options) => {
      const exits = await studyExits(options.scenario);
      const provenance = { ...exits.provenance, command: studyCommand("exits", options) };
      const made = { ...exits, provenance };
      return {
        study: made,
        text: exitTable(made),
        ...(made.samples > 0 && {
          figures: { exits: plotExits(made) },
          tables: { "exit-reasons": tableExits(made) },
        }),
      };
    },
  ),
};

/** Names, summaries and options of all studies. */
export const STUDY_DESCRIPTIONS: readonly StudyDescription[] = Object.entries(STUDIES).map(
  ([name, { summary, options }]) => ({ name, summary, options: describeFields(options) }),
);

/**
 * Runs a study and reports it, for `exportReport()`.
 *
 * @throws InputError for a study or an option that is not known, a value that is not allowed, and as the study itself
 */
export async function studyReport(name: string, options: object = {}): Promise<Report> {
  if (!Object.hasOwn(STUDIES, name)) {
    const names = Object.keys(STUDIES);
    throw new InputError(
      "study",
      `${notAllowed(name)}${suggestion(name, names)}`,
      `one of ${names.join(", ")}`,
    );
  }
  const { summary, options: schema, show } = STUDIES[name];
  const parsed = parseInput(schema, options, `study ${name}`);
  const { study: made, text: mail, short, figures = {}, tables = {} } = await show(parsed);
  return {
    title: `${name}: ${summary}`,
    provenance: made.provenance,
    scenario: { study: name, options: parsed },
    rows: made,
    text: mail,
    ...(short !== undefined && { short }),
    figures,
    tables,
  };
}

function isPowerOfTwo(draws: number): boolean {
  return draws >= 2 && draws <= 2 ** 20 && Number.isInteger(Math.log2(draws));
}
