/**
 * A virtual processor: the processor it runs on, its VMCS or VMCB, and what KVM remembers of it between exits. Kernel
 * counterpart: `struct kvm_vcpu`.
 */
import type { Mmu as Processor } from "../x86/mmu.js";
import { Vmcb } from "../x86/vmcb.js";
import { Vmcs } from "../x86/vmcs.js";
import type { Effects } from "./effects.js";
import { Instruction } from "./instruction.js";

/** Exits to userspace, by their UAPI numbers. */
export const KVM_EXIT_UNKNOWN = 0;
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_INTERNAL_ERROR = 17;

/** Why KVM gave up, after KVM_EXIT_INTERNAL_ERROR. */
export const KVM_INTERNAL_ERROR_EMULATION = 1;
export const KVM_INTERNAL_ERROR_DELIVERY_EV = 3;

/**
 * No address yet. Not 0: V8 stores a field as what its first value is, and 32 bits are too small for the next. It then gives
 * the class another layout, and does not optimize code that stores an object of the class where it knew the old one.
 */
const NO_ADDRESS = Number.NaN;

/** What userspace sees of a vCPU. Kernel counterpart: `struct kvm_run`. */
export class Run {
  exitReason = KVM_EXIT_UNKNOWN;
  /** KVM_EXIT_MMIO: guest-physical address in bytes; KVM_EXIT_IO: port. */
  addr = NO_ADDRESS;
  /** Bytes, at most 8. */
  len = 0;
  isWrite = false;
  suberror = 0;
}

/** A part of an access that no device in the kernel took. */
export interface MmioFragment {
  /** Guest-physical address and length in bytes. */
  gpa: number;
  len: number;
}

/** Kernel counterparts: `complete_emulated_mmio()`, `complete_emulated_pio()`, `complete_fast_pio_out()` and `_in()`. */
export type Completion = "nothing" | "emulated-mmio" | "emulated-pio" | "fast-pio";

export class Vcpu {
  readonly vmcs = new Vmcs();
  readonly vmcb = new Vmcb();
  /** The guest instruction under way. */
  readonly instruction = new Instruction();
  readonly run = new Run();
  /** The guest left for the kernel, which has not handled the exit yet. */
  exited = false;
  /** The instruction has ended; for the delivery of an event, the event has been delivered. */
  retired = false;
  /** CR3 of the guest, in bytes; under shadow paging, host page frame number of the table in its place. */
  guestCr3 = 0;
  shadowRoot = 0;
  /** The shadow root is gone: the vCPU gets another before it goes on. */
  mmuReload = false;
  /** RIP, and how often KVM moved it elsewhere than behind the instruction. */
  rip = NO_ADDRESS;
  wrongSkips = 0;
  /** Runs a guest of the guest (L2), whose guest-physical addresses its hypervisor maps to equal ones of its own. */
  guestMode = false;
  /** EFLAGS.TF: an instruction that KVM ends in the processor's place should end with a debug exception. */
  trapFlag = false;
  /** What the instruction under way has done; null: not noted. */
  effects: Effects | null = null;
  /** Guest-physical address of the fault that the emulation answers, or no address, or -1 (from v6.19 on). */
  faultGpa = NO_ADDRESS;
  /** RIP at the last exit to userspace for a port. */
  pioRip = NO_ADDRESS;

  /** The page that KVM last knew as MMIO: linear address in bytes (0 under TDP), guest page frame, memslot generation. */
  mmioGva = 0;
  mmioGfn = 0;
  mmioGeneration = 0;

  /** What `retryInstruction()` of the eras up to v4.2 sent back to the guest: RIP and address. */
  lastRetryRip = 0;
  lastRetryAddr = NO_ADDRESS;

  /** Parts of the access under way that userspace must complete: how many, and which is next. */
  readonly mmioFragments: readonly MmioFragment[] = [
    { gpa: NO_ADDRESS, len: 0 },
    { gpa: NO_ADDRESS, len: 0 },
  ];
  mmioNrFragments = 0;
  mmioCurFragment = 0;
  mmioNeeded = false;
  mmioReadCompleted = false;
  /** What KVM does when userspace comes back. */
  completeUserspaceIo: Completion = "nothing";

  constructor(
    readonly id: number,
    readonly cpu: Processor,
  ) {}
}
