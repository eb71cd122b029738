/**
 * The fast MMIO bus of SVM, as it came after Linux 6.19: a nested page fault from reserved bits asks it, where the next RIP
 * is known. Like EPT's misconfiguration it does not ask whether the access is a write, though this exit could tell.
 * ("KVM: SVM: Add support for expedited writes to the fast MMIO bus", 01cde4eaaeca.)
 */
import { KVM_FAST_MMIO_BUS } from "../kvm/io-bus.js";
import { PFERR_RSVD } from "../kvm/mmu.js";
import { definePatch } from "./define-patch.js";

export const svmFastMmio = definePatch(
  { name: "svm-fast-mmio", eras: ["v6.19"], paging: "npt" },
  {
    npfInterception() {
      const { vmcb, guestMode } = this.vcpu;
      const { exitInfo1, exitInfo2: gpa, nextRip } = vmcb;
      if ((exitInfo1 & PFERR_RSVD) === 0 || guestMode) return this.original.npfInterception();
      // While an event is being delivered nothing may be emulated: the guest goes on, and the event is delivered again.
      if (this.isVectoring()) return 1;
      if (nextRip !== 0 && this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0) {
        if (this.trace !== null) this.record({ event: "kvm_fast_mmio", gpa });
        return this.kvmSkipEmulatedInstruction();
      }
      return this.original.npfInterception();
    },
  },
);
