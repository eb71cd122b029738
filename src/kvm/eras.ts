/**
 * The kernels, each a small difference over the one before.
 */
import type { CpuGeometry } from "../x86/cpu.js";
import { KVM_FAST_MMIO_BUS } from "./io-bus.js";
import { Vmx } from "./vmx.js";

/**
 * Linux 4.2: an ioeventfd of length 0 matches any write, and on MMIO it is also on the fast bus, which the
 * misconfiguration handler asks before all else. ("KVM: VMX: speed up wildcard MMIO EVENTFD", 68c3b4d1676d.)
 */
class Linux4_2 extends Vmx {
  override get ioeventfdLengths(): readonly number[] {
    return [0, 1, 2, 4, 8];
  }

  override get busLimitCountsIoeventfds(): boolean {
    return false;
  }

  override handleEptMisconfig(): number {
    const gpa = this.guestPhysicalAddress();
    if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0, 0) === 0) {
      this.skipEmulatedInstruction();
      return 1;
    }
    return this.handleMmioMisconfig(gpa);
  }
}

/**
 * "v3.9" stands for the kernel of the pci-testdev rows of 2013, before the fast MMIO bus. It has the MMIO SPTEs of v4.2;
 * their generation is younger than that kernel, and shows only when a slot is added while the guest runs.
 */
const ERAS = { "v3.9": Vmx, "v4.2": Linux4_2 } as const;

export type KernelVersion = keyof typeof ERAS;
export const KERNEL_VERSIONS = Object.keys(ERAS) as readonly KernelVersion[];

/** A virtual machine with one vCPU and no memory on this kernel and processor. */
export function createVm(kernel: KernelVersion, geometry: CpuGeometry): Vmx {
  return new ERAS[kernel](geometry);
}
