/**
 * The operand of one instruction: whether all that the plain model expects of it was done, once, and nothing else was.
 *
 * No incident is what KVM documents or leaves open:
 * - a kick whose write reaches userspace in place of its eventfd: userspace rings itself (told apart);
 * - what follows the first 8 bytes of a kick at an ioeventfd of length 0, whose length KVM ignores: it may go on or not;
 * - a device in the kernel that lies on a doorbell and takes its kick: of ranges that overlap, one handles an access.
 *
 * In a guest's guest (L2) an address is L2's. A signal for it that came before the emulator had looked the operand up took it
 * for one of L1's, and is spurious, though the model's L1 maps L2's memory to equal addresses.
 */
import { type Doer, type Effects, EMULATED_MEMORY, KERNEL_DEVICE, USERSPACE } from "../../kvm/effects.js";
import type { EventFd } from "../../kvm/ioeventfd.js";
import type { Vcpu } from "../../kvm/vcpu.js";
import { PAGE } from "../../x86/mmu.js";
import { DEVICE, type Ground, type PlainModel, WRITABLE } from "./plain-model.js";

/** What is found, as bits: incidents, the lowest for the first of `INCIDENT_KINDS`, and what the instruction was. */
export const SPURIOUS_SIGNAL = 1 << 0;
export const LOST_LOAD = 1 << 1;
export const LOST_KICK = 1 << 2;
export const SKIPPED_INSTRUCTION = 1 << 3;
export const WRONG_DATA = 1 << 4;
export const KICK = 1 << 5;
export const KICK_BY_USERSPACE = 1 << 6;
export const DOORBELL_READ = 1 << 7;

/** Bytes that KVM takes an operand in. */
const CHUNK = 8;

export class OperandCheck {
  private found = 0;
  /** Signals that were expected, as bits by their place in the effects; how many those are; and bytes that are accounted for. */
  private taken = 0;
  private expected = 0;
  private matched = 0;

  /** @param frameOf guest page frame number that the guest maps a page to */
  constructor(
    private readonly plain: PlainModel,
    private readonly frameOf: (page: number) => number,
  ) {}

  /** What is found of the instruction that has ended, or of the iteration that ends. */
  check(vcpu: Vcpu, effects: Effects): number {
    this.begin();
    const { form, port, size } = vcpu.instruction;
    switch (form.operation) {
      case "memory":
      case "event":
        if (form.reads) this.checkReads(vcpu, effects);
        if (form.writes) this.checkWrites(vcpu, effects);
        break;
      case "fetch":
        if (!effects.native) this.found |= SKIPPED_INSTRUCTION;
        break;
      case "in":
      case "out":
        if (this.plain.isPassed(port, size) && effects.native) break;
        if (form.operation === "in") this.checkRead(effects, true, DEVICE, port, size);
        else this.checkDeviceWrite(vcpu, effects, true, port, size, 0);
        break;
      default:
    }
    this.checkRest(vcpu, effects);
    return this.found;
  }

  /** As `check()`, where nothing should have happened. */
  checkNothing(vcpu: Vcpu, effects: Effects): number {
    this.begin();
    this.checkRest(vcpu, effects);
    return this.found;
  }

  private begin(): void {
    this.found = 0;
    this.taken = 0;
    this.expected = 0;
    this.matched = 0;
  }

  /** What happened beside. */
  private checkRest(vcpu: Vcpu, effects: Effects): void {
    if (effects.signals > 0) {
      if (this.expected !== effects.signals) this.found |= SPURIOUS_SIGNAL;
      if (vcpu.guestMode && effects.untranslated && vcpu.instruction.form.operation === "memory")
        this.found |= SPURIOUS_SIGNAL;
    }
    if (effects.pieces === 0) return;
    let bytes = 0;
    for (let piece = 0; piece < effects.pieces; piece++) bytes += effects.bytes[piece];
    if (bytes !== this.matched) this.found |= WRONG_DATA;
  }

  private checkReads(vcpu: Vcpu, effects: Effects): void {
    const { page, offset, size } = vcpu.instruction;
    const first = Math.min(size, PAGE - offset);
    this.checkPieceRead(effects, page, offset, first);
    if (first < size) this.checkPieceRead(effects, page + 1, 0, size - first);
  }

  private checkPieceRead(effects: Effects, page: number, offset: number, bytes: number): void {
    const gfn = this.frameOf(page);
    const ground = this.plain.groundOf(gfn);
    const gpa = gfn * PAGE + offset;
    if (ground !== WRITABLE && this.plain.hasDoorbell(false, gpa)) this.found |= DOORBELL_READ;
    if (ground !== DEVICE && effects.native) return;
    for (let done = 0; done < bytes; done += CHUNK)
      this.checkRead(effects, false, ground, gpa + done, Math.min(CHUNK, bytes - done));
  }

  private checkRead(effects: Effects, isPort: boolean, ground: Ground, address: number, bytes: number): void {
    if (isPort && this.plain.hasDoorbell(true, address)) this.found |= DOORBELL_READ;
    const inMemory = this.accountFor(effects, EMULATED_MEMORY, false, address, bytes) || effects.native;
    const atDevice =
      this.accountFor(effects, KERNEL_DEVICE, false, address, bytes) ||
      this.accountFor(effects, USERSPACE, false, address, bytes);
    if (!inMemory && !atDevice) this.found |= LOST_LOAD;
    else if (!isPort && this.plain.isEither(Math.floor(address / PAGE))) return;
    else if (ground === DEVICE ? !atDevice : !inMemory) this.found |= WRONG_DATA;
  }

  private checkWrites(vcpu: Vcpu, effects: Effects): void {
    const { page, offset, size } = vcpu.instruction;
    const first = Math.min(size, PAGE - offset);
    this.checkPieceWrite(vcpu, effects, page, offset, first, 0);
    if (first < size) this.checkPieceWrite(vcpu, effects, page + 1, 0, size - first, first);
  }

  private checkPieceWrite(
    vcpu: Vcpu,
    effects: Effects,
    page: number,
    offset: number,
    bytes: number,
    done: number,
  ): void {
    const gfn = this.frameOf(page);
    const gpa = gfn * PAGE + offset;
    if (this.plain.groundOf(gfn) === WRITABLE) {
      if (!effects.native) this.checkMemoryWrite(vcpu, effects, gpa, bytes);
      return;
    }
    let ignoresRest = false;
    for (let at = 0; at < bytes; at += CHUNK) {
      const some = Math.min(CHUNK, bytes - at);
      if (ignoresRest) this.accountForRest(effects, vcpu.instruction.value, gpa + at, some, done + at);
      else ignoresRest = this.checkDeviceWrite(vcpu, effects, false, gpa + at, some, done + at);
    }
  }

  private checkMemoryWrite(vcpu: Vcpu, effects: Effects, gpa: number, bytes: number): void {
    if (this.accountFor(effects, EMULATED_MEMORY, true, gpa, bytes)) return;
    if (this.plain.isEither(Math.floor(gpa / PAGE)) && this.accountForDevice(effects, gpa, bytes)) return;
    if (!this.noteElsewhere(vcpu, effects, gpa, bytes)) this.found |= SKIPPED_INSTRUCTION;
  }

  /** Returns whether the doorbell is one that ignores what follows. @param done bytes of the operand before these */
  private checkDeviceWrite(
    vcpu: Vcpu,
    effects: Effects,
    isPort: boolean,
    address: number,
    bytes: number,
    done: number,
  ): boolean {
    const doorbell = this.plain.rungBy(isPort, address, bytes, vcpu.instruction.value, done);
    if (doorbell === null) {
      const isDone = this.accountForDevice(effects, address, bytes);
      if (!isDone && !this.noteElsewhere(vcpu, effects, address, bytes)) this.found |= SKIPPED_INSTRUCTION;
      return false;
    }
    this.found |= KICK;
    const isRung = this.take(effects, doorbell.eventfd);
    if (isRung) return doorbell.len === 0;
    if (this.accountFor(effects, USERSPACE, true, address, bytes)) this.found |= KICK_BY_USERSPACE;
    else if (!this.accountFor(effects, KERNEL_DEVICE, true, address, bytes)) this.found |= LOST_KICK;
    return false;
  }

  /** A write that is not where it should be: notes wrong data if it is elsewhere, at a doorbell too. Returns whether it is. */
  private noteElsewhere(vcpu: Vcpu, effects: Effects, address: number, bytes: number): boolean {
    const isElsewhere =
      effects.native ||
      this.accountFor(effects, EMULATED_MEMORY, true, address, bytes) ||
      this.accountForDevice(effects, address, bytes) ||
      this.isSwallowed(vcpu, effects);
    if (isElsewhere) this.found |= WRONG_DATA;
    return isElsewhere;
  }

  /** Whether a doorbell within the operand was rung. */
  private isSwallowed({ instruction: { page, offset, size } }: Vcpu, effects: Effects): boolean {
    for (let index = 0; index < effects.signals; index++) {
      const addr = this.plain.doorbellOf(effects.signalled[index])?.addr ?? -1;
      const start = this.frameOf(page) * PAGE + offset;
      if (addr >= start && addr < start + size) return true;
    }
    return false;
  }

  /** Bytes behind a kick whose length is ignored: whatever became of them. */
  private accountForRest(
    effects: Effects,
    value: number,
    address: number,
    bytes: number,
    done: number,
  ): void {
    const doorbell = this.plain.rungBy(false, address, bytes, value, done);
    if (doorbell !== null && this.take(effects, doorbell.eventfd)) return;
    this.accountForDevice(effects, address, bytes);
  }

  private accountForDevice(effects: Effects, address: number, bytes: number): boolean {
    return (
      this.accountFor(effects, KERNEL_DEVICE, true, address, bytes) ||
      this.accountFor(effects, USERSPACE, true, address, bytes)
    );
  }

  /** Whether someone did the read or write of these bytes. */
  private accountFor(effects: Effects, doer: Doer, write: boolean, address: number, bytes: number): boolean {
    for (let piece = 0; piece < effects.pieces; piece++) {
      if (effects.doers[piece] !== doer || effects.writes[piece] !== write) continue;
      const at = effects.addresses[piece];
      if (address < at || address + bytes > at + effects.bytes[piece]) continue;
      this.matched += bytes;
      return true;
    }
    return false;
  }

  /** Whether an eventfd was signalled, once more than was asked for so far. */
  private take(effects: Effects, eventfd: EventFd): boolean {
    for (let index = 0; index < effects.signals; index++) {
      if (effects.signalled[index] !== eventfd || (this.taken & (1 << index)) !== 0) continue;
      this.taken |= 1 << index;
      this.expected++;
      return true;
    }
    return false;
  }
}
