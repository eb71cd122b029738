/**
 * Stand-ins for the in-kernel interrupt controllers and timer: they are on the buses where KVM has them, take what it would
 * take and do nothing. They have no registers, and never interrupt. Kernel counterparts: arch/x86/kvm/i8259.c, ioapic.c,
 * i8254.c and lapic.c.
 *
 * KVM_CREATE_IRQCHIP refuses a machine that has vCPUs already; here they exist from the start, and it does not.
 */
import { KvmCoalescedMmio } from "./coalesced-mmio.js";
import { KERNEL_DEVICE } from "./effects.js";
import { ERRNO, type Errno, KvmError } from "./errno.js";
import { type BusIndex, KVM_MMIO_BUS, KVM_PIO_BUS, type KvmIoDevice } from "./io-bus.js";
import { KVM } from "./primitives.js";
import type { U64 } from "./u64.js";

const IOAPIC_DEFAULT_BASE_ADDRESS = 0xfec0_0000;
const IOAPIC_MEM_LENGTH = 0x100;
const APIC_DEFAULT_PHYS_BASE = 0xfee0_0000;
const LAPIC_MMIO_LENGTH = 0x1000;

/** First ports of the two interrupt controllers and of their edge/level control, two each. */
const PIC_PORTS = [0x20, 0xa0, 0x4d0];
const KVM_PIT_BASE_ADDRESS = 0x40;
const KVM_SPEAKER_BASE_ADDRESS = 0x61;
const KVM_PIT_MEM_LENGTH = 4;

/** KVM_CREATE_PIT2: also answer the speaker's port. */
export const KVM_PIT_SPEAKER_DUMMY = 1;

/** Bus, first address, length there, how much of it the device answers, and the error where the bus is full. */
type Place = readonly [bus: BusIndex, addr: number, len: number, answered: number, full?: Errno];

export class KvmIrqchip extends KvmCoalescedMmio {
  /** Whether the interrupt controllers are in the kernel. */
  irqchipInKernel = false;
  pitInKernel = false;

  /** What KVM_CREATE_IRQCHIP says where the ports' bus is full. */
  get picFull(): Errno {
    return "ENOMEM";
  }

  /** The ioctl KVM_CREATE_IRQCHIP. @throws KvmError EEXIST, ENOMEM or ENOSPC (bus full) */
  kvmCreateIrqchip(): void {
    if (this.irqchipInKernel) {
      throw new KvmError("EEXIST", "KVM_CREATE_IRQCHIP: the interrupt controllers exist; allowed: once");
    }
    this.registerInKernelDevices([
      ...PIC_PORTS.map((port): Place => [KVM_PIO_BUS, port, 2, 2, this.picFull]),
      [KVM_MMIO_BUS, IOAPIC_DEFAULT_BASE_ADDRESS, IOAPIC_MEM_LENGTH, IOAPIC_MEM_LENGTH],
    ]);
    this.irqchipInKernel = true;
  }

  /** The ioctl KVM_CREATE_PIT2; it asks for no interrupt controller. @throws KvmError EEXIST, ENOMEM (bus full) */
  kvmCreatePit2(flags = KVM_PIT_SPEAKER_DUMMY): void {
    if (this.pitInKernel) {
      throw new KvmError("EEXIST", "KVM_CREATE_PIT2: the timer exists; allowed: once");
    }
    const length = KVM_PIT_MEM_LENGTH;
    const places: Place[] = [[KVM_PIO_BUS, KVM_PIT_BASE_ADDRESS, length, length, "ENOMEM"]];
    // On the bus the speaker is as wide as the timer, but it answers one port.
    if ((flags & KVM_PIT_SPEAKER_DUMMY) !== 0) {
      places.push([KVM_PIO_BUS, KVM_SPEAKER_BASE_ADDRESS, length, 1, "ENOMEM"]);
    }
    this.registerInKernelDevices(places);
    this.pitInKernel = true;
  }

  /** A device inside the kernel that takes every access within its ports. @throws KvmError ENOSPC (bus full) */
  registerPioDevice(port: number, len: number): void {
    this.registerInKernelDevices([[KVM_PIO_BUS, port, len, len]]);
  }

  /** The vCPU's local APIC, asked before the MMIO bus: 0, or -EOPNOTSUPP outside its page. */
  lapicWrite(addr: number, len: number): number {
    return this.lapicAccess(addr, len, true);
  }

  lapicRead(addr: number, len: number): number {
    return this.lapicAccess(addr, len, false);
  }

  /** Guest-physical address of the vCPU's local APIC, bytes. */
  get apicBase(): number {
    return APIC_DEFAULT_PHYS_BASE;
  }

  /** An in-kernel device takes an access that begins within its range: the bus looked for the end. */
  inKernelDeviceAccess(device: InKernelDevice, addr: U64, len: number, write: boolean): number {
    if (addr < device.addr || addr >= device.addr + device.len) return -ERRNO.EOPNOTSUPP;
    this.counts[KVM.inKernelDevice]++;
    this.vcpu.effects?.piece(KERNEL_DEVICE, write, Number(addr), len);
    return 0;
  }

  /** All of them or none. */
  private registerInKernelDevices(places: readonly Place[]): void {
    const registered: [BusIndex, InKernelDevice][] = [];
    for (const [bus, addr, len, answered, full] of places) {
      const device = new InKernelDevice(this, addr, answered);
      try {
        this.kvmIoBusRegisterDev(bus, addr, len, device);
      } catch (error) {
        for (const [other, before] of registered) this.kvmIoBusUnregisterDev(other, before);
        if (!(error instanceof KvmError) || full === undefined) throw error;
        throw new KvmError(full, error.message.replace(/^\w+: /, ""));
      }
      registered.push([bus, device]);
    }
  }

  private lapicAccess(addr: number, len: number, write: boolean): number {
    return this.irqchipInKernel ? this.apicAccess(addr, len, write) : -ERRNO.EOPNOTSUPP;
  }

  private apicAccess(addr: number, len: number, write: boolean): number {
    const { apicBase } = this;
    this.indirectCall();
    if (addr < apicBase || addr + len > apicBase + LAPIC_MMIO_LENGTH) return -ERRNO.EOPNOTSUPP;
    this.counts[KVM.inKernelDevice]++;
    this.vcpu.effects?.piece(KERNEL_DEVICE, write, addr, len);
    return 0;
  }
}

/** A device that takes accesses and has no behaviour. */
export class InKernelDevice implements KvmIoDevice {
  constructor(
    private readonly kvm: KvmIrqchip,
    readonly addr: number,
    readonly len: number,
  ) {}

  write(addr: U64, len: number): number {
    return this.kvm.inKernelDeviceAccess(this, addr, len, true);
  }

  read(addr: U64, len: number): number {
    return this.kvm.inKernelDeviceAccess(this, addr, len, false);
  }
}
