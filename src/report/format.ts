/** How cycles, ranges and per cents are written in tables and figures: ASCII, and never "-0". */

/** The two ends of a range. */
export interface Ends {
  readonly low: number;
  readonly high: number;
}

/** Whole cycles, such as "3609". */
export function cycles(value: number): string {
  return (Math.round(value) + 0).toFixed(0);
}

/** Cycles of a single primitive: one decimal below a hundred, where it matters. */
export function smallCycles(value: number): string {
  return Math.abs(value) < 99.95 ? (Math.round(value * 10) / 10 + 0).toFixed(1) : cycles(value);
}

/** A range such as "1741..1783", its ends as `format` writes them. */
export function range({ low, high }: Ends, format: (value: number) => string): string {
  return `${format(low)}..${format(high)}`;
}

/** The same number with its sign, such as "+35"; zero is "+0". */
export function signed(text: string): string {
  return text.startsWith("-") ? text : `+${text}`;
}

/** KiB as "64K", "1.5M" or "4G" bytes. */
export function footprint(kib: number): string {
  const units = "KMG";
  const unit = Math.min(Math.floor(Math.log2(kib) / 10), units.length - 1);
  return `${kib / 1024 ** unit}${units[unit]}`;
}

/** An address, such as "0x7f0". */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

const ROUNDING = 1e-12;

/** A fraction as a signed per cent, such as "+0.14%"; what is less than 0.005% has its first digit. */
export function percent(fraction: number): string {
  // Sums that should be equal differ behind their last digits.
  if (Math.abs(fraction) < ROUNDING) return "+0.00%";
  const hundredths = Math.round(fraction * 1e4) + 0;
  const text =
    hundredths === 0 && fraction !== 0 ? (100 * fraction).toPrecision(1) : (hundredths / 100).toFixed(2);
  return `${signed(text)}%`;
}

/** The lowest low and the highest high. */
export function hull(ranges: readonly Ends[]): Ends {
  return {
    low: Math.min(...ranges.map(({ low }) => low)),
    high: Math.max(...ranges.map(({ high }) => high)),
  };
}

/** A time as "46 s", "12 min" or "3.4 h". */
export function duration(seconds: number): string {
  if (seconds < 100) return `${seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  if (seconds < 6000) return `${(seconds / 60).toFixed(0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
