/**
 * A run of a row: a virtual machine whose guest makes the row's access in batches and times each itself, so that neither
 * userspace nor the foreign-function interface is in the time of what does not come to userspace.
 */
import { GuestProgram, SAMPLE_BYTES } from "../../host/guest-program.js";
import type { KvmDevice } from "../../host/kvm.js";
import { kvmStatistics } from "../../host/kvm-statistics.js";
import type { PerfCounts, PerfEvents } from "../../host/perf-events.js";
import type { RunResult } from "../../host/vcpu.js";
import type { VcpuThread } from "../../host/vcpu-thread.js";
import { isDoorbellOp, type Scenario } from "../run/scenario.js";
import { checkRow, type Seen } from "./check-row.js";
import { GuestVm, STOP_PORT } from "./guest-vm.js";
import { type GuestRow, type HostRow, idle } from "./rows.js";
import { type MedianInterval, medianOf } from "./statistics.js";

/** Batches that count; one more warms up. */
const BATCHES = 50;

/** Accesses of a batch: so many that the clock takes little beside them, and so few that most batches see no interrupt. */
const ACCESSES = 100;

/** Calls of a batch that userspace times. */
const CALLS = 100;

/** What the rows run on. */
export interface Host {
  readonly kvm: KvmDevice;
  readonly thread: VcpuThread;
  readonly perf: PerfEvents;
}

export interface RowRun {
  /** Of the batches. */
  readonly interval: MedianInterval;
  /** One access of each batch: TSC cycles, or ns of what userspace times. */
  readonly samples: readonly number[];
  readonly accessesPerBatch: number;
  /** null of what does not enter the guest. */
  readonly seen: Seen | null;
  readonly pmu: RowPmu | null;
}

/** What was counted of so many accesses, after those that were timed. */
export interface RowPmu extends PerfCounts {
  readonly accesses: number;
}

/** @throws Error where an access does not do what the row's name says; GuestError, SystemCallError */
export function runRow(row: HostRow, host: Host): Promise<RowRun> {
  return "scenario" in row ? runGuest(row, host) : runImmediateExits(host);
}

async function runGuest(row: GuestRow, { kvm, thread, perf }: Host): Promise<RowRun> {
  const guest = new GuestVm(kvm, row.scenario);
  try {
    const loop = loopOf(row.scenario);
    const { code, at } = programOf(row, loop, guest.results);
    const samples: number[] = [];
    const results: RunResult[] = [];
    /** What is counted is not timed: for counters of the guest alone KVM writes registers at each entry and exit. */
    const counted = async (): Promise<RowPmu | null> => {
      if (!perf.isOpen) return null;
      if (loop.freshSlot !== null) guest.makeFresh(loop.freshSlot, loop.step);
      perf.start();
      await guest.run(code, thread);
      return { ...perf.stop(), accesses: loop.batches * loop.accesses };
    };
    for (let pass = 0; pass < loop.passes; pass++) {
      if (loop.freshSlot !== null) guest.makeFresh(loop.freshSlot, loop.step);
      results.push(await guest.run(code, thread));
      for (let batch = 0; batch < loop.batches; batch++)
        samples.push(Number(guest.left.getBigUint64(at + SAMPLE_BYTES * batch, true)) / loop.accesses);
    }
    const seen: Seen = {
      accesses: loop.passes * loop.batches * loop.accesses,
      signals: signalsOf(results),
      userspaceExits: userspaceExitsOf(results),
      kvm: kvmStatistics(guest.vcpu),
    };
    checkRow(row, seen);
    const pmu = await counted();
    return { ...timed(samples.slice(1)), accessesPerBatch: loop.accesses, seen, pmu };
  } finally {
    guest.close();
  }
}

async function runImmediateExits({ kvm, thread }: Host): Promise<RowRun> {
  const guest = new GuestVm(kvm, idle());
  try {
    const ns = await thread.immediateExits(guest.vcpu, 1 + BATCHES, CALLS);
    return { ...timed([...ns.subarray(1)]), accessesPerBatch: CALLS, seen: null, pmu: null };
  } finally {
    guest.close();
  }
}

function timed(samples: readonly number[]): Pick<RowRun, "interval" | "samples"> {
  return { samples, interval: medianOf(samples) };
}

/** How the batches of a run are made. */
interface Loop {
  /** Runs of the program. */
  readonly passes: number;
  /** Batches of the program, and accesses of each. */
  readonly batches: number;
  readonly accesses: number;
  /** Bytes from an access to the next. */
  readonly step: number;
  /** The slot whose pages are made fresh before each pass. */
  readonly freshSlot: number | null;
}

/** Fresh pages are touched once by each pass, all others again and again. */
function loopOf({ workload: [access], memslots }: Scenario): Loop {
  const { fresh, address, size, footprint = size, stride = size } = access;
  if (!fresh) return { passes: 1, batches: 1 + BATCHES, accesses: ACCESSES, step: 0, freshSlot: null };
  return {
    passes: 1 + BATCHES,
    batches: 1,
    accesses: footprint / stride,
    step: stride,
    freshSlot: memslots.findIndex(({ gpa, size: bytes }) => gpa <= address && address < gpa + bytes),
  };
}

/** The program of a row, and where in its results the times of the batches are. */
function programOf(
  { scenario, readFirst }: GuestRow,
  { batches, accesses, step }: Loop,
  results: number,
): { readonly code: Uint8Array; readonly at: number } {
  const [{ op, address, size, value }] = scenario.workload;
  if (isDoorbellOp(op)) throw new RangeError(`a row names its instruction, not ${op}`);
  const program = new GuestProgram(results);
  if (readFirst !== undefined) program.access({ op: "load", address: readFirst, size: 1, value: 0 });
  const body = [{ op, address, size, value, step }];
  const at = program.timedLoop({ batches, rounds: accesses, body });
  program.out(STOP_PORT);
  return { code: program.bytes, at };
}

function signalsOf(results: readonly RunResult[]): number {
  const events = results.flatMap((result) => result.events);
  return events.reduce((sum, event) => sum + (event.kind === "signal" ? event.count : 0), 0);
}

/** By reason. The end of each program is one, and none of the row's. */
function userspaceExitsOf(results: readonly RunResult[]): Record<string, number> {
  const sums: Record<string, number> = { KVM_EXIT_IO: -results.length };
  for (const { exits } of results)
    for (const [reason, count] of Object.entries(exits)) sums[reason] = (sums[reason] ?? 0) + count;
  return Object.fromEntries(Object.entries(sums).filter(([, count]) => count !== 0));
}
