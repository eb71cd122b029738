/**
 * The reviewer's first answer to the RFC: the fast MMIO bus is asked where a write to a read-only slot ends anyway, after the
 * fast page fault. No other fault pays for it, and a read is one. The MMU then needs a way to have the instruction skipped,
 * which is the vendor's. (Xiao Guangrong, KVM list, August 2015.)
 */
import { KVM_FAST_MMIO_BUS } from "../kvm/io-bus.js";
import { KVM_PFN_ERR_RO_FAULT, RESUME } from "../kvm/mmu.js";
import { definePatch } from "./define-patch.js";

export const handleBadPage = definePatch(
  { name: "handle-bad-page", eras: ["v4.2", "v4.2.8", "v6.19"], paging: "ept" },
  {
    kvmHandleBadPage(gfn, pfn) {
      if (pfn !== KVM_PFN_ERR_RO_FAULT) return this.original.kvmHandleBadPage(gfn, pfn);
      // The address of the fault, which the callers have, is passed down: it is not read once more.
      const gpa = this.vcpu.vmcs.guestPhysicalAddress;
      if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) !== 0)
        return this.original.kvmHandleBadPage(gfn, pfn);
      this.kvmSkipEmulatedInstruction();
      return RESUME;
    },
  },
);
