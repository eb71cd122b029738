/** From counts to costs: how often each cost occurs in what a run counted. */

/** Counts of primitives per access, by name. */
export type Counts = Readonly<Record<string, number>>;

/** Cycles. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Counts of so many accesses, kicks or faults as those of one. */
export function perOne(counts: Counts, of: number): Counts {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / of]));
}

/** How often each cost occurs in a run, or how much more often than in `base`; in the order of the costs. */
export function occurrences(
  costs: readonly { readonly primitives: readonly string[]; readonly spares?: readonly string[] }[],
  counts: Counts,
  base: Counts = {},
): number[] {
  const more = (names: readonly string[]) =>
    names.reduce((sum, name) => sum + (counts[name] ?? 0) - (base[name] ?? 0), 0);
  return costs.map(({ primitives, spares = [] }) => more(primitives) - more(spares));
}
