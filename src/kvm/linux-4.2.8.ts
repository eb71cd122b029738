/**
 * Linux 4.2.8: the four fixes of September 2015. An eventfd of length 0 is two objects on MMIO and fast bus, is on the fast
 * bus only if it is an MMIO one, and the MMIO bus finds it. ("KVM: fix double free for fast mmio eventfd", eefd6b06b17c;
 * "KVM: fix zero length mmio searching", 8f4216c7d289; "KVM: don't try to register to KVM_FAST_MMIO_BUS for non mmio
 * eventfd", 8453fecbecae.)
 */

import { KvmError } from "./errno.js";
import { KVM_FAST_MMIO_BUS, KVM_MMIO_BUS, type KvmIoRange } from "./io-bus.js";
import type { KvmIoeventfdArgs } from "./ioeventfd.js";
import { Linux4_2 } from "./linux-4.2.js";
import type { TraceFormat } from "./trace-formats.js";
import type { U64 } from "./u64.js";

export class Linux4_2_8 extends Linux4_2 {
  override get kernel(): TraceFormat {
    return "v4.2.8";
  }

  /** A range of length 0 equals any access that begins at its address. */
  override kvmIoBusCmp(addr: U64, end: U64, range: KvmIoRange): number {
    if (range.len !== 0) return super.kvmIoBusCmp(addr, end, range);
    if (addr < range.addr) return -1;
    return addr > range.addr ? 1 : 0;
  }

  override kvmAssignIoeventfd(args: KvmIoeventfdArgs): void {
    super.kvmAssignIoeventfd(args);
    if (!this.isFastMmio(args)) return;
    try {
      this.kvmAssignIoeventfdIdx(KVM_FAST_MMIO_BUS, args);
    } catch (error) {
      this.kvmDeassignIoeventfdIdx(KVM_MMIO_BUS, args);
      throw error;
    }
  }

  /** Only the outcome on the main bus counts. */
  override kvmDeassignIoeventfd(args: KvmIoeventfdArgs): void {
    try {
      super.kvmDeassignIoeventfd(args);
    } finally {
      if (this.isFastMmio(args)) this.deassignFast(args);
    }
  }

  /** It is an object of its own. */
  override sharesFastBus(): boolean {
    return false;
  }

  private isFastMmio({ len, flags }: KvmIoeventfdArgs): boolean {
    return len === 0 && this.ioeventfdBusFromFlags(flags) === KVM_MMIO_BUS;
  }

  private deassignFast(args: KvmIoeventfdArgs): void {
    try {
      this.kvmDeassignIoeventfdIdx(KVM_FAST_MMIO_BUS, args);
    } catch (error) {
      if (!(error instanceof KvmError)) throw error;
    }
  }
}
