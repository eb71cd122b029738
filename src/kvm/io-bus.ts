/**
 * The in-kernel I/O buses: sorted ranges, searched by bisection, the first device that takes the access wins.
 *
 * Linux 3.9 and 4.2 compare alike: an access equals a range that contains it, and a range of length 0 only equals an
 * access of length 0. So a zero-length range on the MMIO bus is never found by a write that has a size, and the fast MMIO
 * bus is searched with length 0.
 *
 * A new range is appended and the whole bus sorted by heapsort, which is not stable, with this order, which is not
 * symmetric. Which of several ranges at one address is found, or whether any is, hangs on it.
 */
import type { Ledger } from "../x86/ledger.js";
import { KvmError } from "./errno.js";
import { KVM } from "./primitives.js";

export const KVM_MMIO_BUS = 0;
export const KVM_PIO_BUS = 1;
export const KVM_FAST_MMIO_BUS = 2;
export type BusIndex = typeof KVM_MMIO_BUS | typeof KVM_PIO_BUS | typeof KVM_FAST_MMIO_BUS;

/** Devices a bus takes (NR_IOBUS_DEVS). */
const NR_IOBUS_DEVS = 1000;

/** A device on a bus. `write` and `read` return whether the device took the access. */
export interface IoDevice {
  readonly isIoeventfd: boolean;
  write(addr: number, len: number, value: number): boolean;
  read(addr: number, len: number): boolean;
}

interface IoRange {
  readonly addr: number;
  readonly len: number;
  readonly device: IoDevice;
}

export class IoBus {
  private readonly ranges: IoRange[] = [];
  private readonly counts: Float64Array;

  constructor(
    ledger: Ledger,
    private readonly countsIoeventfds: boolean,
  ) {
    this.counts = ledger.counts;
  }

  /** @throws KvmError ENOSPC when the bus is full */
  register(addr: number, len: number, device: IoDevice): void {
    const counted = this.ranges.filter((range) => this.countsIoeventfds || !range.device.isIoeventfd).length;
    if (counted >= NR_IOBUS_DEVS)
      throw new KvmError("ENOSPC", `the bus holds ${NR_IOBUS_DEVS} devices already`);
    this.ranges.push({ addr, len, device });
    heapSort(this.ranges);
  }

  unregister(device: IoDevice): void {
    const index = this.ranges.findIndex((range) => range.device === device);
    if (index >= 0) this.ranges.splice(index, 1);
  }

  /** Whether a device took the write. Addresses and lengths in bytes (ports for port I/O). */
  write(addr: number, len: number, value: number): boolean {
    return this.access(addr, len, value, true);
  }

  /** Whether a device took the read. */
  read(addr: number, len: number): boolean {
    return this.access(addr, len, 0, false);
  }

  private access(addr: number, len: number, value: number, isWrite: boolean): boolean {
    let index = this.firstMatch(addr, len);
    while (index < this.ranges.length && this.countedCompare(addr, len, index) === 0) {
      const { device } = this.ranges[index++];
      if (isWrite ? device.write(addr, len, value) : device.read(addr, len)) return true;
    }
    return false;
  }

  /** Index of the first range that the access equals, or the number of ranges. */
  private firstMatch(addr: number, len: number): number {
    this.counts[KVM.ioBusLookup]++;
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = low + ((high - low) >> 1);
      const order = this.countedCompare(addr, len, middle);
      if (order < 0) {
        high = middle;
      } else if (order > 0) {
        low = middle + 1;
      } else {
        let first = middle;
        while (first > 0 && this.countedCompare(addr, len, first - 1) === 0) first--;
        return first;
      }
    }
    return this.ranges.length;
  }

  private countedCompare(addr: number, len: number, index: number): number {
    this.counts[KVM.ioBusCompare]++;
    return compare(addr, len, this.ranges[index]);
  }
}

function compare(addr: number, len: number, range: IoRange): number {
  if (addr < range.addr) return -1;
  return addr + len > range.addr + range.len ? 1 : 0;
}

function heapSort(ranges: IoRange[]): void {
  for (let root = (ranges.length >> 1) - 1; root >= 0; root--) siftDown(ranges, root, ranges.length);
  for (let end = ranges.length - 1; end > 0; end--) {
    swap(ranges, 0, end);
    siftDown(ranges, 0, end);
  }
}

/** Restores the heap below `root` in the first `size` ranges. */
function siftDown(ranges: IoRange[], root: number, size: number): void {
  for (let parent = root; 2 * parent + 1 < size; ) {
    let child = 2 * parent + 1;
    if (child + 1 < size && order(ranges, child, child + 1) < 0) child++;
    if (order(ranges, parent, child) >= 0) return;
    swap(ranges, parent, child);
    parent = child;
  }
}

function order(ranges: readonly IoRange[], one: number, other: number): number {
  return compare(ranges[one].addr, ranges[one].len, ranges[other]);
}

function swap(ranges: IoRange[], one: number, other: number): void {
  [ranges[one], ranges[other]] = [ranges[other], ranges[one]];
}
