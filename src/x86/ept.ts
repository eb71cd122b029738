/**
 * The extended page tables: formats of the EPT pointer and of the entries, the conditions of an EPT misconfiguration and the
 * bits of an EPT violation's exit qualification, compiled into masks for the walk.
 * Specified in the Intel SDM, volume 3C, "Extended-page-table pointer (EPTP)", "The extended page table mechanism (EPT)",
 * "EPT misconfigurations", "EPT violations" and "Exit qualification for EPT violations".
 */
import type { CpuGeometry } from "./cpu.js";
import { MAX_LEVELS } from "./guest-paging.js";
import { NestedPaging } from "./nested-paging.js";

/** Permissions of an entry and, with the same bits, kinds of access in the exit qualification. */
export const EPT_READ = 1 << 0;
export const EPT_WRITE = 1 << 1;
export const EPT_EXECUTE = 1 << 2;
export const EPT_PERMISSIONS = EPT_READ | EPT_WRITE | EPT_EXECUTE;
/** With mode-based execute control: execute access for user-mode linear addresses; bit 2 is then for supervisor-mode ones. */
export const EPT_USER_EXECUTE = 1 << 10;

/** In a PDPTE or PDE: the entry maps a page. */
export const EPT_PAGE_SIZE = 1 << 7;
export const EPT_ACCESSED = 1 << 8;
export const EPT_DIRTY = 1 << 9;
/** Bit 60 of a leaf, in its upper word: a supervisor shadow-stack page. */
export const EPT_SUPERVISOR_SHADOW_STACK_HIGH = 1 << 28;

/** Exit qualification of an EPT violation, above bits 2:0 (access) and 5:3 (permissions of the translation). */
export const EPT_VIOLATION_USER_EXECUTE = 1 << 6;
export const EPT_VIOLATION_GLA_VALID = 1 << 7;
export const EPT_VIOLATION_FINAL_GPA = 1 << 8;
export const EPT_VIOLATION_USER_PAGE = 1 << 9;
export const EPT_VIOLATION_WRITABLE_PAGE = 1 << 10;
export const EPT_VIOLATION_NOT_EXECUTABLE_PAGE = 1 << 11;
export const EPT_VIOLATION_SHADOW_STACK = 1 << 13;
export const EPT_VIOLATION_SHADOW_STACK_PAGE = 1 << 14;

/** Bits of the EPT pointer. */
export const EPTP_ACCESSED_DIRTY = 1 << 6;
export const EPTP_SUPERVISOR_SHADOW_STACK = 1 << 7;

/** Values of bits 2:0, as bits: writable but not readable; without read and write, what only some processors have. */
const WRITE_ONLY = (1 << EPT_WRITE) | (1 << (EPT_WRITE | EPT_EXECUTE));
const EXECUTE_ONLY = (1 << EPT_EXECUTE) | (1 << 0);

/** Memory types in bits 5:3 of a leaf: 2, 3 and 7 are reserved. */
const RESERVED_MEMORY_TYPES = (1 << 2) | (1 << 3) | (1 << 7);

/** Address bits that a large page's offset takes. */
const BELOW_2M = 0x1f_f000;
const BELOW_1G = 0x3fff_f000;

/**
 * Whether VM entry accepts an EPT pointer: memory type UC or WB, a page-walk length the processor has, no bit beyond what it
 * supports, no address beyond its width.
 */
export function isValidEptp(eptp: bigint, cpu: CpuGeometry): boolean {
  const low = Number(eptp & 0xfffn);
  const memoryType = low & 7;
  const length = ((low >> 3) & 7) + 1;
  if (memoryType !== 0 && memoryType !== 6) return false;
  if (length !== 4 && !(length === 5 && cpu.ept5Levels)) return false;
  if ((low & EPTP_ACCESSED_DIRTY) !== 0 && !cpu.eptAccessedDirty) return false;
  if ((low & EPTP_SUPERVISOR_SHADOW_STACK) !== 0 && !cpu.supervisorShadowStack) return false;
  return (low & 0xf00) === 0 && eptp >> BigInt(cpu.physicalAddressBits) === 0n;
}

export class Ept extends NestedPaging {
  /** @throws RangeError for an EPT pointer that VM entry would refuse */
  constructor(eptp: number, modeBasedExecute: boolean, cpu: CpuGeometry) {
    super(Math.floor(eptp / 4096), ((eptp >>> 3) & 7) + 1, cpu);
    if (!isValidEptp(BigInt(eptp), cpu)) {
      throw new RangeError(`EPT pointer 0x${eptp.toString(16)} is not valid on this processor`);
    }
    const accessedDirty = (eptp & EPTP_ACCESSED_DIRTY) !== 0;
    this.tableRequest = accessedDirty ? EPT_READ | EPT_WRITE : EPT_READ;
    this.accessed = accessedDirty ? EPT_ACCESSED : 0;
    this.dirty = accessedDirty ? EPT_DIRTY : 0;
    this.shadowStack = (eptp & EPTP_SUPERVISOR_SHADOW_STACK) !== 0;
    this.modeBasedExecute = modeBasedExecute;
    this.present = modeBasedExecute ? EPT_PERMISSIONS | EPT_USER_EXECUTE : EPT_PERMISSIONS;
    this.allPermissions = this.present;
    this.misconfiguredPermissions = cpu.executeOnlyEpt ? WRITE_ONLY : WRITE_ONLY | EXECUTE_ONLY;
    this.misconfiguredMemoryTypes = RESERVED_MEMORY_TYPES;
    if (cpu.ept2MPages) this.largeLeaf[2] = 1;
    if (cpu.ept1GPages) this.largeLeaf[3] = 1;
    for (let level = 2; level <= MAX_LEVELS; level++) {
      // Bits 6:3 are reserved in an entry that references a table; bit 7 is too where no page may be mapped.
      this.tableReservedLow[level] = this.largeLeaf[level] !== 0 ? 0x78 : 0xf8;
    }
    this.leafReservedLow[2] = BELOW_2M;
    this.leafReservedLow[3] = BELOW_1G;
  }
}
