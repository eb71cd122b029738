/**
 * The instruction emulator. Kernel counterparts: arch/x86/kvm/emulate.c and x86.c of Linux 4.2.
 *
 * Data has no contents: what a read finds is not kept, and what a read-modify-write writes is the instruction's own value.
 */
import { READ, WRITE } from "../x86/access.js";
import { PAGE } from "../x86/mmu.js";
import { EMULATED_MEMORY, USERSPACE } from "./effects.js";
import { KVM_MMIO_BUS, KVM_PIO_BUS } from "./io-bus.js";
import { EMULTYPE_NO_DECODE, EMULTYPE_RETRY, EMULTYPE_SKIP } from "./mmu.js";
import { KVM } from "./primitives.js";
import { ShadowMmu } from "./shadow-mmu.js";
import { KVM_EMUL_INSN_PROT64 } from "./trace.js";
import {
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_INTERNAL_ERROR_EMULATION,
  type Vcpu,
} from "./vcpu.js";

/** The page of the local APIC is device memory, whatever lies there. */
const APIC_DEFAULT_GFN = 0xfee00;

/** REP goes back to the guest where this many iterations are left. */
const REP_BATCH = 1024;

export abstract class KvmEmulator extends ShadowMmu {
  /** Moves RIP past the instruction that exited: 1, or 0 if that needs userspace. */
  abstract skipEmulatedInstruction(): number;

  /** The same on whichever vendor's processor. */
  kvmSkipEmulatedInstruction(): number {
    return this.skipEmulatedInstruction();
  }

  override x86EmulateInstruction(cr2: number, emulationType: number): number {
    const { vcpu } = this;
    if ((emulationType & EMULTYPE_NO_DECODE) === 0) {
      this.fetchInstruction();
      if (this.trace !== null) this.traceEmulate(false);
      const { operation } = vcpu.instruction.form;
      if (operation === "fetch") return this.handleEmulationFailure();
      if ((emulationType & EMULTYPE_SKIP) !== 0) return this.skipDecoded();
      if (this.retryInstruction(cr2, emulationType)) return this.retryDecoded();
      this.counts[KVM.emulateInstruction]++;
    }
    const result = this.x86EmulateInsn();
    // What userspace still has to take is not followed by one: the kernel leaves it out, too.
    if (vcpu.trapFlag && result === 1 && vcpu.retired) this.injectDebugException();
    return result;
  }

  private skipDecoded(): number {
    this.counts[KVM.decodeInstruction]++;
    this.advanceRip(this.vcpu.instruction.form.encoding.length);
    return 1;
  }

  private retryDecoded(): number {
    this.counts[KVM.decodeInstruction]++;
    return 1;
  }

  injectDebugException(): void {
    const { effects } = this.vcpu;
    if (effects !== null) effects.debugExceptions++;
    this.counts[KVM.injectException]++;
    if (this.trace !== null) this.record({ event: "kvm_inj_exception", exception: 1, reinjected: false });
  }

  /** Finds out by decoding how long the instruction is, and moves RIP past it. */
  skipByDecoding(): number {
    return this.x86EmulateInstruction(0, EMULTYPE_SKIP);
  }

  /** Reads the bytes of the instruction: a walk of the guest's tables, but where the processor has delivered them. */
  fetchInstruction(): void {
    this.counts[KVM.guestWalkInSoftware]++;
  }

  /**
   * Whether the guest tries again first: the fault may come from a write-protected page of a paging structure, which is
   * cheaper to let go than to emulate. Not for instructions that guests write paging structures with, and not twice.
   */
  retryInstruction(cr2: number, emulationType: number): boolean {
    const { vcpu } = this;
    const { form, rip } = vcpu.instruction;
    const { lastRetryRip, lastRetryAddr } = vcpu;
    vcpu.lastRetryRip = 0;
    vcpu.lastRetryAddr = 0;
    if ((emulationType & EMULTYPE_RETRY) === 0 || form.pageTable) return false;
    if (rip === lastRetryRip && cr2 === lastRetryAddr) return false;
    vcpu.lastRetryRip = rip;
    vcpu.lastRetryAddr = cr2;
    this.unprotect(cr2);
    return true;
  }

  /** Lets a page go that is written and holds a paging structure. Returns whether it does. */
  unprotect(cr2: number): boolean {
    const page = Math.floor(cr2 / PAGE);
    if (this.tdpEnabled) return this.kvmMmuUnprotectPage(page);
    return this.walkAddr(page, WRITE) && this.kvmMmuUnprotectPage(this.guestWalk.gfn);
  }

  /** The instruction cannot be read or is not known. In kernel mode, where the model's guest runs, userspace gets it. */
  private handleEmulationFailure(): number {
    if (this.trace !== null) this.traceEmulate(true);
    return this.exitForInternalError(KVM_INTERNAL_ERROR_EMULATION);
  }

  exitForInternalError(suberror: number): number {
    const { run } = this.vcpu;
    run.exitReason = KVM_EXIT_INTERNAL_ERROR;
    run.suberror = suberror;
    return 0;
  }

  /** Executes the decoded instruction. */
  private x86EmulateInsn(): number {
    const { operation } = this.vcpu.instruction.form;
    if (operation === "memory") return this.emulateMemoryOperand();
    if (operation === "in" || operation === "out") return this.emulatorPio();
    // An event was being delivered: what is emulated is the instruction it interrupts, and the event comes again.
    return 1;
  }

  private emulateMemoryOperand(): number {
    const { vcpu } = this;
    const { instruction } = vcpu;
    const { form } = instruction;
    do {
      if (form.reads && !this.emulatorReadWrite(false)) return 0;
      if (form.writes) this.emulatorReadWrite(true);
      if (form.repeated) this.nextIteration(vcpu);
      else this.advanceRip(form.encoding.length);
      // After its last iteration too a repeated instruction goes back to the guest, which ends it.
    } while (form.repeated && !vcpu.mmioNeeded && instruction.count % REP_BATCH !== 0);
    return vcpu.mmioNeeded ? 0 : 1;
  }

  nextIteration({ instruction, effects }: Vcpu): void {
    effects?.iterationEnds();
    instruction.count--;
    instruction.offset += instruction.size;
    if (instruction.offset < PAGE) return;
    instruction.offset -= PAGE;
    instruction.page++;
  }

  /**
   * Reads or writes the memory operand, page by page. What no device in the kernel takes goes to userspace: a write is
   * posted and the instruction ends before; a read must come back first, and then the instruction is executed again.
   * Returns whether it can go on.
   */
  private emulatorReadWrite(write: boolean): boolean {
    const { vcpu } = this;
    if (!write && vcpu.mmioReadCompleted) return this.takeCompletedRead();
    const { page, offset, size } = vcpu.instruction;
    vcpu.mmioNrFragments = 0;
    if (offset + size <= PAGE) {
      this.emulatorReadWriteOnepage(page, offset, size, 0, write);
    } else {
      const first = PAGE - offset;
      this.emulatorReadWriteOnepage(page, offset, first, 0, write);
      this.emulatorReadWriteOnepage(page + 1, 0, size - first, first, write);
    }
    return vcpu.mmioNrFragments === 0 || this.leaveFragments(write);
  }

  /** What userspace has read is there. */
  private takeCompletedRead(): boolean {
    const { vcpu } = this;
    vcpu.mmioReadCompleted = false;
    if (this.trace !== null) {
      const len = vcpu.instruction.size;
      this.record({ event: "kvm_mmio", type: "read", len, gpa: vcpu.mmioFragments[0].gpa, val: 0n });
    }
    return true;
  }

  /** Leaves the fragments to userspace. Returns whether the instruction can go on, as it can where it writes. */
  private leaveFragments(write: boolean): boolean {
    const { vcpu } = this;
    vcpu.mmioNeeded = true;
    vcpu.mmioCurFragment = 0;
    vcpu.run.isWrite = write;
    vcpu.completeUserspaceIo = "emulated-mmio";
    this.exitForFragment();
    if (!write && this.trace !== null) {
      const { offset, size } = vcpu.instruction;
      const first = PAGE - offset;
      const len = first < size ? size - first : size;
      this.record({ event: "kvm_mmio", type: "unsatisfied-read", len, gpa: vcpu.run.addr, val: 0n });
    }
    return write;
  }

  /** A piece of the operand in one page: guest memory, else the devices in the kernel, else a fragment for userspace. */
  private emulatorReadWriteOnepage(
    page: number,
    offset: number,
    bytes: number,
    done: number,
    write: boolean,
  ): void {
    const { vcpu } = this;
    const { effects } = vcpu;
    const known = this.vcpuMatchMmioGva(page * PAGE);
    const gpa = known ? vcpu.mmioGfn * PAGE + offset : this.operandGpa(page, offset, write);
    if (known && this.trace !== null) this.traceMatchMmio(page, gpa, write, false);
    if (effects !== null) effects.translated = true;
    if (!known && !this.vcpuIsMmioGpa(page, gpa, write) && this.accessGuestMemory(gpa, bytes, write)) {
      if (effects !== null) effects.piece(EMULATED_MEMORY, write, gpa, bytes);
      return;
    }
    const handled = write ? this.writeMmio(gpa, bytes, done) : this.readMmio(gpa, bytes);
    if (handled < bytes) this.addFragment(gpa + handled, bytes - handled, write);
  }

  /** Bytes that no device in the kernel took. */
  private addFragment(gpa: number, len: number, write: boolean): void {
    const { vcpu } = this;
    const fragment = vcpu.mmioFragments[vcpu.mmioNrFragments++];
    fragment.gpa = gpa;
    fragment.len = len;
    vcpu.effects?.piece(USERSPACE, write, gpa, len);
  }

  /** Guest-physical address (bytes) of an operand, by a walk of the guest's tables. */
  operandGpa(page: number, offset: number, write: boolean): number {
    if (!this.walkAddr(page, write ? WRITE : READ)) {
      return this.injectPageFault(page * PAGE + offset, this.guestWalk.errorCode);
    }
    return this.guestWalk.gfn * PAGE + offset;
  }

  /** Whether an address is known for MMIO without a look at the slots. */
  private vcpuIsMmioGpa(page: number, gpa: number, write: boolean): boolean {
    const gfn = Math.floor(gpa / PAGE);
    if (gfn === APIC_DEFAULT_GFN) return true;
    if (!this.vcpuMatchMmioGpa(gfn)) return false;
    if (this.trace !== null) this.traceMatchMmio(page, gpa, write, true);
    return true;
  }

  /** Whether the address is in memory that the guest may access so. */
  private accessGuestMemory(gpa: number, bytes: number, write: boolean): boolean {
    const gfn = Math.floor(gpa / PAGE);
    const slot = this.gfnToMemslot(gfn);
    if (slot === undefined || slot.invalid || (write && slot.readonly)) return false;
    if (write) {
      this.markPageDirty(slot, gfn);
      this.kvmMmuPteWrite(gpa, bytes);
    }
    return true;
  }

  /** Bytes that devices in the kernel took, from the first on: 8 at a time, the local APIC before the MMIO bus. */
  private writeMmio(gpa: number, bytes: number, done: number): number {
    if (this.trace !== null) this.traceMmioWrite(gpa, bytes, done);
    let handled = 0;
    while (handled < bytes) {
      const now = Math.min(bytes - handled, 8);
      const addr = gpa + handled;
      const value = this.operandValue(done + handled);
      if (this.lapicWrite(addr, now) !== 0 && this.kvmIoBusWrite(KVM_MMIO_BUS, addr, now, value) !== 0) break;
      handled += now;
    }
    return handled;
  }

  private readMmio(gpa: number, bytes: number): number {
    let handled = 0;
    while (handled < bytes) {
      const now = Math.min(bytes - handled, 8);
      const addr = gpa + handled;
      if (this.lapicRead(addr, now) !== 0 && this.kvmIoBusRead(KVM_MMIO_BUS, addr, now) !== 0) break;
      if (this.trace !== null) this.record({ event: "kvm_mmio", type: "read", len: now, gpa: addr, val: 0n });
      handled += now;
    }
    return handled;
  }

  /** The value as the event of a write shows it: 8 bytes, whatever is written. */
  tracedValue(value: number, _bytes: number): number {
    return value;
  }

  /** The operand from its byte `done` on. */
  private operandValue(done: number): number {
    const { value } = this.vcpu.instruction;
    return done === 0 ? value : Math.floor(value / 2 ** (8 * done));
  }

  // Port I/O.

  /** IN and the string forms, by the emulator. */
  private emulatorPio(): number {
    const { form, port, size } = this.vcpu.instruction;
    const isIn = form.operation === "in";
    const handled = this.accessPort(isIn) === 0;
    if (handled || !isIn) this.advanceRip(form.encoding.length);
    return handled ? 1 : this.exitForPort(port, size, isIn ? "emulated-pio" : "nothing");
  }

  /** Asks the port bus for the instruction's access: 0, or -EOPNOTSUPP. What is read is traced once it is there. */
  accessPort(isIn: boolean): number {
    const { port, size, value } = this.vcpu.instruction;
    if (!isIn) {
      if (this.trace !== null) this.tracePio(false);
      return this.kvmIoBusWrite(KVM_PIO_BUS, port, size, value);
    }
    const unhandled = this.kvmIoBusRead(KVM_PIO_BUS, port, size);
    if (unhandled === 0 && this.trace !== null) this.tracePio(true);
    return unhandled;
  }

  /** OUT without the emulator: the bus, else userspace. */
  kvmFastPioOut(port: number, size: number): number {
    this.counts[KVM.fastPioOut]++;
    return this.accessPort(false) === 0 ? 1 : this.exitForPort(port, size, "nothing");
  }

  exitForPort(port: number, size: number, completion: Vcpu["completeUserspaceIo"]): number {
    const { vcpu } = this;
    vcpu.run.exitReason = KVM_EXIT_IO;
    vcpu.run.addr = port;
    vcpu.run.len = size;
    vcpu.run.isWrite = vcpu.instruction.form.operation === "out";
    vcpu.completeUserspaceIo = completion;
    vcpu.pioRip = vcpu.rip;
    vcpu.effects?.piece(USERSPACE, vcpu.run.isWrite, port, size);
    return 0;
  }

  private exitForFragment(): void {
    const { vcpu } = this;
    const { gpa, len } = vcpu.mmioFragments[vcpu.mmioCurFragment];
    const { run } = vcpu;
    run.exitReason = KVM_EXIT_MMIO;
    run.addr = gpa;
    run.len = Math.min(len, 8);
  }

  /** Userspace has called KVM_RUN again: as `handleExit()`. */
  completeUserspaceIo(): number {
    const { vcpu } = this;
    const completion = vcpu.completeUserspaceIo;
    vcpu.completeUserspaceIo = "nothing";
    switch (completion) {
      case "emulated-mmio":
        return this.completeEmulatedMmio();
      case "emulated-pio":
        if (this.trace !== null) this.tracePio(true);
        this.advanceRip(vcpu.instruction.form.encoding.length);
        if (vcpu.trapFlag) this.injectDebugException();
        return 1;
      case "fast-pio":
        // Userspace may have moved RIP itself.
        if (vcpu.rip !== vcpu.pioRip) return 1;
        if (!vcpu.run.isWrite && this.trace !== null) this.tracePio(true);
        return this.kvmSkipEmulatedInstruction();
      default:
        return 1;
    }
  }

  /** The next part of the access goes to userspace, 8 bytes at most; after the last, the instruction goes on. */
  private completeEmulatedMmio(): number {
    const { vcpu } = this;
    const fragment = vcpu.mmioFragments[vcpu.mmioCurFragment];
    if (fragment.len <= 8) {
      vcpu.mmioCurFragment++;
    } else {
      fragment.gpa += 8;
      fragment.len -= 8;
    }
    if (vcpu.mmioCurFragment < vcpu.mmioNrFragments) {
      vcpu.completeUserspaceIo = "emulated-mmio";
      this.exitForFragment();
      return 0;
    }
    vcpu.mmioNeeded = false;
    if (vcpu.run.isWrite) return 1;
    vcpu.mmioReadCompleted = true;
    return this.x86EmulateInstruction(0, EMULTYPE_NO_DECODE);
  }

  /** Moves RIP by the length that KVM takes the instruction to have. */
  advanceRip(bytes: number): void {
    const { vcpu } = this;
    const { operation, encoding } = vcpu.instruction.form;
    if (bytes !== encoding.length || operation === "event") {
      this.advanceRipElsewhere(bytes);
      return;
    }
    vcpu.rip += bytes;
    vcpu.retired = true;
  }

  /** Moves RIP elsewhere than behind the instruction. */
  private advanceRipElsewhere(bytes: number): void {
    const { vcpu } = this;
    vcpu.wrongSkips++;
    // Of an event it is that of the instruction that the event interrupts; the event is delivered again.
    if (vcpu.instruction.form.operation === "event") return;
    vcpu.rip += bytes;
    vcpu.retired = bytes !== 0;
  }

  private traceEmulate(failed: boolean): void {
    const { rip, form } = this.vcpu.instruction;
    this.record({
      event: "kvm_emulate_insn",
      csbase: 0,
      rip,
      insn: form.encoding,
      flags: KVM_EMUL_INSN_PROT64,
      failed,
    });
  }

  private tracePio(isIn: boolean): void {
    const { port, size, value } = this.vcpu.instruction;
    this.record({ event: "kvm_pio", rw: isIn ? 0 : 1, port, size, count: 1, val: isIn ? 0 : value });
  }

  private traceMmioWrite(gpa: number, bytes: number, done: number): void {
    const val = BigInt(this.tracedValue(this.operandValue(done), bytes));
    this.record({ event: "kvm_mmio", type: "write", len: bytes, gpa, val });
  }

  private traceMatchMmio(page: number, gpa: number, write: boolean, gpaMatch: boolean): void {
    this.record({ event: "vcpu_match_mmio", gva: page * PAGE + (gpa % PAGE), gpa, write, gpaMatch });
  }
}
