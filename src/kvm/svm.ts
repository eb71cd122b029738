/**
 * The exit handlers of SVM with nested paging. One exit, #NPF, stands for both of EPT's: reserved bits are in its error
 * code, and so is the kind of access. The fast MMIO bus is not asked. Kernel counterpart: arch/x86/kvm/svm.c of Linux 4.2.
 */
import {
  EXITINTINFO_VALID,
  IOIO_IN,
  IOIO_STR,
  IOIO_SZ8,
  IOIO_SZ16,
  IOIO_SZ32,
  MSR_WRITE,
  VMEXIT_CPUID,
  VMEXIT_IOIO,
  VMEXIT_MSR,
  VMEXIT_NPF,
  VMEXIT_VMMCALL,
} from "../x86/vmcb.js";
import { KVM } from "./primitives.js";
import { notModelled, Vmx } from "./vmx.js";

/** What counts an exit, by its code; a WRMSR has the code of a RDMSR. */
const EXIT_PRIMITIVES: readonly (number | undefined)[] = Object.assign([], {
  [VMEXIT_NPF]: KVM.exitNpf,
  [VMEXIT_IOIO]: KVM.exitIoInstruction,
  [VMEXIT_CPUID]: KVM.exitCpuid,
  [VMEXIT_MSR]: KVM.exitMsrRead,
  [VMEXIT_VMMCALL]: KVM.exitVmcall,
});

export class Svm extends Vmx {
  override countExit(): void {
    if (this.isSvm) this.countSvmExit();
    else super.countExit();
  }

  private countSvmExit(): void {
    const { exitCode, exitInfo1 } = this.vcpu.vmcb;
    const isWrite = exitInfo1 === MSR_WRITE;
    const primitive = exitCode === VMEXIT_MSR && isWrite ? KVM.exitMsrWrite : EXIT_PRIMITIVES[exitCode];
    if (primitive === undefined) throw notModelled(`exit code 0x${exitCode.toString(16)}`);
    this.counts[primitive]++;
  }

  override handleExit(): number {
    return this.isSvm ? this.svmHandleExit() : super.handleExit();
  }

  private svmHandleExit(): number {
    switch (this.vcpu.vmcb.exitCode) {
      case VMEXIT_NPF:
        return this.npfInterception();
      case VMEXIT_IOIO:
        return this.ioInterception();
      case VMEXIT_CPUID:
        return this.kvmEmulateCpuid();
      case VMEXIT_MSR:
        return this.msrInterception();
      default:
        return this.handleVmcall();
    }
  }

  override isVectoring(): boolean {
    return this.isSvm ? (this.vcpu.vmcb.exitIntInfo & EXITINTINFO_VALID) !== 0 : super.isVectoring();
  }

  npfInterception(): number {
    const { exitInfo1, exitInfo2 } = this.vcpu.vmcb;
    const errorCode = this.npfErrorCode(exitInfo1);
    this.tracePageFault(exitInfo2, errorCode);
    return this.kvmMmuPageFault(exitInfo2, errorCode);
  }

  /** EXITINFO1 as the error code of a page fault: 32 bits of it. */
  npfErrorCode(exitInfo1: number): number {
    return exitInfo1 % 2 ** 32;
  }

  ioInterception(): number {
    const { exitInfo1 } = this.vcpu.vmcb;
    if ((exitInfo1 & (IOIO_IN | IOIO_STR)) !== 0) return this.x86EmulateInstruction(0, 0);
    this.skipEmulatedInstruction();
    return this.kvmFastPioOut(exitInfo1 >>> 16, ioioSize(exitInfo1));
  }

  msrInterception(): number {
    return this.vcpu.vmcb.exitInfo1 === MSR_WRITE ? this.kvmEmulateWrmsr() : this.kvmEmulateRdmsr();
  }

  /** By the next RIP that the processor saves, or by decoding where it saves none. */
  override skipEmulatedInstruction(): number {
    return this.isSvm ? this.svmSkipEmulatedInstruction() : super.skipEmulatedInstruction();
  }

  private svmSkipEmulatedInstruction(): number {
    const { vmcb, rip } = this.vcpu;
    if (vmcb.nextRip === 0) return this.skipByDecoding();
    this.counts[KVM.skipEmulatedInstruction]++;
    this.advanceRip(vmcb.nextRip - rip);
    return 1;
  }

  /** Decode assists: the processor has saved the bytes of an instruction that caused a nested page fault. */
  override fetchInstruction(): void {
    if (this.isSvm && this.vcpu.vmcb.instructionBytes !== 0) return;
    super.fetchInstruction();
  }
}

/** Size of the operand in EXITINFO1 of an I/O intercept, in bytes. */
export function ioioSize(exitInfo1: number): number {
  return (exitInfo1 & (IOIO_SZ8 | IOIO_SZ16 | IOIO_SZ32)) / IOIO_SZ8;
}
