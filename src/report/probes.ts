/** What `probeTranslation()` answers, as a table. */
import type { Probe } from "../x86/probe.js";
import { hex } from "./format.js";
import type { Records } from "./records.js";

/**
 * One record per named probe: the outcome, the entries read, the host-physical address that it leads to or the entry, its
 * bits and the reason why there is none.
 */
export function tableProbes(probes: Readonly<Record<string, Probe>>): Records {
  return Object.entries(probes).map(([access, { outcome, steps, reason, hostPhysicalAddress }]) => ({
    access,
    outcome,
    entriesRead: steps.length,
    hostPhysical: hostPhysicalAddress === null ? "" : hex(hostPhysicalAddress),
    at: reason?.at ?? "",
    bits: reason?.bits ?? "",
    why: reason?.why ?? "",
  }));
}
