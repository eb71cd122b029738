/**
 * The state of a virtual machine that all of KVM's files use. Kernel counterpart: `struct kvm`.
 *
 * The kernel's functions are methods of one object, the simulated kernel, and each file extends the one before it as the
 * kernel's files call each other: kvm <- io-bus <- eventfd <- coalesced-mmio <- irqchip <- memslots <- page-tables <- mmu <-
 * mmu-notifier <- guest-walk <- shadow-mmu <- emulate <- x86 <- vmx <- svm. An era, and a patch, overrides the method that
 * the real change touches. What the kernel passes as `vcpu` is `this.vcpu`.
 */
import type { CpuGeometry } from "../x86/cpu.js";
import { Ledger } from "../x86/ledger.js";
import { Mmu as Processor } from "../x86/mmu.js";
import { PhysicalMemory } from "../x86/physical-memory.js";
import { KvmError } from "./errno.js";
import { KVM, PRIMITIVES } from "./primitives.js";
import type { Paging } from "./spte.js";
import type { Trace, TraceEvent } from "./trace.js";
import { hasTracepoint, type TraceFormat } from "./trace-formats.js";
import { Vcpu } from "./vcpu.js";

/**
 * What the host itself runs on. On bare metal the processor fills in the length of the instruction with an EPT exit, though
 * its manual leaves it undefined. KVM as the host's hypervisor does too; Hyper-V does not.
 */
export const HOSTS = ["bare-metal", "kvm", "hyper-v"] as const;
export type Host = (typeof HOSTS)[number];

/**
 * The kernel's parameter `mitigations=`: nothing against speculative execution, or what it takes this processor to need. What
 * that comes to hangs on the processor and the microcode, so it is in the range of what each step costs.
 */
export const MITIGATIONS = ["off", "auto"] as const;
export type Mitigations = (typeof MITIGATIONS)[number];

/** What a virtual machine is created with: the processor, and KVM's module parameters. */
export interface VmOptions {
  readonly geometry: CpuGeometry;
  /** Number of vCPUs, 1 to 255. */
  readonly vcpus: number;
  /** EPT of VMX, nested page tables of SVM, or shadow paging (kvm_intel.ept=0). */
  readonly paging: Paging;
  /** kvm.mmio_caching, from v6.19 on: whether pages without a slot are marked with MMIO SPTEs. */
  readonly mmioCaching: boolean;
  readonly host: Host;
  /** From v6.19 on: whether MMIO SPTEs are written so that no processor with L1TF reads memory by them. */
  readonly l1tf: boolean;
  /** From v6.19 on; the other eras are older than the parameter and take no notice. */
  readonly mitigations: Mitigations;
}

export const DEFAULT_VM_OPTIONS = {
  vcpus: 1,
  paging: "ept",
  mmioCaching: true,
  host: "bare-metal",
  l1tf: false,
  mitigations: "off",
} as const satisfies Omit<VmOptions, "geometry">;

/** KVM_MAX_VCPUS of Linux 4.2. */
const MAX_VCPUS = 255;

/** The cache line of a lock or a counter: who took it last, and in which round of the vCPUs. */
export class SharedLine {
  vcpu = -1;
  round = -1;
}

export class Kvm {
  readonly ledger = new Ledger(PRIMITIVES);
  readonly counts: Float64Array = this.ledger.counts;
  readonly memory = new PhysicalMemory();
  readonly vcpus: readonly Vcpu[];
  /** The vCPU that runs, or whose exit is handled. */
  vcpu: Vcpu;
  /** Where events are recorded; null: nowhere. */
  trace: Trace | null = null;
  /** What vCPUs do while an update of memory slots or buses waits for them; null: nothing. */
  duringGracePeriod: (() => void) | null = null;
  /** Steps that all vCPUs have taken: what they do in one of them they do at the same time. */
  round = 0;

  /** The processor is AMD's: nested page tables, and a VMCB. */
  readonly isSvm: boolean;
  /** Two-dimensional paging, of either vendor. */
  readonly tdpEnabled: boolean;
  /** Something is done against speculative execution. */
  readonly isMitigated: boolean;

  /** @throws KvmError EINVAL for a number of vCPUs that KVM_CREATE_VCPU would not allow */
  constructor(readonly options: VmOptions) {
    const { vcpus } = options;
    if (!(Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= MAX_VCPUS)) {
      throw new KvmError("EINVAL", `vcpus: ${vcpus} is not allowed; allowed: 1 to ${MAX_VCPUS}`);
    }
    this.isSvm = options.paging === "npt";
    this.tdpEnabled = options.paging !== "shadow";
    this.isMitigated = options.mitigations !== "off";
    this.vcpus = Array.from(
      { length: vcpus },
      (_, id) => new Vcpu(id, new Processor(options.geometry, this.memory, this.ledger)),
    );
    this.vcpu = this.vcpus[0];
  }

  /**
   * Waits until every exit that was being handled has ended: the readers of SRCU. Exits that begin meanwhile see what was
   * published before.
   */
  synchronizeSrcuExpedited(): void {
    this.counts[KVM.synchronizeSrcu]++;
    for (const { exited } of this.vcpus) if (exited) this.counts[KVM.srcuReaderAwaited]++;
    const { vcpu } = this;
    this.duringGracePeriod?.();
    this.vcpu = vcpu;
  }

  /** Whose tracepoints these are. */
  get kernel(): TraceFormat {
    return "v3.9";
  }

  /**
   * Notes an event, if the kernel has a tracepoint for it. Callers ask first whether `trace` is on, so that one that is off
   * costs no more than that.
   */
  record(event: TraceEvent): void {
    if (hasTracepoint(this.kernel, event.event)) this.trace?.record(event, this.vcpu.id, this.counts);
  }

  /**
   * The kernel calls through a pointer what handles an exit, or what a device does: with a retpoline, where it has them. Its
   * other calls of that kind, such as the emulator's, are not counted.
   */
  indirectCall(): void {}

  /** Notes that the vCPU takes a line. Returns whether another one took it in the same step. */
  take(line: SharedLine): boolean {
    const { id } = this.vcpu;
    const contended = line.vcpu !== id && line.round === this.round;
    line.vcpu = id;
    line.round = this.round;
    return contended;
  }
}
