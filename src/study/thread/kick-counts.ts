/** What a kick takes in counts, before anything is said of cycles. */
import type { Counts } from "../../cost/counts.js";
import { walkReferences } from "../loads.js";

/** How often. */
export interface KickCounts {
  /** References of page walks, the guest's and the EPT's. */
  readonly references: number;
  readonly exits: number;
  readonly userspaceExits: number;
  /** Looks into a bus. */
  readonly busLookups: number;
}

/** @param counts such as those per kick */
export function kickCounts(counts: Counts): KickCounts {
  const { guest, ept } = walkReferences(counts);
  return {
    references: guest + ept,
    exits: sumOf(counts, /^exit(?!Mitigation|Fastpath)/),
    userspaceExits: sumOf(counts, /^userspaceExit(Io|Mmio)$/),
    busLookups: counts.ioBusLookup ?? 0,
  };
}

function sumOf(counts: Counts, names: RegExp): number {
  return Object.entries(counts).reduce((sum, [name, count]) => sum + (names.test(name) ? count : 0), 0);
}
