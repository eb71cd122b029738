/**
 * The patch that began the thread: every EPT violation asks the fast MMIO bus first, whatever the access was and whatever
 * lies at the address. Meant for an ioeventfd on a read-only slot. ("[PATCH RFC 1/3] vmx: allow ioeventfd for EPT
 * violations", Michael S. Tsirkin, KVM list, August 2015.)
 */
import { KVM_FAST_MMIO_BUS } from "../kvm/io-bus.js";
import { definePatch } from "./define-patch.js";

export const rfc = definePatch(
  { name: "rfc", eras: ["v4.2", "v4.2.8", "v6.19"], paging: "ept" },
  {
    vmxHandleEptViolation(gpa, qualification) {
      if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0) return this.kvmSkipEmulatedInstruction();
      return this.original.vmxHandleEptViolation(gpa, qualification);
    },
  },
);
