/**
 * Whether it matters at all: what the designs take of a core at so many kicks per second, and what they take more than their
 * base.
 *
 * A core has as many TSC cycles in a second as its time-stamp counter counts, whatever its own frequency then is; so a rate
 * times the cycles of a kick is a share of one core. Kicks that take more than a core has in a second cannot all be handled
 * by one vCPU.
 */
import { loadCpu } from "../../cost/cpu-profile.js";
import type { Interval, Provenance } from "../result.js";
import type { Overtakes } from "./overtakes.js";
import type { Setting } from "./setting.js";

/** Kicks per second. */
export const KICK_RATES = [10_000, 100_000, 1_000_000] as const;

/** Whether one core can do it: at any costs of the ranges, at some, or at none. */
export type Reach = "yes" | "at some costs" | "no";

export interface RateCell {
  /** Kicks per second. */
  readonly rate: number;
  /** TSC cycles per second more than the base. */
  readonly cyclesPerSecond: Interval;
  /** The same as a share of a core; above 1 it is more than one. */
  readonly difference: Interval;
  /** All that the design takes, as a share of a core. */
  readonly share: Interval;
  readonly reach: Reach;
  readonly baseReach: Reach;
}

export interface RateRow {
  readonly a: string;
  readonly b: string;
  readonly cpu: string;
  /** TSC cycles per second: of the processor's profile. */
  readonly tscHz: number;
  /** TSC cycles per kick. */
  readonly perKick: Interval;
  readonly basePerKick: Interval;
  readonly differencePerKick: Interval;
  readonly cells: readonly RateCell[];
}

/** JSON-serialisable. */
export interface Rates {
  readonly provenance: Provenance;
  /** What surrounds the doorbells: kicks alone, all else usual. */
  readonly setting: Setting;
  readonly rows: readonly RateRow[];
}

/** The pairs of a sweep in the usual setting, kicks alone, at each rate. */
export function threadRates({ provenance, pairs }: Overtakes): Rates {
  return {
    provenance,
    setting: pairs[0].usual.setting,
    rows: pairs.map(({ a, b, usual: { setting, cycles, difference } }) => {
      const tscHz = 1e6 * loadCpu(setting.cpu).clock.tsc.value;
      return {
        a,
        b,
        cpu: setting.cpu,
        tscHz,
        perKick: cycles.a,
        basePerKick: cycles.b,
        differencePerKick: difference,
        cells: KICK_RATES.map((rate) => rateCell(rate, tscHz, cycles, difference)),
      };
    }),
  };
}

function rateCell(
  rate: number,
  tscHz: number,
  { a, b }: { readonly a: Interval; readonly b: Interval },
  difference: Interval,
): RateCell {
  const share = notLess(times(a, rate / tscHz));
  return {
    rate,
    cyclesPerSecond: times(difference, rate),
    difference: times(difference, rate / tscHz),
    share,
    reach: reachOf(share),
    baseReach: reachOf(notLess(times(b, rate / tscHz))),
  };
}

function times({ low, value, high }: Interval, by: number): Interval {
  return { low: low * by, value: value * by, high: high * by };
}

/** All costs at their low ends may come to less than nothing, which no kick takes. */
function notLess({ low, value, high }: Interval): Interval {
  return { low: Math.max(0, low), value, high };
}

/** @param share of a core */
function reachOf({ low, high }: Interval): Reach {
  if (high <= 1) return "yes";
  return low <= 1 ? "at some costs" : "no";
}
