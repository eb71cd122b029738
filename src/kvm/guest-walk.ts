/**
 * The walk of the guest's page tables in software: what the emulator makes for each address, and shadow paging for each
 * fault. Kernel counterpart: `walk_addr()` of arch/x86/kvm/paging_tmpl.h. Modelled are guests without paging and with 4 or
 * 5 levels.
 */
import { type AccessKind, accessOf, FETCH, WRITE } from "../x86/access.js";
import {
  PF_PRESENT,
  PF_RESERVED,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PRESENT,
  RIGHT_NOT_EXECUTABLE,
  RIGHT_USER,
  RIGHT_WRITABLE,
} from "../x86/guest-paging.js";
import { PAGE } from "../x86/mmu.js";
import { highOf, lowOf } from "../x86/page-number.js";
import { entryIndex, entryPfn } from "../x86/physical-memory.js";
import { GuestStopped } from "./guest-stopped.js";
import type { Memslot } from "./memslots.js";
import { KvmMmuNotifier } from "./mmu-notifier.js";
import { KVM } from "./primitives.js";

/** Bits of an address within a page. */
const PAGE_SHIFT = 12;

/** Levels there may be, from 0 on. */
const LEVELS = 6;

/** Rights before any entry has taken one away. */
export const ALL_RIGHTS = RIGHT_WRITABLE | RIGHT_USER;

/** A translation of the guest's, reused for each walk. */
export class GuestWalk {
  /** Guest page frame number of the linear page. */
  gfn = 0;
  /** Level of the entry that maps it: 1 for 4 Kbyte, 2 for 2 Mbyte, 3 for 1 Gbyte; 4 without paging. */
  level = 1;
  /** By level, what the entries above that level allow; at 0, what all of them do. */
  readonly rights: Int32Array = new Int32Array(LEVELS);
  /** What all entries together allow. */
  writable = false;
  user = false;
  executable = false;
  /** The dirty flag of the entry that maps the page is set. */
  dirty = false;
  /** Page-fault error code, where the walk failed. */
  errorCode = 0;

  /**
   * By level, the table that was read last (guest page frame number), and where it begins in memory, as long as the slots are
   * these.
   */
  readonly tables: Float64Array = new Float64Array(LEVELS);
  readonly frames: Int32Array = new Int32Array(LEVELS);
  memslots: readonly Memslot[] | null = null;

  forgetFrames(memslots: readonly Memslot[]): void {
    this.tables.fill(-1);
    this.memslots = memslots;
  }
}

export abstract class KvmGuestWalk extends KvmMmuNotifier {
  readonly guestWalk = new GuestWalk();

  /** Walks for an access to a linear page; the result is in `guestWalk`. False: the guest itself faults. */
  walkAddr(page: number, kind: AccessKind): boolean {
    this.counts[KVM.guestWalkInSoftware]++;
    const { guestWalk, vcpu, memory } = this;
    const { guest } = vcpu.cpu;
    if (guest.mode === "none") {
      guestWalk.gfn = page;
      guestWalk.level = 4;
      guestWalk.writable = guestWalk.user = guestWalk.executable = guestWalk.dirty = true;
      return true;
    }
    if (guest.entryBytes !== 8 || guest.mode === "PAE") {
      throw new GuestStopped(`the emulator walks tables of 4 or 5 levels, not those of ${guest.mode} paging`);
    }
    if (guestWalk.memslots !== this.memslots) guestWalk.forgetFrames(this.memslots);
    const { tables, frames } = guestWalk;
    const { words } = memory;
    let rights = ALL_RIGHTS;
    let flags = PTE_ACCESSED;
    let gfn = Math.floor(vcpu.guestCr3 / PAGE);
    for (let level = guest.levels; ; level--) {
      const frame = tables[level] === gfn ? frames[level] : this.findTable(level, gfn);
      const word = frame + 2 * entryIndex(page, level);
      const low = words[word] | 0;
      const high = words[word + 1] | 0;
      guestWalk.rights[level] = rights;
      if ((low & PTE_PRESENT) === 0) return this.walkFails(0, kind);
      const isLeaf = guest.isLeaf(level, low);
      if (guest.isReserved(level, low, high, isLeaf)) return this.walkFails(PF_PRESENT | PF_RESERVED, kind);
      flags &= low;
      rights = (rights & low) | ((rights | (high >>> 31)) & RIGHT_NOT_EXECUTABLE);
      if (!isLeaf) {
        gfn = entryPfn(low, high);
        continue;
      }
      if ((rights & guest.rightsMask[kind]) !== guest.rightsValue[kind])
        return this.walkFails(PF_PRESENT, kind);
      // The bits of the page number below those that chose the entry take the place of its own.
      const inside = (1 << guest.shifts[level]) - 1;
      guestWalk.gfn = entryPfn((low & ~(inside << PAGE_SHIFT)) | ((page & inside) << PAGE_SHIFT), high);
      guestWalk.level = level;
      guestWalk.rights[0] = rights;
      guestWalk.dirty = (low & PTE_DIRTY) !== 0;
      break;
    }
    guestWalk.writable = (rights & RIGHT_WRITABLE) !== 0;
    guestWalk.user = (rights & RIGHT_USER) !== 0;
    guestWalk.executable = (rights & RIGHT_NOT_EXECUTABLE) === 0;
    if (flags === 0 || (accessOf(kind) === WRITE && !guestWalk.dirty))
      this.updateAccessedDirtyBits(page, kind);
    return true;
  }

  /** Where a table of the guest's begins in memory; a frame that nothing was written to may yet come elsewhere. */
  private findTable(level: number, gfn: number): number {
    const { guestWalk, memory } = this;
    const pfn = this.guestFrame(gfn);
    const frame = memory.frame(lowOf(pfn), highOf(pfn));
    guestWalk.tables[level] = frame === 0 ? -1 : gfn;
    guestWalk.frames[level] = frame;
    return frame;
  }

  /** Sets the accessed flag in each entry of the last walk, and the dirty flag in its last for a write, where they may be. */
  private updateAccessedDirtyBits(page: number, kind: AccessKind): void {
    const { guestWalk, memory, vcpu } = this;
    for (let level = vcpu.cpu.guest.levels; level >= guestWalk.level; level--) {
      const frame = this.guestFrame(guestWalk.tables[level]);
      const index = entryIndex(page, level);
      const low = memory.low(frame, index);
      const isWrite = level === guestWalk.level && accessOf(kind) === WRITE;
      const marked = low | PTE_ACCESSED | (isWrite ? PTE_DIRTY : 0);
      const slot = this.findMemslot(guestWalk.tables[level]);
      if (marked !== low && slot !== undefined && !slot.readonly) {
        memory.write(frame, index, marked >>> 0, memory.high(frame, index));
        this.markPageDirty(slot, guestWalk.tables[level]);
      }
      if (level === guestWalk.level) guestWalk.dirty = (marked & PTE_DIRTY) !== 0;
    }
  }

  private walkFails(code: number, kind: AccessKind): boolean {
    this.guestWalk.errorCode = code | this.vcpu.cpu.guest.errorCode[kind];
    return false;
  }

  /** Gives the guest a page fault that KVM found. The model's guest has no handler for one. */
  injectPageFault(address: number, errorCode: number): never {
    this.counts[KVM.injectException]++;
    if (this.trace !== null) {
      this.record({ event: "kvm_inj_exception", exception: 14, errorCode, reinjected: false });
    }
    throw new GuestStopped(
      `guest page fault at 0x${address.toString(16)}, error code ${errorCode}: the guest has no handler`,
    );
  }

  /** The kind of access that a fault's error code tells of, made in supervisor mode. */
  kindOf(write: boolean, fetch: boolean): AccessKind {
    return write ? WRITE : fetch ? FETCH : 0;
  }
}
