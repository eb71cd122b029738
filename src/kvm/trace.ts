/**
 * The events of KVM's tracepoints as data, and the ring buffer that holds them. `ftrace.ts` prints and reads them.
 *
 * Event and field names are the kernel's, the fields in camel case (trace.h and mmutrace.h under arch/x86/kvm, and
 * include/trace/events/kvm.h). A field that only some kernels print is optional: printing for one of those needs it, and
 * reading leaves out what the text does not show.
 */

import type { U64 } from "./u64.js";

export const KVM_ISA_VMX = 1;
export const KVM_ISA_SVM = 2;
/** For a trace that was read: the exit reason has no name, and a number does not tell whose it is. */
export const KVM_ISA_UNKNOWN = 0;
export type KvmIsa = typeof KVM_ISA_VMX | typeof KVM_ISA_SVM | typeof KVM_ISA_UNKNOWN;

/** `flags` of `kvm_emulate_insn` in 64-bit mode: CR0.PE and CS.L. */
export const KVM_EMUL_INSN_PROT64 = 0b1001;

export interface KvmEntry {
  readonly event: "kvm_entry";
  readonly vcpuId: number;
  /** v6: where the guest goes on, the event injected with the entry, and whether the entry is to end at once. */
  readonly rip?: U64;
  readonly intrInfo?: number;
  readonly errorCode?: number;
  readonly immediateExit?: boolean;
}

export interface KvmExit {
  readonly event: "kvm_exit";
  readonly exitReason: number;
  readonly isa: KvmIsa;
  readonly guestRip: U64;
  /** VMX: the exit qualification. SVM: EXITINFO1. */
  readonly info1: U64;
  /** VMX: IDT-vectoring information. SVM: EXITINFO2. */
  readonly info2: U64;
  /** v6 */
  readonly vcpuId?: number;
  readonly intrInfo?: number;
  readonly errorCode?: number;
  readonly requests?: U64;
}

export interface KvmPageFault {
  readonly event: "kvm_page_fault";
  /** With EPT the guest-physical address, in bytes. */
  readonly faultAddress: U64;
  /** With EPT the exit qualification. */
  readonly errorCode: U64;
  /** v6 */
  readonly vcpuId?: number;
  readonly guestRip?: U64;
}

export interface KvmMmio {
  readonly event: "kvm_mmio";
  readonly type: "unsatisfied-read" | "read" | "write";
  readonly len: number;
  readonly gpa: number;
  readonly val: bigint;
}

/** v6: a zero-length ioeventfd took an EPT misconfiguration. */
export interface KvmFastMmio {
  readonly event: "kvm_fast_mmio";
  readonly gpa: number;
}

export interface KvmPio {
  readonly event: "kvm_pio";
  /** 0 = IN, 1 = OUT */
  readonly rw: 0 | 1;
  readonly port: number;
  readonly size: number;
  readonly count: number;
  /** The first datum. v3.9 does not print it. */
  readonly val?: number;
}

export interface KvmEmulateInsn {
  readonly event: "kvm_emulate_insn";
  readonly csbase: number;
  readonly rip: U64;
  /** The bytes that were fetched. */
  readonly insn: readonly number[];
  /** Mode bits; `trace-cmd report` leaves them out. */
  readonly flags?: number;
  readonly failed: boolean;
}

export interface KvmUserspaceExit {
  readonly event: "kvm_userspace_exit";
  /** KVM_EXIT_*; not printed with a negative `errno`. */
  readonly reason?: number;
  /** What KVM_RUN returns: 0, or a negative error. */
  readonly errno: number;
}

export interface KvmHypercall {
  readonly event: "kvm_hypercall";
  readonly nr: U64;
  readonly a0: U64;
  readonly a1: U64;
  readonly a2: U64;
  readonly a3: U64;
}

export interface KvmInjException {
  readonly event: "kvm_inj_exception";
  readonly exception: number;
  /** Absent without an error code, which v3.9 and v4.2 print as 0. */
  readonly errorCode?: number;
  /** v6 */
  readonly reinjected?: boolean;
}

export interface KvmCr {
  readonly event: "kvm_cr";
  /** 0 = MOV from the control register, 1 = MOV to it */
  readonly rw: 0 | 1;
  readonly cr: number;
  readonly val: U64;
}

/** v6: the host takes back memory, by host virtual addresses in bytes. */
export interface KvmUnmapHvaRange {
  readonly event: "kvm_unmap_hva_range";
  readonly start: U64;
  readonly end: U64;
}

export interface VcpuMatchMmio {
  readonly event: "vcpu_match_mmio";
  readonly gva: U64;
  readonly gpa: number;
  readonly write: boolean;
  readonly gpaMatch: boolean;
}

export interface MarkMmioSpte {
  readonly event: "mark_mmio_spte";
  readonly sptep: bigint;
  readonly gfn: number;
  readonly access: number;
  /** Memslot generation; younger than v3.9. */
  readonly gen?: number;
}

export interface HandleMmioPageFault {
  readonly event: "handle_mmio_page_fault";
  readonly addr: number;
  readonly gfn: number;
  readonly access: number;
}

export interface CheckMmioSpte {
  readonly event: "check_mmio_spte";
  readonly spte: bigint;
  readonly kvmGen: number;
  readonly spteGen: number;
}

export interface FastPageFault {
  readonly event: "fast_page_fault";
  readonly vcpuId: number;
  readonly cr2OrGpa: U64;
  readonly errorCode: number;
  readonly sptep: bigint;
  readonly oldSpte: bigint;
  readonly newSpte: bigint;
  /** What the kernel prints of `ret` (v6) or of `retry` and the two SPTEs (before). */
  readonly spurious: boolean;
  readonly fixed: boolean;
}

export interface KvmMmuSetSpte {
  readonly event: "kvm_mmu_set_spte";
  readonly gfn: number;
  readonly spte: bigint;
  /** Whether it is readable, executable, for user mode; -1 where entries have no such bit. */
  readonly r: boolean;
  readonly x: boolean;
  readonly u: -1 | 0 | 1;
  readonly level: number;
  /** Host-physical address of the entry, in bytes. */
  readonly sptep: number;
}

export interface KvmTdpMmuSpteChanged {
  readonly event: "kvm_tdp_mmu_spte_changed";
  readonly asId: number;
  readonly gfn: number;
  readonly level: number;
  readonly oldSpte: bigint;
  readonly newSpte: bigint;
}

export interface KvmMmuSpteRequested {
  readonly event: "kvm_mmu_spte_requested";
  readonly gfn: number;
  readonly pfn: U64;
  readonly level: number;
}

/** A shadow page, its role taken apart. */
export interface ShadowPage {
  /** Younger than v3.9. */
  readonly mmuValidGen?: U64;
  readonly gfn: number;
  readonly level: number;
  readonly has4ByteGpte: boolean;
  readonly quadrant: number;
  readonly direct: boolean;
  /** Bit 0 execute, 1 write, 2 user. */
  readonly access: number;
  readonly invalid: boolean;
  readonly nxe: boolean;
  /** v6 */
  readonly adDisabled?: boolean;
  readonly rootCount: number;
  readonly unsync: boolean;
}

export interface KvmMmuGetPage extends ShadowPage {
  readonly event: "kvm_mmu_get_page";
  readonly created: boolean;
}

export interface KvmMmuPrepareZapPage extends ShadowPage {
  readonly event: "kvm_mmu_prepare_zap_page";
}

export interface ZapAll {
  readonly mmuValidGen: U64;
  readonly mmuUsedPages: number;
}

/** v4.2 */
export interface KvmMmuInvalidateZapAllPages extends ZapAll {
  readonly event: "kvm_mmu_invalidate_zap_all_pages";
}

/** v6 */
export interface KvmMmuZapAllFast extends ZapAll {
  readonly event: "kvm_mmu_zap_all_fast";
}

export interface KvmMmuPagetableWalk {
  readonly event: "kvm_mmu_pagetable_walk";
  readonly addr: U64;
  readonly pferr: number;
}

export interface KvmMmuPagingElement {
  readonly event: "kvm_mmu_paging_element";
  readonly pte: bigint;
  readonly level: number;
}

export interface KvmMmuWalkerError {
  readonly event: "kvm_mmu_walker_error";
  readonly pferr: number;
}

export type TraceEvent =
  | KvmEntry
  | KvmExit
  | KvmPageFault
  | KvmMmio
  | KvmFastMmio
  | KvmPio
  | KvmEmulateInsn
  | KvmUserspaceExit
  | KvmHypercall
  | KvmInjException
  | KvmCr
  | KvmUnmapHvaRange
  | VcpuMatchMmio
  | MarkMmioSpte
  | HandleMmioPageFault
  | CheckMmioSpte
  | FastPageFault
  | KvmMmuSetSpte
  | KvmTdpMmuSpteChanged
  | KvmMmuSpteRequested
  | KvmMmuGetPage
  | KvmMmuPrepareZapPage
  | KvmMmuInvalidateZapAllPages
  | KvmMmuZapAllFast
  | KvmMmuPagetableWalk
  | KvmMmuPagingElement
  | KvmMmuWalkerError;

export interface TraceRecord {
  /** 1 for the first event that was written. */
  readonly sequence: number;
  readonly vcpu: number;
  readonly event: TraceEvent;
  /** The ledger's counts at the event: times a cost vector, its time. */
  readonly counts: Float64Array;
}

/** Records events as ftrace does: into a ring, where a new event takes the place of the oldest. */
export class Trace {
  private readonly ring: TraceRecord[] = [];
  private total = 0;

  /** @throws RangeError for a capacity, in events, that is not a positive integer */
  constructor(readonly capacity = 65536) {
    if (!(Number.isSafeInteger(capacity) && capacity > 0)) {
      throw new RangeError(`capacity of a trace: ${capacity} is not a positive integer`);
    }
  }

  /** Events written since the start, and how many of them the ring still holds. */
  get written(): number {
    return this.total;
  }
  get kept(): number {
    return this.ring.length;
  }

  /** Keeps the event itself and a copy of the counts. */
  record(event: TraceEvent, vcpu: number, counts: Float64Array): void {
    const slot = this.total++ % this.capacity;
    const overwritten = this.ring[slot]?.counts;
    const copy = overwritten?.length === counts.length ? overwritten : new Float64Array(counts.length);
    copy.set(counts);
    this.ring[slot] = { sequence: this.total, vcpu, event, counts: copy };
  }

  /** The events in the ring, oldest first, until the next is recorded: it takes over the counts of the oldest. */
  *records(): Generator<TraceRecord> {
    const start = this.total > this.capacity ? this.total % this.capacity : 0;
    for (let index = 0; index < this.ring.length; index++) {
      yield this.ring[(start + index) % this.ring.length];
    }
  }
}
