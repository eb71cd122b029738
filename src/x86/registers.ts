/**
 * The registers that decide how a linear address is translated, by their architectural bits.
 * Specified in the Intel SDM, volume 3A, "Control registers", "Paging modes and control bits" and "Protection keys".
 */

export const CR0_PE = 1 << 0;
export const CR0_WP = 1 << 16;
export const CR0_PG = 1 << 31;

export const CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5;
export const CR4_PGE = 1 << 7;
export const CR4_LA57 = 1 << 12;
export const CR4_PCIDE = 1 << 17;
export const CR4_SMEP = 1 << 20;
export const CR4_SMAP = 1 << 21;
export const CR4_PKE = 1 << 22;

export const EFER_LME = 1 << 8;
export const EFER_NXE = 1 << 11;

/** The register values that translation depends on, but for CR3. */
export interface PagingRegisters {
  readonly cr0: number;
  readonly cr4: number;
  /** IA32_EFER. */
  readonly efer: number;
  readonly pkru: number;
  /** EFLAGS.AC: lets supervisor-mode code reach user pages although SMAP is on. */
  readonly ac: boolean;
}

/** As a 64-bit Linux guest without SMEP, SMAP and protection keys has them. */
export const LONG_MODE: PagingRegisters = {
  cr0: CR0_PE | CR0_WP | CR0_PG,
  cr4: CR4_PSE | CR4_PAE | CR4_PGE,
  efer: EFER_LME | EFER_NXE,
  pkru: 0,
  ac: false,
};
