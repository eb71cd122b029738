/**
 * Times in another unit. The time-stamp counter runs at one frequency; a core runs at its base frequency or up to its turbo
 * frequency, and nobody knows at which it ran. So a time in core cycles is a range of TSC cycles.
 */
import type { Quantity } from "./quantity.js";

/** MHz. */
export interface Clock {
  /** Of the time-stamp counter. */
  readonly tsc: Quantity;
  /** Of a core, from base to turbo. */
  readonly core: Quantity;
}

type Range = Pick<Quantity, "value" | "low" | "high">;

/** A time in TSC cycles. @throws RangeError for what is no time */
export function toTscCycles({ value, low, high, unit }: Quantity, { tsc, core }: Clock): Range {
  switch (unit) {
    case "TSC cycles":
      return { value, low, high };
    case "core cycles":
      return scaled(
        { value, low, high },
        { value: tsc.value / core.value, low: tsc.low / core.high, high: tsc.high / core.low },
      );
    case "ns":
      return scaled(
        { value, low, high },
        { value: tsc.value / 1e3, low: tsc.low / 1e3, high: tsc.high / 1e3 },
      );
    default:
      throw new RangeError(`${unit} is no unit of a time`);
  }
}

/** A time in core cycles. @throws RangeError for what is no time of a core */
export function toCoreCycles({ value, low, high, unit }: Quantity, { core }: Clock): Range {
  switch (unit) {
    case "core cycles":
      return { value, low, high };
    case "ns":
      return scaled(
        { value, low, high },
        { value: core.value / 1e3, low: core.low / 1e3, high: core.high / 1e3 },
      );
    default:
      throw new RangeError(`${unit} is no unit of a core's time`);
  }
}

/** A range times a positive one. */
function scaled(range: Range, by: Range): Range {
  const low = Math.min(range.low * by.low, range.low * by.high);
  const high = Math.max(range.high * by.low, range.high * by.high);
  return { value: range.value * by.value, low, high };
}
