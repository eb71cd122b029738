/**
 * The study of the thread: a patch that lets every EPT violation ask the fast MMIO bus, an objection with three reasons and two
 * counter-designs, and a question that nobody answered. ("[PATCH RFC 1/3] vmx: allow ioeventfd for EPT violations", KVM list,
 * August 2015.)
 */
import { cpuNames, loadCpu } from "../../cost/cpu-profile.js";
import { InputError, integer, notAllowed, oneOf, parseInput, record } from "../../cost/input.js";
import { studyCommand } from "../command.js";
import { joinConditions } from "../conditions.js";
import type { ThreadIncidents } from "../incidents/thread-cases.js";
import { provenanceOf } from "../provenance.js";
import type { Provenance } from "../result.js";
import { conclusionOf } from "./conclusion.js";
import type { Design } from "./designs.js";
import { LEFT_OUT, type LeftOut, SETTLES, type Settles } from "./limits.js";
import type { BypassStudy } from "./objections/bypass.js";
import type { FaultTaxStudy } from "./objections/fault-tax.js";
import type { ReadsStudy } from "./objections/reads.js";
import type { SlotPriceStudy } from "./objections/slot-price.js";
import type { SwitchRow } from "./open-switches.js";
import { type Overtakes, studyOvertakes } from "./overtakes.js";
import { executeParts } from "./parts.js";
import type { Question } from "./question.js";
import { type Rates, threadRates } from "./rates.js";
import { type Setting, USUAL_SETTING, WALK_STATES, type WalkState } from "./setting.js";
import { THREAD_SWEEP_SIZES, type ThreadSweepSize, USUAL_CPU } from "./sweep.js";
import type { TlbArgument } from "./tlb-argument.js";
import type { VerdictRow } from "./verdict.js";

/** Plain data, JSON-serialisable. Cycles are TSC cycles. */
export interface ThreadStudy {
  readonly provenance: Provenance;
  /** The processors as their makers call them. */
  readonly machine: string;
  readonly question: Question;
  readonly verdict: readonly VerdictRow[];
  readonly tlb: TlbArgument;
  readonly reads: ReadsStudy;
  readonly faultTax: FaultTaxStudy;
  readonly bypass: BypassStudy;
  readonly slotPrice: SlotPriceStudy;
  readonly incidents: ThreadIncidents;
  readonly switches: readonly SwitchRow[];
  /** null: the sweep was not asked for. */
  readonly overtakes: Overtakes | null;
  readonly rates: Rates | null;
  readonly leftOut: readonly LeftOut[];
  readonly settles: readonly Settles[];
  readonly conclusion: readonly string[];
}

export interface ThreadOptions {
  /** Names in `data/cpus`, of Intel and of AMD. */
  readonly cpu?: string;
  readonly amdCpu?: string;
  /** What the handling of an exit leaves of the walk's structures, in the verdict. */
  readonly walkState?: WalkState;
  /** Instructions of each run of the verdict that count. */
  readonly accesses?: number;
  readonly seed?: number;
  /** Size of the sweep over all settings; by default the short one. Its processors and seeds are its own. */
  readonly sweep?: ThreadSweepSize | "none";
}

const WHAT = "study thread";

/** The schema of `ThreadOptions`. */
export const threadOptions = record({
  cpu: oneOf(cpuNames(), "processor of Intel").default(USUAL_CPU.Intel),
  amdCpu: oneOf(cpuNames(), "processor of AMD").default(USUAL_CPU.AMD),
  walkState: oneOf(WALK_STATES, "what an exit leaves of the walk's structures").default(
    USUAL_SETTING.walkState,
  ),
  accesses: integer(100, 1e6, "instructions of each run of the verdict").default(2000),
  seed: integer(0, 0xffff_ffff, "seed").default(USUAL_SETTING.seed),
  sweep: oneOf(
    ["none", ...(Object.keys(THREAD_SWEEP_SIZES) as ThreadSweepSize[])],
    "size of the sweep over all settings",
  ).default("short"),
});

/** Each doorbell has been kicked by then. */
const WARM_UP = 256;

/** Runs the study. @throws InputError for options that are not allowed; as `sweep()`, if one is asked for */
export async function studyThread(options: ThreadOptions = {}): Promise<ThreadStudy> {
  const checked = parseInput(threadOptions, options, WHAT);
  const { cpu, amdCpu, walkState, accesses, seed, sweep } = checked;
  const cpus = { Intel: cpu, AMD: amdCpu };
  for (const [vendor, name] of Object.entries(cpus)) {
    if (loadCpu(name).vendor === vendor) continue;
    const option = vendor === "Intel" ? "cpu" : "amdCpu";
    throw new InputError(`${WHAT}: ${option}`, notAllowed(name), `a processor of ${vendor}`);
  }
  const settingOf = (vendor: Design["vendor"]): Setting => ({
    ...USUAL_SETTING,
    cpu: cpus[vendor],
    walkState,
    accesses,
    warmup: WARM_UP,
    seed,
  });
  const settings = { Intel: settingOf("Intel"), AMD: settingOf("AMD") };
  const { verdict: answered, ...found } = await executeParts({ settings, cpu, seed });
  const { verdict, question } = answered;
  const { tlb, reads, faultTax, bypass, slotPrice, incidents, switches } = found;
  const overtakes = sweep === "none" ? null : await studyOvertakes({ size: sweep });
  const rates = overtakes === null ? null : threadRates(overtakes);
  const parts = [
    tlb,
    reads,
    faultTax,
    bypass,
    slotPrice,
    incidents,
    ...(overtakes === null ? [] : [overtakes]),
  ];
  return {
    provenance: provenanceOf({
      seed,
      conditions: joinConditions([
        answered.conditions,
        ...parts.map(({ provenance }) => provenance.conditions),
      ]),
      command: studyCommand("thread", options),
    }),
    machine: [cpu, amdCpu].map((name) => loadCpu(name).model).join("; "),
    question,
    verdict,
    tlb,
    reads,
    faultTax,
    bypass,
    slotPrice,
    incidents,
    switches,
    overtakes,
    rates,
    leftOut: LEFT_OUT,
    settles: SETTLES,
    conclusion: conclusionOf({ question, verdict, tlb, incidents }),
  };
}
