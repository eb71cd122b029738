/**
 * The processor model as one module, in reading order. The build joins the folder here: see src/setup/compile.mjs.
 */

export * from "./access.js";
export * from "./address-spaces.js";
export * from "./cpu.js";
export * from "./ept.js";
export * from "./guest-paging.js";
export * from "./ledger.js";
export * from "./memory-hierarchy.js";
export * from "./mmu.js";
export * from "./nested-paging.js";
export * from "./npt.js";
export * from "./page-number.js";
export * from "./physical-memory.js";
export * from "./pmu.js";
export * from "./probe.js";
export * from "./registers.js";
export * from "./set-associative.js";
export * from "./tlb.js";
export * from "./translation-caches.js";
export * from "./vmcb.js";
export * from "./vmcs.js";
