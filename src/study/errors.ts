/** How far predictions are from what was measured: relative errors, signed, in a few figures. */

export interface ErrorSummary {
  readonly points: number;
  /** Of the sizes of the errors: half of them are no larger, and nine in ten. */
  readonly median: number;
  readonly p90: number;
  /** The largest, with its sign: more than 0 where too much was predicted. */
  readonly worst: number;
  /** Half of the errors are no larger, signs counted: what the errors have in common. */
  readonly bias: number;
}

/** (predicted - measured) / measured. */
export function relativeError(predicted: number, measured: number): number {
  return (predicted - measured) / measured;
}

/** @throws RangeError for no errors at all */
export function summarise(errors: readonly number[]): ErrorSummary {
  if (errors.length === 0) throw new RangeError("no errors to summarise");
  const sizes = errors.map(Math.abs);
  return {
    points: errors.length,
    median: quantile(sizes, 0.5),
    p90: quantile(sizes, 0.9),
    worst: errors[sizes.indexOf(Math.max(...sizes))],
    bias: quantile(errors, 0.5),
  };
}

/** The least value that so large a share of all does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.ceil(share * sorted.length) - 1];
}
