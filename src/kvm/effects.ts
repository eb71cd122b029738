/**
 * What an instruction really did, noted where it happens: which bytes were read and written and by whom, which eventfds
 * were signalled. KVM has no such thing; `study/run/semantics.ts` holds it against what should have happened.
 *
 * Data has no contents in this model (see `emulate.ts`), so what a load found is told by where it looked.
 */
import type { EventFd } from "./ioeventfd.js";

/** Who read or wrote a piece of an operand in the processor's place. */
export const EMULATED_MEMORY = 0;
export const KERNEL_DEVICE = 1;
export const USERSPACE = 2;
export type Doer = typeof EMULATED_MEMORY | typeof KERNEL_DEVICE | typeof USERSPACE;

/** Of the instruction that one vCPU executes, or of one iteration of a repeated one. */
export class Effects {
  /** The processor itself has ended the instruction or the iteration: its whole operand is in memory, where KVM mapped it. */
  native = false;
  /** Pieces that were read or written by others, in their order: how many, and of each guest-physical address or port, and bytes. */
  pieces = 0;
  readonly doers: Doer[] = [];
  readonly writes: boolean[] = [];
  readonly addresses: number[] = [];
  readonly bytes: number[] = [];
  /** Eventfds that were signalled, in their order. */
  signals = 0;
  readonly signalled: EventFd[] = [];
  /** A signal came by the exit's own address, before the emulator had looked up that of the operand. */
  untranslated = false;
  /** The emulator has looked up the operand's guest-physical address. */
  translated = false;
  /** Debug exceptions that KVM gave the guest. */
  debugExceptions = 0;
  /** Called at the end of each iteration of a repeated instruction, while the instruction still has its operand. */
  onIteration: (() => void) | null = null;

  /** The vCPU begins an instruction. */
  begin(): void {
    this.clear();
    this.debugExceptions = 0;
  }

  piece(doer: Doer, write: boolean, address: number, bytes: number): void {
    const at = this.pieces++;
    this.doers[at] = doer;
    this.writes[at] = write;
    this.addresses[at] = address;
    this.bytes[at] = bytes;
  }

  signal(eventfd: EventFd): void {
    this.signalled[this.signals++] = eventfd;
    if (!this.translated) this.untranslated = true;
  }

  iterationEnds(): void {
    this.onIteration?.();
    this.clear();
  }

  private clear(): void {
    this.native = false;
    this.pieces = 0;
    this.signals = 0;
    this.untranslated = false;
    this.translated = false;
  }
}
