/**
 * Nested page tables: the format of their entries, that of long-mode page tables, and the error code of a nested page fault.
 * Specified in the AMD64 Architecture Programmer's Manual, volume 2, "Nested Paging", "Long-Mode Page Translation" and
 * "Page-Translation-Table Entry Fields".
 *
 * The host is taken to have EFER.NXE set. Guest mode execute trap, read-only guest page tables and supervisor shadow stacks
 * are off.
 */
import type { CpuGeometry } from "./cpu.js";
import { EPT_EXECUTE, EPT_PERMISSIONS, EPT_READ, EPT_WRITE } from "./ept.js";
import {
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_GLOBAL,
  PTE_PAGE_SIZE,
  PTE_PRESENT,
  PTE_USER,
  RESERVED_IN_1G,
  RESERVED_IN_2M,
} from "./guest-paging.js";
import { NestedPaging } from "./nested-paging.js";

/** EXITINFO1 of a #NPF. Bits 4:0 as in a page-fault error code: present, write, user, reserved bit, fetch. */
export const NPF_PRESENT = 1 << 0;
export const NPF_WRITE = 1 << 1;
export const NPF_USER = 1 << 2;
export const NPF_RESERVED = 1 << 3;
export const NPF_FETCH = 1 << 4;
/**
 * Bit 32: the address is the final translation of a linear address. Bit 33: it is that of a guest paging structure. Either is
 * always set, and no operator on bits sees it: a code from 2^33 on has the second.
 */
export const NPF_GUEST_FINAL = 2 ** 32;
export const NPF_GUEST_PAGE = 2 ** 33;

/** PWT and PCD of nCR3, which the model ignores. */
const CACHE_CONTROL = 0x18;

/** Whether VMRUN accepts a root pointer: no address beyond the processor's width, no bit that must be 0. */
export function isValidNCr3(nCr3: number, cpu: CpuGeometry): boolean {
  return nCr3 < 2 ** cpu.physicalAddressBits && (nCr3 & 0xfff & ~CACHE_CONTROL) === 0;
}

/** What an entry lets a guest do, in the bits of an EPT entry. The guest is a user to the host: without U/S it may nothing. */
export function nptPermissions(low: number, high: number): number {
  if ((low & PTE_USER) === 0) return 0;
  return (low & (EPT_READ | EPT_WRITE)) | (high >>> 31 !== 0 ? 0 : EPT_EXECUTE);
}

export class Npt extends NestedPaging {
  /** @throws RangeError for a root pointer that VMRUN would refuse */
  constructor(nCr3: number, levels: 4 | 5, cpu: CpuGeometry) {
    super(Math.floor(nCr3 / 4096), levels, cpu);
    if (!isValidNCr3(nCr3, cpu)) {
      throw new RangeError(`nCR3 0x${nCr3.toString(16)} is not valid on this processor`);
    }
    this.isNpt = true;
    this.present = PTE_PRESENT;
    this.allPermissions = EPT_PERMISSIONS;
    this.tableRequest = EPT_READ | EPT_WRITE;
    this.accessed = PTE_ACCESSED;
    this.dirty = PTE_DIRTY;
    this.largeLeaf[2] = 1;
    this.leafReservedLow[2] = RESERVED_IN_2M;
    // CPUID says it once for host and guest.
    if (cpu.guest1GPages) this.largeLeaf[3] = 1;
    else this.tableReservedLow[3] = PTE_PAGE_SIZE;
    this.leafReservedLow[3] = RESERVED_IN_1G;
    this.tableReservedLow[4] = PTE_PAGE_SIZE | PTE_GLOBAL;
    this.tableReservedLow[5] = PTE_PAGE_SIZE | PTE_GLOBAL;
  }
}
