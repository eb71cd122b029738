/** Where figures come from and under which conditions they hold, in words for mails, pictures and pages. */

import type { Provenance } from "../study/result.js";
import { DEFAULT_SWITCHES } from "../x86/cpu.js";

/** "exitlab 0.1.0, model ..., data ..., seed 1". */
export function versionText({ version, model, data, seed, seeds = [seed] }: Provenance): string {
  return `exitlab ${version}, model ${model}, data ${data}, ${seedsText(seeds)}`;
}

/** "seed 1", "seeds 1..10" or "seeds 1, 5, 9". */
function seedsText(seeds: readonly number[]): string {
  if (seeds.length === 1) return `seed ${seeds[0]}`;
  const isRun = seeds.every((seed, index) => seed === seeds[0] + index);
  return `seeds ${isRun ? `${seeds[0]}..${seeds[seeds.length - 1]}` : seeds.join(", ")}`;
}

/** What the costs were fitted to. */
export function basisText({ calibration }: Provenance): string {
  return calibration === undefined ? "not fitted" : `fitted to ${calibration}`;
}

/** Such as "Linux 3.9, 4.2, mitigations off"; empty where no kernel is simulated. */
export function kernelText({ conditions: { kernels, mitigations } }: Provenance): string {
  if (kernels.length === 0) return "";
  const names = kernels.map((name) => name.replace(/^v/, "")).join(", ");
  return `Linux ${names}, mitigations ${mitigations.join(", ")}`;
}

/** What the manual leaves open: every switch, or those that are not at their defaults. */
export function switchesText({ conditions: { switches } }: Provenance, which: "all" | "changed"): string {
  const defaults: Readonly<Record<string, unknown>> = { ...DEFAULT_SWITCHES };
  return Object.entries(switches)
    .filter(([name, values]) => which === "all" || values.some((value) => value !== String(defaults[name])))
    .map(([name, values]) => `${name} ${values.join(" | ")}`)
    .join(", ");
}
