/**
 * KVM_IOEVENTFD and the eventfds it takes. Kernel counterpart: virt/kvm/eventfd.c, here as it was in Linux 3.9: an ioeventfd
 * has a length and is on one bus. Allocations do not fail, and the padding of the arguments is not looked at.
 */
import { ERRNO, KvmError } from "./errno.js";
import { type BusIndex, KVM_MMIO_BUS, KVM_PIO_BUS, KVM_VIRTIO_CCW_NOTIFY_BUS, KvmIoBus } from "./io-bus.js";
import {
  EventFd,
  Ioeventfd,
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
  KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY,
  type KvmIoeventfdArgs,
  type Waiter,
} from "./ioeventfd.js";
import { KVM } from "./primitives.js";
import { addU64, hexU64, lowBytes, type U64, u32, u64 } from "./u64.js";

/** An eventfd of its own on an address or port. */
export interface OwnIoeventfdArgs {
  readonly addr: U64;
  readonly len: number;
  readonly datamatch?: U64 | undefined;
  readonly pio: boolean;
}

/** An open file that is no eventfd. */
export const OTHER_FILE = "other file";

export class KvmEventfd extends KvmIoBus {
  /** Userspace's open files by descriptor; the first three are the standard streams. */
  readonly files = new Map<number, EventFd | typeof OTHER_FILE>(
    [0, 1, 2].map((fd) => [fd, OTHER_FILE] as const),
  );
  /** All ioeventfds by their address, those at one in the order of their registration. */
  readonly ioeventfdsAt = new Map<U64, Ioeventfd[]>();

  /** Lengths that KVM_IOEVENTFD accepts, bytes. */
  get ioeventfdLengths(): readonly number[] {
    return [1, 2, 4, 8];
  }

  /** Flags that KVM_IOEVENTFD accepts. */
  get ioeventfdFlags(): number {
    return KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN;
  }

  /** Flags that length 0 does not go with. */
  get ioeventfdNoLengthExcludes(): number {
    return KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO;
  }

  /** eventfd(2): the lowest descriptor that is free. */
  eventfd(waiter: Waiter = "nobody"): number {
    let fd = 0;
    while (this.files.has(fd)) fd++;
    this.files.set(fd, new EventFd(waiter));
    return fd;
  }

  /** close(2). What is registered stays so, for it holds the file and not the descriptor. @throws KvmError EBADF */
  close(fd: number): void {
    if (!this.files.delete(fd)) throw badFile(fd);
  }

  /**
   * What userspace does for an address of its own: an eventfd that nobody waits on, given to KVM_IOEVENTFD.
   * @throws KvmError as `kvmIoeventfd`
   */
  assignIoeventfd({ addr, len, datamatch, pio }: OwnIoeventfdArgs): {
    readonly addr: U64;
    readonly fd: number;
    readonly signals: number;
  } {
    const fd = this.eventfd("nobody");
    const flags =
      (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH);
    try {
      this.kvmIoeventfd({ addr, len, flags, datamatch, fd });
    } catch (error) {
      this.close(fd);
      throw error;
    }
    const eventfd = this.eventfdCtxFdget(fd);
    return {
      addr,
      fd,
      get signals() {
        return eventfd.signals;
      },
    };
  }

  /**
   * The ioctl KVM_IOEVENTFD. An error changes nothing.
   *
   * @throws KvmError EINVAL (length, wrap-around, flags, no eventfd), EBADF, EEXIST (collision), ENOSPC (bus full); with
   * DEASSIGN, which validates nothing but the descriptor, EBADF, EINVAL (no eventfd) and ENOENT
   */
  kvmIoeventfd(args: KvmIoeventfdArgs): void {
    const addr = u64(args.addr, "addr");
    const datamatch = u64(args.datamatch ?? 0, "datamatch");
    const len = u32(args.len, "len");
    const flags = u32(args.flags, "flags");
    const checked = { addr, len, flags, datamatch, fd: args.fd };
    if ((flags & KVM_IOEVENTFD_FLAG_DEASSIGN) !== 0) this.kvmDeassignIoeventfd(checked);
    else this.kvmAssignIoeventfd(checked);
  }

  kvmAssignIoeventfd(args: KvmIoeventfdArgs): void {
    this.checkIoeventfd(args);
    this.kvmAssignIoeventfdIdx(this.ioeventfdBusFromFlags(args.flags), args);
  }

  kvmDeassignIoeventfd(args: KvmIoeventfdArgs): void {
    this.kvmDeassignIoeventfdIdx(this.ioeventfdBusFromFlags(args.flags), args);
  }

  /** Makes an ioeventfd on one bus. */
  kvmAssignIoeventfdIdx(bus: BusIndex, { addr, len, flags, datamatch = 0, fd }: KvmIoeventfdArgs): void {
    const eventfd = this.eventfdCtxFdget(fd);
    const wildcard = (flags & KVM_IOEVENTFD_FLAG_DATAMATCH) === 0;
    const p = new Ioeventfd(this, bus, addr, len, eventfd, wildcard, datamatch);
    const others = this.ioeventfdsAt.get(addr) ?? [];
    const other = others.find((registered) => this.ioeventfdsCollide(registered, p));
    if (other !== undefined) {
      throw new KvmError(
        "EEXIST",
        `addr ${hexU64(addr)}, len ${len}: the ioeventfd of len ${other.length} there takes the same writes; ` +
          "allowed: another addr, len or datamatch",
      );
    }
    this.registerIoeventfd(p);
    this.buses[bus].ioeventfdCount++;
    this.ioeventfdsAt.set(addr, [...others, p]);
  }

  /** Takes an ioeventfd off one bus: the one with exactly these arguments. */
  kvmDeassignIoeventfdIdx(bus: BusIndex, { addr, len, flags, datamatch = 0, fd }: KvmIoeventfdArgs): void {
    const eventfd = this.eventfdCtxFdget(fd);
    const wildcard = (flags & KVM_IOEVENTFD_FLAG_DATAMATCH) === 0;
    const p = this.ioeventfdsAt
      .get(addr)
      ?.find(
        (other) =>
          other.bus === bus &&
          other.eventfd === eventfd &&
          other.length === len &&
          other.wildcard === wildcard &&
          (wildcard || other.datamatch === datamatch),
      );
    if (p === undefined) {
      const value = wildcard ? "no datamatch" : `datamatch ${hexU64(datamatch)}`;
      throw new KvmError(
        "ENOENT",
        `addr ${hexU64(addr)}, len ${len}, ${value}, fd ${fd}: no ioeventfd was assigned with just these`,
      );
    }
    this.unregisterIoeventfd(p);
    this.buses[bus].ioeventfdCount--;
    this.ioeventfdRelease(p);
  }

  /** Puts an ioeventfd on its bus. */
  registerIoeventfd(p: Ioeventfd): void {
    this.kvmIoBusRegisterDev(p.bus, p.addr, p.length, p);
  }

  unregisterIoeventfd(p: Ioeventfd): void {
    this.kvmIoBusUnregisterDev(p.bus, p);
  }

  ioeventfdBusFromFlags(flags: number): BusIndex {
    if ((flags & KVM_IOEVENTFD_FLAG_PIO) !== 0) return KVM_PIO_BUS;
    if ((flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY) !== 0) return KVM_VIRTIO_CCW_NOTIFY_BUS;
    return KVM_MMIO_BUS;
  }

  /** Whether one write could be meant for both. */
  ioeventfdsCollide(one: Ioeventfd, other: Ioeventfd): boolean {
    if (one.bus !== other.bus || one.addr !== other.addr) return false;
    if (one.length === 0 || other.length === 0) return true;
    if (one.length !== other.length) return false;
    return one.wildcard || other.wildcard || one.datamatch === other.datamatch;
  }

  /** Whether a write is the one an ioeventfd waits for. The fast MMIO bus has no value: length 0 never looks at it. */
  ioeventfdInRange(p: Ioeventfd, addr: U64, len: number, value: U64): boolean {
    this.counts[KVM.ioeventfdInRange]++;
    if (addr !== p.addr) return false;
    if (p.length === 0) return true;
    if (len !== p.length) return false;
    if (p.wildcard) return true;
    this.counts[KVM.datamatchCompare]++;
    return lowBytes(value, len) === p.datamatch;
  }

  /** A write that the bus gives to an ioeventfd: 0, or -EOPNOTSUPP. */
  ioeventfdWrite(p: Ioeventfd, addr: U64, len: number, value: U64): number {
    if (!this.ioeventfdInRange(p, addr, len, value)) return -ERRNO.EOPNOTSUPP;
    this.eventfdSignal(p.eventfd);
    return 0;
  }

  ioeventfdRelease(p: Ioeventfd): void {
    const others = this.ioeventfdsAt.get(p.addr) ?? [];
    this.ioeventfdsAt.set(
      p.addr,
      others.filter((other) => other !== p),
    );
  }

  /** Adds one to an eventfd and wakes who waits on it. Whoever waits does so again before the next signal. */
  eventfdSignal(eventfd: EventFd): void {
    const { vcpu } = this;
    this.counts[KVM.eventfdSignal]++;
    eventfd.signals++;
    if (vcpu.effects !== null) vcpu.effects.signal(eventfd);
    if (eventfd.waiter !== "nobody") this.wakeUp(eventfd);
    if (eventfd.lastVcpu !== vcpu.id) this.takeLineOf(eventfd);
  }

  private wakeUp({ waiter }: EventFd): void {
    this.counts[waiter === "poller" ? KVM.eventfdWakePoller : KVM.eventfdWakeSleeper]++;
  }

  /** The line of its counter comes to the vCPU. */
  private takeLineOf(eventfd: EventFd): void {
    if (eventfd.lastVcpu >= 0) this.counts[KVM.eventfdLineMoved]++;
    eventfd.lastVcpu = this.vcpu.id;
  }

  /** The eventfd behind a descriptor. @throws KvmError EBADF, or EINVAL for a file of another kind */
  eventfdCtxFdget(fd: number): EventFd {
    const file = this.files.get(fd);
    if (file === undefined) throw badFile(fd);
    if (file === OTHER_FILE) {
      throw new KvmError("EINVAL", `fd ${fd} is no eventfd; allowed: a descriptor that eventfd() returned`);
    }
    return file;
  }

  private checkIoeventfd({ addr, len, flags }: KvmIoeventfdArgs): void {
    if (!this.ioeventfdLengths.includes(len)) {
      throw new KvmError("EINVAL", `len ${len} is not one of ${this.ioeventfdLengths.join(", ")}`);
    }
    if (addU64(addr, len) < addr) {
      throw new KvmError(
        "EINVAL",
        `addr ${hexU64(addr)} with len ${len} wraps around; allowed: an end below 2^64`,
      );
    }
    const unknown = flags & ~this.ioeventfdFlags;
    if (unknown !== 0) {
      throw new KvmError(
        "EINVAL",
        `flags ${hexU64(flags)} has unknown bits; allowed: bits of ${hexU64(this.ioeventfdFlags)}`,
      );
    }
    if (len === 0 && (flags & this.ioeventfdNoLengthExcludes) !== 0) {
      const excluded = hexU64(this.ioeventfdNoLengthExcludes);
      throw new KvmError(
        "EINVAL",
        `flags ${hexU64(flags)} with len 0; allowed: none of the bits of ${excluded}`,
      );
    }
  }
}

function badFile(fd: number): KvmError {
  return new KvmError("EBADF", `fd ${fd} is not open; allowed: a descriptor that eventfd() returned`);
}
