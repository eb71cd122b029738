/**
 * The RFC as maintainers would ask for it today: the fast MMIO bus is asked for a write to a read-only slot, by the guest
 * itself and not by its own guest, at the address that it meant and not at a table on the way there, and not while an event
 * is being delivered, whose instruction is none that could be skipped. The length of an instruction is as little defined for a
 * violation as for a misconfiguration, so it is decoded on the same hosts; and a guest that steps has its exception.
 */
import { KVM_FAST_MMIO_BUS } from "../kvm/io-bus.js";
import { EPT_VIOLATION_FINAL_GPA, EPT_VIOLATION_GLA_VALID, EPT_WRITE } from "../x86/ept.js";
import { PAGE } from "../x86/mmu.js";
import { EXIT_REASON_EPT_VIOLATION } from "../x86/vmcs.js";
import { definePatch } from "./define-patch.js";

export const rfcRepaired = definePatch(
  { name: "rfc-repaired", eras: ["v6.19"], paging: "ept" },
  {
    vmxHandleEptViolation(gpa, qualification) {
      const wanted = EPT_WRITE | EPT_VIOLATION_GLA_VALID | EPT_VIOLATION_FINAL_GPA;
      if (
        (qualification & wanted) === wanted &&
        !this.vcpu.guestMode &&
        !this.isVectoring() &&
        this.gfnToMemslot(Math.floor(gpa / PAGE))?.readonly === true &&
        this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0
      ) {
        if (this.trace !== null) this.record({ event: "kvm_fast_mmio", gpa });
        return this.kvmSkipEmulatedInstruction();
      }
      return this.original.vmxHandleEptViolation(gpa, qualification);
    },

    skipEmulatedInstruction() {
      const isViolation = this.vcpu.vmcs.exitReason === EXIT_REASON_EPT_VIOLATION;
      if (isViolation && this.options.host !== "bare-metal") return this.skipByDecoding();
      return this.original.skipEmulatedInstruction();
    },
  },
);
