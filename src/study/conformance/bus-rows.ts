/**
 * Rows of the ioeventfd table: a machine without memory, and what its buses answer to ioctls and writes, one after the
 * other. A row passes if two kernels agree with it, Linux 6.19 and 4.2.8, for they order ranges differently.
 */
import * as z from "zod";
import { InputError, record } from "../../cost/input.js";
import { createVm, type KernelVersion } from "../../kvm/eras.js";
import { ERRNO, KvmError } from "../../kvm/errno.js";
import type { KvmEventfd } from "../../kvm/eventfd.js";
import { type BusIndex, KVM_FAST_MMIO_BUS, KVM_MMIO_BUS, type KvmIoDevice } from "../../kvm/io-bus.js";
import { EventFd } from "../../kvm/ioeventfd.js";
import { addU64, type U64, u64 } from "../../kvm/u64.js";
import { type Comparison, hex, processor, whole } from "./paging-rows.js";

const u32 = whole.min(0, { error: "0 to 2^32 - 1" }).max(0xffff_ffff, { error: "0 to 2^32 - 1" });
const length = whole.min(0, { error: "0 or more bytes" }).max(0x7fff_ffff, { error: "below 2^31 bytes" });
const bus = z.literal([0, 1, 2], { error: "0 (MMIO), 1 (PIO) or 2 (CCW)" });
const device = whole.min(0, { error: "0 or more" });

const OPERATIONS = [
  z.tuple([z.literal("a"), hex, u32, u32, hex, whole]),
  z.tuple([z.literal("w"), bus, hex, length, hex]),
  z.tuple([z.literal("f"), hex]),
  z.tuple([z.literal("e"), hex, length, hex]),
  z.tuple([z.literal("c"), bus, hex, length, hex, whole]),
  z.tuple([z.literal("d"), bus, hex, length, z.literal([0, 1], { error: "0 or 1" }), device]),
  z.tuple([z.literal("u"), device]),
] as const;

const operation = z.union(OPERATIONS, {
  error:
    '["a", addr, len, flags, datamatch, fd], ["w", bus, addr, len, data], ["f", addr], ["e", addr, len, data], ' +
    '["c", bus, addr, len, data, cookie], ["d", bus, addr, len, kind, id] or ["u", id]',
});
type Operation = z.output<typeof operation>;

const results = z.array(whole, { error: "a list of whole numbers" });
const busRow = record({
  i: whole.optional(),
  ops: z.array(operation, { error: "a list of operations" }),
  r: results,
  r42: results.optional(),
});
type BusRow = z.output<typeof busRow>;

export const BUS_SCHEMAS = { ioeventfd: busRow };

/** Descriptors below this are open, and each is an eventfd. */
const OPEN_FILES = 4096;

/** A device with this id answers as this plus the id, beside eventfds that answer as their descriptor. */
const FIRST_DEVICE = 10_000;

/** @throws InputError for results that are not one an operation */
export function compareBus(row: BusRow): Comparison {
  const { ops, r, r42 = r } = row;
  for (const [field, list] of Object.entries({ r, r42 })) {
    if (list.length !== ops.length) {
      const found = `a list of ${list.length} is not allowed`;
      throw new InputError(`row: ${field}`, found, `${ops.length} results, one an operation`);
    }
  }
  const comparisons = [compareKernel("v6.19", ops, r), compareKernel("v4.2.8", ops, r42)];
  return {
    expected: comparisons.map(({ expected }) => expected).join("; "),
    got: comparisons.map(({ got }) => got).join("; "),
  };
}

/** Runs the operations on one kernel, up to the first with another result. */
function compareKernel(
  kernel: KernelVersion,
  operations: readonly Operation[],
  expected: readonly number[],
): Comparison {
  const machine = new Machine(kernel, operations);
  for (const [index, operation] of operations.entries()) {
    const got = machine.run(operation);
    if (got === expected[index]) continue;
    const where = `${kernel}, operation ${index}, ${JSON.stringify(operation)}`;
    return { expected: `${where}: ${expected[index]}`, got: `${where}: ${got}` };
  }
  const same = `${kernel}, all ${operations.length} operations`;
  return { expected: same, got: same };
}

/** A virtual machine that notes who takes a write. */
class Machine {
  private readonly vm: KvmEventfd;
  private readonly eventfds = new Map<EventFd, number>();
  private readonly devices = new Map<number, { readonly bus: BusIndex; readonly device: KvmIoDevice }>();
  /** Device that took the last write. */
  private taker: number | null = null;

  constructor(kernel: KernelVersion, operations: readonly Operation[]) {
    this.vm = createVm(kernel, processor({ w: 46 }));
    this.vm.files.clear();
    for (const operation of operations) {
      if (operation[0] !== "a") continue;
      const fd = operation[5];
      if (fd < 0 || fd >= OPEN_FILES || this.vm.files.has(fd)) continue;
      const eventfd = new EventFd();
      this.vm.files.set(fd, eventfd);
      this.eventfds.set(eventfd, fd);
    }
  }

  /** What the table writes for an operation: 0, a negative error, or who took the write; several as text. */
  run(operation: Operation): number | string {
    const { vm } = this;
    switch (operation[0]) {
      case "a": {
        const [, addr, len, flags, datamatch, fd] = operation;
        const args = { addr: integer(addr), len, flags, datamatch: integer(datamatch), fd };
        return outcome(() => vm.kvmIoeventfd(args));
      }
      case "w": {
        const [, bus, addr, len, data] = operation;
        return this.taken(vm.kvmIoBusWrite(bus, integer(addr), len, integer(data)));
      }
      case "f":
        return this.taken(vm.kvmIoBusWrite(KVM_FAST_MMIO_BUS, integer(operation[1]), 0));
      case "e": {
        const [, addr, len, data] = operation;
        const fast = vm.kvmIoBusWrite(KVM_FAST_MMIO_BUS, integer(addr), 0);
        return this.taken(
          fast === 0 ? fast : vm.kvmIoBusWrite(KVM_MMIO_BUS, integer(addr), len, integer(data)),
        );
      }
      case "c": {
        const [, bus, addr, len, data, cookie] = operation;
        return this.taken(vm.kvmIoBusWriteCookie(bus, integer(addr), len, integer(data), cookie));
      }
      case "d":
        return this.register(operation);
      case "u": {
        const [, id] = operation;
        // A device that was not made before is on no bus.
        const { bus, device } = this.devices.get(id) ?? { bus: KVM_MMIO_BUS, device: this.device(id, null) };
        return vm.kvmIoBusUnregisterDev(bus, device);
      }
    }
  }

  private register([, bus, addr, len, kind, id]: Extract<Operation, readonly ["d", ...unknown[]]>): number {
    const base = integer(addr);
    const device = this.device(id, kind === 0 ? { base, end: addU64(base, len) } : null);
    return outcome(() => {
      this.vm.kvmIoBusRegisterDev(bus, base, len, device);
      this.devices.set(id, { bus, device });
    });
  }

  /** A device that takes the writes within a range, or none. */
  private device(id: number, range: { readonly base: U64; readonly end: U64 } | null): KvmIoDevice {
    return {
      write: (addr, len) => {
        if (range === null || addr < range.base || addU64(addr, len) > range.end) return -ERRNO.EOPNOTSUPP;
        this.taker = FIRST_DEVICE + id;
        return 0;
      },
      read: () => -ERRNO.EOPNOTSUPP,
    };
  }

  /** Who took a write, from what the bus returned. */
  private taken(result: number): number | string {
    const takers: number[] = [];
    for (const [eventfd, fd] of this.eventfds) {
      for (; eventfd.signals > 0; eventfd.signals--) takers.push(fd);
    }
    if (this.taker !== null) takers.push(this.taker);
    this.taker = null;
    if (takers.length === (result < 0 ? 0 : 1)) return takers[0] ?? result;
    return `${result}, taken by ${takers.join(" and ") || "nobody"}`;
  }
}

/** 0, or the negative error that a call is refused with. */
function outcome(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    if (error instanceof KvmError) return -error.value;
    throw error;
  }
}

function integer(text: string): U64 {
  return u64(BigInt(`0x${text}`), "row");
}
