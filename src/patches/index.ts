/** The patches by name, as scenarios ask for them: those of the thread, and the one that SVM got later. */
import type { Patch } from "./define-patch.js";
import { exitFastpath } from "./exit-fastpath.js";
import { handleBadPage } from "./handle-bad-page.js";
import { rfc } from "./rfc.js";
import { rfcRepaired } from "./rfc-repaired.js";
import { svmFastMmio } from "./svm-fast-mmio.js";
import { writeMostlySpte } from "./write-mostly-spte.js";

export const PATCHES = {
  rfc,
  "handle-bad-page": handleBadPage,
  "write-mostly-spte": writeMostlySpte,
  "rfc-repaired": rfcRepaired,
  "exit-fastpath": exitFastpath,
  "svm-fast-mmio": svmFastMmio,
} as const satisfies Readonly<Record<string, Patch>>;

export type PatchName = keyof typeof PATCHES;
export const PATCH_NAMES = Object.keys(PATCHES) as readonly PatchName[];
