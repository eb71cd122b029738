/** From counts to costs: how often each cost occurs in what a run counted. */

/** Counts of primitives per access, by name. */
export type Counts = Readonly<Record<string, number>>;

/** Cycles. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** How often each cost occurs in a run, or how much more often than in `base`; in the order of the costs. */
export function occurrences(
  costs: readonly { readonly primitives: readonly string[] }[],
  counts: Counts,
  base: Counts = {},
): number[] {
  return costs.map(({ primitives }) =>
    primitives.reduce((sum, name) => sum + (counts[name] ?? 0) - (base[name] ?? 0), 0),
  );
}
