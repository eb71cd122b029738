/**
 * The path from a linear address to a host-physical address: TLBs, then the walk. With EPT on it is two-dimensional: the
 * address of each guest paging structure, and in the end that of the data, is itself translated by a walk of the EPT.
 * Specified in the Intel SDM, volume 3A "Paging" and volume 3C "The extended page table mechanism (EPT)", "EPT violations"
 * and "Caching translation information".
 *
 * The order of checks is that of the manual where it gives one. The guest's accessed flags are set once the walk has found
 * all of its entries and they allow the access; until then an entry leads to nothing that is cached. The EPT's are set in
 * an entry that references a table when it is used, and with the dirty flag in a leaf once it allows the access.
 *
 * In place of the EPT may be AMD's nested page tables: the AMD64 Architecture Programmer's Manual, volume 2, "Nested Paging"
 * and "TLB Management". What is said of the EPT here then holds of them, but for what differs by name.
 *
 * `translate()` leaves its result in fields: an access allocates nothing.
 */
import { ACCESS_KINDS, type AccessKind, accessOf, FETCH, READ, WRITE } from "./access.js";
import { NO_EPT } from "./address-spaces.js";
import type { CpuGeometry, Drops } from "./cpu.js";
import {
  EPT_EXECUTE,
  EPT_PERMISSIONS,
  EPT_READ,
  EPT_SUPERVISOR_SHADOW_STACK_HIGH,
  EPT_USER_EXECUTE,
  EPT_VIOLATION_FINAL_GPA,
  EPT_VIOLATION_GLA_VALID,
  EPT_VIOLATION_NOT_EXECUTABLE_PAGE,
  EPT_VIOLATION_SHADOW_STACK,
  EPT_VIOLATION_SHADOW_STACK_PAGE,
  EPT_VIOLATION_USER_EXECUTE,
  EPT_VIOLATION_USER_PAGE,
  EPT_VIOLATION_WRITABLE_PAGE,
  EPT_WRITE,
  Ept,
} from "./ept.js";
import {
  GuestPaging,
  hasReservedPdpteBits,
  MAX_LEVELS,
  PF_PRESENT,
  PF_PROTECTION_KEY,
  PF_RESERVED,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  RIGHT_NOT_EXECUTABLE,
  RIGHT_USER,
  RIGHT_WRITABLE,
} from "./guest-paging.js";
import {
  DATA_REF,
  DTLB_HIT,
  EPT_WALK_REF,
  GUEST_WALK_REF,
  type Ledger,
  STLB_HIT,
  WALK,
  WALK_COMPLETED,
} from "./ledger.js";
import { MemoryHierarchy } from "./memory-hierarchy.js";
import type { NestedPaging } from "./nested-paging.js";
import {
  NPF_FETCH,
  NPF_GUEST_FINAL,
  NPF_GUEST_PAGE,
  NPF_PRESENT,
  NPF_RESERVED,
  NPF_USER,
  NPF_WRITE,
  Npt,
  nptPermissions,
} from "./npt.js";
import { entryPfnHigh, entryPfnLow, highOf, lowOf, pageNumber, shiftedLow } from "./page-number.js";
import { entryPfn, type PhysicalMemory } from "./physical-memory.js";
import {
  CR0_PE,
  CR0_PG,
  CR4_LA57,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  EFER_LME,
  LONG_MODE,
  type PagingRegisters,
} from "./registers.js";
import { ABSENT, type Place } from "./set-associative.js";
import {
  ATTRIBUTE_DIRTY,
  ATTRIBUTE_EPT_FETCH,
  ATTRIBUTE_EPT_READ,
  ATTRIBUTE_EPT_SHIFT,
  ATTRIBUTE_EPT_WRITE,
  ATTRIBUTE_GLOBAL,
  ATTRIBUTE_KEY_SHIFT,
  ATTRIBUTES,
  guestSizeAttribute,
  PFN_HIGH,
  PFN_LOW,
  SIZE_1G,
  SIZE_4K,
  type Tlb,
} from "./tlb.js";
import {
  CACHED_FRAME,
  CACHED_PFN_HIGH,
  CACHED_PFN_LOW,
  CACHED_VALUE,
  TranslationCaches,
} from "./translation-caches.js";

/** Bytes of a page. */
export const PAGE = 4096;

/** How a translation ends. */
export const TRANSLATED = 0;
export const PAGE_FAULT = 1;
export const EPT_VIOLATION = 2;
export const EPT_MISCONFIG = 3;
/** #GP: a linear address that is not canonical, or a register value that the processor refuses. */
export const GENERAL_PROTECTION = 4;
/** #NPF, of nested page tables only. */
export const NESTED_PAGE_FAULT = 5;
export type Outcome =
  | typeof TRANSLATED
  | typeof PAGE_FAULT
  | typeof EPT_VIOLATION
  | typeof EPT_MISCONFIG
  | typeof GENERAL_PROTECTION
  | typeof NESTED_PAGE_FAULT;

/** What an access asks of the EPT: EPT_READ, EPT_WRITE, EPT_EXECUTE, or this, for a fetch from a user page under mode-based execute control. */
export const EPT_FETCH_USER = 1 << 3;
const EPT_ALL = EPT_PERMISSIONS | EPT_FETCH_USER;

/** Rights before any entry has taken one away. */
const ALL_RIGHTS = RIGHT_WRITABLE | RIGHT_USER;
/** Stored with the rights of a cached guest table: the EPT lets the table be written. */
const TABLE_WRITABLE = 1 << 3;

/** Attributes of a nested TLB entry: permissions in bits 3:0, then the size of the EPT page, then whether it is dirty. */
const NESTED_SIZE_SHIFT = 4;
const NESTED_DIRTY = 1 << 6;

/** Guest page frame number of a table that was found in a cache: only a walk from the root knows it. */
const UNKNOWN = -1;

/** The purpose of the last translation of a walk: the linear address's own. */
const FINAL = EPT_VIOLATION_GLA_VALID | EPT_VIOLATION_FINAL_GPA;

/**
 * What is noted of a table that a guest walk goes through: its guest and its host page, where its words are in memory, the
 * rights that led to it, what the EPT allows, and the offset of the entry that was read.
 */
const GFN_LOW = 0;
const GFN_HIGH = 1;
const TABLE_LOW = 2;
const TABLE_HIGH = 3;
const FRAME = 4;
const RIGHTS = 5;
const PERMISSIONS = 6;
const OFFSET = 7;
const TABLE_COLUMNS = 8;

/** Of a test of attributes: which of them decide, in the lower half; what they must be, in the upper half. */
const TEST_BITS = 16;
const TEST_MASK = 0xffff;
/** A test that no attributes pass: for an access that needs a user page where a key is denied. */
const NEVER = 1 << TEST_BITS;

/** What an entry of the nested tables may be, in place of the level of one that maps a page: absent, or misconfigured. */
const NOT_PRESENT = 0;
const MALFORMED = -1;

/** In place of an outcome: the walk must be made again from the root. */
const RESTART = -1;

export class Mmu {
  /** Guest-physical address in bytes, after EPT_VIOLATION, EPT_MISCONFIG and NESTED_PAGE_FAULT. */
  guestPhysicalAddress = 0;
  /** Exit qualification, after EPT_VIOLATION. */
  exitQualification = 0;
  /** EXITINFO1, after NESTED_PAGE_FAULT: NPF_..., below 2^34. */
  exitInfo1 = 0;
  /** Page-fault error code, after PAGE_FAULT. */
  errorCode = 0;
  /** Host page frame number after TRANSLATED, as in page-number.ts. */
  private pfnLow = 0;
  private pfnHigh = 0;

  readonly hierarchy: MemoryHierarchy;
  readonly caches: TranslationCaches;
  private readonly tlb: Tlb;
  /** The guest's paging mode and the EPT or nested page tables (null: off), compiled. */
  guest: GuestPaging;
  nested: Readonly<NestedPaging> | null = null;
  registers: PagingRegisters = LONG_MODE;
  cr3 = 0;
  /** Page frame number of each page directory, of PAE paging; UNKNOWN where the PDPTE is not present, or was not read yet. */
  readonly pdptes: Float64Array = new Float64Array(4).fill(UNKNOWN);
  private vpid = 0;
  /** The right that makes a fetch one of a user page to the EPT: none without mode-based execute control. */
  private userExecuteRight = 0;
  private readonly counts: Float64Array;
  /** Bits of a purpose for which the nested TLB holds no translation. */
  private readonly notNested: number;
  private readonly setsFlagsFirst: boolean;

  /**
   * By kind of access: attributes of a TLB entry that decide, and what they must be. First for a look that leaves protection
   * keys out, and user pages with them where a key is denied; then for one that does not.
   */
  private readonly hits: Int32Array = new Int32Array(ACCESS_KINDS);
  private readonly keyHits: Int32Array = new Int32Array(ACCESS_KINDS);

  // The access under way: the linear page, the offset in it, and what is done.
  private pageLow = 0;
  private pageHigh = 0;
  private offset = 0;
  private kind: AccessKind = 0;
  /** The walk only finds out: a fault drops nothing yet. */
  private provisional = false;
  /** Entries that the TLB has for the page, 0 or 1: a new one must replace it. */
  private replaced = 0;

  /** Of its guest walk, by level of the table, the columns of a table that it went through. */
  private readonly tables: Int32Array = new Int32Array(TABLE_COLUMNS * (MAX_LEVELS + 1));
  /** The rights that the guest gives to the page, for the exit qualification. */
  private rights = 0;

  /**
   * The last entry that the walk of the EPT read: where it is in memory, its two words, and the permissions with it and without.
   */
  private leafWord = 0;
  private leafLow = 0;
  private leafHigh = 0;
  private permissions = 0;
  private above = 0;

  /** The result of the EPT's translation. */
  private hostLow = 0;
  private hostHigh = 0;
  private hostPermissions = 0;
  private hostSize = SIZE_4K as number;
  private hostDirty = true;

  constructor(
    readonly geometry: CpuGeometry,
    readonly memory: PhysicalMemory,
    ledger: Ledger,
  ) {
    this.caches = new TranslationCaches(geometry);
    this.hierarchy = new MemoryHierarchy(geometry);
    this.tlb = this.caches.tlb;
    this.counts = ledger.counts;
    this.notNested = geometry.switches.nestedTlbHolds === "all" ? 0 : EPT_VIOLATION_FINAL_GPA;
    this.setsFlagsFirst = geometry.switches.guestFlags === "before-final-translation";
    this.guest = new GuestPaging(this.registers, geometry);
    this.enterAddressSpace();
  }

  /** Leaves the memory of its caches to a processor of the same size. It translates nothing any more. */
  release(): void {
    this.hierarchy.release();
  }

  /** Host page frame number, after TRANSLATED. */
  get pfn(): number {
    return pageNumber(this.pfnLow, this.pfnHigh);
  }

  /** Host-physical address in bytes, after TRANSLATED of `translateGuestPhysical()`. */
  get hostPhysicalAddress(): number {
    return pageNumber(this.hostLow, this.hostHigh) * PAGE + this.offset;
  }

  /** Translates and references one datum: a linear page number, a byte offset. */
  access(page: number, offset: number, kind: AccessKind): Outcome {
    const low = page | 0;
    const high = low === page ? 0 : highOf(page);
    let place = ABSENT;
    if ((kind & 3) !== FETCH) {
      const { tlb } = this;
      const { data4K } = tlb;
      place = data4K.lookup(low, tlb.tag | high, tlb.globalTag | high) | 0;
      const { cells } = data4K;
      // What is at ABSENT passes no test.
      if (passes(cells[(place + ATTRIBUTES) | 0], this.hits[kind])) {
        // Not by way of the fields, nor of translate(): what was just stored is slow to read.
        const pfnLow = cells[(place + PFN_LOW) | 0];
        const pfnHigh = cells[(place + PFN_HIGH) | 0];
        this.pfnLow = pfnLow;
        this.pfnHigh = pfnHigh;
        const level = this.hierarchy.reference(pfnLow, pfnHigh, offset >>> 6) | 0;
        const { counts } = this;
        counts[DTLB_HIT]++;
        counts[(DATA_REF + level) | 0]++;
        return TRANSLATED;
      }
    }
    const outcome = this.translateBehind(low, high, offset, kind, place);
    if (outcome === TRANSLATED) {
      this.counts[DATA_REF + (this.hierarchy.reference(this.pfnLow, this.pfnHigh, offset >>> 6) | 0)]++;
    }
    return outcome;
  }

  /**
   * Translates a linear page number: bits 47:12 of an address in 4-level paging, 56:12 in 5-level paging, 31:12 in the
   * others. `offset` (bytes) only completes the reported address.
   */
  translate(page: number, offset: number, kind: AccessKind): Outcome {
    const low = page | 0;
    const high = low === page ? 0 : highOf(page);
    let place = ABSENT;
    if ((kind & 3) !== FETCH) {
      const { tlb } = this;
      const { data4K } = tlb;
      place = data4K.lookup(low, tlb.tag | high, tlb.globalTag | high) | 0;
      const { cells } = data4K;
      if (passes(cells[(place + ATTRIBUTES) | 0], this.hits[kind])) {
        this.pfnLow = cells[(place + PFN_LOW) | 0];
        this.pfnHigh = cells[(place + PFN_HIGH) | 0];
        this.counts[DTLB_HIT]++;
        return TRANSLATED;
      }
    }
    return this.translateBehind(low, high, offset, kind, place);
  }

  /** As `translate()`, from a 64-bit linear address. */
  translateAddress(address: bigint, kind: AccessKind): Outcome {
    const page = linearPage(address, this.guest);
    return page < 0 ? GENERAL_PROTECTION : this.translate(page, Number(address & 0xfffn), kind);
  }

  /**
   * Translates a guest-physical address (bytes) through the EPT or the nested page tables.
   *
   * @param requested what the access needs: EPT_READ, EPT_WRITE, EPT_EXECUTE or, of the EPT only, EPT_FETCH_USER
   * @param purpose bits of the exit qualification that say what the address is for: EPT_VIOLATION_GLA_VALID with
   *   EPT_VIOLATION_FINAL_GPA for the translation of a linear address, EPT_VIOLATION_GLA_VALID for a guest paging structure,
   *   0 for the PDPTEs that MOV to CR3 loads; EPT_VIOLATION_SHADOW_STACK for a supervisor shadow-stack access.
   *   Nested page tables know only whether it is the final translation
   */
  translateGuestPhysical(address: number, requested: number, purpose: number): Outcome {
    const gfn = Math.floor(address / PAGE);
    this.offset = address % PAGE;
    return this.walkNested(lowOf(gfn), highOf(gfn), this.offset, requested, purpose);
  }

  private walkNested(
    gfnLow: number,
    gfnHigh: number,
    offset: number,
    requested: number,
    purpose: number,
  ): Outcome {
    const { nested } = this;
    if (nested === null) {
      this.hostLow = gfnLow;
      this.hostHigh = gfnHigh;
      this.hostPermissions = EPT_ALL;
      this.hostSize = SIZE_1G;
      this.hostDirty = true;
      return TRANSLATED;
    }
    const { nestedTlb, nestedStructures } = this.caches;
    const shadowStack = (purpose & EPT_VIOLATION_SHADOW_STACK) !== 0 && nested.shadowStack;
    const inTlb = !shadowStack && (purpose & this.notNested) === 0;
    const place = inTlb ? nestedTlb.lookup(gfnLow, gfnHigh) | 0 : ABSENT;
    if (place !== ABSENT) {
      const { cells } = nestedTlb;
      const value = cells[(place + CACHED_VALUE) | 0];
      const dirty = (value & NESTED_DIRTY) !== 0;
      const allowed = (value & requested) === requested;
      if (!allowed && !nested.isNpt) {
        return this.eptViolation(gfnLow, gfnHigh, offset, requested, purpose, value & EPT_ALL);
      }
      if (allowed && (dirty || (requested & EPT_WRITE) === 0)) {
        this.hostLow = cells[(place + CACHED_PFN_LOW) | 0];
        this.hostHigh = cells[(place + CACHED_PFN_HIGH) | 0];
        this.hostPermissions = value & EPT_ALL;
        this.hostSize = (value >> NESTED_SIZE_SHIFT) & 3;
        this.hostDirty = dirty;
        return TRANSLATED;
      }
      nestedTlb.invalidate(gfnLow, gfnHigh);
    }

    if (gfnHigh >>> nested.gfnHighBits !== 0)
      return this.beyondNested(nested, gfnLow, gfnHigh, offset, requested, purpose);

    let level = nestedStructures.lookup(gfnLow, gfnHigh) | 0;
    if (level !== 0 && nested.isNpt && this.dropDenying(gfnLow, gfnHigh, requested)) level = 0;
    level = this.descend(nested, gfnLow, gfnHigh, level) | 0;
    const { leafLow, leafHigh, permissions } = this;
    if (level <= 0) {
      const seen = shadowStack ? purpose | shadowStackPage(leafHigh) : purpose;
      return this.badEntry(level, gfnLow, gfnHigh, offset, requested, seen);
    }

    const granted = grantedBy(permissions);
    if (shadowStack) {
      const marked = shadowStackPage(leafHigh);
      const tables = EPT_READ | EPT_WRITE;
      if ((this.above & tables) !== tables || (leafLow & EPT_READ) === 0 || marked === 0) {
        return this.eptViolation(gfnLow, gfnHigh, offset, requested, purpose | marked, granted);
      }
    } else if ((granted & requested) !== requested) {
      if (nested.isNpt) return this.nestedPageFault(gfnLow, gfnHigh, offset, requested, purpose, NPF_PRESENT);
      return this.eptViolation(gfnLow, gfnHigh, offset, requested, purpose, granted);
    }

    const write = (requested & EPT_WRITE) !== 0;
    this.hostDirty = true;
    if (nested.accessed !== 0) {
      this.hostDirty = write || (leafLow & nested.dirty) !== 0;
      this.memory.words[this.leafWord] |= write ? nested.accessed | nested.dirty : nested.accessed;
    }
    const pages = 1 << nested.shifts[level];
    // Bit 12 of AMD's large leaf is no part of the address.
    this.hostLow = (entryPfnLow(leafLow, leafHigh) & -pages) | (gfnLow & (pages - 1));
    this.hostHigh = entryPfnHigh(leafHigh);
    this.hostPermissions = granted;
    this.hostSize = level - 1;
    if (inTlb) {
      const value = granted | (this.hostSize << NESTED_SIZE_SHIFT) | (this.hostDirty ? NESTED_DIRTY : 0);
      nestedTlb.insert(gfnLow, gfnHigh, this.hostLow, this.hostHigh, value);
    }
    return TRANSLATED;
  }

  /**
   * Goes through the nested tables from that at the level `start`, which `nestedStructures` has found, or from the root for 0.
   * Returns the level of the entry that maps the page, or NOT_PRESENT or MALFORMED, what the last entry is; that is in fields.
   */
  private descend(nested: Readonly<NestedPaging>, gfnLow: number, gfnHigh: number, start: number): number {
    const { caches, counts, memory, hierarchy } = this;
    const { nestedStructures } = caches;
    const { shifts, present, accessed, isNpt } = nested;
    const { words } = memory;
    let level = start;
    let permissions = nested.allPermissions;
    let tableLow = nested.rootLow;
    let tableHigh = nested.rootHigh;
    let frame = 0;
    if (level === 0) {
      level = nested.levels;
    } else {
      const { cells, place } = nestedStructures;
      tableLow = cells[(place + CACHED_PFN_LOW) | 0];
      tableHigh = cells[(place + CACHED_PFN_HIGH) | 0];
      permissions = cells[(place + CACHED_VALUE) | 0];
      frame = cells[(place + CACHED_FRAME) | 0];
    }
    if (frame === 0) frame = memory.frame(tableLow, tableHigh) | 0;
    for (;;) {
      const index = shiftedLow(gfnLow, gfnHigh, shifts[level]) & 511;
      counts[(EPT_WALK_REF + (hierarchy.reference(tableLow, tableHigh, index >> 3) | 0)) | 0]++;
      const word = (frame + 2 * index) | 0;
      const low = words[word] | 0;
      const high = words[(word + 1) | 0] | 0;
      const isLeaf = nested.isLeaf(level, low);
      const isPresent = (low & present) !== 0;
      const isGood = isPresent && !nested.isMisconfigured(level, low, high, isLeaf);
      if (isLeaf || !isGood) {
        this.leafWord = word;
        this.leafLow = low;
        this.leafHigh = high;
        this.above = permissions;
        this.permissions = permissions & (isNpt ? nptPermissions(low, high) : low);
        return isGood ? level : isPresent ? MALFORMED : NOT_PRESENT;
      }
      permissions &= isNpt ? nptPermissions(low, high) : low;
      if (accessed !== 0) words[word] |= accessed;
      level = (level - 1) | 0;
      tableLow = entryPfnLow(low, high);
      tableHigh = entryPfnHigh(high);
      frame = memory.frame(tableLow, tableHigh) | 0;
      nestedStructures.insert(level, gfnLow, gfnHigh, tableLow, tableHigh, permissions, frame);
    }
  }

  /** The end of a walk of nested tables at an entry that is NOT_PRESENT or MALFORMED. */
  private badEntry(
    wrong: number,
    gfnLow: number,
    gfnHigh: number,
    offset: number,
    requested: number,
    purpose: number,
  ): Outcome {
    if (this.isNpt) {
      const code = wrong === MALFORMED ? NPF_PRESENT | NPF_RESERVED : 0;
      return this.nestedPageFault(gfnLow, gfnHigh, offset, requested, purpose, code);
    }
    if (wrong === MALFORMED) return this.eptMisconfig(gfnLow, gfnHigh, offset, purpose);
    return this.eptViolation(gfnLow, gfnHigh, offset, requested, purpose, 0);
  }

  /** Four levels translate 48 bits. What is read before that shows is not specified; here, the root's entry. */
  private beyondNested(
    { rootLow, rootHigh, shifts, levels, isNpt }: Readonly<NestedPaging>,
    gfnLow: number,
    gfnHigh: number,
    offset: number,
    requested: number,
    purpose: number,
  ): Outcome {
    const index = shiftedLow(gfnLow, gfnHigh, shifts[levels]) & 511;
    this.counts[EPT_WALK_REF + this.hierarchy.reference(rootLow, rootHigh, index >> 3)]++;
    if (isNpt) return this.nestedPageFault(gfnLow, gfnHigh, offset, requested, purpose, 0);
    return this.eptViolation(gfnLow, gfnHigh, offset, requested, purpose, 0);
  }

  /**
   * Drops what the paging-structure caches have just found if the entries behind it deny the access, and returns whether they
   * do. AMD lets an entry be upgraded without a flush, see "Invalidation of Table Entry Upgrades": they must be read again.
   */
  private dropDenying(gfnLow: number, gfnHigh: number, requested: number): boolean {
    const { nestedStructures } = this.caches;
    const granted = grantedBy(nestedStructures.cells[(nestedStructures.place + CACHED_VALUE) | 0]);
    if ((granted & requested) === requested) return false;
    nestedStructures.invalidate(gfnLow, gfnHigh);
    return true;
  }

  /** What an access to a guest paging structure asks of the EPT. */
  get tableRequest(): number {
    return this.nested === null ? EPT_READ : this.nested.tableRequest;
  }

  private get isNpt(): boolean {
    return this.nested?.isNpt === true;
  }

  /** Turns EPT on with this EPT pointer, as VM entry does. @throws RangeError for one that VM entry would refuse */
  enableEpt(eptp: number, modeBasedExecute = false): void {
    this.nested = new Ept(eptp, modeBasedExecute, this.geometry);
    this.userExecuteRight = modeBasedExecute ? RIGHT_USER : 0;
    this.enterAddressSpace();
  }

  /**
   * Turns nested page tables on with this root, as VMRUN does: its host-physical address in bytes. AMD tags what is cached by
   * the guest's ASID. Here the root stands for it, in the place of the EP4TA: `caches.inveptSingle()` of its page frame
   * number is a flush of the ASID.
   *
   * @throws RangeError for a root that VMRUN would refuse
   */
  enableNpt(nCr3: number, levels: 4 | 5 = 4): void {
    this.nested = new Npt(nCr3, levels, this.geometry);
    this.userExecuteRight = 0;
    this.enterAddressSpace();
  }

  /** Turns EPT or nested page tables off. */
  disableNestedPaging(): void {
    this.nested = null;
    this.enterAddressSpace();
  }

  /** Runs the guest under this VPID from now on; 0 also stands for VPIDs being off. */
  setVpid(vpid: number): void {
    this.vpid = vpid;
    this.enterAddressSpace();
  }

  /** A VM entry or VM exit: without VPIDs it drops all linear and combined mappings. AMD's have an ASID. */
  vmTransition(): void {
    if (this.vpid === 0 && !this.isNpt) this.caches.invvpidSingle(0);
  }

  /** Loads all registers at once, as VM entry does; drops nothing. #GP or an EPT exit come from the PDPTEs of PAE paging. */
  loadRegisters(registers: PagingRegisters, cr3: number): Outcome {
    this.registers = registers;
    this.guest = new GuestPaging(registers, this.geometry);
    this.cr3 = cr3;
    this.enterAddressSpace();
    return this.loadsPdptes ? this.loadPdptes(cr3) : TRANSLATED;
  }

  /** MOV to CR3, a physical address with the PCID below; `keep` is bit 63, which keeps what is cached for that PCID. */
  writeCr3(cr3: number, keep = false): Outcome {
    if (cr3 >= 2 ** this.geometry.physicalAddressBits) return GENERAL_PROTECTION;
    if (this.loadsPdptes) {
      const outcome = this.loadPdptes(cr3);
      if (outcome !== TRANSLATED) return outcome;
    }
    this.cr3 = cr3;
    this.enterAddressSpace();
    if (!(keep && this.pcidEnabled)) this.caches.invpcidSingle(this.pcid);
    return TRANSLATED;
  }

  writeCr0(cr0: number): Outcome {
    const { cr4 } = this.registers;
    if ((cr0 & CR0_PG) !== 0 && (cr0 & CR0_PE) === 0) return GENERAL_PROTECTION;
    if ((cr0 & CR0_PG) === 0 && (cr4 & CR4_PCIDE) !== 0) return GENERAL_PROTECTION;
    return this.changeRegisters({ cr0 }, ((this.registers.cr0 ^ cr0) & CR0_PG) !== 0);
  }

  writeCr4(cr4: number): Outcome {
    const { cr0, cr4: old, efer } = this.registers;
    const changed = old ^ cr4;
    const long = (cr0 & CR0_PG) !== 0 && (efer & EFER_LME) !== 0;
    if (long && ((cr4 & CR4_PAE) === 0 || (changed & CR4_LA57) !== 0)) return GENERAL_PROTECTION;
    const setsPcide = (changed & cr4 & CR4_PCIDE) !== 0;
    if (setsPcide && (!long || this.cr3 % PAGE !== 0)) return GENERAL_PROTECTION;
    // PGE by the manual; PSE, PAE and LA57 change the format of entries.
    const drops = CR4_PGE | CR4_PSE | CR4_PAE | CR4_LA57;
    return this.changeRegisters({ cr4 }, (changed & drops) !== 0 || (changed & old & CR4_PCIDE) !== 0);
  }

  /** WRMSR to IA32_EFER. */
  writeEfer(efer: number): Outcome {
    const changesMode = ((this.registers.efer ^ efer) & EFER_LME) !== 0;
    if (changesMode && (this.registers.cr0 & CR0_PG) !== 0) return GENERAL_PROTECTION;
    return this.changeRegisters({ efer }, false);
  }

  writePkru(pkru: number): void {
    this.changeRegisters({ pkru }, false);
  }

  /** Sets or clears EFLAGS.AC, as STAC and CLAC do. */
  setAc(ac: boolean): void {
    this.changeRegisters({ ac }, false);
  }

  private changeRegisters(change: Partial<PagingRegisters>, drops: boolean): Outcome {
    const { mode } = this.guest;
    this.registers = { ...this.registers, ...change };
    this.guest = new GuestPaging(this.registers, this.geometry);
    if (drops) this.caches.invpcidAll();
    this.enterAddressSpace();
    return this.loadsPdptes && (mode !== "PAE" || drops) ? this.loadPdptes(this.cr3) : TRANSLATED;
  }

  private get pcidEnabled(): boolean {
    return (this.registers.cr4 & CR4_PCIDE) !== 0;
  }

  private get pcid(): number {
    return this.pcidEnabled ? this.cr3 % PAGE : 0;
  }

  private enterAddressSpace(): void {
    const { caches, guest, nested } = this;
    caches.enter(this.vpid, this.pcid, nested?.root ?? NO_EPT);
    caches.pagingStructures.describe(guest.shifts, guest.levels);
    if (nested !== null) caches.nestedStructures.describe(nested.shifts, nested.levels);
    this.compileHits();
  }

  private compileHits(): void {
    const needed = [ATTRIBUTE_EPT_READ, ATTRIBUTE_EPT_WRITE | ATTRIBUTE_DIRTY, ATTRIBUTE_EPT_FETCH];
    for (let kind = 0; kind < ACCESS_KINDS; kind++) {
      const own = needed[accessOf(kind)];
      const mask = this.guest.rightsMask[kind] | own;
      const value = this.guest.rightsValue[kind] | own;
      const supervisorOnly = this.guest.deniedKeys[kind] === 0 ? 0 : RIGHT_USER;
      this.keyHits[kind] = mask | (value << TEST_BITS);
      this.hits[kind] = (value & supervisorOnly) === 0 ? this.keyHits[kind] | supervisorOnly : NEVER;
    }
  }

  /** Loads the PDPTEs of PAE paging: reads, even where other accesses to paging structures count as writes. */
  private loadPdptes(cr3: number): Outcome {
    const offset = (cr3 % PAGE) & ~31;
    const outcome = this.walkNested(lowOf(Math.floor((cr3 % 2 ** 32) / PAGE)), 0, offset, EPT_READ, 0);
    if (outcome !== TRANSLATED) return outcome;
    const table = this.memory.frame(this.hostLow, this.hostHigh) + offset / 4;
    const loaded: number[] = [];
    let isReserved = false;
    for (let index = 0; index < 4; index++) {
      this.counts[GUEST_WALK_REF + this.hierarchy.reference(this.hostLow, this.hostHigh, offset >> 6)]++;
      const low = this.memory.words[table + 2 * index];
      const high = this.memory.words[table + 2 * index + 1];
      const isPresent = (low & PTE_PRESENT) !== 0;
      isReserved ||= isPresent && hasReservedPdpteBits(low, high, this.geometry);
      loaded.push(isPresent ? entryPfn(low, high) : UNKNOWN);
    }
    if (isReserved) return GENERAL_PROTECTION;
    this.pdptes.set(loaded);
    return TRANSLATED;
  }

  /** Whether this is PAE paging whose PDPTEs MOV to CR3 loads. With nested page tables a walk reads them: "Legacy PAE Mode". */
  private get loadsPdptes(): boolean {
    return this.guest.mode === "PAE" && !this.isNpt;
  }

  /** Reads the PDPTE of the page under way, as a walk from the root does with nested page tables. It is cached nowhere. */
  private readPdpte(): Outcome {
    const index = (this.pageLow >>> 18) & 3;
    const offset = ((this.cr3 % PAGE) & ~31) + 8 * index;
    const table = lowOf(Math.floor((this.cr3 % 2 ** 32) / PAGE));
    const outcome = this.walkNested(table, 0, offset, this.tableRequest, EPT_VIOLATION_GLA_VALID);
    if (outcome !== TRANSLATED) return outcome;
    this.counts[GUEST_WALK_REF + this.hierarchy.reference(this.hostLow, this.hostHigh, offset >> 6)]++;
    const word = this.memory.frame(this.hostLow, this.hostHigh) + offset / 4;
    const low = this.memory.words[word];
    const high = this.memory.words[word + 1];
    this.pdptes[index] = UNKNOWN;
    if ((low & PTE_PRESENT) === 0) return this.pageFault(0);
    if (hasReservedPdpteBits(low, high, this.geometry)) return this.pageFault(PF_PRESENT | PF_RESERVED);
    this.pdptes[index] = entryPfn(low, high);
    return TRANSLATED;
  }

  /** Goes on where the first level's 4-Kbyte pages of data have no translation that will do: `place`, if it is there. */
  private translateBehind(
    pageLow: number,
    pageHigh: number,
    offset: number,
    kind: AccessKind,
    place: Place,
  ): Outcome {
    this.pageLow = pageLow;
    this.pageHigh = pageHigh;
    this.offset = offset;
    this.kind = kind;
    const { tlb } = this;
    const access = kind & 3;
    if (place !== ABSENT) {
      tlb.readData4K(place);
    } else if (access !== FETCH && tlb.held === 0) {
      // As the branch after this one, where it is short.
      const promoted = tlb.promote(pageLow, pageHigh) | 0;
      if (promoted === ABSENT) {
        this.replaced = 0;
        return this.walk(false);
      }
      const { cells } = tlb.data4K;
      if (passes(cells[(promoted + ATTRIBUTES) | 0], this.hits[kind])) {
        this.pfnLow = cells[(promoted + PFN_LOW) | 0];
        this.pfnHigh = cells[(promoted + PFN_HIGH) | 0];
        this.counts[(STLB_HIT + access) | 0]++;
        return TRANSLATED;
      }
      tlb.readData4K(promoted);
      tlb.level = 2;
    } else if (!tlb.lookupBehind(pageLow, pageHigh, access === FETCH)) {
      this.replaced = 0;
      return this.walk(false);
    }
    if (!passes(tlb.attributes, this.hits[kind]) && !this.allows(tlb.attributes, kind)) {
      return this.translateDenied();
    }
    this.counts[tlb.level === 1 ? DTLB_HIT : STLB_HIT + access]++;
    this.pfnLow = tlb.pfnLow;
    this.pfnHigh = tlb.pfnHigh;
    return TRANSLATED;
  }

  /** A TLB entry for the page denies the access, or its dirty flag is still to be set. */
  private translateDenied(): Outcome {
    const { kind } = this;
    const { permissionFaultWalks, faultWalkStart } = this.geometry.switches;
    const { attributes } = this.tlb;
    const denied = !this.allows(attributes | ATTRIBUTE_DIRTY, kind);
    this.replaced = 1;
    if (!denied) return this.walk(false);
    if (permissionFaultWalks === 0) return this.faultFromEntry();
    if (permissionFaultWalks === 2) {
      this.provisional = true;
      const outcome = this.walk(false);
      this.provisional = false;
      if (outcome === TRANSLATED) return outcome;
    }
    return this.walk(faultWalkStart === "root");
  }

  /** Reports what the TLB entry just found denies, without a reference. */
  private faultFromEntry(): Outcome {
    const { guest, kind } = this;
    const { attributes, gfnLow, gfnHigh } = this.tlb;
    const keyDenied = this.isKeyDenied(attributes, kind);
    if ((attributes & guest.rightsMask[kind]) !== guest.rightsValue[kind] || keyDenied) {
      return this.pageFault(PF_PRESENT | (keyDenied ? PF_PROTECTION_KEY : 0));
    }
    this.rights = attributes;
    const permissions = (attributes >> ATTRIBUTE_EPT_SHIFT) & EPT_ALL;
    const requested = this.finalRequest(attributes);
    if (this.isNpt) {
      // Else the entry would deny the access for ever: no walk replaces it, and a nested page fault drops nothing.
      this.tlb.invalidate(this.pageLow, this.pageHigh);
      return this.nestedPageFault(gfnLow, gfnHigh, this.offset, requested, FINAL, NPF_PRESENT);
    }
    return this.eptViolation(gfnLow, gfnHigh, this.offset, requested, FINAL, permissions);
  }

  /** Whether a TLB entry with these attributes serves an access. */
  private allows(attributes: number, kind: AccessKind): boolean {
    return passes(attributes, this.keyHits[kind]) && !this.isKeyDenied(attributes, kind);
  }

  private isKeyDenied(attributes: number, kind: AccessKind): boolean {
    const key = (attributes >>> ATTRIBUTE_KEY_SHIFT) & 15;
    return (attributes & RIGHT_USER) !== 0 && ((this.guest.deniedKeys[kind] >>> key) & 1) !== 0;
  }

  /** What the access itself asks of the EPT. */
  private finalRequest(rights: number): number {
    const access = accessOf(this.kind);
    if (access === READ) return EPT_READ;
    if (access === WRITE) return EPT_WRITE;
    return this.executeFor(rights);
  }

  /** What a fetch asks of the EPT. */
  private executeFor(rights: number): number {
    return (rights & this.userExecuteRight) !== 0 ? EPT_FETCH_USER : EPT_EXECUTE;
  }

  /** Attributes of a TLB entry that come from the EPT, for a page with these rights. */
  private eptAttributes(permissions: number, rights: number): number {
    const mayFetch = (permissions & this.executeFor(rights)) !== 0;
    return (permissions << ATTRIBUTE_EPT_SHIFT) | (mayFetch ? ATTRIBUTE_EPT_FETCH : 0);
  }

  private walk(fromRoot: boolean): Outcome {
    const { caches, pageLow, pageHigh, kind } = this;
    const { pagingStructures } = caches;
    this.counts[WALK + (kind & 3)]++;
    if (this.guest.levels === 0) {
      const unpaged = ATTRIBUTE_DIRTY | ALL_RIGHTS;
      return this.translateFinal(pageLow, pageHigh, unpaged, SIZE_1G);
    }
    // Start at the table nearest to the leaf that a paging-structure cache leads to, else at the root.
    if (fromRoot) pagingStructures.invalidate(pageLow, pageHigh);
    const level = pagingStructures.lookup(pageLow, pageHigh) | 0;
    if (level === 1 && this.replaced === 0 && this.walkOrdinary()) return TRANSLATED;
    return this.walkFrom(level);
  }

  /** The walk from the table at a level, which `pagingStructures` has found, or from the root for 0. */
  private walkFrom(start: number): Outcome {
    const { guest, caches, counts, memory, hierarchy, tables, pageLow, pageHigh, kind } = this;
    const { pagingStructures } = caches;
    const { shifts } = guest;
    const access = accessOf(kind);
    let level = start;
    /** Whether the guest page frame number of the table is known: a cache holds the host's only. */
    let isKnown = false;
    let gfnLow = 0;
    let gfnHigh = 0;
    let pfnLow = 0;
    let pfnHigh = 0;
    let frame = 0;
    let rights = ALL_RIGHTS | TABLE_WRITABLE;
    if (level === 0) {
      level = guest.levels;
      if (guest.mode === "PAE" && this.isNpt) {
        const outcome = this.readPdpte();
        if (outcome !== TRANSLATED) return outcome;
      }
      const root = this.rootGfn();
      if (root === UNKNOWN) return this.pageFault(0);
      gfnLow = lowOf(root);
      gfnHigh = highOf(root);
      isKnown = true;
    } else {
      const { cells, place: table } = pagingStructures;
      pfnLow = cells[(table + CACHED_PFN_LOW) | 0];
      pfnHigh = cells[(table + CACHED_PFN_HIGH) | 0];
      frame = cells[(table + CACHED_FRAME) | 0];
      rights = cells[(table + CACHED_VALUE) | 0];
      tables[TABLE_COLUMNS * level + GFN_HIGH] = UNKNOWN;
    }
    const first = level;
    const request = this.tableRequest;
    let flags = PTE_ACCESSED;
    let low: number;
    let high: number;
    for (;;) {
      const index = shiftedLow(pageLow, pageHigh, shifts[level]) & (guest.entries - 1);
      const at = index * guest.entryBytes;
      const table = TABLE_COLUMNS * level;
      if (isKnown) {
        const outcome = this.walkNested(gfnLow, gfnHigh, at, request, EPT_VIOLATION_GLA_VALID);
        if (outcome !== TRANSLATED) {
          this.rememberTables(first, level + 1);
          return outcome;
        }
        pfnLow = this.hostLow;
        pfnHigh = this.hostHigh;
        rights = (rights & ~TABLE_WRITABLE) | ((this.hostPermissions & EPT_WRITE) !== 0 ? TABLE_WRITABLE : 0);
        tables[table + GFN_LOW] = gfnLow;
        tables[table + GFN_HIGH] = gfnHigh;
        tables[table + TABLE_LOW] = pfnLow;
        tables[table + TABLE_HIGH] = pfnHigh;
        tables[table + PERMISSIONS] = this.hostPermissions;
        frame = 0;
      }
      if (frame === 0) frame = memory.frame(pfnLow, pfnHigh);
      tables[table + FRAME] = frame;
      tables[table + RIGHTS] = rights;
      tables[table + OFFSET] = at;

      counts[GUEST_WALK_REF + hierarchy.reference(pfnLow, pfnHigh, at >> 6)]++;
      const word = frame + (at >> 2);
      low = memory.words[word] | 0;
      high = guest.entryBytes === 8 ? memory.words[word + 1] | 0 : 0;
      if ((low & PTE_PRESENT) === 0) return this.pageFault(0);
      const isLeaf = guest.isLeaf(level, low);
      if (guest.isReserved(level, low, high, isLeaf)) return this.pageFault(PF_PRESENT | PF_RESERVED);
      rights = (rights & (low | TABLE_WRITABLE)) | (high >>> 31);
      flags &= low;
      if (isLeaf) break;
      level--;
      gfnLow = entryPfnLow(low, high);
      gfnHigh = entryPfnHigh(high);
      isKnown = true;
    }

    const key = (high >>> 27) & 15;
    const attributes =
      (rights & ~TABLE_WRITABLE) |
      ((low & PTE_DIRTY) !== 0 || access === WRITE ? ATTRIBUTE_DIRTY : 0) |
      ((low & guest.globalBit) !== 0 ? ATTRIBUTE_GLOBAL : 0) |
      guestSizeAttribute(shifts[level]) |
      (key << ATTRIBUTE_KEY_SHIFT);
    const keyDenied = this.isKeyDenied(attributes, kind);
    if ((attributes & guest.rightsMask[kind]) !== guest.rightsValue[kind] || keyDenied) {
      return this.pageFault(PF_PRESENT | (keyDenied ? PF_PROTECTION_KEY : 0));
    }
    const mustSetFlags = flags === 0 || (access === WRITE && (low & PTE_DIRTY) === 0);
    if (mustSetFlags && this.setsFlagsFirst) {
      const outcome = this.setFlags(first, level);
      if (outcome !== TRANSLATED) return outcome === RESTART ? this.walk(true) : outcome;
    }
    const setsFlagsLast = mustSetFlags && !this.setsFlagsFirst;
    if (first > level && !setsFlagsLast) this.rememberTables(first, level);
    const dataLow = guest.leafPfnLow(level, low, high) | (pageLow & ((1 << shifts[level]) - 1));
    const dataHigh = guest.entryBytes === 8 ? entryPfnHigh(high) : 0;
    const outcome = this.translateFinal(dataLow, dataHigh, attributes, level - 1);
    if (outcome === TRANSLATED && setsFlagsLast) {
      const flagOutcome = this.setFlags(first, level);
      if (flagOutcome !== TRANSLATED) {
        // What the translation left in the TLB came from an entry that is not marked as used.
        this.tlb.invalidate(pageLow, pageHigh);
        return flagOutcome === RESTART ? this.walk(true) : flagOutcome;
      }
      this.rememberTables(first, level);
    }
    return outcome;
  }

  /**
   * Most walks find the guest's and the EPT's table of 4-Kbyte pages in the paging-structure caches, and an entry in each
   * that allows the access and has no flag to be set. This is their course without a decision. Returns whether the walk
   * was one of them; if not, nothing has happened but lookups that `walk()` repeats.
   */
  private walkOrdinary(): boolean {
    const { guest, nested, caches, counts, memory, hierarchy, pageLow, kind } = this;
    const { pagingStructures, nestedStructures, tlb } = caches;
    const { words } = memory;
    const { cells, place: table } = pagingStructures;
    const frame = cells[(table + CACHED_FRAME) | 0];
    if (frame === 0 || guest.entryBytes !== 8 || guest.deniedKeys[kind] !== 0) return false;
    const index = pageLow & 511;
    const word = (frame + 2 * index) | 0;
    const low = words[word] | 0;
    const high = words[(word + 1) | 0] | 0;
    const access = kind & 3;
    const flags = access === WRITE ? PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY : PTE_PRESENT | PTE_ACCESSED;
    if ((low & flags) !== flags || (high & guest.reservedHigh) !== 0) return false;
    const rights = (cells[(table + CACHED_VALUE) | 0] & low & ~TABLE_WRITABLE) | (high >>> 31);
    if ((rights & guest.rightsMask[kind]) !== guest.rightsValue[kind]) return false;
    const gfnLow = entryPfnLow(low, high);
    const gfnHigh = entryPfnHigh(high);

    let hostLow = gfnLow;
    let hostHigh = gfnHigh;
    let permissions = EPT_ALL;
    let dirty = low & PTE_DIRTY;
    if (nested !== null) {
      if (gfnHigh >>> nested.gfnHighBits !== 0 || this.notNested === 0) return false;
      if ((nestedStructures.lookup(gfnLow, gfnHigh) | 0) !== 1) return false;
      const { cells: eptCells, place: eptTable } = nestedStructures;
      const eptWord = (eptCells[(eptTable + CACHED_FRAME) | 0] + 2 * (gfnLow & 511)) | 0;
      const eptLow = words[eptWord] | 0;
      const eptHigh = words[(eptWord + 1) | 0] | 0;
      if ((eptLow & EPT_READ) === 0 || nested.isMisconfiguredPte(eptLow, eptHigh)) return false;
      if (nested.accessed !== 0) {
        const isDirty = (eptLow & nested.dirty) !== 0;
        if ((eptLow & nested.accessed) === 0 || (access === WRITE && !isDirty)) return false;
        if (!isDirty) dirty = 0;
      }
      const own = nested.isNpt ? nptPermissions(eptLow, eptHigh) : eptLow;
      permissions = grantedBy(eptCells[(eptTable + CACHED_VALUE) | 0] & own);
      if ((permissions & this.finalRequest(rights)) === 0) return false;
      hostLow = entryPfnLow(eptLow, eptHigh);
      hostHigh = entryPfnHigh(eptHigh);
    }

    const tableLow = cells[(table + CACHED_PFN_LOW) | 0];
    const tableHigh = cells[(table + CACHED_PFN_HIGH) | 0];
    counts[(GUEST_WALK_REF + (hierarchy.reference(tableLow, tableHigh, index >> 3) | 0)) | 0]++;
    if (nested !== null) {
      const { cells: eptCells, place: eptTable } = nestedStructures;
      const eptLow = eptCells[(eptTable + CACHED_PFN_LOW) | 0];
      const eptHigh = eptCells[(eptTable + CACHED_PFN_HIGH) | 0];
      counts[(EPT_WALK_REF + (hierarchy.reference(eptLow, eptHigh, (gfnLow & 511) >> 3) | 0)) | 0]++;
    }
    counts[(WALK_COMPLETED + 3 * access) | 0]++;
    const attributes =
      rights |
      this.eptAttributes(permissions, rights) |
      (dirty !== 0 ? ATTRIBUTE_DIRTY : 0) |
      ((low & guest.globalBit) !== 0 ? ATTRIBUTE_GLOBAL : 0) |
      (((high >>> 27) & 15) << ATTRIBUTE_KEY_SHIFT);
    this.pfnLow = hostLow;
    this.pfnHigh = hostHigh;
    tlb.insert4K(pageLow, this.pageHigh, access === FETCH, hostLow, hostHigh, gfnLow, gfnHigh, attributes);
    return true;
  }

  /** The end of a walk: translates the guest page and puts the whole into the TLB. `guestSize` is the guest page's. */
  private translateFinal(gfnLow: number, gfnHigh: number, attributes: number, guestSize: number): Outcome {
    const { tlb, pageLow, pageHigh } = this;
    const access = accessOf(this.kind);
    this.rights = attributes;
    const outcome = this.walkNested(gfnLow, gfnHigh, this.offset, this.finalRequest(attributes), FINAL);
    if (outcome !== TRANSLATED) return outcome;
    if (this.replaced !== 0) tlb.invalidate(pageLow, pageHigh);
    const all =
      (this.hostDirty ? attributes : attributes & ~ATTRIBUTE_DIRTY) |
      this.eptAttributes(this.hostPermissions, attributes);
    const size = guestSize < this.hostSize ? guestSize : this.hostSize;
    this.counts[WALK_COMPLETED + 3 * access + size]++;
    this.pfnLow = this.hostLow;
    this.pfnHigh = this.hostHigh;
    tlb.pfnLow = this.hostLow;
    tlb.pfnHigh = this.hostHigh;
    tlb.gfnLow = gfnLow;
    tlb.gfnHigh = gfnHigh;
    tlb.attributes = all;
    tlb.insert(pageLow, pageHigh, size, access === FETCH);
    return TRANSLATED;
  }

  /** Guest page frame number of the table that the walk of the page starts with. */
  private rootGfn(): number {
    const { mode } = this.guest;
    if (mode === "PAE") return this.pdptes[(this.pageLow >>> 18) & 3];
    return Math.floor((mode === "32-bit" ? this.cr3 % 2 ** 32 : this.cr3) / PAGE);
  }

  /** Caches what leads to the tables below level `first` down to `last`, as far as the entries are marked as used. */
  private rememberTables(first: number, last: number): void {
    const { pageLow, pageHigh, tables } = this;
    for (let level = first - 1; level >= last; level--) {
      if ((this.memory.words[this.wordOf(level + 1)] & PTE_ACCESSED) === 0) return;
      const table = TABLE_COLUMNS * level;
      this.caches.pagingStructures.insert(
        level,
        pageLow,
        pageHigh,
        tables[table + TABLE_LOW],
        tables[table + TABLE_HIGH],
        tables[table + RIGHTS],
        tables[table + FRAME],
      );
    }
  }

  /** Index in memory of the lower word of the entry that the walk read at a level. */
  private wordOf(level: number): number {
    const table = TABLE_COLUMNS * level;
    return this.tables[table + FRAME] + (this.tables[table + OFFSET] >> 2);
  }

  /**
   * Sets the accessed flags from level `first` down to the leaf at `last`, and the leaf's dirty flag for a write. Where the
   * EPT does not let the table be written, a violation that reports a read and a write of the entry; RESTART, if only a walk
   * from the root knows the entry's guest-physical address. Nested page tables always let a table be written that was read.
   */
  private setFlags(first: number, last: number): Outcome | typeof RESTART {
    const { tables } = this;
    const { words } = this.memory;
    for (let level = first; level >= last; level--) {
      const isDirty = level === last && accessOf(this.kind) === WRITE;
      const flags = isDirty ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
      const word = this.wordOf(level);
      if ((words[word] & flags) === flags) continue;
      const table = TABLE_COLUMNS * level;
      if ((tables[table + RIGHTS] & TABLE_WRITABLE) === 0) {
        const gfnHigh = tables[table + GFN_HIGH];
        if (gfnHigh === UNKNOWN) return RESTART;
        return this.eptViolation(
          tables[table + GFN_LOW],
          gfnHigh,
          tables[table + OFFSET],
          EPT_READ | EPT_WRITE,
          EPT_VIOLATION_GLA_VALID,
          tables[table + PERMISSIONS],
        );
      }
      words[word] |= flags;
    }
    return TRANSLATED;
  }

  private eptViolation(
    gfnLow: number,
    gfnHigh: number,
    offset: number,
    requested: number,
    purpose: number,
    permissions: number,
  ): Outcome {
    const isFinal = (purpose & EPT_VIOLATION_FINAL_GPA) !== 0;
    this.guestPhysicalAddress = pageNumber(gfnLow, gfnHigh) * PAGE + offset;
    this.exitQualification =
      (requested & EPT_PERMISSIONS) |
      ((requested & EPT_FETCH_USER) !== 0 ? EPT_EXECUTE : 0) |
      ((permissions & EPT_PERMISSIONS) << 3) |
      ((permissions & EPT_FETCH_USER) !== 0 ? EPT_VIOLATION_USER_EXECUTE : 0) |
      purpose |
      (isFinal && this.geometry.advancedExitInformation ? this.advancedInformation() : 0);
    this.drop(this.geometry.switches.violationDrops, gfnLow, gfnHigh, isFinal);
    return EPT_VIOLATION;
  }

  private eptMisconfig(gfnLow: number, gfnHigh: number, offset: number, purpose: number): Outcome {
    const isFinal = (purpose & EPT_VIOLATION_FINAL_GPA) !== 0;
    this.guestPhysicalAddress = pageNumber(gfnLow, gfnHigh) * PAGE + offset;
    this.drop(this.geometry.switches.misconfigDrops, gfnLow, gfnHigh, isFinal);
    return EPT_MISCONFIG;
  }

  /**
   * `code` says what is wrong with the entry: NPF_PRESENT, NPF_RESERVED. Nothing is dropped. The manual says that a page fault
   * flushes the cached entries that led to it, see "Use of Cached Entries When Reporting a Page Fault Exception"; of a nested
   * one it says nothing.
   */
  private nestedPageFault(
    gfnLow: number,
    gfnHigh: number,
    offset: number,
    requested: number,
    purpose: number,
    code: number,
  ): Outcome {
    this.guestPhysicalAddress = pageNumber(gfnLow, gfnHigh) * PAGE + offset;
    const access =
      ((requested & EPT_WRITE) !== 0 ? NPF_WRITE : 0) | ((requested & EPT_EXECUTE) !== 0 ? NPF_FETCH : 0);
    const isFinal = (purpose & EPT_VIOLATION_FINAL_GPA) !== 0;
    this.exitInfo1 = (code | NPF_USER | access) + (isFinal ? NPF_GUEST_FINAL : NPF_GUEST_PAGE);
    this.drop(this.geometry.switches.nestedPageFaultDrops, gfnLow, gfnHigh, isFinal);
    return NESTED_PAGE_FAULT;
  }

  /** What the guest's own paging says of the page. */
  private advancedInformation(): number {
    const { rights } = this;
    return (
      ((rights & RIGHT_USER) !== 0 ? EPT_VIOLATION_USER_PAGE : 0) |
      ((rights & RIGHT_WRITABLE) !== 0 ? EPT_VIOLATION_WRITABLE_PAGE : 0) |
      ((rights & RIGHT_NOT_EXECUTABLE) !== 0 ? EPT_VIOLATION_NOT_EXECUTABLE_PAGE : 0)
    );
  }

  /**
   * Drops mappings of the guest-physical address and, if it is the translation of the linear page, those of the page:
   * "Operations that invalidate cached mappings".
   */
  private drop(drops: Drops, gfnLow: number, gfnHigh: number, isFinal: boolean): void {
    const { caches, nested, pageLow, pageHigh } = this;
    if (drops === "nothing" || nested === null || this.provisional) return;
    if (drops === "everything") {
      caches.inveptSingle(nested.root);
      return;
    }
    caches.nestedTlb.invalidate(gfnLow, gfnHigh);
    if (isFinal) this.tlb.invalidate(pageLow, pageHigh);
    if (drops === "translations") return;
    caches.nestedStructures.invalidate(gfnLow, gfnHigh);
    if (isFinal) caches.pagingStructures.invalidate(pageLow, pageHigh);
  }

  /** A page fault drops the mappings of the linear address, so that a corrected entry is seen. */
  private pageFault(code: number): Outcome {
    const { caches, guest, pageLow, pageHigh } = this;
    if (!this.provisional) {
      this.tlb.invalidate(pageLow, pageHigh);
      caches.pagingStructures.invalidate(pageLow, pageHigh);
    }
    this.errorCode = code | guest.errorCode[this.kind];
    return PAGE_FAULT;
  }
}

/** Whether attributes of a TLB entry are what a test says. */
function passes(attributes: number, test: number): boolean {
  return (attributes & test & TEST_MASK) === test >> TEST_BITS;
}

/** What the EPT grants, as an access asks for it, where all entries have these bits. */
function grantedBy(entries: number): number {
  return (entries & EPT_PERMISSIONS) | ((entries & EPT_USER_EXECUTE) >> 7);
}

/** What bit 60 of the entry that a walk ends with puts into the exit qualification of a shadow-stack access. */
function shadowStackPage(high: number): number {
  return (high & EPT_SUPERVISOR_SHADOW_STACK_HIGH) !== 0 ? EPT_VIOLATION_SHADOW_STACK_PAGE : 0;
}

/** The page number of a 64-bit linear address, or -1 if it is not canonical or beyond 32 bits in a mode of 32 bits. */
export function linearPage(address: bigint, { mode, levels }: GuestPaging): number {
  const bits = mode === "4-level" || mode === "5-level" ? 12 + 9 * levels : 32;
  const canonical = bits === 32 ? BigInt.asUintN(32, address) : BigInt.asIntN(bits, address);
  if (BigInt.asUintN(64, canonical) !== BigInt.asUintN(64, address)) return -1;
  return Number(BigInt.asUintN(bits, address) >> 12n);
}
