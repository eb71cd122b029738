/**
 * Memory slots: the ranges of guest-physical memory that userspace gives to the guest. Specified in the kernel's KVM API
 * document, KVM_SET_USER_MEMORY_REGION and KVM_GET_DIRTY_LOG; kernel counterpart: virt/kvm/kvm_main.c.
 *
 * Each update publishes a new set of slots and changes the generation, so that MMIO SPTEs made before it are stale. While a
 * slot is deleted or moved it is first published as invalid, then everything that maps it is zapped, then it goes.
 */
import { PAGE } from "../x86/mmu.js";
import { KvmError } from "./errno.js";
import { HostMemory, type Vma } from "./host-memory.js";
import { KvmIrqchip } from "./irqchip.js";
import type { VmOptions } from "./kvm.js";
import { KVM } from "./primitives.js";

export const KVM_MEM_LOG_DIRTY_PAGES = 1 << 0;
export const KVM_MEM_READONLY = 1 << 1;
const KVM_MEM_FLAGS = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;

/** Pages that one slot can have. */
const KVM_MEM_MAX_NR_PAGES = 2 ** 31 - 1;

/** Guest-physical addresses are 64 bits; above what a number holds exactly, a range counts as one that wraps. */
const ADDRESS_LIMIT = Number.MAX_SAFE_INTEGER;

/** `struct kvm_userspace_memory_region`. Addresses and sizes in bytes. */
export interface MemoryRegion {
  readonly slot: number;
  readonly flags: number;
  readonly guestPhysAddr: number;
  /** 0 deletes the slot. */
  readonly memorySize: number;
  readonly userspaceAddr: number;
}

/** Guest pages: page frame number of the first, and how many. Kernel counterpart: `struct kvm_gfn_range`. */
export interface GfnRange {
  readonly baseGfn: number;
  readonly npages: number;
}

/** Kernel counterpart: `struct kvm_memory_slot`. */
export class Memslot {
  /** Being deleted or moved. */
  invalid = false;
  /** Page offsets that were written since the log was read last; null: not logged. */
  dirtyBitmap: Set<number> | null = null;
  /**
   * The host's mapping that was found last, which is mostly all there is behind a slot: its first guest page, the one after
   * its last, and what to add to one for its host page frame number.
   */
  vma: Vma | undefined;
  vmaFirstGfn = 0;
  vmaEndGfn = 0;
  pfnFromGfn = 0;
  /** By level, first pages of large pages that hold paging structures of the guest, with their number. */
  private readonly writeCount: readonly Map<number, number>[] = [new Map(), new Map()];

  constructor(
    readonly id: number,
    readonly baseGfn: number,
    readonly npages: number,
    readonly flags: number,
    readonly userspaceAddr: number,
  ) {}

  get readonly(): boolean {
    return (this.flags & KVM_MEM_READONLY) !== 0;
  }

  /** Host virtual address of a guest page in the slot. */
  hva(gfn: number): number {
    return this.userspaceAddr + (gfn - this.baseGfn) * PAGE;
  }

  /** Remembers a mapping of the host's that lies behind the slot, or behind a part of it. */
  remember(vma: Vma): void {
    const first = this.baseGfn + pageOf(vma.start - this.userspaceAddr);
    this.vma = vma;
    this.vmaFirstGfn = first;
    this.vmaEndGfn = first + pageOf(vma.bytes);
    this.pfnFromGfn = Math.floor(vma.basePfn - first);
  }

  /** Whether a large page (level 2 or 3) around a guest page may not be mapped, whatever the host has there. */
  disallowsLargePage(gfn: number, level: number): boolean {
    const pages = 2 ** (9 * (level - 1));
    const first = gfn - (gfn % pages);
    if (first < this.baseGfn || first + pages > this.baseGfn + this.npages) return true;
    if ((this.baseGfn - this.userspaceAddr / PAGE) % pages !== 0) return true;
    return (this.writeCount[level - 2].get(first) ?? 0) > 0;
  }

  /** Forgets all that `accountShadowed()` noted. */
  forgetShadowed(): void {
    for (const counts of this.writeCount) counts.clear();
  }

  /** Notes that so many more tables of the guest that lie in a page are shadowed, or fewer. */
  accountShadowed(gfn: number, change: number): void {
    this.writeCount.forEach((counts, index) => {
      const first = gfn - (gfn % 2 ** (9 * (index + 1)));
      counts.set(first, (counts.get(first) ?? 0) + change);
    });
  }
}

export abstract class KvmMemslots extends KvmIrqchip {
  readonly host: HostMemory;
  /** In the order of guest page frame numbers. */
  memslots: readonly Memslot[] = [];
  /** The one found last, which is mostly the next one, too. */
  private lastSlot: Memslot | undefined;
  /** Changes with each update of the slots. */
  memslotsGeneration: number;
  /** An update has been published, and its generation is not final yet. */
  memslotsUpdating = false;

  constructor(options: VmOptions) {
    super(options);
    this.host = new HostMemory(2 ** (options.geometry.physicalAddressBits - 12));
    this.memslotsGeneration = this.initialGeneration;
  }

  /** Numbers of slots that userspace may use: below this. */
  get userMemSlots(): number {
    return 125;
  }

  /** The kernel starts close to the wrap-around, so that it is met early. */
  get initialGeneration(): number {
    return -150;
  }

  /** Zaps what maps a slot that is invalid now. */
  abstract kvmArchFlushShadowMemslot(slot: Memslot): void;
  /** Zaps everything where the generation has wrapped around, so that no old MMIO SPTE can seem current. */
  abstract kvmMmuInvalidateMmioSptes(): void;
  /** Takes write access from, or large pages back to, what maps a slot whose flags have changed. */
  abstract kvmArchCommitMemoryRegion(old: Memslot | undefined, slot: Memslot): void;
  /** Makes all vCPUs drop what their processors have cached of KVM's tables. */
  abstract kvmFlushRemoteTlbs(): void;
  /** Takes write access from a page of a logged slot. */
  abstract kvmMmuWriteProtect(slot: Memslot, gfn: number): void;

  /**
   * KVM_SET_USER_MEMORY_REGION: creates, deletes or moves a slot, or changes whether its writes are logged.
   *
   * @throws KvmError EINVAL (slot, flags, alignment, wrap, size, deletion of no slot, change of size, userspace address or
   *   READONLY), EEXIST (overlap)
   */
  kvmSetUserMemoryRegion(region: MemoryRegion): void {
    this.checkMemoryRegion(region);
    const { slot: id, flags, guestPhysAddr, memorySize, userspaceAddr } = region;
    const baseGfn = pageOf(guestPhysAddr);
    const npages = pageOf(memorySize);
    const old = this.memslots.find((slot) => slot.id === id);
    if (npages === 0) {
      if (old === undefined) throw invalid("memorySize", 0, `more than 0: there is no slot ${id} to delete`);
      this.invalidateMemslot(old);
      this.installNewMemslots(this.without(old));
      return;
    }
    if (old !== undefined) this.checkChange(old, region);
    if (old !== undefined && old.baseGfn === baseGfn && old.flags === flags) return;
    const overlapped = this.memslots.find(
      (slot) => slot.id !== id && baseGfn < slot.baseGfn + slot.npages && slot.baseGfn < baseGfn + npages,
    );
    if (overlapped !== undefined) {
      throw new KvmError(
        "EEXIST",
        `gpa 0x${guestPhysAddr.toString(16)}, size 0x${memorySize.toString(16)} overlaps slot ${overlapped.id}`,
      );
    }
    const slot = new Memslot(id, baseGfn, npages, flags, userspaceAddr);
    if ((flags & KVM_MEM_LOG_DIRTY_PAGES) !== 0) slot.dirtyBitmap = old?.dirtyBitmap ?? new Set();
    if (old !== undefined && old.baseGfn !== baseGfn) this.invalidateMemslot(old);
    this.installNewMemslots([...this.without(old), slot]);
    this.kvmArchCommitMemoryRegion(old, slot);
  }

  /**
   * KVM_GET_DIRTY_LOG: guest page frame numbers of a slot that were written since the last call, which are logged anew
   * from now on.
   *
   * @throws KvmError EINVAL (slot number), ENOENT (no such slot, or one that is not logged)
   */
  kvmGetDirtyLog(id: number): number[] {
    if (!(id >= 0 && id < this.userMemSlots)) throw this.invalidSlot(id);
    const slot = this.memslots.find((other) => other.id === id);
    if (slot === undefined || slot.dirtyBitmap === null) {
      throw new KvmError("ENOENT", `slot ${id} does not exist or does not log its writes`);
    }
    const dirty = [...slot.dirtyBitmap].map((offset) => slot.baseGfn + offset).sort((a, b) => a - b);
    slot.dirtyBitmap = new Set();
    for (const gfn of dirty) this.kvmMmuWriteProtect(slot, gfn);
    if (dirty.length > 0) this.kvmFlushRemoteTlbs();
    return dirty;
  }

  /** The slot that holds a guest page, also one that is invalid. */
  gfnToMemslot(gfn: number): Memslot | undefined {
    this.counts[KVM.memslotLookup]++;
    return this.findMemslot(gfn);
  }

  /** As `gfnToMemslot()`, for a look that costs nothing. */
  findMemslot(gfn: number): Memslot | undefined {
    const { memslots, lastSlot } = this;
    if (lastSlot !== undefined && gfn >= lastSlot.baseGfn && gfn < lastSlot.baseGfn + lastSlot.npages)
      return lastSlot;
    let low = 0;
    let high = memslots.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (memslots[middle].baseGfn <= gfn) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const slot = memslots[low - 1];
    if (gfn >= slot.baseGfn + slot.npages) return undefined;
    this.lastSlot = slot;
    return slot;
  }

  /** The host's mapping behind a guest page of a slot. */
  vmaOf(slot: Memslot, gfn: number): Vma | undefined {
    if (gfn >= slot.vmaFirstGfn && gfn < slot.vmaEndGfn) return slot.vma;
    const vma = this.host.find(slot.hva(gfn));
    if (vma !== undefined) slot.remember(vma);
    return vma;
  }

  /** Host page frame number behind a guest page of a slot; -1 where the host has nothing mapped. */
  pfnOf(slot: Memslot, gfn: number): number {
    if (gfn >= slot.vmaFirstGfn && gfn < slot.vmaEndGfn) return gfn + slot.pfnFromGfn;
    return this.vmaOf(slot, gfn) === undefined ? -1 : gfn + slot.pfnFromGfn;
  }

  markPageDirty(slot: Memslot, gfn: number): void {
    slot.dirtyBitmap?.add(gfn - slot.baseGfn);
  }

  /**
   * Writes an 8-byte entry into guest memory: how the guest's paging structures are made before it runs.
   * @throws KvmError EFAULT outside the slots
   */
  kvmWriteGuest(gfn: number, index: number, low: number, high: number): void {
    this.memory.write(this.guestFrame(gfn), index, low, high);
  }

  /** Host page frame number behind a guest page. @throws KvmError EFAULT where there is none */
  guestFrame(gfn: number): number {
    const slot = this.findMemslot(gfn);
    const pfn = slot === undefined ? -1 : this.pfnOf(slot, gfn);
    if (pfn >= 0) return pfn;
    throw new KvmError("EFAULT", `no memory at guest page frame 0x${gfn.toString(16)}`);
  }

  /** Publishes a set of slots, waits until nobody uses the old one, and makes the generation final. */
  installNewMemslots(slots: readonly Memslot[]): void {
    this.publishMemslots(slots);
    this.memslotsGeneration++;
    this.synchronizeSrcuExpedited();
    this.memslotsGeneration++;
    this.kvmMmuInvalidateMmioSptes();
  }

  publishMemslots(slots: readonly Memslot[]): void {
    this.memslots = [...slots].sort((a, b) => a.baseGfn - b.baseGfn);
    this.lastSlot = undefined;
  }

  private invalidateMemslot(slot: Memslot): void {
    slot.invalid = true;
    this.installNewMemslots(this.memslots);
    this.kvmArchFlushShadowMemslot(slot);
  }

  private without(slot: Memslot | undefined): Memslot[] {
    return this.memslots.filter((other) => other !== slot);
  }

  checkMemoryRegion(region: MemoryRegion): void {
    const { slot, flags, guestPhysAddr, memorySize, userspaceAddr } = region;
    if (!(Number.isInteger(slot) && slot >= 0 && slot < this.userMemSlots)) throw this.invalidSlot(slot);
    if ((flags & ~KVM_MEM_FLAGS) !== 0) throw invalid("flags", flags, "LOG_DIRTY_PAGES 1, READONLY 2");
    for (const [field, value] of [
      ["memorySize", memorySize],
      ["guestPhysAddr", guestPhysAddr],
      ["userspaceAddr", userspaceAddr],
    ] as const) {
      if (value % PAGE !== 0 || value < 0) throw invalid(field, value, `a multiple of ${PAGE} bytes`);
    }
    if (guestPhysAddr + memorySize > ADDRESS_LIMIT)
      throw invalid("memorySize", memorySize, "what does not wrap around");
    if (memorySize / PAGE > KVM_MEM_MAX_NR_PAGES)
      throw invalid("memorySize", memorySize, `at most ${KVM_MEM_MAX_NR_PAGES} pages`);
  }

  /** An existing slot can be moved and its log be switched, nothing else. */
  private checkChange(old: Memslot, { flags, memorySize, userspaceAddr }: MemoryRegion): void {
    const of = `, as it is for slot ${old.id}`;
    if (memorySize / PAGE !== old.npages)
      throw invalid("memorySize", memorySize, `${old.npages * PAGE}${of}`);
    if (userspaceAddr !== old.userspaceAddr) {
      throw invalid("userspaceAddr", userspaceAddr, `${old.userspaceAddr}${of}`);
    }
    if (((flags ^ old.flags) & KVM_MEM_READONLY) !== 0) throw invalid("flags", flags, `READONLY${of}`);
  }

  private invalidSlot(slot: number): KvmError {
    return invalid("slot", slot, `0 to ${this.userMemSlots - 1}`);
  }
}

/** A page number, rounded though it is whole: V8 keeps a quotient as a floating-point number, but not one that it has rounded. */
function pageOf(bytes: number): number {
  return Math.floor(bytes / PAGE);
}

function invalid(field: string, value: number, allowed: string): KvmError {
  return new KvmError("EINVAL", `${field}: ${value} is not allowed; allowed: ${allowed}`);
}
