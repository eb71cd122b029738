/** An access for tests: loads of 4 bytes at address 0, but for what the test changes. */
import type { Access } from "../../src/workload/workload.js";

export function access(change: Partial<Access>): Access {
  return {
    op: "load",
    address: 0,
    size: 4,
    value: 0,
    count: 1,
    footprint: 4,
    stride: 4,
    pattern: "sequential",
    weight: 1,
    burst: 1,
    skew: 1,
    workingSet: 4,
    phase: 1,
    fresh: false,
    ...change,
  };
}
