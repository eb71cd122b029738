/**
 * The in-kernel I/O buses: sorted ranges, searched by bisection; the first device that takes the access wins.
 * Kernel counterpart: the io_bus functions of virt/kvm/kvm_main.c, here as they were in Linux 3.9.
 *
 * An access equals a range that contains it, so the order of ranges is not symmetric. A new range is appended and the whole
 * bus sorted by heapsort, which is not stable: which of several ranges at one address is found, or whether any is, hangs on
 * what was registered before. Where no two ranges are equal any sort gives the same array, and a new one goes straight to its
 * place. A range of length 0 equals an access of length 0 only, until Linux 4.2.8 looks at its address
 * alone.
 */
import { ERRNO, KvmError } from "./errno.js";
import { Kvm } from "./kvm.js";
import { KVM } from "./primitives.js";
import { addU64, hexU64, type U64, u64 } from "./u64.js";

/** Buses, in the kernel's order. */
export const KVM_MMIO_BUS = 0;
export const KVM_PIO_BUS = 1;
export const KVM_VIRTIO_CCW_NOTIFY_BUS = 2;
export const KVM_FAST_MMIO_BUS = 3;
export type BusIndex =
  | typeof KVM_MMIO_BUS
  | typeof KVM_PIO_BUS
  | typeof KVM_VIRTIO_CCW_NOTIFY_BUS
  | typeof KVM_FAST_MMIO_BUS;

const BUS_NAMES = ["MMIO", "PIO", "VIRTIO_CCW_NOTIFY", "FAST_MMIO"] as const;

/** Devices a bus takes. */
const NR_IOBUS_DEVS = 1000;

const { ENOENT, EOPNOTSUPP } = ERRNO;

/** A device on a bus. Kernel counterpart: `struct kvm_io_device` with its operations. */
export interface KvmIoDevice {
  /** 0, or -EOPNOTSUPP if the device does not take the write. */
  write(addr: U64, len: number, value: U64): number;
  /** 0, or -EOPNOTSUPP if the device does not take the read. Absent: it takes none. */
  read?(addr: U64, len: number): number;
  /** Frees the device, when the machine goes while it is still on a bus. */
  destructor?(): void;
}

/** Addresses of a device. Kernel counterpart: `struct kvm_io_range`. */
export class KvmIoRange {
  /** First address after it. */
  readonly end: U64;

  constructor(
    readonly addr: U64,
    readonly len: number,
    readonly device: KvmIoDevice,
  ) {
    this.end = addU64(addr, len);
  }
}

/** A bus, replaced as a whole when a device comes or goes: a search goes on in the array it began with. */
export interface KvmBus {
  readonly ranges: readonly KvmIoRange[];
  /** Whether each range is before the next: compared either way, which tells them apart from all others too. */
  readonly isStrict: boolean;
  /** How many of the ranges are ioeventfds, as far as the kernel keeps count. */
  ioeventfdCount: number;
}

export class KvmIoBus extends Kvm {
  readonly buses: KvmBus[] = BUS_NAMES.map(() => ({ ranges: [], isStrict: true, ioeventfdCount: 0 }));

  /** Gives a write to the first device that takes it: 0, or -EOPNOTSUPP. The fast MMIO bus is asked with length 0. */
  kvmIoBusWrite(bus: BusIndex, addr: U64, len: number, value: U64 = 0): number {
    const index = this.writeToBus(this.buses[bus], canonical(addr), len, canonical(value));
    return index < 0 ? index : 0;
  }

  /**
   * As `kvmIoBusWrite`, but tries the device at index `cookie` first. Returns the index of the device that took the write,
   * which is the next cookie, or -EOPNOTSUPP.
   */
  kvmIoBusWriteCookie(bus: BusIndex, addr: U64, len: number, value: U64, cookie: number): number {
    const at = canonical(addr);
    const written = canonical(value);
    const { ranges } = this.buses[bus];
    if (cookie >= 0 && cookie < ranges.length) {
      const { device } = ranges[cookie];
      const found = this.countedCmp(at, addU64(at, len), ranges[cookie]) === 0;
      if (found && this.kvmIodeviceWrite(device, at, len, written) === 0) return cookie;
    }
    return this.writeToBus(this.buses[bus], at, len, written);
  }

  /** Gives a read to the first device that takes it: 0, or -EOPNOTSUPP. */
  kvmIoBusRead(bus: BusIndex, addr: U64, len: number): number {
    return this.readFromBus(this.buses[bus], canonical(addr), len);
  }

  /**
   * Puts a device on a bus. Returns once nobody searches the array that was replaced.
   * @throws KvmError ENOSPC when the bus is full
   */
  kvmIoBusRegisterDev(bus: BusIndex, addr: U64, len: number, device: KvmIoDevice): void {
    const { ranges, isStrict, ioeventfdCount } = this.buses[bus];
    if (this.kvmIoBusDevices(this.buses[bus]) >= NR_IOBUS_DEVS) {
      throw new KvmError(
        "ENOSPC",
        `addr ${hexU64(addr)}: the ${BUS_NAMES[bus]} bus holds the ${NR_IOBUS_DEVS} devices it can`,
      );
    }
    const range = new KvmIoRange(u64(addr, "addr"), len, device);
    const place = isStrict ? this.strictPlace(ranges, range) : -1;
    this.buses[bus] = {
      ranges: place < 0 ? this.kvmIoBusInsert(ranges, range) : ranges.toSpliced(place, 0, range),
      isStrict: place >= 0,
      ioeventfdCount,
    };
    this.kvmIoBusRegistered();
  }

  /** Takes a device off a bus and waits for those who still search the old array: 0, or `kvmIoBusAbsent()`. */
  kvmIoBusUnregisterDev(bus: BusIndex, device: KvmIoDevice): number {
    const { ranges, isStrict, ioeventfdCount } = this.buses[bus];
    const index = ranges.findIndex((range) => range.device === device);
    if (index < 0) return this.kvmIoBusAbsent();
    this.buses[bus] = { ranges: ranges.toSpliced(index, 1), isStrict, ioeventfdCount };
    this.synchronizeSrcuExpedited();
    return 0;
  }

  /** Order of what begins at `addr` and ends before `end`, an access or another range, against a range: 0 where it is inside. */
  kvmIoBusCmp(addr: U64, end: U64, range: KvmIoRange): number {
    if (addr < range.addr) return -1;
    return end > range.end ? 1 : 0;
  }

  /** Index of the first range that equals the access, or -ENOENT. */
  kvmIoBusGetFirstDev(ranges: readonly KvmIoRange[], addr: U64, end: U64): number {
    const { counts } = this;
    let low = 0;
    let high = ranges.length;
    let first = -ENOENT;
    // Into the ledger at once: a count in memory waits for the one before it.
    let compares = 0;
    while (low < high) {
      // The middle of what is left; once a range is found, the one before the first of those found so far.
      const index = first < 0 ? low + ((high - low) >> 1) : first - 1;
      const order = this.kvmIoBusCmp(addr, end, ranges[index]);
      compares++;
      if (order === 0) {
        first = index;
        if (first === 0) break;
      } else if (first >= 0) {
        break;
      } else if (order < 0) {
        high = index;
      } else {
        low = index + 1;
      }
    }
    counts[KVM.ioBusLookup]++;
    counts[KVM.ioBusCompare] += compares;
    return first;
  }

  /** The array with one more range: appended, and all of it sorted. */
  kvmIoBusInsert(ranges: readonly KvmIoRange[], range: KvmIoRange): KvmIoRange[] {
    const sorted = [...ranges, range];
    heapSort(sorted, (r1, r2) => this.kvmIoBusCmp(r1.addr, r1.end, r2));
    return sorted;
  }

  /** Devices that count towards what a bus takes. */
  kvmIoBusDevices({ ranges }: KvmBus): number {
    return ranges.length;
  }

  /** What unregistering a device returns that is not on the bus. */
  kvmIoBusAbsent(): number {
    return -ENOENT;
  }

  /** After a registration: the old array is freed once nobody searches it. */
  kvmIoBusRegistered(): void {
    this.synchronizeSrcuExpedited();
  }

  /**
   * Userspace closes the machine's last file descriptor: every bus frees the devices left on it. Returns what the kernel
   * frees twice, one sentence each.
   */
  destroyVm(): string[] {
    const freed = new Map<KvmIoDevice, string>();
    const doubleFrees: string[] = [];
    this.buses.forEach(({ ranges }, bus) => {
      for (const { addr, len, device } of ranges) {
        if (device.destructor === undefined) continue;
        const before = freed.get(device);
        if (before === undefined) {
          freed.set(device, BUS_NAMES[bus]);
          device.destructor();
        } else {
          const what = `the device at ${hexU64(addr)}, length ${len}`;
          doubleFrees.push(
            `double free of ${what}: the ${before} bus freed it before the ${BUS_NAMES[bus]} bus`,
          );
        }
      }
      this.buses[bus] = { ranges: [], isStrict: true, ioeventfdCount: 0 };
    });
    return doubleFrees;
  }

  /** Index at which a range is before the next and after the one before, as these are to each other; -1 if there is none. */
  private strictPlace(ranges: readonly KvmIoRange[], range: KvmIoRange): number {
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = low + ((high - low) >> 1);
      if (this.kvmIoBusCmp(range.addr, range.end, ranges[middle]) < 0) high = middle;
      else low = middle + 1;
    }
    const isAfter = low === 0 || this.isBefore(ranges[low - 1], range);
    const isBefore = low === ranges.length || this.isBefore(range, ranges[low]);
    return isAfter && isBefore ? low : -1;
  }

  private isBefore(one: KvmIoRange, other: KvmIoRange): boolean {
    return this.kvmIoBusCmp(one.addr, one.end, other) < 0 && this.kvmIoBusCmp(other.addr, other.end, one) > 0;
  }

  /** Index of the device that took the write, or -EOPNOTSUPP. Kernel counterpart: `__kvm_io_bus_write()`. */
  private writeToBus({ ranges }: KvmBus, addr: U64, len: number, value: U64): number {
    const end = addU64(addr, len);
    let index = this.kvmIoBusGetFirstDev(ranges, addr, end);
    if (index < 0) return -EOPNOTSUPP;
    for (; index < ranges.length && this.countedCmp(addr, end, ranges[index]) === 0; index++) {
      if (this.kvmIodeviceWrite(ranges[index].device, addr, len, value) === 0) return index;
    }
    return -EOPNOTSUPP;
  }

  /** 0, or -EOPNOTSUPP. Kernel counterpart: `__kvm_io_bus_read()`. */
  private readFromBus({ ranges }: KvmBus, addr: U64, len: number): number {
    const end = addU64(addr, len);
    let index = this.kvmIoBusGetFirstDev(ranges, addr, end);
    if (index < 0) return -EOPNOTSUPP;
    for (; index < ranges.length && this.countedCmp(addr, end, ranges[index]) === 0; index++) {
      if (this.kvmIodeviceRead(ranges[index].device, addr, len) === 0) return 0;
    }
    return -EOPNOTSUPP;
  }

  private kvmIodeviceWrite(device: KvmIoDevice, addr: U64, len: number, value: U64): number {
    this.indirectCall();
    return device.write(addr, len, value);
  }

  private kvmIodeviceRead(device: KvmIoDevice, addr: U64, len: number): number {
    if (device.read === undefined) return -EOPNOTSUPP;
    this.indirectCall();
    return device.read(addr, len);
  }

  private countedCmp(addr: U64, end: U64, range: KvmIoRange): number {
    this.counts[KVM.ioBusCompare]++;
    return this.kvmIoBusCmp(addr, end, range);
  }
}

/** The one form of an integer; a guest's numbers are in it already. */
function canonical(value: U64): U64 {
  return typeof value === "bigint" ? u64(value, "address or value") : value;
}

/** Sorts in place as the kernel's sort() does, which decides between ranges that compare as equal. */
function heapSort<T>(items: T[], order: (one: T, other: T) => number): void {
  for (let root = (items.length >> 1) - 1; root >= 0; root--) siftDown(items, root, items.length, order);
  for (let end = items.length - 1; end > 0; end--) {
    swap(items, 0, end);
    siftDown(items, 0, end, order);
  }
}

/** Restores the heap below `root` in the first `size` items. */
function siftDown<T>(items: T[], root: number, size: number, order: (one: T, other: T) => number): void {
  for (let parent = root; 2 * parent + 1 < size; ) {
    let child = 2 * parent + 1;
    if (child + 1 < size && order(items[child], items[child + 1]) < 0) child++;
    if (order(items[parent], items[child]) >= 0) return;
    swap(items, parent, child);
    parent = child;
  }
}

function swap<T>(items: T[], one: number, other: number): void {
  [items[one], items[other]] = [items[other], items[one]];
}
