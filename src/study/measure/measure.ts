/**
 * The rows of pci-testdev, and those that were never published, on this machine's own KVM: without QEMU, by guests whose
 * programs are made from the same scenarios that the model simulates.
 *
 * Each run of a row is a virtual machine of its own. Rows take turns, and get runs until each is known well enough.
 */
import { InputError, notAllowed } from "../../cost/input.js";
import { openKvm } from "../../host/kvm.js";
import { describeMachine, limitsOf, pinningAdvice } from "../../host/machine.js";
import { PerfEvents } from "../../host/perf-events.js";
import { VcpuThread } from "../../host/vcpu-thread.js";
import { exitlabCommand } from "../command.js";
import { packageVersion } from "../provenance.js";
import { Interrupted, interruptible } from "../sweep/interrupt.js";
import type { Did, HostMeasurement, MeasuredRow } from "./result.js";
import { type RowRun, runRow } from "./row-run.js";
import { type HostRow, hostRows } from "./rows.js";
import { isTight, LEAST_SAMPLES, medianOfRuns, runsAgree, spreadOf } from "./statistics.js";
import { measureTsc } from "./tsc-readings.js";
import { takeTurns } from "./turns.js";

export interface MeasureOptions {
  /** By name; all unless said otherwise. */
  readonly rows?: readonly string[];
  /** The processor that the vCPU's thread is kept on; any unless said otherwise. */
  readonly cpu?: number;
  /** Half of the 95% interval over the median at which a row gets no more runs; 0.01 unless said otherwise. */
  readonly relativeHalfWidth?: number;
  /** After so long rows get no more runs than an interval takes; 60 unless said otherwise. */
  readonly limitSeconds?: number;
  /** Called before each run, counted from 1. */
  readonly onRun?: (row: string, run: number) => void;
}

/**
 * Measures rows on this machine's KVM. An interrupt (Ctrl-C, that of a notebook's kernel) ends it early: what has enough runs
 * by then is returned.
 *
 * @throws HostUnavailable where KVM cannot be used; InputError for an option; SystemCallError for a processor that the thread may
 *   not run on; Interrupted before any row is done
 */
export async function measureHost(options: MeasureOptions = {}): Promise<HostMeasurement> {
  const { cpu, relativeHalfWidth = 0.01, limitSeconds = 60, onRun } = options;
  const rows = hostRows(options.rows);
  if (!(relativeHalfWidth > 0 && relativeHalfWidth < 1))
    throw new InputError("relativeHalfWidth", notAllowed(relativeHalfWidth), "above 0, below 1");
  if (!(limitSeconds >= 0))
    throw new InputError("limitSeconds", notAllowed(limitSeconds), "a number of seconds, 0 or more");
  const kvm = openKvm();
  try {
    const thread = await VcpuThread.start(cpu === undefined ? {} : { cpu });
    try {
      const machine = describeMachine();
      const perf = new PerfEvents(machine, thread.tid);
      try {
        return await interruptible(async (signal) => {
          signal.addEventListener("abort", () => thread.interrupt());
          const date = new Date().toISOString();
          const tsc = await measureTsc(kvm, thread, machine).catch((error) => {
            throw signal.aborted ? tooEarly(signal) : error;
          });
          const { runs, failed } = await takeTurns(rows, (row) => runRow(row, { kvm, thread, perf }), {
            relativeHalfWidth,
            limitSeconds,
            signal,
            ...(onRun && { onRun }),
          });
          const done = [...runs].filter(([row, of]) => of.length >= LEAST_SAMPLES && !failed.has(row));
          if (done.length === 0)
            throw failed.size > 0 ? new Error([...failed.values()].join("; ")) : tooEarly(signal);
          return {
            version: packageVersion(),
            date,
            command: commandOf(options),
            machine,
            tsc,
            pinned: cpu ?? null,
            relativeHalfWidth,
            rows: done.map(([row, of]) => measuredRow(row, of, relativeHalfWidth)),
            unfinished: [...runs]
              .filter(([row, of]) => of.length < LEAST_SAMPLES && !failed.has(row))
              .map(([{ name }]) => name),
            failed: [...failed].map(([{ name }, reason]) => ({ name, reason })),
            interrupted: signal.reason instanceof Interrupted ? signal.reason.signal : null,
            pmuNotes: [...new Set(done.flatMap(([, of]) => of.flatMap(({ pmu }) => pmu?.notes ?? [])))],
            limits: limitsOf(machine),
            advice: pinningAdvice(machine, cpu ?? null),
          };
        });
      } finally {
        perf.close();
      }
    } finally {
      await thread.close();
    }
  } finally {
    kvm.close();
  }
}

/** Why nothing was measured. */
function tooEarly({ reason }: AbortSignal): unknown {
  if (reason instanceof Interrupted) reason.message = "interrupted before any row was done";
  return reason;
}

function commandOf({ rows, cpu, relativeHalfWidth, limitSeconds }: MeasureOptions): string {
  const option = (name: string, value: number | undefined) =>
    value === undefined ? [] : [name, String(value)];
  return exitlabCommand(
    "measure",
    ...(rows === undefined ? [] : ["--rows", ...rows]),
    ...option("--pin", cpu),
    ...option("--precision", relativeHalfWidth),
    ...option("--limit", limitSeconds),
  );
}

function measuredRow(row: HostRow, runs: readonly RowRun[], relativeHalfWidth: number): MeasuredRow {
  const intervals = runs.map(({ interval }) => interval);
  const samples = runs.flatMap((run) => run.samples);
  return {
    name: row.name,
    unit: "scenario" in row ? "TSC cycles" : "ns",
    ...medianOfRuns(intervals),
    spread: spreadOf(samples),
    batches: samples.length,
    accessesPerBatch: runs[0].accessesPerBatch,
    runs: intervals,
    noisy:
      !isTight(intervals, relativeHalfWidth) ||
      !runsAgree(
        runs.map((run) => run.samples),
        relativeHalfWidth,
      ),
    did: didOf(runs),
  };
}

/** Of one access, by event, over the runs that have it: what found no counter in a run was not counted 0 times there. */
function pmuOf(runs: readonly RowRun[]): Record<string, number> {
  const names = [...new Set(runs.flatMap(({ pmu }) => Object.keys(pmu?.counts ?? {})))];
  return Object.fromEntries(
    names.map((name) => {
      let [count, accesses] = [0, 0];
      for (const { pmu } of runs) {
        if (pmu?.counts[name] === undefined) continue;
        count += pmu.counts[name].count;
        accesses += pmu.accesses;
      }
      return [name, count / accesses];
    }),
  );
}

/** Of one access, on average of all runs. */
function didOf(runs: readonly RowRun[]): Did | null {
  const seen = runs.flatMap((run) => run.seen ?? []);
  if (seen.length === 0) return null;
  const accesses = seen.reduce((sum, of) => sum + of.accesses, 0);
  const perAccess = (all: readonly Readonly<Record<string, number>>[]) => {
    const names = [...new Set(all.flatMap(Object.keys))];
    const sum = (name: string) => all.reduce((total, counts) => total + (counts[name] ?? 0), 0);
    return Object.fromEntries(names.map((name) => [name, sum(name) / accesses]));
  };
  const kvm = seen.map((of) => of.kvm).filter((of) => of !== null);
  return {
    signals: seen.reduce((sum, { signals }) => sum + signals, 0) / accesses,
    userspaceExits: perAccess(seen.map(({ userspaceExits }) => userspaceExits)),
    kvm: kvm.length === 0 ? null : perAccess(kvm),
    pmu: pmuOf(runs),
  };
}
