/**
 * Equations from times: what the kernel did in a row or an exit is counted by running it, and each source sees its part of it.
 *
 * - `vmexit` and CSV rows are loops of the guest: all that an access costs.
 * - perf and ftrace see an exit from the tracepoint kvm_exit to kvm_entry: neither the guest, nor the transitions of the
 *   processor with their mitigations, nor KVM's path outside of the tracepoints. A way to userspace is inside, and so is the
 *   recording of each event from kvm_exit on. kvm->srcu is taken after kvm_exit and left before kvm_entry: inside too.
 *
 * Where the tracepoints stand: vcpu_enter_guest() of arch/x86/kvm/x86.c and what it calls to run the vCPU.
 */
import { type Observation, ROW_TOLERANCE } from "../../cost/calibration.js";
import type { Counts } from "../../cost/counts.js";
import { loadCpu } from "../../cost/cpu-profile.js";
import { exitFootprints } from "../../cost/exit-footprint.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { OUTSIDE_OF_TRACEPOINTS } from "../../cost/primitive-costs.js";
import type { KernelVersion } from "../../kvm/eras.js";
import { ExitCounts } from "../../kvm/exit-counts.js";
import { exitReasonName } from "../../kvm/exit-reasons.js";
import type { Host, Mitigations } from "../../kvm/kvm.js";
import { PRIMITIVES } from "../../kvm/primitives.js";
import type { Paging } from "../../kvm/spte.js";
import { KVM_ISA_SVM, KVM_ISA_VMX, Trace, type TraceEvent } from "../../kvm/trace.js";
import { replay } from "../run/run.js";
import { parseScenario, type Scenario, type ScenarioInput } from "../run/scenario.js";
import { countRow, type RowMachine, vmexitRow } from "../vmexit-rows.js";
import type { Timed, TimeSource } from "./times.js";

/** The machine that was measured. */
export interface Machine {
  readonly cpu: string;
  readonly kernel: KernelVersion;
  readonly mitigations: Mitigations;
  /** How its guests' memory is translated; EPT or, on AMD's processors, nested page tables unless said otherwise. */
  readonly paging?: Paging;
  readonly mmioCaching?: boolean;
  readonly host?: Host;
}

/** A time that no equation comes of, and why. */
export interface LeftOut {
  readonly file: string;
  readonly name: string;
  readonly reason: string;
}

export interface Equation extends Observation {
  readonly tolerance: number;
  readonly timed: Timed;
}

export interface Equations {
  readonly observations: readonly Equation[];
  readonly leftOut: readonly LeftOut[];
}

/** What the recording of an event is called among the costs. */
const RECORDING: Readonly<Partial<Record<TimeSource, string>>> = {
  "perf kvm stat": "perfEvent",
  ftrace: "ftraceEvent",
};

/** Of memory below the devices of the rows, in bytes. */
const GUEST_MEMORY = 64 * 2 ** 20;

type Counted = { readonly counts: Counts } | { readonly reason: string };

/**
 * @param scenario what the guest did while perf or ftrace recorded it
 * @throws InputError for a scenario of another machine, or one that cannot be, and for a reason that a file has twice
 */
export async function equationsOf(
  times: readonly Timed[],
  machine: Machine,
  scenario?: ScenarioInput,
): Promise<Equations> {
  const exits = scenario === undefined ? undefined : await countExits(scenario, machine);
  const observations: Equation[] = [];
  const leftOut: LeftOut[] = [];
  for (const timed of times) {
    const { file, name, source, cycles, spread } = timed;
    const recording = RECORDING[source];
    const counted =
      recording === undefined ? countsOfRow(name, machine) : countsOfExits(timed, recording, exits);
    if ("reason" in counted) {
      leftOut.push({ file, name, reason: counted.reason });
      continue;
    }
    const place = `${file}: ${name}`;
    if (observations.some((other) => other.name === place))
      throw new InputError(place, "stands there twice", "each exit reason once");
    observations.push({
      name: place,
      measured: cycles,
      tolerance: Math.max(ROW_TOLERANCE * cycles, spread ?? 0),
      timed,
      counts: counted.counts,
      ...(recording !== undefined && { unseen: OUTSIDE_OF_TRACEPOINTS }),
    });
  }
  return { observations, leftOut };
}

function countsOfRow(name: string, host: Machine): Counted {
  const row = vmexitRow(name, host.kernel);
  if (row === undefined) return { reason: "no row of vmexit that is known" };
  if ("notSimulated" in row) return { reason: row.notSimulated };
  return { counts: countRow(rowMachine(host), row.scenario, "vmexit") };
}

/** What the rows of a machine run on in the model. */
export function rowMachine(machine: Machine): RowMachine {
  return {
    ...machine,
    paging: machine.paging ?? (isAmd(machine) ? "npt" : "ept"),
    exitFootprint: exitFootprints("light").value,
    memslots: [{ gpa: 0, size: GUEST_MEMORY }],
    accesses: 1000,
  };
}

function countsOfExits(
  { name, spread, events }: Timed,
  recording: string,
  exits: ReadonlyMap<string, Exits> | undefined,
): Counted {
  if (exits === undefined) return { reason: "a scenario must say what the guest did in these exits" };
  const known = exits.get(name);
  if (known === undefined) return { reason: "the scenario has no such exit" };
  if (spread === null) return { reason: "it is the time of one exit only" };
  return { counts: { ...known.counts, [recording]: events ?? known.perfEvents } };
}

/** Exits of one reason: what each counts on average from kvm_exit to kvm_entry, and how many events perf records of it. */
interface Exits {
  readonly counts: Counts;
  readonly perfEvents: number;
}

async function countExits(input: ScenarioInput, machine: Machine): Promise<ReadonlyMap<string, Exits>> {
  const scenario = parseScenario(input);
  checkMachine(scenario, machine);
  const exitCounts = new ExitCounts();
  const perf = new PerfEvents();
  await replay(scenario, "scenario", { exitCounts, trace: perf });
  const isa = scenario.paging === "npt" ? KVM_ISA_SVM : KVM_ISA_VMX;
  const sums = new Map<number, { exits: number; counts: Float64Array }>();
  for (const { reason, occurrences, counts } of exitCounts.all) {
    const sum = sums.get(reason) ?? { exits: 0, counts: new Float64Array(counts.length) };
    sums.set(reason, sum);
    sum.exits += occurrences;
    counts.forEach((count, index) => {
      sum.counts[index] += occurrences * count;
    });
  }
  return new Map(
    [...sums].map(([reason, sum]) => {
      const { exits } = sum;
      const counts: Counts = Object.fromEntries(
        PRIMITIVES.map((primitive, index) => [primitive, sum.counts[index] / exits]),
      );
      const msrs = machine.kernel === "v6.19" ? counts.getMsr + counts.setMsr : 0;
      return [exitReasonName(isa, reason), { counts, perfEvents: perf.count(reason) / exits + msrs }];
    }),
  );
}

/**
 * Counts what `perf kvm stat record` asks for, by the reason of the exit that it is in: kvm_exit, kvm_mmio, kvm_pio, and
 * kvm_entry, which no time of an exit holds (kvm_events_tp of tools/perf). Today's perf also asks for kvm_msr, which the
 * model does not trace: one per access.
 */
class PerfEvents extends Trace {
  /** Of the last exit of each vCPU. */
  private readonly reasons: number[] = [];
  private readonly events = new Map<number, number>();

  override record(event: TraceEvent, vcpu: number): void {
    if (event.event === "kvm_exit") this.reasons[vcpu] = event.exitReason;
    else if (event.event !== "kvm_mmio" && event.event !== "kvm_pio") return;
    const reason = this.reasons[vcpu];
    this.events.set(reason, this.count(reason) + 1);
  }

  count(reason: number): number {
    return this.events.get(reason) ?? 0;
  }
}

/** @throws InputError for a scenario of another machine: its exits have other names, or other costs */
function checkMachine(scenario: Scenario, machine: Machine): void {
  for (const field of ["cpu", "kernel", "mitigations"] as const) {
    if (scenario[field] !== machine[field])
      throw new InputError(
        `scenario: ${field}`,
        notAllowed(scenario[field]),
        `"${machine[field]}", as measured`,
      );
  }
  const allowed = isAmd(machine) ? ["npt"] : ["ept", "shadow"];
  if (!allowed.includes(scenario.paging)) {
    const which = `${allowed.map((paging) => `"${paging}"`).join(" or ")} on ${machine.cpu}`;
    throw new InputError("scenario: paging", notAllowed(scenario.paging), which);
  }
}

function isAmd({ cpu }: Machine): boolean {
  return loadCpu(cpu).vendor === "AMD";
}
