/**
 * The exit handlers. Kernel counterpart: arch/x86/kvm/vmx.c, here as it was before the fast MMIO bus (Linux 3.9). Later
 * kernels override what changed, in `eras.ts`.
 *
 * A handler returns 1 to resume the guest and 0 to exit to userspace, as in the kernel.
 */
import { EPT_VIOLATION_FINAL_GPA } from "../x86/ept.js";
import { PAGE } from "../x86/mmu.js";
import {
  EXIT_REASON_EPT_MISCONFIG,
  EXIT_REASON_EPT_VIOLATION,
  EXIT_REASON_IO_INSTRUCTION,
  EXIT_REASON_VMCALL,
  IO_QUALIFICATION_IN,
} from "../x86/vmcs.js";
import { PFERR_FETCH, PFERR_PRESENT, PFERR_WRITE, RET_MMIO_PF_EMULATE, RET_MMIO_PF_INVALID } from "./mmu.js";
import { KVM } from "./primitives.js";
import { X86 } from "./x86.js";

export class Vmx extends X86 {
  handleExit(): number {
    switch (this.vmcs.exitReason) {
      case EXIT_REASON_EPT_MISCONFIG:
        this.counts[KVM.exitEptMisconfig]++;
        return this.handleEptMisconfig();
      case EXIT_REASON_EPT_VIOLATION:
        this.counts[KVM.exitEptViolation]++;
        return this.handleEptViolation();
      case EXIT_REASON_IO_INSTRUCTION:
        this.counts[KVM.exitIoInstruction]++;
        return this.handleIo();
      case EXIT_REASON_VMCALL:
        this.counts[KVM.exitVmcall]++;
        return this.handleVmcall();
      default:
        throw new Error(`exit reason ${this.vmcs.exitReason} is not modelled`);
    }
  }

  handleVmcall(): number {
    this.skipEmulatedInstruction();
    this.counts[KVM.hypercall]++;
    return 1;
  }

  /** OUT moves RIP first and asks the bus then; IN goes through the emulator. */
  handleIo(): number {
    const qualification = this.exitQualification();
    if ((qualification & IO_QUALIFICATION_IN) !== 0) return this.emulateInstruction();
    this.skipEmulatedInstruction();
    return this.kvmFastPioOut(qualification >>> 16, (qualification & 7) + 1, this.instruction.value);
  }

  handleEptViolation(): number {
    const qualification = this.exitQualification();
    const gpa = this.guestPhysicalAddress();
    const errorCode =
      ((qualification >>> 1) & 1) * PFERR_WRITE +
      ((qualification >>> 2) & 1) * PFERR_FETCH +
      ((qualification >>> 3) & 1) * PFERR_PRESENT;
    if (
      (qualification & EPT_VIOLATION_FINAL_GPA) === 0 &&
      this.memslots.find(Math.floor(gpa / PAGE)) === undefined
    ) {
      throw new Error(`a paging structure of the guest lies outside its memory, at 0x${gpa.toString(16)}`);
    }
    return this.kvmMmuPageFault(gpa, errorCode);
  }

  /** The exit does not tell a read from a write, so neither does the handler. */
  handleEptMisconfig(): number {
    return this.handleMmioMisconfig(this.guestPhysicalAddress());
  }

  /** The common tail of the misconfiguration: emulate, fault again, or retry. */
  protected handleMmioMisconfig(gpa: number): number {
    const result = this.handleMmioPageFaultCommon(gpa);
    if (result === RET_MMIO_PF_EMULATE) return this.emulateInstruction();
    if (result === RET_MMIO_PF_INVALID) return this.kvmMmuPageFault(gpa, 0);
    return 1;
  }

  protected kvmMmuPageFault(gpa: number, errorCode: number): number {
    return this.tdpPageFault(gpa, errorCode) === 0 ? 1 : this.emulateInstruction();
  }

  protected exitQualification(): number {
    this.counts[KVM.vmread]++;
    return this.vmcs.exitQualification;
  }

  protected guestPhysicalAddress(): number {
    this.counts[KVM.vmread]++;
    return this.vmcs.guestPhysicalAddress;
  }
}
