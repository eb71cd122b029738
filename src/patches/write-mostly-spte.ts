/**
 * The reviewer's second answer to the RFC: a page of a read-only slot that the guest writes to is taken for one that is mostly
 * written, and marked as pages without a slot are. Accesses to it are misconfigurations from then on, reads too.
 * (Xiao Guangrong, KVM list, August 2015: an idea; that the first write marks the page is how it is read here.)
 */
import { KVM_PFN_ERR_RO_FAULT, KVM_PFN_NOSLOT } from "../kvm/mmu.js";
import { definePatch } from "./define-patch.js";

export const writeMostlySpte = definePatch(
  { name: "write-mostly-spte", eras: ["v4.2", "v4.2.8", "v6.19"], paging: "ept" },
  {
    kvmHandleBadPage(gfn, pfn) {
      if (pfn !== KVM_PFN_ERR_RO_FAULT) return this.original.kvmHandleBadPage(gfn, pfn);
      this.vcpuCacheMmioInfo(0, gfn);
      this.lockMmu();
      this.walkShadowPage(gfn);
      const wasMapped = this.spteFormat.isPresent(this.spteLow, this.spteHigh);
      const result = this.directMap(gfn, KVM_PFN_NOSLOT, 1, true);
      // A read may have mapped the page: what processors have cached of that does not exit.
      if (wasMapped) this.kvmFlushRemoteTlbs();
      return result;
    },
  },
);
