/**
 * The frequency of the guest's time-stamp counter: what KVM_GET_TSC_KHZ says (Documentation/virt/kvm/api.rst), held against
 * readings of the counter of one VM, each between two times of CLOCK_MONOTONIC. A guest that only reads it and stops gives
 * one, and a few that are 100 ms apart are enough.
 */
import type { HostMachine } from "./machine.js";

/** A value of the guest's counter, and times before and after it was read, in ns as `process.hrtime.bigint()` has them. */
export interface TscReading {
  readonly before: bigint;
  readonly tsc: bigint;
  readonly after: bigint;
}

export interface GuestTsc {
  /** What KVM says, or what was measured where KVM says nothing or the two differ; null: neither is known. */
  readonly mhz: number | null;
  /** Between which frequencies the readings leave it, in MHz; null: too few or contradictory. */
  readonly measured: readonly [low: number, high: number] | null;
  /** What speaks against taking cycles for time: a sentence each. */
  readonly doubts: readonly string[];
}

/** By how much the kernel may let CLOCK_MONOTONIC run faster or slower while it sets the clock right: adjtimex(2). */
const SLEWED = 5e-4;

/** A range that is wider, relative to its middle, is no check of what KVM says. */
const WIDE = 0.01;

/** @param kvmKhz what KVM_GET_TSC_KHZ gave, 0 where it gave an error */
export function guestTsc(
  kvmKhz: number,
  readings: readonly TscReading[],
  machine: Pick<HostMachine, "tscFlags" | "clocksource">,
): GuestTsc {
  const doubts = [...machineDoubts(machine)];
  const said = kvmKhz > 0 ? kvmKhz / 1e3 : null;
  if (said === null) doubts.push("KVM does not say at which frequency the guest's TSC runs.");
  const [low, high] = bounds(readings);
  if (low > high) {
    doubts.push("The guest's TSC does not run steadily against CLOCK_MONOTONIC.");
    return { mhz: said, measured: null, doubts };
  }
  if (high - low > (WIDE * (high + low)) / 2 || high === Infinity) {
    doubts.push("The guest's TSC was not checked against CLOCK_MONOTONIC: readings too close to each other.");
    return { mhz: said, measured: null, doubts };
  }
  const measured = [low, high] as const;
  if (said !== null && low <= said && said <= high) return { mhz: said, measured, doubts };
  if (said !== null) {
    const range = `${low.toFixed(3)} to ${high.toFixed(3)} MHz`;
    doubts.push(`KVM says ${said.toFixed(3)} MHz, and by CLOCK_MONOTONIC the guest's TSC runs at ${range}.`);
  }
  return { mhz: (low + high) / 2, measured, doubts };
}

/** What each two readings leave possible, in MHz: between them went at least and at most so many ns. */
function bounds(readings: readonly TscReading[]): [low: number, high: number] {
  let low = 0;
  let high = Infinity;
  readings.forEach((last, at) => {
    for (const first of readings.slice(0, at)) {
      const counted = Number(last.tsc - first.tsc);
      const [least, most] = [Number(last.before - first.after), Number(last.after - first.before)];
      low = Math.max(low, ((1e3 * counted) / most) * (1 - SLEWED));
      if (least > 0) high = Math.min(high, ((1e3 * counted) / least) * (1 + SLEWED));
    }
  });
  return [low, high];
}

function machineDoubts({ tscFlags, clocksource }: Pick<HostMachine, "tscFlags" | "clocksource">): string[] {
  const doubts: string[] = [];
  if (!tscFlags.includes("constant_tsc"))
    doubts.push("The processor has no constant_tsc: its TSC may run at the changing clock of the core.");
  if (!tscFlags.includes("nonstop_tsc"))
    doubts.push("The processor has no nonstop_tsc: its TSC may stand still while a core is idle.");
  if (clocksource !== null && clocksource !== "tsc")
    doubts.push(`The kernel takes its time from ${clocksource}, not from the TSC.`);
  return doubts;
}
