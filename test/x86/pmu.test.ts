import { describe, expect, it } from "vitest";
import { run } from "../../src/study/run/run.js";
import { Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import { pmuView } from "../../src/x86/pmu.js";

describe("the PMU's view", () => {
  it("names each count of the ledger as perf does", () => {
    const ledger = new Ledger(X86_PRIMITIVES);
    // Different powers of two, so that a sum tells what is in it.
    ledger.counts.forEach((_, i) => {
      ledger.counts[i] = 2 ** i;
    });
    const counts = ledger.toRecord();
    const events = pmuView(counts);
    expect(events).toMatchObject({
      "dtlb_load_misses.miss_causes_a_walk": counts.walkLoad,
      "dtlb_load_misses.stlb_hit": counts.stlbHitLoad,
      "dtlb_store_misses.walk_completed_2m_4m": counts.walkCompletedStore2M,
      "itlb_misses.walk_completed":
        counts.walkCompletedFetch4K + counts.walkCompletedFetch2M + counts.walkCompletedFetch1G,
      "page_walker_loads.dtlb_l1": counts.guestWalkRefL1,
      "page_walker_loads.ept_dtlb_memory": counts.eptWalkRefDram,
    });
    for (const count of Object.values(events)) expect(count).toBeGreaterThan(0);
  });

  it("of a run counts a walk that ends in an exit as begun, not as completed", () => {
    const { counts, pmu } = run({
      cpu: "sandy-bridge-ep",
      kernel: "v4.2",
      memslots: [{ gpa: 0, size: 2 ** 22 }],
      ioeventfds: [{ addr: 0xfebf_0000, len: 0 }],
      workload: [{ op: "store", address: 0xfebf_0000 }],
      accesses: 10,
    });
    expect(counts.exitEptMisconfig).toBe(10);
    expect(pmu["dtlb_store_misses.miss_causes_a_walk"]).toBe(10);
    expect(pmu["dtlb_store_misses.walk_completed"]).toBe(0);
  });
});
