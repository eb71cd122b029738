/** The patches by name, as scenarios ask for them. */
import type { Patch } from "../kvm/eras.js";
import { svmFastMmio } from "./svm-fast-mmio.js";

export const PATCHES = { "svm-fast-mmio": svmFastMmio } as const satisfies Readonly<Record<string, Patch>>;

export type PatchName = keyof typeof PATCHES;
export const PATCH_NAMES = Object.keys(PATCHES) as readonly PatchName[];
