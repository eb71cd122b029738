/**
 * The path from a linear address to a host-physical address: TLBs, then the two-dimensional walk, in which the address of
 * each guest paging structure, and in the end that of the data, is itself translated by a walk of the EPT.
 * Specified in the Intel SDM, volume 3A "4-level paging and 5-level paging" and volume 3C "The extended page table
 * mechanism (EPT)", "EPT violations" and "Caching translation information".
 *
 * All accesses are explicit supervisor-mode data accesses with CR0.WP = 1; EPT accessed and dirty flags are off.
 *
 * `translate()` leaves its result in fields: an access allocates nothing.
 */
import type { CpuGeometry } from "./cpu.js";
import {
  EPT_LEVELS,
  EPT_PERMISSIONS,
  EPT_READ,
  EPT_VIOLATION_FINAL_GPA,
  EPT_VIOLATION_GLA_VALID,
  EPT_WRITE,
  isEptLeaf,
  isEptMisconfigured,
} from "./ept.js";
import {
  GUEST_LEVELS,
  hasGuestReservedBits,
  isGuestLeaf,
  PF_PRESENT,
  PF_RESERVED,
  PF_WRITE,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_WRITABLE,
} from "./guest-paging.js";
import { DATA_REF, DTLB_HIT, EPT_WALK_REF, GUEST_WALK_REF, type Ledger, STLB_HIT, WALK } from "./ledger.js";
import { LINE, MemoryHierarchy } from "./memory-hierarchy.js";
import { ENTRY_BYTES, entryIndex, entryPfn, type PhysicalMemory } from "./physical-memory.js";
import { ABSENT, SetAssociative } from "./set-associative.js";
import { PAGES_2M, PagingStructureCaches, PERMISSION_BITS, Tlb } from "./translation-caches.js";

/** Bytes of a page. */
export const PAGE = 4096;
const LINES_PER_PAGE = PAGE / LINE;

/** Bits 31:21 of a large leaf. */
const ADDRESS_2M = ~0x1f_ffff;

/** In a combined paging-structure cache, whose entries have no read permission: the EPT lets the table be written. */
const TABLE_WRITABLE = EPT_READ;

/** How a translation ends. */
export const TRANSLATED = 0;
export const PAGE_FAULT = 1;
export const EPT_VIOLATION = 2;
export const EPT_MISCONFIG = 3;
export type Outcome = typeof TRANSLATED | typeof PAGE_FAULT | typeof EPT_VIOLATION | typeof EPT_MISCONFIG;

export class Mmu {
  /** Host page frame number, after TRANSLATED. */
  pfn = 0;
  /** Guest-physical address in bytes, after EPT_VIOLATION and EPT_MISCONFIG. */
  guestPhysicalAddress = 0;
  /** Exit qualification, after EPT_VIOLATION. */
  exitQualification = 0;
  /** Page-fault error code, after PAGE_FAULT. */
  errorCode = 0;

  /** Guest page frame number in CR3. */
  cr3 = 0;
  /** Host page frame number in the EPT pointer. */
  eptRoot = 0;

  readonly hierarchy: MemoryHierarchy;
  private readonly tlb: Tlb;
  private readonly combined: PagingStructureCaches;
  /** Guest-physical translations, one per 4-Kbyte page (of a larger EPT page, the part that was used). */
  private readonly nestedTlb: SetAssociative;
  private readonly guestPhysical: PagingStructureCaches;
  private readonly counts: Float64Array;

  // Of the guest table that the walk last translated the address of; ABSENT while it reads one from a cache.
  private tableGfn = ABSENT;
  private tablePermissions = 0;

  // The result of translateGuestPhysical().
  private hostPfn = 0;
  private hostPermissions = 0;
  private hostLarge = false;

  constructor(
    private readonly geometry: CpuGeometry,
    private readonly memory: PhysicalMemory,
    ledger: Ledger,
  ) {
    this.hierarchy = new MemoryHierarchy(geometry);
    this.tlb = new Tlb(geometry);
    this.combined = new PagingStructureCaches(geometry);
    this.nestedTlb = new SetAssociative(geometry.nestedTlb);
    this.guestPhysical = new PagingStructureCaches(geometry);
    this.counts = ledger.counts;
  }

  /** Translates and references one datum: a linear page number, a byte offset, EPT_READ or EPT_WRITE. */
  access(page: number, offset: number, access: number): Outcome {
    const outcome = this.translate(page, offset, access);
    if (outcome === TRANSLATED) {
      this.counts[
        DATA_REF + this.hierarchy.reference(this.pfn * LINES_PER_PAGE + Math.floor(offset / LINE))
      ]++;
    }
    return outcome;
  }

  /**
   * Translates a linear page number for EPT_READ or EPT_WRITE; `offset` (bytes) only completes the reported address.
   * A cached translation that denies the access is walked again before anything is reported.
   */
  translate(page: number, offset: number, access: number): Outcome {
    const cached = this.tlb.lookup(page);
    if (cached !== ABSENT && (cached & access) === access) {
      this.counts[this.tlb.hitLevel === 1 ? DTLB_HIT : STLB_HIT]++;
      this.pfn = Math.floor(cached / PERMISSION_BITS);
      return TRANSLATED;
    }
    return this.walk(page, offset, access);
  }

  /** Drops every cached translation, as INVEPT and INVVPID of all contexts do. */
  invalidateAll(): void {
    this.tlb.clear();
    this.combined.clear();
    this.nestedTlb.clear();
    this.guestPhysical.clear();
  }

  private walk(page: number, offset: number, access: number): Outcome {
    this.counts[WALK]++;
    this.tableGfn = ABSENT;

    // Start at the guest table nearest to the leaf that a paging-structure cache leads to, else at CR3.
    let level = 1;
    let table = ABSENT;
    for (; level < GUEST_LEVELS; level++) {
      table = this.combined.lookup(level, page);
      if (table !== ABSENT) break;
    }
    let gfn = this.cr3;
    let writable = true;
    let tableWritable = true;
    let hostTable = 0;
    if (table !== ABSENT) {
      hostTable = Math.floor(table / PERMISSION_BITS);
      writable = (table & EPT_WRITE) !== 0;
      tableWritable = (table & TABLE_WRITABLE) !== 0;
    }

    let low: number;
    let high: number;
    let index: number;
    for (; ; level--) {
      index = entryIndex(page, level);
      if (table === ABSENT) {
        const outcome = this.translateGuestPhysical(gfn, index * ENTRY_BYTES, EPT_READ, 0, page);
        if (outcome !== TRANSLATED) return outcome;
        hostTable = this.hostPfn;
        tableWritable = (this.hostPermissions & EPT_WRITE) !== 0;
        this.tableGfn = gfn;
        this.tablePermissions = this.hostPermissions;
        // CR3 is at hand without a cache; below it, what led here may be cached.
        if (level < GUEST_LEVELS) {
          const flags = (writable ? EPT_WRITE : 0) | (tableWritable ? TABLE_WRITABLE : 0);
          this.combined.insert(level, page, hostTable * PERMISSION_BITS + flags);
        }
      }
      table = ABSENT;

      this.counts[GUEST_WALK_REF + this.hierarchy.reference(hostTable * LINES_PER_PAGE + (index >> 3))]++;
      const words = this.memory.read(hostTable);
      low = words[2 * index];
      high = words[2 * index + 1];
      if ((low & PTE_PRESENT) === 0) return this.pageFault(page, access, 0);
      if (hasGuestReservedBits(this.geometry, level, low, high)) {
        return this.pageFault(page, access, PF_PRESENT | PF_RESERVED);
      }
      writable &&= (low & PTE_WRITABLE) !== 0;
      if (isGuestLeaf(level, low)) break;
      if ((low & PTE_ACCESSED) === 0) {
        if (!tableWritable) return this.flagViolation(page, offset, access, level);
        this.memory.write(hostTable, index, low | PTE_ACCESSED, high);
      }
      gfn = entryPfn(low, high);
    }

    if (access === EPT_WRITE && !writable) return this.pageFault(page, access, PF_PRESENT);
    const flags = access === EPT_WRITE ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
    if ((low & flags) !== flags) {
      if (!tableWritable) return this.flagViolation(page, offset, access, level);
      this.memory.write(hostTable, index, low | flags, high);
    }

    const guestLarge = level === 2;
    // Bit 12 of a large leaf is its PAT bit, no part of the address.
    const dataGfn = guestLarge ? entryPfn(low & ADDRESS_2M, high) + (page % PAGES_2M) : entryPfn(low, high);
    const outcome = this.translateGuestPhysical(dataGfn, offset, access, EPT_VIOLATION_FINAL_GPA, page);
    if (outcome !== TRANSLATED) return outcome;

    // A page whose dirty flag is still clear is cached as read-only, so that the first write sets the flag in a walk.
    const dirty = ((low | flags) & PTE_DIRTY) !== 0;
    const permissions =
      this.hostPermissions & (writable && dirty ? EPT_PERMISSIONS : EPT_PERMISSIONS & ~EPT_WRITE);
    this.pfn = this.hostPfn;
    this.tlb.insert(page, this.pfn, permissions, guestLarge && this.hostLarge);
    return TRANSLATED;
  }

  /**
   * The accessed or dirty flag of the guest's entry at `level` is to be set in a page that the EPT does not let be
   * written: a violation that reports a read and a write of the entry. A walk that began at a paging-structure cache does
   * not know the entry's guest-physical address; it is made again without.
   */
  private flagViolation(page: number, offset: number, access: number, level: number): Outcome {
    const index = entryIndex(page, level);
    if (this.tableGfn === ABSENT) {
      this.combined.invalidate(page);
      return this.walk(page, offset, access);
    }
    return this.eptViolation(
      this.tableGfn,
      index * ENTRY_BYTES,
      EPT_READ | EPT_WRITE,
      this.tablePermissions,
      0,
      page,
    );
  }

  /**
   * Translates a guest page frame number through the EPT. `final` is EPT_VIOLATION_FINAL_GPA for the translation of the
   * linear page itself, 0 for a guest paging structure on the way to it.
   */
  private translateGuestPhysical(
    gfn: number,
    offset: number,
    access: number,
    final: number,
    page: number,
  ): Outcome {
    const cached = this.nestedTlb.lookup(gfn);
    if (cached !== ABSENT && (cached & access) === access) {
      this.hostPfn = Math.floor(cached / PERMISSION_BITS);
      this.hostPermissions = cached & EPT_PERMISSIONS;
      this.hostLarge = false;
      return TRANSLATED;
    }

    let level = 1;
    let table = ABSENT;
    for (; level < EPT_LEVELS; level++) {
      table = this.guestPhysical.lookup(level, gfn);
      if (table !== ABSENT) break;
    }
    let permissions = EPT_PERMISSIONS;
    let hostTable = this.eptRoot;
    if (table !== ABSENT) {
      hostTable = Math.floor(table / PERMISSION_BITS);
      permissions = table & EPT_PERMISSIONS;
    }

    let low: number;
    let high: number;
    for (; ; level--) {
      const index = entryIndex(gfn, level);
      this.counts[EPT_WALK_REF + this.hierarchy.reference(hostTable * LINES_PER_PAGE + (index >> 3))]++;
      const words = this.memory.read(hostTable);
      low = words[2 * index];
      high = words[2 * index + 1];
      if ((low & EPT_PERMISSIONS) === 0) return this.eptViolation(gfn, offset, access, 0, final, page);
      if (isEptMisconfigured(this.geometry, level, low, high)) {
        this.guestPhysicalAddress = gfn * PAGE + offset;
        return EPT_MISCONFIG;
      }
      permissions &= low;
      if (isEptLeaf(level, low)) break;
      hostTable = entryPfn(low, high);
      this.guestPhysical.insert(level - 1, gfn, hostTable * PERMISSION_BITS + permissions);
    }
    if ((permissions & access) !== access) {
      return this.eptViolation(gfn, offset, access, permissions, final, page);
    }
    this.hostLarge = level === 2;
    this.hostPfn = entryPfn(low, high) + (this.hostLarge ? gfn % PAGES_2M : 0);
    this.hostPermissions = permissions;
    // The final translation goes into the combined TLB; guest-physical ones serve the guest's paging structures.
    if (final === 0) this.nestedTlb.insert(gfn, this.hostPfn * PERMISSION_BITS + permissions);
    return TRANSLATED;
  }

  /** A violation drops the mappings of the address that faulted: "Operations that invalidate cached mappings". */
  private eptViolation(
    gfn: number,
    offset: number,
    access: number,
    permissions: number,
    final: number,
    page: number,
  ): Outcome {
    this.nestedTlb.remove(gfn);
    this.guestPhysical.invalidate(gfn);
    if (final !== 0) {
      this.tlb.invalidate(page);
      this.combined.invalidate(page);
    }
    this.guestPhysicalAddress = gfn * PAGE + offset;
    this.exitQualification = access | (permissions << 3) | EPT_VIOLATION_GLA_VALID | final;
    return EPT_VIOLATION;
  }

  /** A page fault drops the mappings of the linear address, so that a corrected entry is seen. */
  private pageFault(page: number, access: number, code: number): Outcome {
    this.tlb.invalidate(page);
    this.combined.invalidate(page);
    this.errorCode = code | (access === EPT_WRITE ? PF_WRITE : 0);
    return PAGE_FAULT;
  }
}
