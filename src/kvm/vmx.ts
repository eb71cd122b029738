/**
 * The exit handlers of VMX. Kernel counterpart: arch/x86/kvm/vmx.c, here as it was before the fast MMIO bus (Linux 3.9).
 *
 * A handler returns 1 to resume the guest, 0 to exit to userspace, or a negative error number, as in the kernel.
 */
import { EPT_VIOLATION_FINAL_GPA, EPT_VIOLATION_GLA_VALID } from "../x86/ept.js";
import {
  EXIT_REASON_CPUID,
  EXIT_REASON_CR_ACCESS,
  EXIT_REASON_EPT_MISCONFIG,
  EXIT_REASON_EPT_VIOLATION,
  EXIT_REASON_EXCEPTION_NMI,
  EXIT_REASON_IO_INSTRUCTION,
  EXIT_REASON_MSR_READ,
  EXIT_REASON_MSR_WRITE,
  EXIT_REASON_VMCALL,
  IDT_VECTORING_VALID,
  IO_QUALIFICATION_IN,
  IO_QUALIFICATION_STRING,
} from "../x86/vmcs.js";
import { PFERR_FETCH, PFERR_PRESENT, PFERR_WRITE, RET_MMIO_PF_EMULATE, RET_MMIO_PF_INVALID } from "./mmu.js";
import { KVM } from "./primitives.js";
import { KVM_EXIT_UNKNOWN, KVM_INTERNAL_ERROR_DELIVERY_EV } from "./vcpu.js";
import { X86 } from "./x86.js";

/** What counts an exit, by its reason. */
const EXIT_PRIMITIVES: readonly (number | undefined)[] = Object.assign([], {
  [EXIT_REASON_EPT_MISCONFIG]: KVM.exitEptMisconfig,
  [EXIT_REASON_EPT_VIOLATION]: KVM.exitEptViolation,
  [EXIT_REASON_IO_INSTRUCTION]: KVM.exitIoInstruction,
  [EXIT_REASON_EXCEPTION_NMI]: KVM.exitException,
  [EXIT_REASON_CR_ACCESS]: KVM.exitCrAccess,
  [EXIT_REASON_CPUID]: KVM.exitCpuid,
  [EXIT_REASON_MSR_READ]: KVM.exitMsrRead,
  [EXIT_REASON_MSR_WRITE]: KVM.exitMsrWrite,
  [EXIT_REASON_VMCALL]: KVM.exitVmcall,
});

export class Vmx extends X86 {
  override countExit(): void {
    const { exitReason } = this.vcpu.vmcs;
    const primitive = EXIT_PRIMITIVES[exitReason];
    if (primitive === undefined) throw notModelled(`exit reason ${exitReason}`);
    this.counts[primitive]++;
  }

  override handleExit(): number {
    const { exitReason, idtVectoringInfo } = this.vcpu.vmcs;
    if (idtVectoringInfo !== 0 && this.isVectoring() && !this.mayVector(exitReason)) {
      return this.exitForInternalError(KVM_INTERNAL_ERROR_DELIVERY_EV);
    }
    switch (exitReason) {
      case EXIT_REASON_EPT_MISCONFIG:
        return this.handleEptMisconfig();
      case EXIT_REASON_EPT_VIOLATION:
        return this.handleEptViolation();
      case EXIT_REASON_IO_INSTRUCTION:
        return this.handleIo();
      default:
        return this.handleOtherExit(exitReason);
    }
  }

  /** What devices seldom cause. */
  private handleOtherExit(exitReason: number): number {
    switch (exitReason) {
      case EXIT_REASON_EXCEPTION_NMI:
        return this.handleException();
      case EXIT_REASON_CR_ACCESS:
        return this.handleCr();
      case EXIT_REASON_CPUID:
        return this.kvmEmulateCpuid();
      case EXIT_REASON_MSR_READ:
        return this.kvmEmulateRdmsr();
      case EXIT_REASON_MSR_WRITE:
        return this.kvmEmulateWrmsr();
      default:
        return this.handleVmcall();
    }
  }

  /** Whether the exit came while an event was being delivered to the guest. */
  isVectoring(): boolean {
    return (this.vcpu.vmcs.idtVectoringInfo & IDT_VECTORING_VALID) !== 0;
  }

  /** Exit reasons that may come while an event is being delivered. */
  mayVector(exitReason: number): boolean {
    return exitReason === EXIT_REASON_EPT_VIOLATION || exitReason === EXIT_REASON_EXCEPTION_NMI;
  }

  handleVmcall(): number {
    this.skipEmulatedInstruction();
    this.kvmEmulateHypercall();
    return 1;
  }

  kvmEmulateHypercall(): void {
    this.counts[KVM.hypercall]++;
    if (this.trace !== null) this.record({ event: "kvm_hypercall", nr: 0, a0: 0, a1: 0, a2: 0, a3: 0 });
  }

  /** Looks the leaf up in the table that userspace has set. */
  kvmEmulateCpuid(): number {
    this.counts[KVM.cpuidEmulation]++;
    return this.kvmSkipEmulatedInstruction();
  }

  kvmEmulateRdmsr(): number {
    this.counts[KVM.getMsr]++;
    return this.kvmSkipEmulatedInstruction();
  }

  kvmEmulateWrmsr(): number {
    this.counts[KVM.setMsr]++;
    return this.kvmSkipEmulatedInstruction();
  }

  /** OUT moves RIP first and asks the bus then; IN and the string forms go through the emulator. */
  handleIo(): number {
    const qualification = this.exitQualification();
    if ((qualification & (IO_QUALIFICATION_IN | IO_QUALIFICATION_STRING)) !== 0) {
      return this.x86EmulateInstruction(0, 0);
    }
    this.skipEmulatedInstruction();
    return this.kvmFastPioOut(qualification >>> 16, (qualification & 7) + 1);
  }

  /** MOV to CR3, which exits without TDP only. */
  handleCr(): number {
    const cr = this.exitQualification() & 15;
    if (this.trace !== null) this.record({ event: "kvm_cr", rw: 1, cr, val: this.vcpu.guestCr3 });
    this.kvmSetCr3();
    return this.kvmSkipEmulatedInstruction();
  }

  /** A page fault of the guest, which exits without TDP only. */
  handleException(): number {
    const { vmcs } = this.vcpu;
    this.counts[KVM.vmread] += 2; // what the exception is, and its error code
    const address = this.exitQualification();
    const errorCode = vmcs.exitInterruptionErrorCode;
    this.tracePageFault(address, errorCode);
    this.letEventThrough(address);
    return this.kvmMmuPageFault(address, errorCode);
  }

  /** An event that is being delivered writes its frame: a shadowed table there is let go, for the write cannot be emulated. */
  letEventThrough(address: number): void {
    if (this.isVectoring()) this.unprotect(address);
  }

  handleEptViolation(): number {
    const qualification = this.exitQualification();
    const purpose = qualification & (EPT_VIOLATION_GLA_VALID | EPT_VIOLATION_FINAL_GPA);
    if (purpose === EPT_VIOLATION_FINAL_GPA) {
      this.vcpu.run.exitReason = KVM_EXIT_UNKNOWN;
      return 0;
    }
    return this.vmxHandleEptViolation(this.guestPhysicalAddress(), qualification);
  }

  vmxHandleEptViolation(gpa: number, qualification: number): number {
    this.tracePageFault(gpa, qualification);
    return this.kvmMmuPageFault(gpa, this.violationErrorCode(qualification));
  }

  /** The qualification as the error code of a page fault. Present here means readable. */
  violationErrorCode(qualification: number): number {
    return (
      ((qualification >>> 1) & 1) * PFERR_WRITE +
      ((qualification >>> 2) & 1) * PFERR_FETCH +
      ((qualification >>> 3) & 1) * PFERR_PRESENT
    );
  }

  /** The exit does not tell a read from a write, so neither does the handler. */
  handleEptMisconfig(): number {
    return this.handleMmioMisconfig(this.guestPhysicalAddress());
  }

  /** The common tail of the misconfiguration: emulate, fault again as a read, or retry. */
  handleMmioMisconfig(gpa: number): number {
    const result = this.handleMmioPageFaultCommon(gpa);
    if (result === RET_MMIO_PF_EMULATE) return this.x86EmulateInstruction(gpa, 0);
    if (result === RET_MMIO_PF_INVALID) return this.kvmMmuPageFault(gpa, 0);
    return 1;
  }

  /** RIP moves by what the VMCS says, whether the exit defines it or not. */
  override skipEmulatedInstruction(): number {
    this.counts[KVM.vmread]++;
    this.counts[KVM.skipEmulatedInstruction]++;
    this.advanceRip(this.vcpu.vmcs.instructionLength);
    return 1;
  }

  exitQualification(): number {
    this.counts[KVM.vmread]++;
    return this.vcpu.vmcs.exitQualification;
  }

  guestPhysicalAddress(): number {
    this.counts[KVM.vmread]++;
    return this.vcpu.vmcs.guestPhysicalAddress;
  }

  tracePageFault(faultAddress: number, errorCode: number): void {
    if (this.trace === null) return;
    const { id, rip } = this.vcpu;
    this.record({ event: "kvm_page_fault", faultAddress, errorCode, vcpuId: id, guestRip: rip });
  }
}

/** A function of its own, for text takes much of the code that engines take into the callers of a short one. */
export function notModelled(what: string): Error {
  return new Error(`${what} is not modelled`);
}
