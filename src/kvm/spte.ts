/**
 * Shadow page table entries that KVM writes into the EPT, bit for bit as Linux 4.2 does with EPT A/D bits off.
 */
import { EPT_EXECUTE, EPT_PAGE_SIZE, EPT_PERMISSIONS, EPT_READ, EPT_WRITE } from "../x86/ept.js";
import { entryHigh, entryLow } from "../x86/physical-memory.js";

/** An entry as the two words of a paging-structure entry. */
export interface Spte {
  readonly low: number;
  readonly high: number;
}

const MEMORY_TYPE_WB = 6 << 3;
const IGNORE_PAT = 1 << 6;
const SPTE_HOST_WRITEABLE = 1 << 10;
const SPTE_MMU_WRITEABLE = 1 << 11;

/** Bits 63:62 and 2:1: writable but not readable, which the processor reports as a misconfiguration. */
const MMIO_MASK_HIGH = 0xc000_0000;
const MMIO_MASK_LOW = EPT_WRITE | EPT_EXECUTE;

/** 20 bits of the memslot generation; bit 0 is not stored and reads back as 0. */
const MMIO_GENERATION = 0xf_ffff;

/** An entry that references a table. */
export function tableSpte(pfn: number): Spte {
  return { low: entryLow(pfn, EPT_PERMISSIONS), high: entryHigh(pfn) };
}

/** A leaf that maps memory; `large` maps 2 Mbyte. */
export function leafSpte(pfn: number, writable: boolean, large: boolean): Spte {
  const flags =
    EPT_READ |
    EPT_EXECUTE |
    MEMORY_TYPE_WB |
    IGNORE_PAT |
    (large ? EPT_PAGE_SIZE : 0) |
    (writable ? EPT_WRITE | SPTE_HOST_WRITEABLE | SPTE_MMU_WRITEABLE : 0);
  return { low: entryLow(pfn, flags), high: entryHigh(pfn) };
}

/** The entry that marks a page without a slot, with the memslot generation it was made under. */
export function mmioSpte(gfn: number, generation: number): Spte {
  const stored = generation & MMIO_GENERATION;
  return {
    low: entryLow(gfn, MMIO_MASK_LOW | (((stored >>> 1) & 0x1ff) << 3)),
    high: entryHigh(gfn, MMIO_MASK_HIGH | ((stored >>> 10) << 20)),
  };
}

export function isMmioSpte(low: number, high: number): boolean {
  return (low & MMIO_MASK_LOW) === MMIO_MASK_LOW && high >>> 30 === 3;
}

/** Whether an MMIO SPTE was made under the current memslot generation. */
export function isMmioSpteCurrent(low: number, high: number, generation: number): boolean {
  const stored = (((high >>> 20) & 0x3ff) << 10) | (((low >>> 3) & 0x1ff) << 1);
  return stored === (generation & MMIO_GENERATION);
}
