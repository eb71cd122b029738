/**
 * The instruction emulator and the loop that runs a vCPU. Kernel counterpart: arch/x86/kvm/x86.c and emulate.c of Linux 4.2.
 *
 * Emulated are `mov` to and from memory, 1 to 8 bytes inside one page, and IN. The local APIC, which the kernel asks
 * before the MMIO bus, is not modelled yet.
 */
import { READ, WRITE } from "../x86/access.js";
import { EPT_VIOLATION, PAGE, PAGE_FAULT, TRANSLATED } from "../x86/mmu.js";
import {
  EXIT_REASON_EPT_MISCONFIG,
  EXIT_REASON_EPT_VIOLATION,
  EXIT_REASON_IO_INSTRUCTION,
  EXIT_REASON_VMCALL,
  IO_QUALIFICATION_IN,
} from "../x86/vmcs.js";
import { KVM_MMIO_BUS, KVM_PIO_BUS } from "./io-bus.js";
import { Mmu } from "./mmu.js";
import { KVM } from "./primitives.js";
import {
  IN,
  Instruction,
  IO_LENGTH,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  LOAD,
  MOV_LENGTH,
  STORE,
  VMCALL,
  VMCALL_LENGTH,
} from "./vcpu.js";

/** What the exit handler and the host leave of the guest's cached state, each including what stands before it. */
export const EXIT_EVICTS = ["nothing", "l1", "l2", "translations"] as const;
export type ExitEvicts = (typeof EXIT_EVICTS)[number];

/** The port that the I/O bitmap passes through: guests write to it to wait, and it never exits. */
const DELAY_PORT = 0x80;

/** More exits than any instruction of the model needs: beyond it the guest makes no progress. */
const MAX_EXITS_PER_INSTRUCTION = 64;

/** Ports that a device model in userspace answers. */
interface DeviceModel {
  readonly port: number;
  readonly len: number;
}

export abstract class X86 extends Mmu {
  /** The guest instruction that `execute()` runs. */
  readonly instruction = new Instruction();
  /** Why the vCPU is in userspace, and for which address or port. */
  readonly run = { exitReason: 0, addr: 0 };
  private evictionDepth = 0;
  private retired = false;
  private readonly deviceModels: DeviceModel[] = [];

  /** Handles the exit in the VMCS: 1 = resume the guest, 0 = exit to userspace. */
  abstract handleExit(): number;

  set exitEvicts(evicts: ExitEvicts) {
    this.evictionDepth = EXIT_EVICTS.indexOf(evicts);
  }

  /** A device model in userspace: an exit to userspace for one of its ports also runs the model. */
  addDeviceModel(model: DeviceModel): void {
    this.deviceModels.push(model);
  }

  /** Runs `instruction` to its end, through as many exits as it takes. */
  execute(): void {
    this.retired = false;
    for (let exits = 0; exits < MAX_EXITS_PER_INSTRUCTION; exits++) {
      if (!this.runGuest()) return;
      if (this.handleExit() === 0) this.runUserspace();
      this.disturb();
      if (this.retired) return;
    }
    throw new Error(`the guest makes no progress: ${MAX_EXITS_PER_INSTRUCTION} exits for one instruction`);
  }

  /** Emulates the instruction that exited: 1 = resume the guest, 0 = exit to userspace. */
  emulateInstruction(): number {
    const { operation, port, size } = this.instruction;
    this.counts[KVM.guestWalkInSoftware]++; // the code fetch
    this.counts[KVM.emulateInstruction]++;
    this.retired = true;
    if (operation === IN) {
      if (this.kvmIoBusRead(KVM_PIO_BUS, port, size) === 0) return 1;
      return this.exitToUserspace(KVM_EXIT_IO, port);
    }
    return this.emulatorReadWriteOnepage();
  }

  /** OUT without the emulator: the bus, else userspace. */
  kvmFastPioOut(port: number, size: number, value: number): number {
    this.counts[KVM.fastPioOut]++;
    if (this.kvmIoBusWrite(KVM_PIO_BUS, port, size, value) === 0) return 1;
    return this.exitToUserspace(KVM_EXIT_IO, port);
  }

  /** Moves RIP past the instruction. */
  skipEmulatedInstruction(): void {
    this.counts[KVM.vmread]++; // its length
    this.counts[KVM.skipEmulatedInstruction]++;
    this.retired = true;
  }

  /** The memory operand of an emulated `mov`: guest memory, else the MMIO bus, else userspace. */
  private emulatorReadWriteOnepage(): number {
    const { operation, size, value } = this.instruction;
    const gpa = this.vmcs.guestPhysicalAddress;
    const gfn = Math.floor(gpa / PAGE);
    this.counts[KVM.guestWalkInSoftware]++; // the operand's linear address
    if (!this.vcpuMatchMmioGpa(gfn)) {
      const slot = this.gfnToMemslot(gfn);
      if (slot !== undefined && !(slot.readonly && operation === STORE)) return 1;
    }
    const unhandled =
      operation === STORE
        ? this.kvmIoBusWrite(KVM_MMIO_BUS, gpa, size, value)
        : this.kvmIoBusRead(KVM_MMIO_BUS, gpa, size);
    return unhandled === 0 ? 1 : this.exitToUserspace(KVM_EXIT_MMIO, gpa);
  }

  private exitToUserspace(reason: typeof KVM_EXIT_IO | typeof KVM_EXIT_MMIO, addr: number): number {
    this.run.exitReason = reason;
    this.run.addr = addr;
    return 0;
  }

  private runUserspace(): void {
    const { exitReason, addr } = this.run;
    if (exitReason === KVM_EXIT_MMIO) {
      this.counts[KVM.userspaceExitMmio]++;
      return;
    }
    this.counts[KVM.userspaceExitIo]++;
    const answered = this.deviceModels.some(({ port, len }) => addr >= port && addr < port + len);
    if (answered) this.counts[KVM.userspaceDeviceModel]++;
  }

  /** Lets the guest run until the instruction is done (false) or exits (true, with the VMCS filled in). */
  private runGuest(): boolean {
    const { operation, page, offset, port, size } = this.instruction;
    const { vmcs, cpu } = this;
    if (operation === VMCALL) {
      vmcs.exitReason = EXIT_REASON_VMCALL;
      vmcs.instructionLength = VMCALL_LENGTH;
      return true;
    }
    if (operation !== STORE && operation !== LOAD) {
      if (port === DELAY_PORT) return false;
      vmcs.exitReason = EXIT_REASON_IO_INSTRUCTION;
      vmcs.exitQualification = size - 1 + (operation === IN ? IO_QUALIFICATION_IN : 0) + port * 0x1_0000;
      vmcs.instructionLength = IO_LENGTH;
      return true;
    }
    const outcome = cpu.access(page, offset, operation === STORE ? WRITE : READ);
    if (outcome === TRANSLATED) return false;
    if (outcome === PAGE_FAULT) {
      const address = (page * PAGE + offset).toString(16);
      throw new Error(
        `guest page fault at 0x${address}, error code ${cpu.errorCode}: the guest has no handler`,
      );
    }
    vmcs.guestPhysicalAddress = cpu.guestPhysicalAddress;
    vmcs.instructionLength = MOV_LENGTH;
    if (outcome === EPT_VIOLATION) {
      vmcs.exitReason = EXIT_REASON_EPT_VIOLATION;
      vmcs.exitQualification = cpu.exitQualification;
    } else {
      vmcs.exitReason = EXIT_REASON_EPT_MISCONFIG;
    }
    return true;
  }

  private disturb(): void {
    if (this.evictionDepth >= 1) this.cpu.hierarchy.evictL1();
    if (this.evictionDepth >= 2) this.cpu.hierarchy.evictL2();
    if (this.evictionDepth >= 3) this.cpu.caches.clear();
  }
}
