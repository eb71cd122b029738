/**
 * Formats of the extended page tables and the conditions of an EPT misconfiguration.
 * Specified in the Intel SDM, volume 3C, "The extended page table mechanism (EPT)" and "EPT misconfigurations".
 */
import type { CpuGeometry } from "./cpu.js";

/** Permissions of an entry and, with the same bits, kinds of access in the exit qualification. */
export const EPT_READ = 1 << 0;
export const EPT_WRITE = 1 << 1;
export const EPT_EXECUTE = 1 << 2;
export const EPT_PERMISSIONS = EPT_READ | EPT_WRITE | EPT_EXECUTE;

/** In a PDPTE or PDE: the entry maps a page. */
export const EPT_PAGE_SIZE = 1 << 7;

/** Exit qualification of an EPT violation, above bits 2:0 (access) and 5:3 (permissions of the translation). */
export const EPT_VIOLATION_GLA_VALID = 1 << 7;
export const EPT_VIOLATION_FINAL_GPA = 1 << 8;

/** Levels are numbered from the leaf: 1 = PTE, 2 = PDE, 3 = PDPTE, 4 = PML4E. */
export const EPT_LEVELS = 4;

/** Whether a present entry is a leaf at this level. 1-Gbyte pages are not modelled yet and count as a reserved bit. */
export function isEptLeaf(level: number, low: number): boolean {
  return level === 1 || (level === 2 && (low & EPT_PAGE_SIZE) !== 0);
}

/** Whether a present entry is misconfigured at this level. */
export function isEptMisconfigured(geometry: CpuGeometry, level: number, low: number, high: number): boolean {
  const permissions = low & EPT_PERMISSIONS;
  if ((permissions & (EPT_READ | EPT_WRITE)) === EPT_WRITE) return true;
  if (permissions === EPT_EXECUTE && !geometry.executeOnlyEpt) return true;
  if ((high & 0xf_ffff) >>> (geometry.physicalAddressBits - 32) !== 0) return true;
  if (isEptLeaf(level, low)) {
    const memoryType = (low >>> 3) & 7;
    if (memoryType === 2 || memoryType === 3 || memoryType === 7) return true;
    return level === 2 && (low & 0x1f_f000) !== 0;
  }
  // Bits 6:3 are reserved in an entry that references a table; bit 7 is too where no page may be mapped.
  return (low & 0xf8) !== 0;
}
