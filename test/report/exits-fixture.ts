/** Made-up exits: a reason whose exits differ, one whose exits are all alike, and a single one. */

import { conditionsOf } from "../../src/study/conditions.js";
import type { ExitsStudy, SimulatedExits } from "../../src/study/exits.js";
import { parseScenario } from "../../src/study/run/scenario.js";

const TSC_MHZ = 2000;
const scenario = parseScenario({
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v6.19",
  memslots: [{ gpa: 0, size: 4096 }],
  workload: [{ op: "vmcall" }],
  accesses: 10,
});
const clock = {
  low: TSC_MHZ,
  value: TSC_MHZ,
  high: TSC_MHZ,
  unit: "MHz",
  tag: "measured",
  source: "made up",
} as const;

/** From pairs of cycles and samples, ascending; costs from half to twice of their values. */
export function exitsOf(
  reason: string,
  times: readonly (readonly [cycles: number, samples: number])[],
): SimulatedExits {
  const samples = times.reduce((sum, [, n]) => sum + n, 0);
  const mean = times.reduce((sum, [cycles, n]) => sum + n * cycles, 0) / samples;
  const squares = times.reduce((sum, [cycles, n]) => sum + n * (cycles - mean) ** 2, 0);
  const cycles = {
    ...{ least: times[0][0], mean, greatest: times[times.length - 1][0] },
    ...{ low: mean / 2, high: 2 * mean },
  };
  const us = Object.fromEntries(Object.entries(cycles).map(([key, value]) => [key, value / TSC_MHZ]));
  return {
    reason,
    samples,
    cycles,
    us: us as unknown as SimulatedExits["us"],
    relativeError: samples === 1 ? null : Math.sqrt(squares / (samples - 1) / samples) / (mean || 1),
    outside: { low: 950, value: 1550, high: 2750 },
    distribution: times.map(([of, n]) => ({ cycles: of, us: of / TSC_MHZ, samples: n })),
  };
}

export function studyOf(reasons: readonly SimulatedExits[]): ExitsStudy {
  const samples = reasons.reduce((sum, exits) => sum + exits.samples, 0);
  const handled = reasons.reduce((sum, exits) => sum + exits.samples * exits.cycles.mean, 0);
  const { cpu, kernel, patches, mitigations, paging, vcpus } = scenario;
  return {
    provenance: {
      ...{ version: "0.1.0", model: "3f2a91c0", data: "b07c55d2", seed: 1 },
      conditions: conditionsOf([scenario]),
      command: "npx exitlab run scenario.json",
    },
    machine: "Intel made-up",
    conditions: {
      ...{ cpu, kernel, patches, mitigations, paging, vcpus },
      ...{ model: "Intel made-up", tsc: clock, core: clock },
    },
    scenario,
    warmUp: 0,
    samples,
    handled: { low: handled / 2, value: handled, high: 2 * handled },
    outside: { low: 950 * samples, value: 1550 * samples, high: 2750 * samples },
    reasons,
  };
}

/** Three kicks of 0.70 us for each that takes 6.90 us in userspace. */
const MISCONFIG = exitsOf("EPT_MISCONFIG", [
  [1400, 300],
  [13_800, 100],
]);
export const exits = studyOf([
  MISCONFIG,
  exitsOf("IO_INSTRUCTION", [[1000, 99]]),
  exitsOf("CPUID", [[600, 1]]),
]);
