/**
 * The guest's paging modes: formats of their entries and what each kind of access needs, compiled from the registers into
 * masks, so that a walk compares and does not decide.
 * Specified in the Intel SDM, volume 3A: "32-bit paging", "PAE paging", "4-level paging and 5-level paging", "Access
 * rights" and "Page-fault exceptions".
 */
import { ACCESS_KINDS, type AccessKind, accessOf, FETCH, IMPLICIT, USER, WRITE } from "./access.js";
import type { CpuGeometry } from "./cpu.js";
import { entryPfnHigh, entryPfnLow, pageNumber } from "./page-number.js";
import {
  CR0_PG,
  CR0_WP,
  CR4_LA57,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LME,
  EFER_NXE,
  type PagingRegisters,
} from "./registers.js";

/** Entry bits 8:0 as far as the model uses them. */
export const PTE_PRESENT = 1 << 0;
export const PTE_WRITABLE = 1 << 1;
export const PTE_USER = 1 << 2;
export const PTE_ACCESSED = 1 << 5;
export const PTE_DIRTY = 1 << 6;
/** In a PDPTE or PDE: the entry maps a page. */
export const PTE_PAGE_SIZE = 1 << 7;
export const PTE_GLOBAL = 1 << 8;

/** Page-fault error code bits. */
export const PF_PRESENT = 1 << 0;
export const PF_WRITE = 1 << 1;
export const PF_USER = 1 << 2;
export const PF_RESERVED = 1 << 3;
export const PF_FETCH = 1 << 4;
export const PF_PROTECTION_KEY = 1 << 5;

/** Levels are numbered from the leaf: 1 = PTE, 2 = PDE, 3 = PDPTE, 4 = PML4E, 5 = PML5E. */
export const MAX_LEVELS = 5;

export const PAGING_MODES = ["none", "32-bit", "PAE", "4-level", "5-level"] as const;
export type PagingMode = (typeof PAGING_MODES)[number];

/** What a translation allows, gathered over its entries: not executable, in a bit that no other right uses. */
export const RIGHT_NOT_EXECUTABLE = 1 << 0;
/** Writable and user-mode, in the bits that an entry has them in. */
export const RIGHT_WRITABLE = PTE_WRITABLE;
export const RIGHT_USER = PTE_USER;

/** Low 32 bits of an entry, above bit 11, that a page's own offset bits would take: reserved in a large leaf, but for PAT. */
export const RESERVED_IN_2M = 0x1f_e000;
export const RESERVED_IN_1G = 0x3fff_e000;

/** 32-bit paging with PSE-36 maps 4-Mbyte pages below 2^40 at the most. */
const PSE_36_BITS = 40;

export class GuestPaging {
  readonly mode: PagingMode;
  /** Levels of paging structures in memory; those of PAE are two, its PDPTEs lie in registers. */
  readonly levels: number;
  readonly entryBytes: 4 | 8;
  /** Entries of a table. */
  readonly entries: number;
  /** By level, bits of a page number below those that select the entry: it spans 2^shift pages of 4 Kbyte. */
  readonly shifts: Int32Array;
  /** By level, 1 where bit 7 of an entry says that it maps a page. */
  readonly largeLeaf: Uint8Array = new Uint8Array(MAX_LEVELS + 1);
  /** By level, bits 31:0 that are reserved in an entry that references a table, and in one that maps a page. */
  readonly tableReservedLow: Int32Array = new Int32Array(MAX_LEVELS + 1);
  readonly leafReservedLow: Int32Array = new Int32Array(MAX_LEVELS + 1);
  /** Bits 63:32 that are reserved in any entry. */
  readonly reservedHigh: number;
  /** By kind of access: an access is allowed where `rights & rightsMask === rightsValue`. */
  readonly rightsMask: Int32Array = new Int32Array(ACCESS_KINDS);
  readonly rightsValue: Int32Array = new Int32Array(ACCESS_KINDS);
  /** By kind of access, bit k: a user page with protection key k is denied. */
  readonly deniedKeys: Int32Array = new Int32Array(ACCESS_KINDS);
  /** Error code bits that a kind of access brings with it. */
  readonly errorCode: Int32Array = new Int32Array(ACCESS_KINDS);
  /** PTE_GLOBAL where the G bit of a leaf counts, else 0. */
  readonly globalBit: number;

  constructor(
    { cr0, cr4, efer, pkru, ac }: PagingRegisters,
    private readonly cpu: CpuGeometry,
  ) {
    this.mode = pagingMode(cr0, cr4, efer);
    const is32Bit = this.mode === "32-bit";
    const long = this.mode === "4-level" || this.mode === "5-level";
    this.levels = { none: 0, "32-bit": 2, PAE: 2, "4-level": 4, "5-level": 5 }[this.mode];
    this.entryBytes = is32Bit ? 4 : 8;
    this.entries = is32Bit ? 1024 : 512;
    this.shifts = levelShifts(is32Bit ? 10 : 9);
    this.globalBit = (cr4 & CR4_PGE) !== 0 ? PTE_GLOBAL : 0;
    const executeDisable = !is32Bit && (efer & EFER_NXE) !== 0;
    this.reservedHigh = this.reserve(long, executeDisable, (cr4 & CR4_PSE) !== 0);
    this.allow(cr0, cr4, ac, executeDisable || (cr4 & CR4_SMEP) !== 0);
    if (long && (cr4 & CR4_PKE) !== 0) this.denyKeys(pkru, (cr0 & CR0_WP) !== 0);
  }

  /** Whether a present entry maps a page. */
  isLeaf(level: number, low: number): boolean {
    return level === 1 || ((low & PTE_PAGE_SIZE) !== 0 && this.largeLeaf[level] !== 0);
  }

  /** Whether a present entry has a reserved bit set. */
  isReserved(level: number, low: number, high: number, isLeaf: boolean): boolean {
    if ((high & this.reservedHigh) !== 0) return true;
    // A PTE has none below its address.
    return level > 1 && (low & (isLeaf ? this.leafReservedLow : this.tableReservedLow)[level]) !== 0;
  }

  /** Page frame number of the page that a leaf maps, of its first 4 Kbyte: lower integer, as in page-number.ts. */
  leafPfnLow(level: number, low: number, high: number): number {
    if (level === 1) return entryPfnLow(low, high);
    // PSE-36: bits 20:13 of a 32-bit entry are the address's bits 39:32.
    if (this.entryBytes === 4) return (((low >>> 13) & 0xff) << 20) | ((low >>> 22) << 10);
    return entryPfnLow(low, high) & -(1 << this.shifts[level]);
  }

  /** The same as a whole number. */
  leafPfn(level: number, low: number, high: number): number {
    return pageNumber(this.leafPfnLow(level, low, high), this.entryBytes === 8 ? entryPfnHigh(high) : 0);
  }

  /** Fills in what depends on the level, and returns `reservedHigh`. */
  private reserve(long: boolean, executeDisable: boolean, pageSizeExtensions: boolean): number {
    const width = this.cpu.physicalAddressBits;
    if (this.entryBytes === 4) {
      if (pageSizeExtensions) this.largeLeaf[2] = 1;
      // Bits 21:(M - 19), where M is the width of the addresses that fit.
      this.leafReservedLow[2] = 0x3f_ffff & ~((1 << (Math.min(width, PSE_36_BITS) - 19)) - 1);
      return 0;
    }
    this.largeLeaf[2] = 1;
    this.leafReservedLow[2] = RESERVED_IN_2M;
    if (this.cpu.guest1GPages) {
      this.largeLeaf[3] = 1;
      this.leafReservedLow[3] = RESERVED_IN_1G;
    }
    for (let level = this.cpu.guest1GPages ? 4 : 3; level <= MAX_LEVELS; level++) {
      this.tableReservedLow[level] = PTE_PAGE_SIZE;
    }
    const addressHigh = 0xf_ffff & ~(2 ** (width - 32) - 1);
    // PAE has no ignored bits above the address.
    return addressHigh | (long ? 0 : 0x7ff0_0000) | (executeDisable ? 0 : 1 << 31);
  }

  private allow(cr0: number, cr4: number, ac: boolean, reportsFetch: boolean): void {
    if (this.mode === "none") return;
    for (let kind = 0; kind < ACCESS_KINDS; kind++) {
      const access = accessOf(kind);
      const user = (kind & USER) !== 0;
      if (user) this.require(kind, RIGHT_USER, RIGHT_USER);
      if (access === WRITE && (user || (cr0 & CR0_WP) !== 0))
        this.require(kind, RIGHT_WRITABLE, RIGHT_WRITABLE);
      if (access === FETCH) this.require(kind, RIGHT_NOT_EXECUTABLE, 0);
      const prevention =
        access === FETCH
          ? (cr4 & CR4_SMEP) !== 0
          : (cr4 & CR4_SMAP) !== 0 && (!ac || (kind & IMPLICIT) !== 0);
      if (!user && prevention) this.require(kind, RIGHT_USER, 0);
      this.errorCode[kind] =
        (access === WRITE ? PF_WRITE : 0) |
        (access === FETCH && reportsFetch ? PF_FETCH : 0) |
        (user ? PF_USER : 0);
    }
  }

  private require(kind: AccessKind, right: number, value: number): void {
    this.rightsMask[kind] |= right;
    this.rightsValue[kind] |= value;
  }

  /** PKRU has two bits a key: access disable and write disable. Fetches are never denied. */
  private denyKeys(pkru: number, writeProtect: boolean): void {
    for (let kind = 0; kind < ACCESS_KINDS; kind++) {
      const access = accessOf(kind);
      if (access === FETCH) continue;
      for (let key = 0; key < 16; key++) {
        const accessDisable = ((pkru >>> (2 * key)) & 1) !== 0;
        const writeDisable = ((pkru >>> (2 * key + 1)) & 1) !== 0;
        const deniesWrite = access === WRITE && writeDisable && (writeProtect || (kind & USER) !== 0);
        if (accessDisable || deniesWrite) this.deniedKeys[kind] |= 1 << key;
      }
    }
  }
}

/** Bits 31:0 that are reserved in a PDPTE of PAE paging. */
export const PDPTE_RESERVED_LOW = 0x1e6;

/** Its bits 63:32 that are. */
export function pdpteReservedHigh({ physicalAddressBits }: CpuGeometry): number {
  return ~(2 ** (physicalAddressBits - 32) - 1);
}

/** Whether a present PDPTE of PAE paging has a reserved bit set, which MOV to CR3 answers with #GP. */
export function hasReservedPdpteBits(low: number, high: number, cpu: CpuGeometry): boolean {
  return (low & PDPTE_RESERVED_LOW) !== 0 || (high & pdpteReservedHigh(cpu)) !== 0;
}

function pagingMode(cr0: number, cr4: number, efer: number): PagingMode {
  if ((cr0 & CR0_PG) === 0) return "none";
  if ((efer & EFER_LME) !== 0) return (cr4 & CR4_LA57) !== 0 ? "5-level" : "4-level";
  return (cr4 & CR4_PAE) !== 0 ? "PAE" : "32-bit";
}

/** By level, bits of a page number below those that select an entry, each level taking `bits` of it. */
export function levelShifts(bits: number): Int32Array {
  return Int32Array.from({ length: MAX_LEVELS + 1 }, (_, level) => Math.max(0, bits * (level - 1)));
}
