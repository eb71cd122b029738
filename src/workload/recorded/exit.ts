/**
 * What the fields of kvm_exit and kvm_page_fault tell about the guest instruction. Specified in the Intel SDM, "VMX Basic Exit
 * Reasons" and "Exit Qualification", and in the AMD manual's volume 2, "SVM Intercept Exit Codes".
 */
import { KVM_ISA_SVM, KVM_ISA_VMX, type KvmExit, type KvmPageFault } from "../../kvm/trace.js";
import { lowBytes, type U64 } from "../../kvm/u64.js";
import { FETCH, LOAD, STORE } from "./steps.js";

/** VMX: above the basic reason are flags. */
const BASIC_REASON = 0xffff;
const VMX_EXCEPTION_NMI = 0;
const VMX_VMCALL = 18;
const VMX_IO_INSTRUCTION = 30;
const VMX_EPT_VIOLATION = 48;

const SVM_PF_EXCEPTION = 0x4e;
const SVM_IOIO = 0x7b;
const SVM_VMMCALL = 0x81;
const SVM_NPF = 0x400;

/** INS or OUTS: in the exit qualification of an I/O instruction, and in EXITINFO1. */
const VMX_IO_STRING = 1 << 4;
const SVM_IO_STRING = 1 << 2;

/** Of a page-fault error code, and of the exit qualification of an EPT violation. */
const WRITE = 1 << 1;
const PFERR_FETCH = 1 << 4;
const QUALIFICATION_FETCH = 1 << 2;

/** Whether the exit's reason is `vmx` on VMX or `svm` on SVM. */
function hasReason({ exitReason, isa }: KvmExit, vmx: number, svm: number): boolean {
  return isa === KVM_ISA_VMX
    ? (exitReason & BASIC_REASON) === vmx
    : isa === KVM_ISA_SVM && exitReason === svm;
}

export function isVmcall(exit: KvmExit): boolean {
  return hasReason(exit, VMX_VMCALL, SVM_VMMCALL);
}

/** Whether the exit is one of INS or OUTS. */
export function isStringIo(exit: KvmExit): boolean {
  const bit = exit.isa === KVM_ISA_VMX ? VMX_IO_STRING : SVM_IO_STRING;
  return hasReason(exit, VMX_IO_INSTRUCTION, SVM_IOIO) && (lowByte(exit.info1) & bit) !== 0;
}

/** A violation of the EPT or of nested page tables: the fault's address is guest-physical. */
export function isNestedFault(exit: KvmExit): boolean {
  return hasReason(exit, VMX_EPT_VIOLATION, SVM_NPF);
}

/** A page fault that KVM intercepts because it shadows the guest's tables: the fault's address is linear. */
export function isShadowFault(exit: KvmExit): boolean {
  return hasReason(exit, VMX_EXCEPTION_NMI, SVM_PF_EXCEPTION);
}

/** What the access was that faulted. Only for an EPT violation the error code is an exit qualification. */
export function faultOp(exit: KvmExit, fault: KvmPageFault): number {
  const code = lowByte(fault.errorCode);
  const fetch = exit.isa === KVM_ISA_VMX && isNestedFault(exit) ? QUALIFICATION_FETCH : PFERR_FETCH;
  return (code & WRITE) !== 0 ? STORE : (code & fetch) !== 0 ? FETCH : LOAD;
}

function lowByte(value: U64): number {
  return Number(lowBytes(value, 1));
}
