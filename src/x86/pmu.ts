/**
 * The ledger as a performance-monitoring unit shows it: counts under the names that `perf list` has for them on Haswell and
 * later Intel processors, so that a reader can hold them against `perf stat` in a guest or on a host.
 * Named as in Intel's event lists: DTLB_LOAD_MISSES, DTLB_STORE_MISSES, ITLB_MISSES, PAGE_WALKER_LOADS.
 *
 * What the hardware counts and the model does not: speculative accesses, walks of prefetches. PAGE_WALKER_LOADS is split
 * there by data and instructions as well; here `dtlb` stands for both.
 */
import { MEMORY_LEVELS } from "./ledger.js";

/** Counts by event name. The names of a core's own events may differ by generation; the unit is always one event. */
export function pmuView(counts: Readonly<Record<string, number>>): Record<string, number> {
  const events: Record<string, number> = {};
  for (const [access, unit] of [
    ["Load", "dtlb_load_misses"],
    ["Store", "dtlb_store_misses"],
    ["Fetch", "itlb_misses"],
  ]) {
    const completed = (size: string) => counts[`walkCompleted${access}${size}`];
    events[`${unit}.miss_causes_a_walk`] = counts[`walk${access}`];
    events[`${unit}.walk_completed`] = completed("4K") + completed("2M") + completed("1G");
    events[`${unit}.walk_completed_4k`] = completed("4K");
    events[`${unit}.walk_completed_2m_4m`] = completed("2M");
    events[`${unit}.walk_completed_1g`] = completed("1G");
    events[`${unit}.stlb_hit`] = counts[`stlbHit${access}`];
  }
  for (const [side, unit] of [
    ["guest", "page_walker_loads.dtlb"],
    ["ept", "page_walker_loads.ept_dtlb"],
  ]) {
    for (const level of MEMORY_LEVELS) {
      const served = level === "Dram" ? "memory" : level.toLowerCase();
      events[`${unit}_${served}`] = counts[`${side}WalkRef${level}`];
    }
  }
  return events;
}
