/**
 * Times in another unit. The time-stamp counter runs at one frequency; a core runs at its base frequency or up to its turbo
 * frequency, and nobody knows at which it ran. So a time in core cycles is a range of TSC cycles.
 */
import { type Quantity, weaker } from "./quantity.js";

/** MHz. */
export interface Clock {
  /** Of the time-stamp counter. */
  readonly tsc: Quantity;
  /** Of a core, from base to turbo. */
  readonly core: Quantity;
}

/** A time in the unit asked for, and how it is known: no better than the clock that it was converted by. */
export type Converted = Pick<Quantity, "value" | "low" | "high" | "tag">;

/** A time in TSC cycles. @throws RangeError for what is no time */
export function toTscCycles(time: Quantity, { tsc, core }: Clock): Converted {
  switch (time.unit) {
    case "TSC cycles":
      return withoutUnit(time);
    case "core cycles": {
      const ratio = { value: tsc.value / core.value, low: tsc.low / core.high, high: tsc.high / core.low };
      return scaled(time, { ...ratio, tag: weaker(tsc.tag, core.tag) });
    }
    case "ns":
      return scaled(time, perNanosecond(tsc));
    default:
      throw new RangeError(`${time.unit} is no unit of a time`);
  }
}

/** A time in core cycles. @throws RangeError for what is no time of a core */
export function toCoreCycles(time: Quantity, { core }: Clock): Converted {
  switch (time.unit) {
    case "core cycles":
      return withoutUnit(time);
    case "ns":
      return scaled(time, perNanosecond(core));
    default:
      throw new RangeError(`${time.unit} is no unit of a core's time`);
  }
}

function withoutUnit({ value, low, high, tag }: Quantity): Converted {
  return { value, low, high, tag };
}

function perNanosecond({ value, low, high, tag }: Quantity): Converted {
  return { value: value / 1e3, low: low / 1e3, high: high / 1e3, tag };
}

/** A range times a positive one. */
function scaled(range: Converted, by: Converted): Converted {
  const low = Math.min(range.low * by.low, range.low * by.high);
  const high = Math.max(range.high * by.low, range.high * by.high);
  return { value: range.value * by.value, low, high, tag: weaker(range.tag, by.tag) };
}
