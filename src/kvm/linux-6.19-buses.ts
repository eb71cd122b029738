/**
 * The I/O buses of Linux 6.19: a range goes in after those it compares equal to, so that they keep their order; a
 * registration does not wait for those who search; length 0 goes with ports ("KVM_CAP_IOEVENTFD_ANY_LENGTH", e9ea5069d9e5);
 * the ring of coalesced writes also takes ports, and fills up at 169 entries only. Devices are called through retpolines,
 * where speculation is mitigated.
 */
import { KVM_COALESCED_MMIO_MAX, type KvmCoalescedMmioZone } from "./coalesced-mmio.js";
import { type Errno, KvmError } from "./errno.js";
import { type BusIndex, KVM_MMIO_BUS, KVM_PIO_BUS, type KvmIoRange } from "./io-bus.js";
import { KVM_IOEVENTFD_FLAG_DATAMATCH } from "./ioeventfd.js";
import { Linux4_2_8 } from "./linux-4.2.8.js";
import { KVM } from "./primitives.js";

export class Linux6_19Buses extends Linux4_2_8 {
  override indirectCall(): void {
    if (this.isMitigated) this.counts[KVM.retpoline]++;
  }

  override get ioeventfdNoLengthExcludes(): number {
    return KVM_IOEVENTFD_FLAG_DATAMATCH;
  }

  override kvmIoBusInsert(ranges: readonly KvmIoRange[], range: KvmIoRange): KvmIoRange[] {
    const after = ranges.findIndex((other) => this.kvmIoBusCmp(other.addr, other.end, range) > 0);
    return ranges.toSpliced(after < 0 ? ranges.length : after, 0, range);
  }

  /** The old array is freed later, by a callback. */
  override kvmIoBusRegistered(): void {}

  override kvmIoBusAbsent(): number {
    return 0;
  }

  override coalescedMmioBus({ pio = 0 }: KvmCoalescedMmioZone): BusIndex {
    if (pio !== 0 && pio !== 1) throw new KvmError("EINVAL", `pio ${pio} is not one of 0, 1`);
    return pio === 1 ? KVM_PIO_BUS : KVM_MMIO_BUS;
  }

  override coalescedMmioHasRoom(): boolean {
    const { first, last } = this.coalescedMmioRing;
    return (last + 1) % KVM_COALESCED_MMIO_MAX !== first;
  }

  override get picFull(): Errno {
    return "ENOSPC";
  }

  /** The timer needs the interrupt controllers. @throws KvmError also ENOENT, without KVM_CREATE_IRQCHIP */
  override kvmCreatePit2(flags?: number): void {
    if (!this.irqchipInKernel && !this.pitInKernel) {
      throw new KvmError(
        "ENOENT",
        "KVM_CREATE_PIT2: there are no interrupt controllers; allowed: after KVM_CREATE_IRQCHIP",
      );
    }
    super.kvmCreatePit2(flags);
  }
}
