/**
 * Formats of the guest's 4-level paging structures.
 * Specified in the Intel SDM, volume 3A, "4-level paging and 5-level paging".
 */
import type { CpuGeometry } from "./cpu.js";

/** Entry bits 7:0 as far as the model uses them. */
export const PTE_PRESENT = 1 << 0;
export const PTE_WRITABLE = 1 << 1;
export const PTE_ACCESSED = 1 << 5;
export const PTE_DIRTY = 1 << 6;
/** In a PDPTE or PDE: the entry maps a page. */
export const PTE_PAGE_SIZE = 1 << 7;

/** Page-fault error code bits. */
export const PF_PRESENT = 1 << 0;
export const PF_WRITE = 1 << 1;
export const PF_RESERVED = 1 << 3;

/** Levels are numbered from the leaf: 1 = PTE, 2 = PDE, 3 = PDPTE, 4 = PML4E. */
export const GUEST_LEVELS = 4;

/** Whether an entry is a leaf at this level. 1-Gbyte pages are not modelled yet and count as a reserved bit. */
export function isGuestLeaf(level: number, low: number): boolean {
  return level === 1 || (level === 2 && (low & PTE_PAGE_SIZE) !== 0);
}

/** Whether a present entry has a reserved bit set. IA32_EFER.NXE is 1, so bit 63 is not reserved. */
export function hasGuestReservedBits(
  geometry: CpuGeometry,
  level: number,
  low: number,
  high: number,
): boolean {
  const aboveWidth = (high & 0xf_ffff) >>> (geometry.physicalAddressBits - 32);
  if (aboveWidth !== 0) return true;
  if ((low & PTE_PAGE_SIZE) === 0 || level === 1) return false;
  // Bit 7 is reserved in a PML4E, and in a PDPTE without 1-Gbyte pages; a 2-Mbyte page has bits 20:13 reserved.
  return level >= 3 || (low & 0x1f_e000) !== 0;
}
