/**
 * The host takes memory of the virtual machine back, as a balloon does with madvise(MADV_DONTNEED): before the pages go, KVM
 * lets go of what maps them. Kernel counterparts: the MMU notifier of virt/kvm/kvm_main.c, and `kvm_unmap_rmapp()` of
 * arch/x86/kvm/mmu.c (Linux 4.2) or `kvm_tdp_mmu_unmap_gfn_range()` of mmu/tdp_mmu.c (6.19).
 *
 * Frames keep their contents here, and a page comes back in the frame it was in: the guest may give away its own paging
 * structures. The host's pages keep their size too, where the kernel would split a huge one that goes in part. What the host
 * does to bring a page back, or to clear it, is not counted.
 */
import { PAGE } from "../x86/mmu.js";
import { Mmu } from "./mmu.js";

export abstract class KvmMmuNotifier extends Mmu {
  /**
   * The host takes the pages from `first` to before `end` (guest page frame numbers) back, as after madvise(MADV_DONTNEED):
   * the next access to each faults. Pages without a slot have no memory that could be taken. Returns whether anything was
   * mapped.
   */
  discardPages(first: number, end: number): boolean {
    // No vCPU does it, nor at the same time as what they did last.
    this.round++;
    let unmapped = false;
    for (const slot of this.memslots) {
      const start = slot.hva(Math.max(first, slot.baseGfn));
      const after = slot.hva(Math.min(end, slot.baseGfn + slot.npages));
      if (start >= after) continue;
      if (this.kvmMmuNotifierInvalidateRangeStart(start, after)) unmapped = true;
      this.host.discard(start, after);
      this.kvmMmuNotifierInvalidateRangeEnd();
    }
    return unmapped;
  }

  /** Nothing may map the memory when it returns. Host virtual addresses in bytes. Returns whether anything did. */
  kvmMmuNotifierInvalidateRangeStart(start: number, end: number): boolean {
    this.writeLockMmu();
    const unmapped = this.kvmUnmapHvaRange(start, end);
    if (unmapped) this.kvmFlushRemoteTlbs();
    return unmapped;
  }

  /** A fault that looked for the page meanwhile is not to map what it found, so the lock is taken again. */
  kvmMmuNotifierInvalidateRangeEnd(): void {
    this.writeLockMmu();
  }

  /** Empties the entries that map the memory, in whatever slots it is. Returns whether there were any. */
  kvmUnmapHvaRange(start: number, end: number): boolean {
    let unmapped = false;
    for (const slot of this.memslots) {
      const first = Math.max(0, (start - slot.userspaceAddr) / PAGE);
      const last = Math.min(slot.npages, (end - slot.userspaceAddr) / PAGE);
      if (first < last && this.kvmUnmapGfnRange(slot.baseGfn + first, last - first)) unmapped = true;
    }
    return unmapped;
  }

  /** A large page that holds one of the pages goes as a whole. MMIO SPTEs map no memory. */
  private kvmUnmapGfnRange(baseGfn: number, npages: number): boolean {
    // Most often the host takes one page, which asks for no more than a walk.
    return npages === 1 && this.tdpEnabled ? this.unmapPage(baseGfn) : this.unmapPages(baseGfn, npages);
  }

  private unmapPages(baseGfn: number, npages: number): boolean {
    let unmapped = false;
    this.forEachLeaf({ baseGfn, npages }, (table, index) => {
      this.writeSpte(table, index, this.spteFormat.nonPresent);
      unmapped = true;
    });
    return unmapped;
  }

  private unmapPage(gfn: number): boolean {
    const { spteFormat } = this;
    this.walkShadowPage(gfn);
    if (!spteFormat.isPresent(this.spteLow, this.spteHigh)) return false;
    this.writeSpte(this.spteTable, this.spteIndex, spteFormat.nonPresent);
    return true;
  }
}
