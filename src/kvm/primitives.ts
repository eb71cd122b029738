/**
 * What the hypervisor counts: one name per step of its code whose cost somebody could measure, after the silicon's own
 * primitives in the same ledger.
 */
import { X86_PRIMITIVES } from "../x86/ledger.js";
import * as KVM from "./primitive-indexes.js";

export { KVM };

/** Names of all primitives, in the order of the ledger. */
export const PRIMITIVES: readonly string[] = [
  ...X86_PRIMITIVES,
  ...Object.entries(KVM)
    .sort(([, one], [, other]) => one - other)
    .map(([name]) => name),
];
