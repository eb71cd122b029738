/**
 * What KVM_IOEVENTFD takes and what it makes: an eventfd that a guest's write to one address signals, in the kernel and
 * without a trip to userspace. Specified in the kernel's KVM API document, KVM_IOEVENTFD.
 */
import type { KvmEventfd } from "./eventfd.js";
import type { BusIndex, KvmIoDevice } from "./io-bus.js";
import type { U64 } from "./u64.js";

/** Only a write of `datamatch` signals. */
export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1 << 0;
/** The address is a port. */
export const KVM_IOEVENTFD_FLAG_PIO = 1 << 1;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 1 << 2;
/** The address is a subchannel of s390's virtio-ccw. */
export const KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY = 1 << 3;
/** Accepted and ignored. */
export const KVM_IOEVENTFD_FLAG_FAST_MMIO = 1 << 4;

/** Kernel counterpart: `struct kvm_ioeventfd`. */
export interface KvmIoeventfdArgs {
  /** Guest-physical address in bytes, or port. */
  readonly addr: U64;
  /** Bytes of the write that signals; 0 (any length) where the kernel has KVM_CAP_IOEVENTFD_ANY_LENGTH. */
  readonly len: number;
  /** KVM_IOEVENTFD_FLAG_*. */
  readonly flags: number;
  /** The value that signals; read with KVM_IOEVENTFD_FLAG_DATAMATCH only. */
  readonly datamatch?: U64 | undefined;
  readonly fd: number;
}

/** Who waits on an eventfd: nobody, somebody who polls it (epoll, vhost), or a thread that sleeps in read(2). */
export const WAITERS = ["nobody", "poller", "sleeper"] as const;
export type Waiter = (typeof WAITERS)[number];

/** A file made by eventfd(2). Kernel counterpart: `struct eventfd_ctx`. */
export class EventFd {
  /** How often it was signalled. */
  signals = 0;
  /** The vCPU that signalled last, or -1. */
  lastVcpu = -1;

  constructor(readonly waiter: Waiter = "nobody") {}
}

/** An ioeventfd on a bus. Kernel counterpart: `struct _ioeventfd`. */
export class Ioeventfd implements KvmIoDevice {
  constructor(
    private readonly kvm: KvmEventfd,
    readonly bus: BusIndex,
    readonly addr: U64,
    readonly length: number,
    readonly eventfd: EventFd,
    /** Whether any value signals. */
    readonly wildcard: boolean,
    readonly datamatch: U64,
  ) {}

  write(addr: U64, len: number, value: U64): number {
    return this.kvm.ioeventfdWrite(this, addr, len, value);
  }

  destructor(): void {
    this.kvm.ioeventfdRelease(this);
  }
}
