/**
 * What the model leaves out of this comparison and which design that favours, and what would settle what it assumes.
 */

/** Something that real machines do and the model does not. */
export interface LeftOut {
  readonly what: string;
  /** Whom leaving it out favours, and why. */
  readonly bias: string;
}

export const LEFT_OUT: readonly LeftOut[] = [
  {
    what: "the order of uncached stores: a store to a doorbell waits for the stores before it",
    bias: "none between the MMIO designs; port I/O waits as well. All figures are too low by the same",
  },
  {
    what: "the bodies of the EPT exits' handlers beside VMREADs, bus and skip are priced at nothing, that of port I/O is (fastPioOut)",
    bias: "for MMIO against port I/O, whose comparison this leaves open; none between the MMIO designs",
  },
  {
    what: "mitigations are off, and Linux 6.19 is priced as 4.2 is",
    bias: "against whatever makes the kernel's path shorter; compare within a kernel only",
  },
  {
    what: "totals: no row of this processor was fitted. Published exits rule out totals below about 1000 cycles",
    bias: "none on differences, for which alone the ranges are meant",
  },
  {
    what: "PML, which takes the place of write protection while a guest's pages are logged",
    bias: "none here, as nothing is logged; elsewhere against the RFC, for fewer violations ask its bus",
  },
  {
    what: "SMT: another thread uses the same TLBs, paging-structure caches and L1",
    bias: "for the designs with more references in their walk: first of all the RFC and bad-page",
  },
  {
    what: "eviction of the VMCS when many vCPUs take turns, after which a VMREAD is dear",
    bias: "for the violation, which reads one field more than the misconfiguration",
  },
  {
    what: "feedback: a guest that kicks faster may kick more often, or be told not to",
    bias: "for whichever is faster: cycles per kick are a bound on what an application sees",
  },
  {
    what: "what the signal's receiver does, and on which core",
    bias: "none: it is the same eventfd, and its wake-up is priced in every design",
  },
  {
    what: "speculation beyond the doorbell and the pipeline's refill after the exit, but for what is in the exit's cost",
    bias: "none known: nobody has published it by kind of exit",
  },
  {
    what:
      "what the exit fast path cannot do: with PREEMPT_RT a wait queue's lock sleeps; where the wake-up makes this CPU reschedule, or a " +
      "request is pending, the exit goes the long way; and the signal's callbacks (vhost, epoll, irqfd) run with interrupts and preemption off",
    bias: "for the fast path",
  },
  {
    what: "the length of the instruction, which is not defined for a violation: hosts on bare metal are taken to fill it in",
    bias: "for rfc, bad-page and repaired, and as much for the fast bus as it is",
  },
];

/** A measurement on silicon that would settle an assumption. */
export interface Settles {
  readonly assumption: string;
  readonly measurement: string;
}

export const SETTLES: readonly Settles[] = [
  {
    assumption:
      "what the exit of an EPT violation takes more than that of a misconfiguration (eptViolationExtra)",
    measurement:
      "on a stock kernel, one ioeventfd of length 2, once on no slot (a misconfiguration) and once on a read-only slot (a violation): the " +
      "guest's RDTSC around the store less the host's time from kvm_exit to kvm_entry. What is left is transition and walk",
  },
  {
    assumption: "whether a violation drops the cached translation (violationDrops)",
    measurement:
      "a load of the same read-only page after each kick: dtlb_load_misses.miss_causes_a_walk is one per load if the translation is " +
      "dropped, none if it stays; loads of neighbouring pages tell of the upper entries",
  },
  {
    assumption:
      "whether the walk is made again before the exit (permissionFaultWalks), and from where (faultWalkStart)",
    measurement:
      "kicks at a page that a load has mapped: page_walker_loads.dtlb_l1 to _memory and page_walker_loads.ept_dtlb_l1 to _memory per " +
      "kick (Haswell, Broadwell)",
  },
  {
    assumption: "what the handling of an exit leaves of the walk's structures (the footprint)",
    measurement:
      "the same events for a doorbell without a slot: 2 references per kick if all is left, 14 if nothing is",
  },
  {
    assumption: "what the exit fast path saves, and how often it can be taken (handleExit)",
    measurement:
      "the candidate against a stock v6.19 on one host, one ioeventfd of length 0 with a poller, with and without CPUs to spare",
  },
];
