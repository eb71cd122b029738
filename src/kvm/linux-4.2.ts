/**
 * Linux 4.2: MMIO SPTEs hold the memslot generation (since 3.11), so that a new slot need not drop all tables. An ioeventfd of
 * length 0 matches any write, and on MMIO it is also on the fast bus, which the misconfiguration handler asks before all
 * else. ("KVM: VMX: speed up wildcard MMIO EVENTFD", 68c3b4d1676d.)
 *
 * It is one object on two buses. The MMIO bus never finds it, for a write that has a length runs past its end, and whoever
 * closes the machine frees it twice.
 */
import { KVM_FAST_MMIO_BUS, KVM_PIO_BUS, type KvmBus } from "./io-bus.js";
import {
  type Ioeventfd,
  KVM_IOEVENTFD_FLAG_FAST_MMIO,
  KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY,
} from "./ioeventfd.js";
import type { Memslot } from "./memslots.js";
import { type SpteLayout, spteLayout4_2 } from "./spte.js";
import { Svm } from "./svm.js";
import type { TraceFormat } from "./trace-formats.js";

export class Linux4_2 extends Svm {
  override get kernel(): TraceFormat {
    return "v4.2";
  }

  override get ioeventfdLengths(): readonly number[] {
    return [0, 1, 2, 4, 8];
  }

  override get ioeventfdFlags(): number {
    return super.ioeventfdFlags | KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY | KVM_IOEVENTFD_FLAG_FAST_MMIO;
  }

  /** ioeventfds do not count, except on the fast bus, where nobody counts them apart. */
  override kvmIoBusDevices({ ranges, ioeventfdCount }: KvmBus): number {
    return ranges.length - ioeventfdCount;
  }

  /** What cannot be on the fast bus is on neither. */
  override registerIoeventfd(p: Ioeventfd): void {
    super.registerIoeventfd(p);
    if (!this.sharesFastBus(p)) return;
    try {
      this.kvmIoBusRegisterDev(KVM_FAST_MMIO_BUS, p.addr, 0, p);
    } catch (error) {
      super.unregisterIoeventfd(p);
      throw error;
    }
  }

  override unregisterIoeventfd(p: Ioeventfd): void {
    super.unregisterIoeventfd(p);
    if (this.sharesFastBus(p)) this.kvmIoBusUnregisterDev(KVM_FAST_MMIO_BUS, p);
  }

  /** Whether the object is on the fast bus as well: all but those of ports are taken for MMIO. */
  sharesFastBus(p: Ioeventfd): boolean {
    return p.length === 0 && p.bus !== KVM_PIO_BUS;
  }

  override spteLayout(): SpteLayout {
    return spteLayout4_2(this.options.paging, this.options.geometry);
  }

  /** Where the generation has wrapped around, an old MMIO SPTE could seem current. */
  override kvmMmuInvalidateMmioSptes(): void {
    if (this.spteFormat.truncated(this.memslotsGeneration) === 0) this.kvmMmuInvalidateZapAllPages();
  }

  /** MMIO SPTEs of before are stale by their generation. */
  override kvmArchCommitMemoryRegion(old: Memslot | undefined, slot: Memslot): void {
    this.kvmMmuSlotApplyFlags(old, slot);
  }

  override get userMemSlots(): number {
    return 509;
  }

  /** The next write to a large page replaces it, where its pages are logged. */
  override protectLeaf(table: number, index: number, _level: number, forGood: boolean): void {
    const { spteFormat, spteLow, spteHigh } = this;
    this.writeSpte(table, index, spteFormat.writeProtected(spteLow, spteHigh, forGood));
  }

  override logBegins(slot: Memslot): void {
    if (this.kvmMmuSlotRemoveWriteAccess(slot)) this.kvmFlushRemoteTlbs();
  }

  override vcpuMatchMmioGen(): boolean {
    return this.vcpu.mmioGeneration === this.memslotsGeneration && !this.memslotsUpdating;
  }

  /** By the level at which the entry was found. */
  override isLastSpte(_mappingLevel: number, low: number): boolean {
    return this.spteFormat.isLeaf(this.spteLevel, low);
  }

  override logEnds(slot: Memslot): void {
    this.kvmMmuZapCollapsibleSptes(slot);
  }

  /** Small pages that could be large ones again go, so that the next fault maps them large. */
  kvmMmuZapCollapsibleSptes(slot: Memslot): void {
    let flush = false;
    this.forEachLeaf(slot, (table, index, level, gfn) => {
      const backing = this.vmaOf(slot, gfn)?.backing;
      if (level !== 1 || backing === "4K" || !this.isDirect(table)) return;
      this.writeSpte(table, index, this.spteFormat.nonPresent);
      flush = true;
    });
    if (flush) this.kvmFlushRemoteTlbs();
  }

  override handleEptMisconfig(): number {
    const gpa = this.guestPhysicalAddress();
    if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0) {
      this.skipEmulatedInstruction();
      return 1;
    }
    return this.handleMmioMisconfig(gpa);
  }
}
