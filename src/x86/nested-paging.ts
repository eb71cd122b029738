/**
 * The second level of paging, from guest-physical to host-physical addresses, as the walk of its structures needs it: what
 * the format of the entries decides, compiled into masks. The format is Intel's (`Ept`) or AMD's (`Npt`); a constructor of
 * these fills in what differs from the values here.
 */
import type { CpuGeometry } from "./cpu.js";
import { levelShifts, MAX_LEVELS, PTE_PAGE_SIZE } from "./guest-paging.js";
import { highOf, lowOf } from "./page-number.js";

export class NestedPaging {
  readonly rootLow: number;
  readonly rootHigh: number;
  /** Bits of a guest page frame number's upper integer that the levels can translate. */
  readonly gfnHighBits: number;
  /** Bits 63:32 that are reserved in any entry. */
  readonly reservedHigh: number;
  /** By level, bits of a page number below those that select the entry: it spans 2^shift pages of 4 Kbyte. */
  readonly shifts: Int32Array = levelShifts(9);
  /** By level, 1 where bit 7 of an entry says that it maps a page. */
  readonly largeLeaf: Uint8Array = new Uint8Array(MAX_LEVELS + 1);
  /** By level, bits 31:0 that are reserved in an entry that references a table, and in one that maps a large page. */
  readonly tableReservedLow: Int32Array = new Int32Array(MAX_LEVELS + 1);
  readonly leafReservedLow: Int32Array = new Int32Array(MAX_LEVELS + 1);

  /** AMD's format: an entry has the permissions that `nptPermissions()` says, and all faults are a #NPF. */
  isNpt = false;
  /** An entry is present if any of these bits is set. */
  present = 0;
  /** Permissions before any entry has taken one away, in the bits of an EPT entry. */
  allPermissions = 0;
  /** What an access to a guest paging structure asks for: a write as well where accessed and dirty flags are set. */
  tableRequest = 0;
  /** The accessed and the dirty flag where they are set, else 0. */
  accessed = 0;
  dirty = 0;
  /** The values of bits 2:0, and those of bits 5:3 of a leaf, that are misconfigurations: bit n stands for the value n. */
  misconfiguredPermissions = 0;
  misconfiguredMemoryTypes = 0;
  modeBasedExecute = false;
  shadowStack = false;

  /** @param root page frame number of the root table. It is also the tag of all that is cached from it. */
  constructor(
    readonly root: number,
    readonly levels: number,
    cpu: CpuGeometry,
  ) {
    this.rootLow = lowOf(root);
    this.rootHigh = highOf(root);
    this.gfnHighBits = 9 * levels - 32;
    this.reservedHigh = 0xf_ffff & ~(2 ** (cpu.physicalAddressBits - 32) - 1);
  }

  /** Whether a present entry maps a page. */
  isLeaf(level: number, low: number): boolean {
    return level === 1 || ((low & PTE_PAGE_SIZE) !== 0 && this.largeLeaf[level] !== 0);
  }

  /** Whether a present entry of the last level, with permissions that are none, is misconfigured. */
  isMisconfiguredPte(low: number, high: number): boolean {
    return (
      (high & this.reservedHigh) !== 0 || ((this.misconfiguredMemoryTypes >>> ((low >>> 3) & 7)) & 1) !== 0
    );
  }

  /** Whether a present entry is misconfigured or, as AMD says it, has a reserved bit set. */
  isMisconfigured(level: number, low: number, high: number, isLeaf: boolean): boolean {
    if (((this.misconfiguredPermissions >>> (low & 7)) & 1) !== 0) return true;
    if (!isLeaf) return ((high & this.reservedHigh) | (low & this.tableReservedLow[level])) !== 0;
    if (this.isMisconfiguredPte(low, high)) return true;
    return level > 1 && (low & this.leafReservedLow[level]) !== 0;
  }
}
