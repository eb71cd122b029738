/**
 * Our own candidate: the misconfiguration's write to the fast MMIO bus, in the exit fast path, before interrupts and preemption
 * are enabled again. Nothing is read-only, and no memory slot is needed.
 *
 * It is legal where nothing in it sleeps or leaves for userspace: only ioeventfds are on this bus, and a signal takes the lock
 * of a wait queue with interrupts off, which is how it is called from interrupts, too. (Not with PREEMPT_RT, where that
 * lock sleeps: such a kernel would leave the exit to the handler.) SRCU, which is not held in the guest, is taken for the look at the bus,
 * so its cost stays. A guest's guest, an event that is being delivered, a guest that steps, and a host where the instruction has to be
 * decoded, which reads guest memory, are left to the handler; so would an enclave be, which is not modelled; and an address that is not on
 * the bus, which then is asked twice. What waits for the signal is called with interrupts and preemption off. Whether the guest may be
 * entered at once is looked at after it: a wake-up that makes this CPU reschedule, or a request, takes the long way, which the model
 * does not see.
 */
import { KVM_FAST_MMIO_BUS } from "../kvm/io-bus.js";
import { EXIT_FASTPATH_REENTER_GUEST } from "../kvm/x86.js";
import { EXIT_REASON_EPT_MISCONFIG } from "../x86/vmcs.js";
import { definePatch } from "./define-patch.js";

export const exitFastpath = definePatch(
  { name: "exit-fastpath", eras: ["v6.19"], paging: "ept" },
  {
    exitHandlersFastpath() {
      const { vmcs, guestMode, trapFlag } = this.vcpu;
      if (
        vmcs.exitReason !== EXIT_REASON_EPT_MISCONFIG ||
        guestMode ||
        trapFlag ||
        this.isVectoring() ||
        this.options.host !== "bare-metal"
      ) {
        return this.original.exitHandlersFastpath();
      }
      const gpa = this.guestPhysicalAddress();
      if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) !== 0) return this.original.exitHandlersFastpath();
      if (this.trace !== null) this.record({ event: "kvm_fast_mmio", gpa });
      this.kvmSkipEmulatedInstruction();
      return EXIT_FASTPATH_REENTER_GUEST;
    },
  },
);
