/** Exit reasons and exit codes by the names that the kernel prints. */
import { KVM_ISA_SVM, KVM_ISA_VMX } from "./trace.js";
import { SVM_6_19, VMX_6_19 } from "./trace-symbols.js";

/** VMX: above the basic reason are flags. */
const BASIC_REASON = 0xffff;

/** Such as EPT_MISCONFIG or npf; the number where there is no name. @param isa KVM_ISA_VMX or KVM_ISA_SVM */
export function exitReasonName(isa: number, reason: number): string {
  const name =
    isa === KVM_ISA_VMX
      ? VMX_6_19.names.get(reason & BASIC_REASON)
      : isa === KVM_ISA_SVM
        ? SVM_6_19.names.get(reason)
        : undefined;
  return name ?? `0x${reason.toString(16)}`;
}
