/** What a measurement of this machine's KVM returns: plain data, JSON-serialisable. */

import type { KvmStatistics } from "../../host/kvm-statistics.js";
import type { HostMachine } from "../../host/machine.js";
import type { GuestTsc } from "../../host/tsc.js";
import type { MedianInterval } from "./statistics.js";

/** Times are those of one access, in the row's unit; `low` and `high` are the ends of the 95% interval of the median. */
export interface MeasuredRow extends MedianInterval {
  readonly name: string;
  /** TSC cycles that the guest counted; ns that userspace did. */
  readonly unit: "TSC cycles" | "ns";
  /** Interquartile range of all batches. */
  readonly spread: number;
  /** Batches of all runs, and accesses of each. */
  readonly batches: number;
  readonly accessesPerBatch: number;
  /** Each of a virtual machine of its own. */
  readonly runs: readonly MedianInterval[];
  /** The runs do not agree within their intervals, or all together give no interval as narrow as wanted. */
  readonly noisy: boolean;
  /** What one access did on average; null of what does not enter the guest. */
  readonly did: Did | null;
}

export interface Did {
  readonly signals: number;
  /** How often KVM_RUN returned, by the reason's name. */
  readonly userspaceExits: Readonly<Record<string, number>>;
  /** What KVM counted, by the kernel's names; null where it does not tell. */
  readonly kvm: KvmStatistics | null;
  /** What the processor's performance-monitoring unit counted while the guest ran, by perf's names. */
  readonly pmu: Readonly<Record<string, number>>;
}

/** Whether nothing of the row's time is userspace's. */
export function staysInKernel({ did }: MeasuredRow): boolean {
  return did !== null && Object.keys(did.userspaceExits).length === 0;
}

export interface HostMeasurement {
  /** Version of the package. */
  readonly version: string;
  /** When it began, as ISO 8601 has it. */
  readonly date: string;
  /** The shell command that measures again. */
  readonly command: string;
  readonly machine: HostMachine;
  readonly tsc: GuestTsc;
  /** The processor that the vCPU's thread was kept on; null: any. */
  readonly pinned: number | null;
  /** The half width of an interval, as a share of the median, at which a row got no more runs. */
  readonly relativeHalfWidth: number;
  readonly rows: readonly MeasuredRow[];
  /** Rows that were asked for and have too few runs: it was interrupted. */
  readonly unfinished: readonly string[];
  /** Rows whose accesses did not do what the name says, or whose guest ended otherwise than it should. */
  readonly failed: readonly { readonly name: string; readonly reason: string }[];
  /** What ended it early. */
  readonly interrupted: NodeJS.Signals | null;
  /** What the performance-monitoring unit did not count, and why. */
  readonly pmuNotes: readonly string[];
  /** What these times do not say, and what would make them steadier: sentences. */
  readonly limits: readonly string[];
  readonly advice: readonly string[];
}
