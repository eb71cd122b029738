/**
 * ioeventfd: an eventfd that a guest's write to one address signals, in the kernel and without a trip to userspace.
 * Specified in the kernel's KVM API document, KVM_IOEVENTFD.
 */
import type { Ledger } from "../x86/ledger.js";
import type { IoDevice } from "./io-bus.js";
import { KVM } from "./primitives.js";

export interface IoeventfdArgs {
  /** Guest-physical address in bytes, or port. */
  readonly addr: number;
  /** Bytes of the write that signals; 0 (any length) where the kernel has KVM_CAP_IOEVENTFD_ANY_LENGTH. */
  readonly len: number;
  /** KVM_IOEVENTFD_FLAG_DATAMATCH: the value that signals; without it every value does. */
  readonly datamatch?: number | undefined;
  /** KVM_IOEVENTFD_FLAG_PIO. */
  readonly pio: boolean;
}

export class Ioeventfd implements IoDevice {
  readonly isIoeventfd = true;
  /** How often the eventfd was signalled. */
  signals = 0;
  readonly addr: number;
  readonly len: number;
  readonly datamatch: number | undefined;
  private readonly counts: Float64Array;

  constructor({ addr, len, datamatch }: IoeventfdArgs, ledger: Ledger) {
    this.addr = addr;
    this.len = len;
    this.datamatch = datamatch;
    this.counts = ledger.counts;
  }

  /** Signals if the write is in range; the fast MMIO bus passes length 0 and no value. */
  write(addr: number, len: number, value: number): boolean {
    if (!this.inRange(addr, len, value)) return false;
    this.counts[KVM.eventfdSignal]++;
    this.signals++;
    return true;
  }

  /** A read never matches. */
  read(): boolean {
    return false;
  }

  /** Whether two eventfds on one bus could both be meant by one write. */
  collidesWith(other: IoeventfdArgs): boolean {
    if (this.addr !== other.addr) return false;
    if (this.len === 0 || other.len === 0) return true;
    if (this.len !== other.len) return false;
    return (
      this.datamatch === undefined || other.datamatch === undefined || this.datamatch === other.datamatch
    );
  }

  private inRange(addr: number, len: number, value: number): boolean {
    this.counts[KVM.ioeventfdInRange]++;
    if (addr !== this.addr) return false;
    if (this.len === 0) return true;
    if (len !== this.len) return false;
    if (this.datamatch === undefined) return true;
    this.counts[KVM.datamatchCompare]++;
    return value === this.datamatch;
  }
}
