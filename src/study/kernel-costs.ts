/**
 * The costs of two runs that are compared, perhaps of two kernels, as one list that prices both.
 *
 * A cost that has the same range under both kernels is one cost, the same for both sides. One whose ranges differ by kernel is
 * two: nothing says that they err together, so they vary apart, and a difference comes out wider rather than narrower.
 */
import type { Counts } from "../cost/counts.js";
import type { PrimitiveCost } from "../cost/primitive-costs.js";
import type { KernelVersion } from "../kvm/eras.js";

/** What `primitiveCosts()` has for a processor under this kernel. */
export interface KernelCosts {
  readonly kernel: KernelVersion;
  readonly costs: readonly PrimitiveCost[];
}

/** The costs of both, of one processor. They price counts as `countsOfKernel` has them. */
export function costsOfBoth(a: KernelCosts, b: KernelCosts): PrimitiveCost[] {
  // Both lists are of the same costs in the same order: a kernel has its own ranges, not its own costs.
  return a.costs.flatMap((cost, index) =>
    isSameRange(cost, b.costs[index])
      ? cost
      : [costOfKernel(cost, a.kernel), costOfKernel(b.costs[index], b.kernel)],
  );
}

/** The counts twice: for costs that both kernels share, and for those of this kernel. */
export function countsOfKernel(counts: Counts, kernel: KernelVersion): Counts {
  return Object.fromEntries(
    Object.entries(counts).flatMap(([primitive, count]) => [
      [primitive, count],
      [ofKernel(primitive, kernel), count],
    ]),
  );
}

/** Name of a cost or a primitive of one kernel. */
export function ofKernel(name: string, kernel: KernelVersion): string {
  return `${name} (${kernel})`;
}

function isSameRange(one: PrimitiveCost, other: PrimitiveCost): boolean {
  return one.low === other.low && one.value === other.value && one.high === other.high;
}

function costOfKernel(cost: PrimitiveCost, kernel: KernelVersion): PrimitiveCost {
  const named = (names: readonly string[]) => names.map((primitive) => ofKernel(primitive, kernel));
  const { name, primitives, spares } = cost;
  return {
    ...cost,
    name: ofKernel(name, kernel),
    primitives: named(primitives),
    ...(spares && { spares: named(spares) }),
  };
}
