/**
 * Coalesced MMIO: zones whose writes the kernel only notes in a ring that it shares with userspace, which reads it at its
 * next exit. Kernel counterpart: virt/kvm/coalesced_mmio.c of Linux 4.2; specified in the kernel's KVM API document,
 * KVM_REGISTER_COALESCED_MMIO.
 */
import { KERNEL_DEVICE } from "./effects.js";
import { ERRNO } from "./errno.js";
import { KvmEventfd } from "./eventfd.js";
import { type BusIndex, KVM_MMIO_BUS, type KvmIoDevice } from "./io-bus.js";
import { KVM } from "./primitives.js";
import { addU64, lowBytes, type U64, u32, u64 } from "./u64.js";

/** Entries of the ring: 24 bytes each, in the page that also holds its two indices. */
export const KVM_COALESCED_MMIO_MAX = 170;

/** Kernel counterpart: `struct kvm_coalesced_mmio_zone`. */
export interface KvmCoalescedMmioZone {
  /** Guest-physical address in bytes, or port. */
  readonly addr: U64;
  /** Bytes. */
  readonly size: number;
  /** 1: a zone of ports, where the kernel has KVM_CAP_COALESCED_PIO. */
  readonly pio?: number | undefined;
}

/** A write in the ring. Kernel counterpart: `struct kvm_coalesced_mmio`. */
export interface KvmCoalescedMmioEntry {
  physAddr: U64;
  len: number;
  data: U64;
  /** 1: `physAddr` is a port. */
  pio: number;
}

export class KvmCoalescedMmio extends KvmEventfd {
  readonly coalescedZones: CoalescedMmioDevice[] = [];
  /** `first` is the oldest entry, moved by userspace; `last` the next to be written, moved by the kernel. */
  readonly coalescedMmioRing = {
    first: 0,
    last: 0,
    entries: Array.from(
      { length: KVM_COALESCED_MMIO_MAX },
      (): KvmCoalescedMmioEntry => ({ physAddr: 0, len: 0, data: 0, pio: 0 }),
    ),
  };

  /** The ioctl KVM_REGISTER_COALESCED_MMIO. @throws KvmError ENOSPC (bus full) */
  kvmRegisterCoalescedMmio(zone: KvmCoalescedMmioZone): void {
    const bus = this.coalescedMmioBus(zone);
    const addr = u64(zone.addr, "addr");
    const size = u32(zone.size, "size");
    const device = new CoalescedMmioDevice(this, bus, addr, size);
    this.kvmIoBusRegisterDev(bus, addr, size | 0, device); // a bus has signed lengths
    this.coalescedZones.push(device);
  }

  /** The ioctl KVM_UNREGISTER_COALESCED_MMIO: removes every zone that contains this one; none is fine too. */
  kvmUnregisterCoalescedMmio(zone: KvmCoalescedMmioZone): void {
    const bus = this.coalescedMmioBus(zone);
    const addr = u64(zone.addr, "addr");
    const size = u32(zone.size, "size") | 0;
    for (const device of [...this.coalescedZones]) {
      if (device.bus !== bus || !this.coalescedMmioInRange(device, addr, size)) continue;
      this.kvmIoBusUnregisterDev(bus, device);
      this.coalescedMmioRelease(device);
    }
  }

  /** What userspace does after an exit: takes all entries out of the ring, oldest first. */
  drainCoalescedMmioRing(): KvmCoalescedMmioEntry[] {
    const ring = this.coalescedMmioRing;
    const drained: KvmCoalescedMmioEntry[] = [];
    for (; ring.first !== ring.last; ring.first = (ring.first + 1) % KVM_COALESCED_MMIO_MAX) {
      drained.push({ ...ring.entries[ring.first] });
    }
    return drained;
  }

  /** The bus that a zone is on. */
  coalescedMmioBus(_zone: KvmCoalescedMmioZone): BusIndex {
    return KVM_MMIO_BUS;
  }

  /** Whether an access, or another zone, lies within a zone. */
  coalescedMmioInRange({ addr, size }: CoalescedMmioDevice, at: U64, len: number): boolean {
    const end = addU64(at, len);
    return len >= 0 && end >= at && at >= addr && end <= addU64(addr, size);
  }

  /**
   * Whether the ring takes another entry; one stays free. The distance is computed in 32 bits and 2^32 is no multiple of
   * 170, so that 85 entries fill the ring too, unless its end came between the first and the last of them.
   */
  coalescedMmioHasRoom(): boolean {
    const { first, last } = this.coalescedMmioRing;
    return ((first - last - 1) >>> 0) % KVM_COALESCED_MMIO_MAX !== 0;
  }

  /** A write that the bus gives to a zone: 0, or -EOPNOTSUPP. */
  coalescedMmioWrite(device: CoalescedMmioDevice, addr: U64, len: number, value: U64): number {
    if (!this.coalescedMmioInRange(device, addr, len) || !this.coalescedMmioHasRoom()) {
      return -ERRNO.EOPNOTSUPP;
    }
    this.counts[KVM.coalescedMmioWrite]++;
    this.vcpu.effects?.piece(KERNEL_DEVICE, true, Number(addr), len);
    const ring = this.coalescedMmioRing;
    const entry = ring.entries[ring.last];
    entry.physAddr = addr;
    entry.len = len;
    entry.data = lowBytes(value, len);
    entry.pio = device.bus === KVM_MMIO_BUS ? 0 : 1;
    ring.last = (ring.last + 1) % KVM_COALESCED_MMIO_MAX;
    return 0;
  }

  coalescedMmioRelease(device: CoalescedMmioDevice): void {
    const index = this.coalescedZones.indexOf(device);
    if (index >= 0) this.coalescedZones.splice(index, 1);
  }
}

/** A zone on a bus. Kernel counterpart: `struct kvm_coalesced_mmio_dev`. */
export class CoalescedMmioDevice implements KvmIoDevice {
  constructor(
    private readonly kvm: KvmCoalescedMmio,
    readonly bus: BusIndex,
    readonly addr: U64,
    readonly size: number,
  ) {}

  write(addr: U64, len: number, value: U64): number {
    return this.kvm.coalescedMmioWrite(this, addr, len, value);
  }

  destructor(): void {
    this.kvm.coalescedMmioRelease(this);
  }
}
