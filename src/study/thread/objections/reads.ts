/**
 * First objection: the bus is written to even if the guest reads. What a read of a doorbell costs, and what becomes of
 * it, over the share of reads among the accesses to doorbells.
 */
import { occurrences } from "../../../cost/counts.js";
import { loadCpu } from "../../../cost/cpu-profile.js";
import { priceCounts } from "../../../cost/price.js";
import { primitiveCosts } from "../../../cost/primitive-costs.js";
import { linearBounds } from "../../../cost/uncertainty.js";
import { studyCommand } from "../../command.js";
import { conditionsOf } from "../../conditions.js";
import { provenanceOf } from "../../provenance.js";
import type { Interval, Provenance } from "../../result.js";
import { type DesignName, designOf } from "../designs.js";
import { kickCounts } from "../kick-counts.js";
import { type Setting, scenarioOf } from "../setting.js";
import { type ObjectionOptions, settingOf } from "./setting.js";
import { type Part, perInstruction, type SplitRun, splitRun } from "./split-run.js";

/** Of a kick or of a read: how often, each; TSC cycles. */
export interface AccessFigures {
  readonly exits: number;
  readonly userspaceExits: number;
  readonly signals: number;
  readonly cycles: Interval;
}

export interface ReadsPoint {
  /** Asked for; what was drawn is in `kicks` and `reads`. */
  readonly readShare: number;
  readonly kicks: number;
  readonly reads: number;
  /** Signals beyond one for each kick, by kick. */
  readonly unexplained: number;
  /** Of the reads: those that signalled, and those that ended without a value. */
  readonly spuriousSignals: number;
  readonly lostLoads: number;
  readonly perKick: AccessFigures;
  /** null where nothing is read. */
  readonly perRead: AccessFigures | null;
}

/** A design with the state of its page before the run. */
export interface ReadsCase {
  readonly design: DesignName;
  /** The guest has read each page beside the doorbells. */
  readonly populated: boolean;
  /** Both as a person calls them. */
  readonly label: string;
}

export interface ReadsCurve extends ReadsCase {
  readonly points: readonly ReadsPoint[];
  /** Of all reads at all shares, the part that signalled, that went to userspace, and that did neither: 0 to 1. */
  readonly signalled: number;
  readonly userspace: number;
  readonly served: number;
}

/** Plain data, JSON-serialisable. */
export interface ReadsStudy {
  readonly provenance: Provenance;
  readonly machine: string;
  readonly curves: readonly ReadsCurve[];
  /** For the verdict table. */
  readonly verdict: string;
}

export const READ_SHARES = [0, 0.1, 0.3, 0.5] as const;

const caseOf = (design: DesignName, populated = false): ReadsCase => ({
  design,
  populated,
  label: design === "rfc" ? `rfc, page ${populated ? "read before" : "never read"}` : design,
});

export const READS_CASES: readonly ReadsCase[] = [
  caseOf("pio"),
  caseOf("base-4.2"),
  caseOf("rfc"),
  caseOf("rfc", true),
  caseOf("bad-page"),
  caseOf("write-mostly"),
  caseOf("base-6.19"),
  caseOf("repaired"),
];

const WHAT = "studyReads";
const ACCESSES = 1000;

/** @throws InputError that names the option, its value and what is allowed */
export function studyReads(options: ObjectionOptions = {}): ReadsStudy {
  const setting = settingOf(options, ACCESSES, WHAT);
  const studied = READS_CASES.map((of) => {
    const runs = READ_SHARES.map((readShare) =>
      splitRun(scenarioOf(designOf(of.design), { ...setting, readShare }), of.populated),
    );
    return { curve: curveOf(of, setting, runs), runs };
  });
  const curves = studied.map(({ curve }) => curve);
  return {
    provenance: provenanceOf({
      seed: setting.seed,
      conditions: conditionsOf(studied.flatMap(({ runs }) => runs.map(({ scenario }) => scenario))),
      command: studyCommand("reads", options),
    }),
    machine: loadCpu(setting.cpu).model,
    curves,
    verdict: verdictOf(curves),
  };
}

function curveOf(of: ReadsCase, setting: Setting, runs: readonly SplitRun[]): ReadsCurve {
  const costs = primitiveCosts(loadCpu(setting.cpu), designOf(of.design).kernel);
  const figuresOf = (part: Part): AccessFigures => {
    const counts = perInstruction(part);
    // Refuses what no cost prices.
    priceCounts(costs, part.counts, part.instructions);
    const { exits, userspaceExits } = kickCounts(counts);
    return {
      exits,
      userspaceExits,
      signals: part.signals / part.instructions,
      cycles: linearBounds(costs, occurrences(costs, counts)),
    };
  };
  const all = runs.reduce((sum, { reads }) => sum + reads.instructions, 0);
  const shareOf = (count: (reads: Part) => number) =>
    runs.reduce((sum, { reads }) => sum + count(reads), 0) / all;
  const signalled = shareOf(({ signals }) => signals);
  const userspace = shareOf(({ counts }) => kickCounts(counts).userspaceExits);
  return {
    ...of,
    points: runs.map(({ kicks, reads, semantics: { incidents } }, index) => ({
      readShare: READ_SHARES[index],
      kicks: kicks.instructions,
      reads: reads.instructions,
      unexplained: (kicks.signals + reads.signals) / kicks.instructions - 1,
      spuriousSignals: incidents["spurious-signal"]?.count ?? 0,
      lostLoads: incidents["lost-load"]?.count ?? 0,
      perKick: figuresOf(kicks),
      perRead: reads.instructions === 0 ? null : figuresOf(reads),
    })),
    signalled,
    userspace,
    served: 1 - signalled - userspace,
  };
}

/** What most reads of a design end as. */
export function fateOf({ signalled, userspace, served }: ReadsCurve): "signal" | "userspace" | "memory" {
  if (signalled >= userspace && signalled >= served) return "signal";
  return userspace >= served ? "userspace" : "memory";
}

const FATES = {
  signal: "signals and loads nothing",
  memory: "loads from the slot",
  userspace: "goes to userspace",
} as const;

function verdictOf(curves: readonly ReadsCurve[]): string {
  const parts = (["signal", "memory", "userspace"] as const).flatMap((fate) => {
    const of = curves.filter((curve) => fateOf(curve) === fate);
    return of.length === 0 ? [] : [`${FATES[fate]} (${of.map(({ label }) => label).join("; ")})`];
  });
  return `A read of a doorbell ${parts.join(", ")}.`;
}
