/**
 * Memory slots: the ranges of guest-physical memory that userspace has given to the guest, and the host frames behind
 * them. Slots are only ever added here; moving, deleting and dirty logging are not modelled yet.
 * Specified in the kernel's KVM API document, KVM_SET_USER_MEMORY_REGION.
 */
import { PAGE } from "../x86/mmu.js";
import { PAGES_2M } from "../x86/tlb.js";
import { KvmError } from "./errno.js";

/** Page size of the host's mapping behind a slot: "2M" stands for transparent or explicit huge pages. */
export type Backing = "4K" | "2M";

export interface MemslotArgs {
  /** Guest-physical address and size in bytes, multiples of 4096. */
  readonly gpa: number;
  readonly size: number;
  /** KVM_MEM_READONLY: reads and fetches use the memory, writes are emulated. */
  readonly readonly: boolean;
  readonly backing: Backing;
}

export interface Memslot {
  readonly baseGfn: number;
  readonly npages: number;
  readonly readonly: boolean;
  readonly backing: Backing;
  /** Host page frame number of the slot's first page; congruent to baseGfn modulo 512, so huge pages line up. */
  readonly basePfn: number;
}

/** First value of the generation: chosen by the kernel so that the wrap-around is met early. */
const INITIAL_GENERATION = -150;

/** Slots that userspace may have. */
const KVM_USER_MEM_SLOTS = 509;

/** First host frame given to slots: 4 Gbyte, above the hypervisor's own frames. */
const FIRST_SLOT_PFN = 0x10_0000;

export class Memslots {
  /** Advances by two with each added slot; MMIO SPTEs of an older generation are stale. */
  generation = INITIAL_GENERATION;
  private readonly slots: Memslot[] = [];
  private nextPfn = FIRST_SLOT_PFN;

  constructor(private readonly endPfn: number) {}

  /** @throws KvmError EINVAL (alignment, range), EEXIST (overlap), ENOMEM (host memory beyond the physical address width) */
  add({ gpa, size, readonly, backing }: MemslotArgs): Memslot {
    if (gpa % PAGE !== 0 || size % PAGE !== 0 || size <= 0 || gpa < 0 || !Number.isSafeInteger(gpa + size)) {
      throw new KvmError(
        "EINVAL",
        `gpa ${gpa} and size ${size} must be multiples of ${PAGE} bytes, the size more than 0`,
      );
    }
    if (this.slots.length === KVM_USER_MEM_SLOTS) {
      throw new KvmError("EINVAL", `there are ${KVM_USER_MEM_SLOTS} slots already`);
    }
    const baseGfn = gpa / PAGE;
    const npages = size / PAGE;
    if (this.slots.some((slot) => baseGfn < slot.baseGfn + slot.npages && slot.baseGfn < baseGfn + npages)) {
      throw new KvmError(
        "EEXIST",
        `gpa 0x${gpa.toString(16)}, size 0x${size.toString(16)} overlaps another slot`,
      );
    }
    const alignment = (baseGfn - this.nextPfn) % PAGES_2M;
    const basePfn = this.nextPfn + (alignment < 0 ? alignment + PAGES_2M : alignment);
    if (basePfn + npages > this.endPfn) {
      throw new KvmError("ENOMEM", `the slots do not fit below the processor's physical address width`);
    }
    this.nextPfn = basePfn + npages;
    const slot = { baseGfn, npages, readonly, backing, basePfn };
    this.slots.push(slot);
    this.generation += 2;
    return slot;
  }

  /** The slot that holds a guest page frame number. */
  find(gfn: number): Memslot | undefined {
    for (const slot of this.slots) {
      if (gfn >= slot.baseGfn && gfn < slot.baseGfn + slot.npages) return slot;
    }
    return undefined;
  }
}
