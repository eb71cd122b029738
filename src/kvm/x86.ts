/**
 * The loop that runs a vCPU: the guest up to its next exit, the kernel, userspace. Kernel counterpart: `vcpu_run()` of
 * arch/x86/kvm/x86.c.
 */
import { EPT_VIOLATION, NESTED_PAGE_FAULT, type Outcome, PAGE, PAGE_FAULT, TRANSLATED } from "../x86/mmu.js";
import {
  IOIO_IN,
  IOIO_STR,
  IOIO_SZ8,
  MSR_WRITE,
  VMEXIT_CPUID,
  VMEXIT_IOIO,
  VMEXIT_MSR,
  VMEXIT_NPF,
  VMEXIT_VMMCALL,
} from "../x86/vmcb.js";
import {
  CR_QUALIFICATION_MOV_RDI_TO_CR3,
  EXIT_REASON_CPUID,
  EXIT_REASON_CR_ACCESS,
  EXIT_REASON_EPT_MISCONFIG,
  EXIT_REASON_EPT_VIOLATION,
  EXIT_REASON_EXCEPTION_NMI,
  EXIT_REASON_IO_INSTRUCTION,
  EXIT_REASON_MSR_READ,
  EXIT_REASON_MSR_WRITE,
  EXIT_REASON_VMCALL,
  INTERRUPTION_PAGE_FAULT,
  IO_QUALIFICATION_IN,
  IO_QUALIFICATION_STRING,
  VECTORED_INTERRUPT,
} from "../x86/vmcs.js";
import { KvmEmulator } from "./emulate.js";
import { KvmError } from "./errno.js";
import type { ExitCounts } from "./exit-counts.js";
import type { ExitHandlerFootprint } from "./exit-footprint.js";
import { GuestStopped } from "./guest-stopped.js";
import { NO_ACCESS } from "./instruction.js";
import type { VmOptions } from "./kvm.js";
import { KVM } from "./primitives.js";
import { KVM_ISA_SVM, KVM_ISA_VMX } from "./trace.js";
import {
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_INTERNAL_ERROR_DELIVERY_EV,
  type Vcpu,
} from "./vcpu.js";

/** What the exit handler and the host leave of the guest's cached state, each including what stands before it. */
export const EXIT_EVICTS = ["nothing", "l1", "l2", "translations"] as const;
export type ExitEvicts = (typeof EXIT_EVICTS)[number];

/** What `exitHandlersFastpath()` says: the exit is for `handleExit()`, or it is handled and the guest goes on. */
export const EXIT_FASTPATH_NONE = 0;
export const EXIT_FASTPATH_REENTER_GUEST = 1;

/** The port that guests write to in order to wait. */
const DELAY_PORT = 0x80;

/** Bytes of the instruction that the processor saves with a nested page fault, from its start on. */
const FETCHED_BYTES = 15;

/** More than an instruction, or an iteration of a repeated one, needs: beyond it the guest makes no progress. */
const MAX_EXITS_PER_INSTRUCTION = 64;

/** Ports that a device model in userspace answers. */
interface DeviceModel {
  readonly port: number;
  readonly len: number;
}

export abstract class X86 extends KvmEmulator {
  /** Counts of exits by reason, with what each cost; null: not kept. */
  exitCounts: ExitCounts | null = null;
  /** What the handling of exits drives through the processor's caches; null: nothing. */
  exitFootprint: ExitHandlerFootprint | null = null;
  /** Called with each exit to userspace, before userspace answers it. */
  onUserspaceExit: ((vcpu: Vcpu) => void) | null = null;
  private readonly hostFillsLength: boolean;
  private evictionDepth = 0;
  private readonly deviceModels: DeviceModel[] = [];

  constructor(options: VmOptions) {
    super(options);
    this.hostFillsLength = options.host !== "hyper-v";
  }

  /** Counts the exit of the current vCPU by its kind. */
  abstract countExit(): void;

  /** Handles the exit of the current vCPU: 1 = resume the guest, 0 = exit to userspace, or a negative error number. */
  abstract handleExit(): number;

  set exitEvicts(evicts: ExitEvicts) {
    this.evictionDepth = EXIT_EVICTS.indexOf(evicts);
  }

  /** A device model in userspace: an exit to userspace for one of its ports also runs the model. */
  addDeviceModel(model: DeviceModel): void {
    this.deviceModels.push(model);
  }

  /** Whether the I/O bitmap lets the guest use a port without an exit: VMX's one, not with its neighbours. */
  ioBitmapPasses(port: number, size: number): boolean {
    return !this.isSvm && port === DELAY_PORT && size === 1;
  }

  /**
   * Runs the current vCPU's `instruction` to its end, through as many exits as it takes.
   *
   * @throws GuestStopped when KVM stops the vCPU, or the guest makes no progress
   */
  execute(): void {
    this.round++;
    this.begin();
    const { vcpu } = this;
    const { instruction } = vcpu;
    let { count } = instruction;
    for (let exits = 0; exits < MAX_EXITS_PER_INSTRUCTION; exits++) {
      this.enterGuest(vcpu);
      if (vcpu.retired) return;
      this.handleLastExit(vcpu);
      if (vcpu.retired) return;
      if (instruction.count === count) continue;
      count = instruction.count;
      exits = 0;
    }
    throw this.noProgress();
  }

  /**
   * Runs one instruction on each vCPU, filled in beforehand, side by side: in each round every vCPU that is not done takes
   * one step, up to its exit or through the handling of it.
   *
   * @throws as `execute()`
   */
  executeTogether(): void {
    const { vcpu: current, vcpus } = this;
    try {
      let count = 0;
      for (let id = 0; id < vcpus.length; id++) {
        this.vcpu = vcpus[id];
        this.begin();
        count += this.vcpu.instruction.count;
      }
      for (let rounds = 0, running = vcpus.length; running > 0; rounds++) {
        if (rounds > 2 * MAX_EXITS_PER_INSTRUCTION) throw this.noProgress();
        this.round++;
        running = this.stepAll();
        const before = count;
        count = 0;
        for (let id = 0; id < vcpus.length; id++) count += vcpus[id].instruction.count;
        if (count !== before) rounds = 0;
      }
    } finally {
      this.vcpu = current;
    }
  }

  /** Each vCPU that is not done takes a step. Returns how many are still not done. */
  private stepAll(): number {
    const { vcpus } = this;
    let running = 0;
    for (let id = 0; id < vcpus.length; id++) {
      const vcpu = vcpus[id];
      if (vcpu.retired) continue;
      this.vcpu = vcpu;
      if (!this.step()) running++;
    }
    return running;
  }

  /** The current vCPU is about to execute its `instruction`. */
  begin(): void {
    const { vcpu } = this;
    vcpu.retired = false;
    vcpu.exited = false;
    vcpu.rip = vcpu.instruction.rip;
    // A run that userspace broke off leaves nothing to be completed.
    vcpu.mmioNeeded = false;
    vcpu.mmioReadCompleted = false;
    vcpu.completeUserspaceIo = "nothing";
    vcpu.effects?.begin();
  }

  /** Runs the guest up to its next exit, or handles the exit. Returns whether the instruction has ended. */
  step(): boolean {
    const { vcpu } = this;
    if (vcpu.exited) this.handleLastExit(vcpu);
    else this.enterGuest(vcpu);
    return vcpu.retired;
  }

  /** Runs the guest until its instruction has ended, or to its next exit. */
  private enterGuest(vcpu: Vcpu): void {
    if (vcpu.mmuReload) this.mmuLoad(vcpu);
    const exited = this.runGuest(vcpu);
    vcpu.exited = exited;
    vcpu.retired = !exited;
    if (!exited && vcpu.effects !== null) vcpu.effects.native = true;
    if (exited && this.trace !== null) this.traceExit(vcpu);
  }

  /** Handles the exit. */
  private handleLastExit(vcpu: Vcpu): void {
    vcpu.exited = false;
    if (vcpu.mmuReload) this.mmuLoad(vcpu);
    const { exitCounts } = this;
    if (exitCounts === null) this.vcpuRun();
    else this.vcpuRunCounted(exitCounts);
    if (this.evictionDepth !== 0) this.disturb(vcpu);
    if (this.exitFootprint !== null) this.exitFootprint.touchKernel(vcpu.cpu);
    if (this.trace !== null) this.traceEntry(vcpu);
  }

  private vcpuRunCounted(exitCounts: ExitCounts): void {
    const reason = this.exitReasonOf(this.vcpu);
    exitCounts.begin(this.counts);
    try {
      this.vcpuRun();
    } catch (error) {
      exitCounts.abandon();
      throw error;
    }
    exitCounts.end(reason, this.counts);
  }

  /** Handles the exit, in userspace too, until the guest can go on. */
  private vcpuRun(): void {
    const { vcpu } = this;
    this.countExit();
    if (this.exitHandlersFastpath() === EXIT_FASTPATH_REENTER_GUEST) {
      this.counts[KVM.exitFastpath]++;
      return;
    }
    const result = this.handleExit();
    if (result <= 0) this.exitToUserspace(vcpu, result);
  }

  /** Userspace answers what `handleExit()` left to it, as often as it is asked to. */
  private exitToUserspace(vcpu: Vcpu, handled: number): void {
    let result = handled;
    while (result === 0) {
      this.runUserspace();
      if (this.exitFootprint !== null) this.exitFootprint.touchUserspace(vcpu.cpu);
      this.vcpu = vcpu;
      result = this.completeUserspaceIo();
    }
    if (result < 0)
      throw new KvmError("EFAULT", `KVM_RUN: no host memory behind a page of a slot (${result})`);
  }

  /**
   * What can be done about an exit before interrupts and preemption are enabled again: nothing, here. The kernel has had it
   * since 5.5 for exits that are not modelled. Kernel counterpart: `vmx_exit_handlers_fastpath()`.
   */
  exitHandlersFastpath(): number {
    return EXIT_FASTPATH_NONE;
  }

  // Exits to userspace.

  runUserspace(): void {
    const { vcpu } = this;
    const { exitReason, addr, suberror } = vcpu.run;
    if (this.trace !== null) this.record({ event: "kvm_userspace_exit", reason: exitReason, errno: 0 });
    this.onUserspaceExit?.(vcpu);
    switch (exitReason) {
      case KVM_EXIT_MMIO:
        this.counts[KVM.userspaceExitMmio]++;
        return;
      case KVM_EXIT_IO:
        this.counts[KVM.userspaceExitIo]++;
        if (this.deviceModels.some(({ port, len }) => addr >= port && addr < port + len)) {
          this.counts[KVM.userspaceDeviceModel]++;
        }
        return;
      default:
        throw new GuestStopped(`KVM stops vCPU ${vcpu.id}: ${stopReason(exitReason, suberror)}`);
    }
  }

  // The guest.

  /** Lets the guest run until the instruction is done (false) or exits (true, with the VMCS or VMCB filled in). */
  private runGuest(vcpu: Vcpu): boolean {
    const { form, page, offset, size } = vcpu.instruction;
    const { access } = form;
    if (access === NO_ACCESS) return this.runWithoutAccess(vcpu);
    if (form.repeated || (offset + size > PAGE && form.operation === "memory"))
      return this.runLongAccess(vcpu);
    const outcome = vcpu.cpu.access(page, offset, access);
    return outcome !== TRANSLATED && this.exitFromAccess(vcpu, page, offset, outcome);
  }

  /** An instruction without an operand in memory. */
  private runWithoutAccess(vcpu: Vcpu): boolean {
    const { operation } = vcpu.instruction.form;
    if (operation === "out" || operation === "in") return this.runPortAccess(vcpu);
    return this.runOther(vcpu);
  }

  private runOther(vcpu: Vcpu): boolean {
    switch (vcpu.instruction.form.operation) {
      case "vmcall":
        this.exitFromInstruction(vcpu, EXIT_REASON_VMCALL, 0, VMEXIT_VMMCALL, 0);
        return true;
      case "cpuid":
        this.exitFromInstruction(vcpu, EXIT_REASON_CPUID, 0, VMEXIT_CPUID, 0);
        return true;
      case "rdmsr":
        this.exitFromInstruction(vcpu, EXIT_REASON_MSR_READ, 0, VMEXIT_MSR, 0);
        return true;
      case "wrmsr":
        this.exitFromInstruction(vcpu, EXIT_REASON_MSR_WRITE, 0, VMEXIT_MSR, MSR_WRITE);
        return true;
      default:
        return this.runMovToCr3(vcpu);
    }
  }

  /** An access that crosses into the next page, or a repeated one. */
  private runLongAccess(vcpu: Vcpu): boolean {
    const { instruction, cpu } = vcpu;
    const { form, size } = instruction;
    const { access } = form;
    // Without iterations left a repeated instruction does nothing.
    while (!form.repeated || instruction.count > 0) {
      const { page, offset } = instruction;
      let outcome = cpu.access(page, offset, access);
      if (outcome !== TRANSLATED) return this.exitFromAccess(vcpu, page, offset, outcome);
      if (offset + size > PAGE) {
        outcome = cpu.access(page + 1, 0, access);
        if (outcome !== TRANSLATED) return this.exitFromAccess(vcpu, page + 1, 0, outcome);
      }
      if (!form.repeated) return false;
      if (vcpu.effects !== null) vcpu.effects.native = true;
      this.nextIteration(vcpu);
    }
    return false;
  }

  /** The processor drops what it may have cached by the root. Without TDP the root is KVM's, and the instruction exits. */
  private runMovToCr3(vcpu: Vcpu): boolean {
    if (!this.tdpEnabled) {
      this.exitOfVmx(vcpu, EXIT_REASON_CR_ACCESS, CR_QUALIFICATION_MOV_RDI_TO_CR3);
      return true;
    }
    vcpu.cpu.writeCr3(vcpu.guestCr3);
    return false;
  }

  private runPortAccess(vcpu: Vcpu): boolean {
    const { form, port, size } = vcpu.instruction;
    if (this.ioBitmapPasses(port, size)) return false;
    const isIn = form.operation === "in";
    if (this.isSvm) {
      const info = (isIn ? IOIO_IN : 0) + (form.string ? IOIO_STR : 0) + size * IOIO_SZ8 + port * 0x1_0000;
      this.exitOfSvm(vcpu, VMEXIT_IOIO, info);
      return true;
    }
    const direction = isIn ? IO_QUALIFICATION_IN : 0;
    const string = form.string ? IO_QUALIFICATION_STRING : 0;
    this.exitOfVmx(vcpu, EXIT_REASON_IO_INSTRUCTION, size - 1 + direction + string + port * 0x1_0000);
    return true;
  }

  /** An exit that the instruction itself causes. */
  private exitFromInstruction(
    vcpu: Vcpu,
    exitReason: number,
    qualification: number,
    exitCode: number,
    exitInfo1: number,
  ): void {
    if (this.isSvm) this.exitOfSvm(vcpu, exitCode, exitInfo1);
    else this.exitOfVmx(vcpu, exitReason, qualification);
  }

  private exitOfSvm({ vmcb, instruction, rip }: Vcpu, exitCode: number, exitInfo1: number): void {
    const { length } = instruction.form.encoding;
    vmcb.exitCode = exitCode;
    vmcb.exitInfo1 = exitInfo1;
    vmcb.exitInfo2 = rip + length;
    vmcb.nextRip = rip + length;
    vmcb.exitIntInfo = 0;
    vmcb.instructionBytes = 0;
  }

  private exitOfVmx({ vmcs, instruction }: Vcpu, exitReason: number, qualification: number): void {
    vmcs.exitReason = exitReason;
    vmcs.exitQualification = qualification;
    vmcs.instructionLength = instruction.form.encoding.length;
    vmcs.idtVectoringInfo = 0;
  }

  /** An exit that an access to memory causes. */
  private exitFromAccess(vcpu: Vcpu, page: number, offset: number, outcome: Outcome): boolean {
    if (outcome === NESTED_PAGE_FAULT) this.exitOfNpt(vcpu);
    else if (outcome === PAGE_FAULT) this.exitOfPageFault(vcpu, page * PAGE + offset);
    else this.exitOfEpt(vcpu, outcome === EPT_VIOLATION);
    return true;
  }

  private exitOfEpt({ cpu, vmcs, instruction }: Vcpu, isViolation: boolean): void {
    const { operation, encoding } = instruction.form;
    vmcs.guestPhysicalAddress = cpu.guestPhysicalAddress;
    vmcs.exitReason = isViolation ? EXIT_REASON_EPT_VIOLATION : EXIT_REASON_EPT_MISCONFIG;
    vmcs.exitQualification = isViolation ? cpu.exitQualification : 0;
    if (this.hostFillsLength) vmcs.instructionLength = encoding.length;
    vmcs.idtVectoringInfo = operation === "event" ? VECTORED_INTERRUPT : 0;
  }

  private exitOfNpt({ cpu, vmcb, instruction, rip }: Vcpu): void {
    const { operation, encoding } = instruction.form;
    vmcb.exitCode = VMEXIT_NPF;
    vmcb.exitInfo1 = cpu.exitInfo1;
    vmcb.exitInfo2 = cpu.guestPhysicalAddress;
    // The manual has it saved for intercepted instructions only; in practice it is there for a data access too.
    // ("KVM: SVM: Add support for expedited writes to the fast MMIO bus", 01cde4eaaeca.)
    vmcb.nextRip = rip + encoding.length;
    vmcb.exitIntInfo = operation === "event" ? VECTORED_INTERRUPT : 0;
    vmcb.instructionBytes = operation === "fetch" ? 0 : FETCHED_BYTES;
  }

  private exitOfPageFault({ cpu, vmcs, instruction }: Vcpu, address: number): void {
    const { operation, encoding } = instruction.form;
    if (this.tdpEnabled) this.injectPageFault(address, cpu.errorCode);
    vmcs.exitReason = EXIT_REASON_EXCEPTION_NMI;
    vmcs.exitQualification = address;
    vmcs.exitInterruptionInfo = INTERRUPTION_PAGE_FAULT;
    vmcs.exitInterruptionErrorCode = cpu.errorCode;
    if (this.hostFillsLength) vmcs.instructionLength = encoding.length;
    vmcs.idtVectoringInfo = operation === "event" ? VECTORED_INTERRUPT : 0;
  }

  private disturb({ cpu }: Vcpu): void {
    if (this.evictionDepth >= 1) cpu.hierarchy.evictL1();
    if (this.evictionDepth >= 2) cpu.hierarchy.evictL2();
    if (this.evictionDepth >= 3) cpu.caches.clear();
  }

  private noProgress(): GuestStopped {
    return new GuestStopped(
      `the guest makes no progress: ${MAX_EXITS_PER_INSTRUCTION} exits for one instruction`,
    );
  }

  // Events.

  /** VMX exit reason or SVM exit code. */
  exitReasonOf({ vmcs, vmcb }: Vcpu): number {
    return this.isSvm ? vmcb.exitCode : vmcs.exitReason;
  }

  private traceExit(vcpu: Vcpu): void {
    const { vmcs, vmcb, id } = vcpu;
    const { isSvm } = this;
    const isException = vmcs.exitReason === EXIT_REASON_EXCEPTION_NMI;
    this.record({
      event: "kvm_exit",
      exitReason: this.exitReasonOf(vcpu),
      isa: isSvm ? KVM_ISA_SVM : KVM_ISA_VMX,
      guestRip: vcpu.rip,
      info1: isSvm ? vmcb.exitInfo1 : vmcs.exitQualification,
      info2: isSvm ? vmcb.exitInfo2 : vmcs.idtVectoringInfo,
      vcpuId: id,
      intrInfo: isSvm ? vmcb.exitIntInfo : isException ? vmcs.exitInterruptionInfo : 0,
      errorCode: !isSvm && isException ? vmcs.exitInterruptionErrorCode : 0,
      requests: 0,
    });
  }

  private traceEntry({ id, rip }: Vcpu): void {
    this.record({ event: "kvm_entry", vcpuId: id, rip, intrInfo: 0, errorCode: 0, immediateExit: false });
  }
}

function stopReason(exitReason: number, suberror: number): string {
  if (exitReason !== KVM_EXIT_INTERNAL_ERROR) return "KVM_EXIT_UNKNOWN";
  const why =
    suberror === KVM_INTERNAL_ERROR_DELIVERY_EV
      ? "DELIVERY_EV: an event could not be delivered"
      : "EMULATION: an instruction could not be emulated";
  return `KVM_EXIT_INTERNAL_ERROR, ${why}`;
}
