/**
 * Linux 6.19: the emulator, the exit handlers of VMX and SVM. Kernel counterparts: arch/x86/kvm/x86.c, vmx/vmx.c and
 * svm/svm.c.
 */
import { EPT_VIOLATION_FINAL_GPA, EPT_VIOLATION_GLA_VALID } from "../x86/ept.js";
import { PAGE } from "../x86/mmu.js";
import { IOIO_IN, IOIO_STR, VMEXIT_MSR, VMEXIT_NPF } from "../x86/vmcb.js";
import {
  EXIT_REASON_EPT_MISCONFIG,
  EXIT_REASON_MSR_WRITE,
  IO_QUALIFICATION_IN,
  IO_QUALIFICATION_STRING,
} from "../x86/vmcs.js";
import { KVM_FAST_MMIO_BUS } from "./io-bus.js";
import { Linux6_19Mmu } from "./linux-6.19-mmu.js";
import {
  EMULTYPE_NO_DECODE,
  EMULTYPE_PF,
  EMULTYPE_RETRY,
  EMULTYPE_SKIP,
  PFERR_FETCH,
  PFERR_PRESENT,
  PFERR_RSVD,
  PFERR_USER,
  PFERR_WRITE,
} from "./mmu.js";
import { KVM } from "./primitives.js";
import { ioioSize } from "./svm.js";
import type { TraceFormat } from "./trace-formats.js";
import { KVM_INTERNAL_ERROR_DELIVERY_EV } from "./vcpu.js";

/** Bits of the error code that say what a guest-physical address was for. */
const PFERR_GUEST_FINAL = 2 ** 32;
const PFERR_GUEST_PAGE = 2 ** 33;

/** The port that some firmware resets the machine with; RIP moves before userspace does it. */
const RESET_PORT = 0x7e;

export class Linux6_19 extends Linux6_19Mmu {
  override get kernel(): TraceFormat {
    return "v6.19";
  }

  // The emulator.

  /** An event that was being delivered cannot be, where the access is to be emulated. */
  override x86EmulateInstruction(cr2: number, emulationType: number): number {
    const starts = (emulationType & (EMULTYPE_NO_DECODE | EMULTYPE_SKIP)) === 0;
    if (starts && this.isVectoring()) return this.exitForInternalError(KVM_INTERNAL_ERROR_DELIVERY_EV);
    if (starts) this.vcpu.faultGpa = (emulationType & EMULTYPE_PF) !== 0 && this.tdpEnabled ? cr2 : -1;
    return super.x86EmulateInstruction(cr2, emulationType);
  }

  /** Only where a page was protected, and the last try was not the same. */
  override retryInstruction(cr2: number, emulationType: number): boolean {
    const { vcpu } = this;
    const { form, rip } = vcpu.instruction;
    if ((emulationType & EMULTYPE_RETRY) === 0 || form.pageTable || vcpu.guestMode) return false;
    if (rip === vcpu.lastRetryRip && cr2 === vcpu.lastRetryAddr) return false;
    if (!this.unprotect(cr2)) return false;
    vcpu.lastRetryRip = rip;
    vcpu.lastRetryAddr = cr2;
    return true;
  }

  /** The kernel looks for an event only once the page is known to be protected. */
  override letEventThrough(): void {}

  override kvmMmuWriteProtectFault(address: number): number {
    if (this.isVectoring() && this.unprotect(address)) return 1;
    return super.kvmMmuWriteProtectFault(address);
  }

  override tracedValue(value: number, bytes: number): number {
    return value % 2 ** (8 * Math.min(bytes, 8));
  }

  /** The operand is what faulted, unless it is repeated or the fault was in its other page. */
  override operandGpa(page: number, offset: number, write: boolean): number {
    const { faultGpa, instruction } = this.vcpu;
    const { form } = instruction;
    if (faultGpa >= 0 && !form.repeated && faultGpa % PAGE === offset) return faultGpa;
    return super.operandGpa(page, offset, write);
  }

  /** IN and OUT without the emulator. RIP moves once the access is done, in userspace too. */
  kvmFastPio(isIn: boolean, port: number, size: number): number {
    this.counts[isIn ? KVM.fastPioIn : KVM.fastPioOut]++;
    if (this.accessPort(isIn) === 0) return this.kvmSkipEmulatedInstruction();
    if (!isIn && port === RESET_PORT) {
      this.kvmSkipEmulatedInstruction();
      return this.exitForPort(port, size, "nothing");
    }
    return this.exitForPort(port, size, "fast-pio");
  }

  /** Every port exits. */
  override ioBitmapPasses(): boolean {
    return false;
  }

  /** Ends the instruction as the processor would have: with a debug exception where the guest steps. */
  override kvmSkipEmulatedInstruction(): number {
    const result = this.skipEmulatedInstruction();
    if (result !== 0 && this.vcpu.trapFlag) this.injectDebugException();
    return result;
  }

  // Exits.

  override countExit(): void {
    super.countExit();
    if (this.isMitigated) this.counts[KVM.exitMitigation]++;
  }

  /** Handlers are called through a table, but those of the commonest exits directly. */
  override handleExit(): number {
    const reason = this.exitReasonOf(this.vcpu);
    const isDirect = this.isSvm
      ? reason === VMEXIT_NPF || reason === VMEXIT_MSR
      : reason === EXIT_REASON_EPT_MISCONFIG || reason === EXIT_REASON_MSR_WRITE;
    if (!isDirect) this.indirectCall();
    return super.handleExit();
  }

  override runUserspace(): void {
    if (this.isMitigated) this.counts[KVM.userspaceExitMitigation]++;
    super.runUserspace();
  }

  // VMX.

  override mayVector(exitReason: number): boolean {
    return exitReason === EXIT_REASON_EPT_MISCONFIG || super.mayVector(exitReason);
  }

  override handleIo(): number {
    const qualification = this.exitQualification();
    if ((qualification & IO_QUALIFICATION_STRING) !== 0) return this.x86EmulateInstruction(0, 0);
    const isIn = (qualification & IO_QUALIFICATION_IN) !== 0;
    return this.kvmFastPio(isIn, qualification >>> 16, (qualification & 7) + 1);
  }

  override handleVmcall(): number {
    this.kvmEmulateHypercall();
    return this.kvmSkipEmulatedInstruction();
  }

  /** Whatever the qualification says of what the address was for. */
  override handleEptViolation(): number {
    const qualification = this.exitQualification();
    return this.vmxHandleEptViolation(this.guestPhysicalAddress(), qualification);
  }

  /** Present here means that the entries grant anything. */
  override violationErrorCode(qualification: number): number {
    const isFinal = (qualification & EPT_VIOLATION_FINAL_GPA) !== 0;
    const purpose = isFinal ? PFERR_GUEST_FINAL : PFERR_GUEST_PAGE;
    return (
      (qualification & 1) * PFERR_USER +
      ((qualification >>> 1) & 1) * PFERR_WRITE +
      ((qualification >>> 2) & 1) * PFERR_FETCH +
      ((qualification & 0x38) !== 0 ? PFERR_PRESENT : 0) +
      ((qualification & EPT_VIOLATION_GLA_VALID) !== 0 ? purpose : 0)
    );
  }

  /** Not for a guest's guest, whose addresses are not those of the bus. */
  override handleEptMisconfig(): number {
    // While an event is being delivered nothing may be emulated: the guest goes on, and the event is delivered again.
    if (this.isVectoring()) return 1;
    const gpa = this.guestPhysicalAddress();
    if (!this.vcpu.guestMode && this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0) {
      if (this.trace !== null) this.record({ event: "kvm_fast_mmio", gpa });
      return this.kvmSkipEmulatedInstruction();
    }
    return this.kvmMmuPageFault(gpa, PFERR_RSVD);
  }

  /**
   * The length in the VMCS is not defined for a misconfiguration, and hypervisors leave it out: where the host has one, the
   * instruction is decoded. (Since d391f1207067, of January 2018.)
   */
  override skipEmulatedInstruction(): number {
    const { host } = this.options;
    const isMisconfig = this.vcpu.vmcs.exitReason === EXIT_REASON_EPT_MISCONFIG;
    if (!this.isSvm && isMisconfig && host !== "bare-metal") return this.skipByDecoding();
    return super.skipEmulatedInstruction();
  }

  // SVM.

  override npfErrorCode(exitInfo1: number): number {
    return exitInfo1;
  }

  override ioInterception(): number {
    const { exitInfo1 } = this.vcpu.vmcb;
    if ((exitInfo1 & IOIO_STR) !== 0) return this.x86EmulateInstruction(0, 0);
    const size = ioioSize(exitInfo1);
    return this.kvmFastPio((exitInfo1 & IOIO_IN) !== 0, exitInfo1 >>> 16, size);
  }
}
