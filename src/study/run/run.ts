/**
 * Runs a scenario: builds the virtual machine, lets the guest execute, and returns what was counted.
 */
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { primitiveCosts } from "../../cost/primitive-costs.js";
import type { ExitCounts } from "../../kvm/exit-counts.js";
import { PRIMITIVES } from "../../kvm/primitives.js";
import type { Trace } from "../../kvm/trace.js";
import type { RecordingSummary } from "../../workload/recorded/recording.js";
import { pmuView } from "../../x86/pmu.js";
import { DrawnGuest } from "./drawn-guest.js";
import { Machine } from "./machine.js";
import { BatchMeans, type Precision } from "./precision.js";
import { RecordedGuest } from "./recorded-guest.js";
import { parseScenario, type Scenario, type ScenarioInput } from "./scenario.js";
import { type MeasuredSemantics, Semantics } from "./semantics.js";

/** What was counted. JSON-serialisable. */
export interface Measured {
  /** Guest instructions that count, of all vCPUs. */
  readonly accesses: number;
  /** How often each primitive happened in them. */
  readonly counts: Readonly<Record<string, number>>;
  /** How often each ioeventfd was signalled by them: those of the scenario in their order, then the doorbells'. */
  readonly signals: readonly number[];
  /** What guest and device saw of it; undefined where the scenario's `semantics` is off. */
  readonly semantics?: MeasuredSemantics;
  /** How well the figure of the scenario's `precision` is known. */
  readonly precision?: Precision;
  /** What the recording held. */
  readonly recording?: RecordingSummary;
}

export interface Run extends Measured {
  readonly scenario: Scenario;
  /** The counts as a processor's performance-monitoring unit would show them, by perf's event names. */
  readonly pmu: Readonly<Record<string, number>>;
}

/** What to note of the counted instructions beside their counts. */
export interface Observers {
  readonly trace?: Trace;
  readonly exitCounts?: ExitCounts;
  /** Called now and then while a recording is read: how many bytes of the file, and of how many. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
}

/**
 * Runs a scenario with a workload; `what` names it in errors.
 *
 * @throws InputError for a scenario that cannot be, or one with a recording, which takes `replay()`
 */
export function run(input: ScenarioInput, what = "scenario", observers: Observers = {}): Run {
  const scenario = parseScenario(input, what);
  if (scenario.recording !== undefined) {
    throw new InputError(`${what}: recording`, "is read piece by piece", "a workload; replay() takes both");
  }
  return executeWorkload(scenario, what, observers);
}

function executeWorkload(scenario: Scenario, what: string, observers: Observers): Run {
  const machine = new Machine(scenario, what);
  try {
    const guest = new DrawnGuest(machine);
    const measuring = measurement(machine, guest, observers);
    let step = measuring.next();
    while (!step.done) step = measuring.next(guest.execute(step.value));
    return asRun(scenario, step.value);
  } finally {
    machine.release();
  }
}

/** Runs a scenario with a recording or a workload. @throws InputError as `run()`, and for what the recording holds */
export async function replay(
  input: ScenarioInput,
  what = "scenario",
  observers: Observers = {},
): Promise<Run> {
  return execute(parseScenario(input, what), what, observers);
}

async function execute(scenario: Scenario, what: string, observers: Observers): Promise<Run> {
  const { recording } = scenario;
  if (recording === undefined) return executeWorkload(scenario, what, observers);
  const machine = new Machine(scenario, what);
  const guest = new RecordedGuest(machine, recording.file, recording.format);
  try {
    const measuring = measurement(machine, guest, observers);
    let step = measuring.next();
    while (!step.done) {
      let executed = guest.execute(step.value);
      while (executed < step.value && (await guest.more())) {
        const { bytes, totalBytes } = guest.recording.progress;
        observers.onProgress?.(bytes, totalBytes);
        executed += guest.execute(step.value - executed);
      }
      step = measuring.next(executed);
    }
    const { summary } = guest;
    if (step.value.accesses === 0) {
      const allowed = `0 to ${summary.steps - 1}, for the recording has ${summary.steps} steps`;
      throw new InputError(`${what}: warmup`, notAllowed(scenario.warmup), allowed);
    }
    return asRun(scenario, { ...step.value, recording: summary });
  } finally {
    machine.release();
    await guest.close();
  }
}

/** What a run of a complete scenario counts, without the zeros. */
export async function measure(scenario: Scenario): Promise<Measured> {
  const { scenario: _, pmu: __, counts, ...rest } = await execute(scenario, "scenario", {});
  return { ...rest, counts: withoutZeros(counts) };
}

/** Asks for instructions to be executed, and is told how many were. */
function* measurement(
  machine: Machine,
  guest: DrawnGuest | RecordedGuest,
  observers: Observers,
): Generator<number, Measured, number> {
  const { scenario, vm } = machine;
  yield scenario.warmup;
  vm.ledger.reset();
  vm.trace = observers.trace ?? null;
  vm.exitCounts = observers.exitCounts ?? null;
  if (scenario.semantics === "checked") {
    guest.semantics = new Semantics(machine, (page) => guest.frameOf(page));
  }
  const seen = (): Pick<Measured, "semantics"> =>
    guest.semantics === null ? {} : { semantics: guest.semantics.measured };
  const { precision, accesses = Number.MAX_SAFE_INTEGER, vcpus } = scenario;
  const tally = new Tally(machine);
  if (precision === undefined) {
    const executed = yield accesses;
    tally.update();
    return { ...measuredOf(tally.counts, executed), ...seen() };
  }
  const weights = new Float64Array(tally.counts.length);
  weights.set(figureWeights(scenario));
  const { relativeHalfWidth } = precision;
  const batches = new BatchMeans(tally.counts, { weights, relativeHalfWidth, maxInstructions: accesses });
  for (let next = batches.next(); next > 0; next = batches.next()) {
    const executed = yield next;
    tally.update();
    batches.observe(executed / vcpus);
  }
  const { precision: reached, counts } = batches.finish();
  return { ...measuredOf(counts, reached.instructions * vcpus), ...seen(), precision: reached };
}

/** What was counted from now on: the ledger's counts, then the signals. */
class Tally {
  readonly counts: Float64Array;
  private readonly before: readonly number[];

  constructor(private readonly machine: Machine) {
    this.before = machine.signals();
    this.counts = new Float64Array(PRIMITIVES.length + this.before.length);
  }

  update(): void {
    const { counts, before, machine } = this;
    counts.set(machine.vm.ledger.counts);
    machine.signals().forEach((signals, index) => {
      counts[PRIMITIVES.length + index] = signals - before[index];
    });
  }
}

/**
 * What each primitive weighs in the figure per instruction whose precision is wanted: cycles, each cost at its value, or one of the primitives.
 */
export function figureWeights({ cpu, kernel, precision, vcpus }: Scenario): Float64Array {
  const weights = new Float64Array(PRIMITIVES.length);
  // The run counts instructions of one vCPU.
  const add = (name: string, weight: number) => {
    weights[PRIMITIVES.indexOf(name)] += weight / vcpus;
  };
  if (precision?.of !== "cycles") add(String(precision?.of), 1);
  else {
    for (const { primitives, spares = [], value } of primitiveCosts(loadCpu(cpu), kernel)) {
      for (const name of primitives) add(name, value);
      for (const name of spares) add(name, -value);
    }
  }
  return weights;
}

/** @param tally as `Tally` has it */
function measuredOf(tally: Float64Array, accesses: number): Measured {
  return {
    accesses,
    counts: Object.fromEntries(PRIMITIVES.map((name, index) => [name, tally[index]])),
    signals: [...tally.subarray(PRIMITIVES.length)],
  };
}

function asRun(scenario: Scenario, measured: Measured): Run {
  return { scenario, ...measured, pmu: pmuView(measured.counts) };
}

function withoutZeros(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}
