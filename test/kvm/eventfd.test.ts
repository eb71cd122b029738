/** KVM_IOEVENTFD: what it refuses and in which order, what it puts on which bus, and which write signals. */
import { beforeEach, describe, expect, it } from "vitest";
import { createVm, KERNEL_VERSIONS, type KernelVersion } from "../../src/kvm/eras.js";
import { ERRNO, type Errno, KvmError } from "../../src/kvm/errno.js";
import {
  KVM_FAST_MMIO_BUS,
  KVM_MMIO_BUS,
  KVM_PIO_BUS,
  KVM_VIRTIO_CCW_NOTIFY_BUS,
} from "../../src/kvm/io-bus.js";
import {
  EventFd,
  type Ioeventfd,
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_FAST_MMIO,
  KVM_IOEVENTFD_FLAG_PIO,
  KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY,
  type KvmIoeventfdArgs,
  type Waiter,
} from "../../src/kvm/ioeventfd.js";
import type { KvmIrqchip } from "../../src/kvm/irqchip.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import type { U64 } from "../../src/kvm/u64.js";
import { processor } from "../../src/study/conformance/paging-rows.js";

const DATAMATCH = KVM_IOEVENTFD_FLAG_DATAMATCH;
const PIO = KVM_IOEVENTFD_FLAG_PIO;
const DEASSIGN = KVM_IOEVENTFD_FLAG_DEASSIGN;
const CCW = KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY;
const EOPNOTSUPP = -95;
const A = 0xfebf_0800;

let vm: KvmIrqchip;
let fd: number;

function boot(kernel: KernelVersion, vcpus = 1): void {
  vm = createVm(kernel, processor({ w: 46 }), { vcpus });
  fd = vm.eventfd();
}

beforeEach(() => boot("v6.19"));

function assign(args: Partial<KvmIoeventfdArgs> = {}): void {
  vm.kvmIoeventfd({ addr: A, len: 4, flags: 0, fd, ...args });
}

function deassign(args: Partial<KvmIoeventfdArgs> = {}): void {
  assign({ ...args, flags: ((args.flags ?? 0) | DEASSIGN) >>> 0 });
}

function file(descriptor = fd): EventFd {
  const found = vm.files.get(descriptor);
  if (!(found instanceof EventFd)) throw new Error(`fd ${descriptor} is no eventfd`);
  return found;
}

/** The error of a call that is refused, by name; "ok" if it is not. */
function errno(call: () => void): Errno | "ok" {
  try {
    call();
    return "ok";
  } catch (error) {
    if (error instanceof KvmError) return error.errno;
    throw error;
  }
}

function ioeventfds(): Ioeventfd[] {
  return [...vm.ioeventfdsAt.values()].flat();
}

/** Everything that an ioctl could change. */
function state() {
  return {
    buses: vm.buses.map(({ ranges, ioeventfdCount }) => [ranges, ioeventfdCount]),
    ioeventfds: ioeventfds(),
    files: [...vm.files],
  };
}

/** How many ranges are on the MMIO, port, CCW and fast bus. */
function onBuses(): number[] {
  return vm.buses.map(({ ranges }) => ranges.length);
}

function count(name: string): number {
  return vm.ledger.counts[PRIMITIVES.indexOf(name)];
}

describe("KVM_IOEVENTFD", () => {
  const bad: readonly [string, readonly KernelVersion[], Partial<KvmIoeventfdArgs>, Errno, string][] = [
    ["a length of 3", KERNEL_VERSIONS, { len: 3 }, "EINVAL", "len 3 is not one of"],
    ["a length of 16", KERNEL_VERSIONS, { len: 16 }, "EINVAL", "len 16 is not one of"],
    ["a length of 0 in v3.9", ["v3.9"], { len: 0 }, "EINVAL", "len 0 is not one of 1, 2, 4, 8"],
    [
      "an address that wraps around",
      KERNEL_VERSIONS,
      { addr: 0xffff_ffff_ffff_fffen },
      "EINVAL",
      "addr 0xfffffffffffffffe with len 4 wraps around; allowed: an end below 2^64",
    ],
    ["a flag that is unknown", KERNEL_VERSIONS, { flags: 32 }, "EINVAL", "flags 0x20 has unknown bits"],
    ["the highest flag", KERNEL_VERSIONS, { flags: 0x8000_0000 }, "EINVAL", "flags 0x80000000"],
    [
      "a CCW bus in v3.9",
      ["v3.9"],
      { flags: CCW },
      "EINVAL",
      "flags 0x8 has unknown bits; allowed: bits of 0x7",
    ],
    [
      "a datamatch without a length",
      ["v4.2", "v4.2.8", "v6.19"],
      { len: 0, flags: DATAMATCH },
      "EINVAL",
      "flags 0x1 with len 0",
    ],
    [
      "a port without a length before v6.19",
      ["v4.2", "v4.2.8"],
      { len: 0, flags: PIO },
      "EINVAL",
      "flags 0x2 with len 0; allowed: none of the bits of 0x3",
    ],
    ["a descriptor that is not open", KERNEL_VERSIONS, { fd: 99 }, "EBADF", "fd 99 is not open"],
    ["a negative descriptor", KERNEL_VERSIONS, { fd: -1 }, "EBADF", "fd -1 is not open"],
    ["a file that is no eventfd", KERNEL_VERSIONS, { fd: 0 }, "EINVAL", "fd 0 is no eventfd"],
    [
      "a write that another one takes",
      KERNEL_VERSIONS,
      { addr: 0x10 },
      "EEXIST",
      "addr 0x10, len 4: the ioeventfd",
    ],
  ];

  it.each(
    bad.flatMap(([what, kernels, ...rest]) => kernels.map((kernel) => [what, kernel, ...rest] as const)),
  )("refuses %s, in %s, by name and number, and changes nothing", (_, kernel, args, name, message) => {
    boot(kernel);
    assign({ addr: 0x10 });
    const before = state();
    let caught: unknown;
    try {
      assign(args);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(KvmError);
    expect(caught).toMatchObject({ errno: name, value: ERRNO[name], name: "KvmError" });
    expect(String(caught)).toContain(`${name}: `);
    expect(String(caught)).toContain(message);
    expect(state()).toEqual(before);
  });

  it("refuses an eventfd for a full bus, and changes nothing", () => {
    for (let i = 0; i < 1000; i++) vm.registerPioDevice(i, 1);
    const before = state();
    expect(errno(() => assign({ addr: 0x1000, flags: PIO }))).toBe("ENOSPC");
    expect(state()).toEqual(before);
  });

  it("checks length, wrap-around, flags, the flags of length 0, the descriptor, a collision and room, in this order", () => {
    const addr = 0xffff_ffff_ffff_ffffn;
    assign({ flags: PIO });
    for (let i = 0; i < 1000; i++) vm.registerPioDevice(i, 1);
    const steps: [Partial<KvmIoeventfdArgs>, string][] = [
      [{ addr, len: 3, flags: PIO | 32, fd: 99 }, "EINVAL: len 3"],
      [{ addr, len: 4, flags: PIO | 32, fd: 99 }, "EINVAL: addr 0xffffffffffffffff with len 4 wraps around"],
      [{ len: 0, flags: PIO | DATAMATCH | 32, fd: 99 }, "EINVAL: flags 0x23 has unknown bits"],
      [{ len: 0, flags: PIO | DATAMATCH, fd: 99 }, "EINVAL: flags 0x3 with len 0"],
      [{ len: 4, flags: PIO, fd: 99 }, "EBADF: fd 99"],
      [{ len: 4, flags: PIO, fd: 0 }, "EINVAL: fd 0"],
      [{ len: 4, flags: PIO }, "EEXIST: addr 0xfebf0800"],
      [{ len: 8, flags: PIO }, "ENOSPC: addr 0xfebf0800: the PIO bus"],
    ];
    for (const [args, message] of steps) expect(() => assign(args)).toThrow(message);
  });

  it("accepts lengths 1, 2, 4 and 8 everywhere, 0 from v4.2 on, and 0 for a port from v6.19 on", () => {
    const accepted = KERNEL_VERSIONS.map((kernel) => {
      boot(kernel);
      return [0, 1, 2, 4, 8].map((len) =>
        [0, PIO].map((flags) => errno(() => assign({ addr: A + 16 * len, len, flags }))),
      );
    });
    const sized = Array.from({ length: 4 }, () => ["ok", "ok"]);
    expect(accepted).toEqual([
      [["EINVAL", "EINVAL"], ...sized],
      [["ok", "EINVAL"], ...sized],
      [["ok", "EINVAL"], ...sized],
      [["ok", "ok"], ...sized],
    ]);
  });

  it("accepts flag 16 from v4.2 on and ignores it", () => {
    const outcomes = KERNEL_VERSIONS.map((kernel) => {
      boot(kernel);
      return [errno(() => assign({ flags: KVM_IOEVENTFD_FLAG_FAST_MMIO })), ...onBuses()];
    });
    expect(outcomes).toEqual([
      ["EINVAL", 0, 0, 0, 0],
      ["ok", 1, 0, 0, 0],
      ["ok", 1, 0, 0, 0],
      ["ok", 1, 0, 0, 0],
    ]);
  });

  it("accepts the last address that does not wrap around", () => {
    expect(errno(() => assign({ addr: 0xffff_ffff_ffff_fffbn }))).toBe("ok");
    expect(errno(() => assign({ addr: 0xffff_ffff_ffff_fffcn }))).toBe("EINVAL"); // 2^64 wraps to 0
    expect(errno(() => assign({ addr: 0xffff_ffff_ffff_ffffn, len: 0 }))).toBe("ok");
  });

  it("wants arguments that fit their fields", () => {
    expect(() => assign({ addr: -1 })).toThrow(RangeError);
    expect(() => assign({ len: 1.5 })).toThrow("len: 1.5 is not a whole number from 0 to 2^32 - 1");
    expect(() => assign({ flags: 2 ** 32 })).toThrow("flags: 4294967296 is not a whole number");
    expect(() => assign({ datamatch: 2n ** 64n })).toThrow("datamatch: ");
  });
});

describe("DEASSIGN validates nothing", () => {
  it.each([
    ["a length that cannot be", { len: 3 }],
    ["an address that wraps around", { addr: 0xffff_ffff_ffff_ffffn }],
    ["unknown flags", { flags: 0xffff_ff80, addr: A + 8 }],
    ["a datamatch without a length", { len: 0, flags: DATAMATCH }],
  ])("but finds no ioeventfd with %s", (_, args) => {
    assign();
    const before = state();
    expect(errno(() => deassign(args))).toBe("ENOENT");
    expect(state()).toEqual(before);
  });

  it("beyond the descriptor", () => {
    expect(errno(() => deassign({ fd: 99 }))).toBe("EBADF");
    expect(errno(() => deassign({ fd: 1 }))).toBe("EINVAL");
  });

  it("so unknown flags do not keep it from the ioeventfd they were never part of", () => {
    assign();
    expect(errno(() => deassign({ flags: 0x100 }))).toBe("ok");
    expect(onBuses()).toEqual([0, 0, 0, 0]);
  });

  it.each<[string, Partial<KvmIoeventfdArgs>]>([
    ["bus", { flags: PIO | DATAMATCH }],
    ["address", { addr: A + 8 }],
    ["length", { len: 8 }],
    ["eventfd", { fd: -2 }],
    ["wildcard", { flags: 0 }],
    ["datamatch", { datamatch: 6 }],
  ])("and takes only what has the same %s", (_, other) => {
    const mine = { flags: DATAMATCH, datamatch: 5 };
    assign(mine);
    const second = vm.eventfd();
    const args = { ...mine, ...other };
    expect(errno(() => deassign({ ...args, fd: args.fd === -2 ? second : fd }))).toBe("ENOENT");
    expect(errno(() => deassign(mine))).toBe("ok");
    expect(errno(() => deassign(mine))).toBe("ENOENT");
  });

  it("and goes by the file: a descriptor that was closed and opened anew is another eventfd", () => {
    assign();
    vm.close(fd);
    expect(errno(() => deassign())).toBe("EBADF");
    expect(vm.eventfd()).toBe(fd);
    expect(errno(() => deassign())).toBe("ENOENT");
    expect(vm.kvmIoBusWrite(KVM_MMIO_BUS, A, 4)).toBe(0);
    expect(file().signals).toBe(0);
  });
});

describe("two ioeventfds", () => {
  it.each<[string, Partial<KvmIoeventfdArgs>, Partial<KvmIoeventfdArgs>, string]>([
    ["of one length without datamatch", {}, {}, "EEXIST"],
    ["of one length, one with a datamatch", {}, { flags: DATAMATCH, datamatch: 1 }, "EEXIST"],
    [
      "of one length with one datamatch",
      { flags: DATAMATCH, datamatch: 1 },
      { flags: DATAMATCH, datamatch: 1 },
      "EEXIST",
    ],
    [
      "of one length with two datamatches",
      { flags: DATAMATCH, datamatch: 1 },
      { flags: DATAMATCH, datamatch: 2 },
      "ok",
    ],
    ["of two lengths", {}, { len: 8 }, "ok"],
    [
      "of two lengths, with one datamatch",
      { flags: DATAMATCH, datamatch: 1 },
      { len: 8, flags: DATAMATCH, datamatch: 1 },
      "ok",
    ],
    ["of which one has no length", {}, { len: 0 }, "EEXIST"],
    ["of which the first has no length", { len: 0 }, { len: 2, flags: DATAMATCH, datamatch: 1 }, "EEXIST"],
    ["of which none has a length", { len: 0 }, { len: 0 }, "EEXIST"],
    ["on memory and port", {}, { flags: PIO }, "ok"],
    ["on memory and CCW bus", { len: 0 }, { len: 0, flags: CCW }, "ok"],
    ["that overlap without having one address", {}, { addr: A + 2 }, "ok"],
    [
      "with datamatches that differ beyond their length",
      { len: 1, flags: DATAMATCH, datamatch: 0 },
      { len: 1, flags: DATAMATCH, datamatch: 0x100 },
      "ok",
    ],
    [
      "whose datamatches no double tells apart",
      { len: 8, flags: DATAMATCH, datamatch: 2n ** 60n },
      { len: 8, flags: DATAMATCH, datamatch: 2n ** 60n + 1n },
      "ok",
    ],
  ])("%s", (_, one, other, outcome) => {
    for (const kernel of ["v4.2", "v4.2.8", "v6.19"] as const) {
      boot(kernel);
      assign(one);
      expect(errno(() => assign({ ...other, fd: vm.eventfd() }))).toBe(outcome);
    }
  });
});

describe("an ioeventfd without a length", () => {
  const any = { len: 0 };

  it("is the zero-length eventfd that v4.2 (not v4.2.8) never finds on the MMIO bus", () => {
    const outcomes = (["v4.2", "v4.2.8", "v6.19"] as const).map((kernel) => {
      boot(kernel);
      assign(any);
      const results = [1, 2, 4, 8].map((len) => vm.kvmIoBusWrite(KVM_MMIO_BUS, A, len, 7));
      results.push(vm.kvmIoBusWrite(KVM_FAST_MMIO_BUS, A, 0));
      return [...results, file().signals];
    });
    expect(outcomes).toEqual([
      [EOPNOTSUPP, EOPNOTSUPP, EOPNOTSUPP, EOPNOTSUPP, 0, 1],
      [0, 0, 0, 0, 0, 5],
      [0, 0, 0, 0, 0, 5],
    ]);
  });

  it.each([
    // flags, then ranges on the MMIO, port, CCW and fast bus, and different objects among them
    ["v4.2", 0, [1, 0, 0, 1], 1],
    ["v4.2", CCW, [0, 0, 1, 1], 1],
    ["v4.2.8", 0, [1, 0, 0, 1], 2],
    ["v4.2.8", CCW, [0, 0, 1, 0], 1],
    ["v6.19", 0, [1, 0, 0, 1], 2],
    ["v6.19", CCW, [0, 0, 1, 0], 1],
    ["v6.19", PIO, [0, 1, 0, 0], 1],
  ] as const)(
    "is in %s, with flags %i, on the buses it should be, and off them after DEASSIGN",
    (kernel, flags, on, objects) => {
      boot(kernel);
      assign({ ...any, flags });
      expect(onBuses()).toEqual(on);
      expect(new Set(vm.buses.flatMap(({ ranges }) => ranges.map(({ device }) => device))).size).toBe(
        objects,
      );
      deassign({ ...any, flags });
      expect(onBuses()).toEqual([0, 0, 0, 0]);
      expect(ioeventfds()).toEqual([]);
      expect(vm.buses.map(({ ioeventfdCount }) => ioeventfdCount)).toEqual([0, 0, 0, 0]);
      expect(errno(() => assign({ ...any, flags }))).toBe("ok");
    },
  );

  it("is freed twice by v4.2 when the machine is closed, and by no other kernel", () => {
    const reports = (["v4.2", "v4.2.8", "v6.19"] as const).map((kernel) => {
      boot(kernel);
      assign(any);
      assign({ addr: A + 8 });
      assign({ ...any, flags: CCW });
      vm.kvmRegisterCoalescedMmio({ addr: 0x1000, size: 0x1000 });
      const report = vm.destroyVm().toSorted();
      expect(onBuses()).toEqual([0, 0, 0, 0]);
      expect([ioeventfds(), vm.coalescedZones]).toEqual([[], []]);
      return report;
    });
    expect(reports).toEqual([
      [
        "double free of the device at 0xfebf0800, length 0: the MMIO bus freed it before the FAST_MMIO bus",
        "double free of the device at 0xfebf0800, length 0: the VIRTIO_CCW_NOTIFY bus freed it before the FAST_MMIO bus",
      ],
      [],
      [],
    ]);
  });

  it.each(["v4.2", "v4.2.8", "v6.19"] as const)(
    "that %s cannot put on the fast bus is on no bus",
    (kernel) => {
      boot(kernel);
      for (let i = 0; i < 1000; i++) {
        vm.kvmIoBusRegisterDev(KVM_FAST_MMIO_BUS, 8 * i, 0, {
          write: () => EOPNOTSUPP,
          read: () => EOPNOTSUPP,
        });
      }
      expect(errno(() => assign(any))).toBe("ENOSPC");
      expect(onBuses()).toEqual([0, 0, 0, 1000]);
      expect([ioeventfds(), vm.buses[KVM_MMIO_BUS].ioeventfdCount]).toEqual([[], 0]);
    },
  );

  it("leaves its outcome to the main bus when it goes: what is not on the fast bus does not matter", () => {
    boot("v4.2.8");
    assign(any);
    const [main, fast] = ioeventfds();
    vm.kvmIoBusUnregisterDev(KVM_FAST_MMIO_BUS, fast);
    vm.ioeventfdRelease(fast);
    expect(errno(() => deassign(any))).toBe("ok");
    expect(ioeventfds()).not.toContain(main);
    expect(errno(() => deassign(any))).toBe("ENOENT");
  });
});

describe("a write", () => {
  const write = (addr: U64, len: number, value: U64 = 0) => vm.kvmIoBusWrite(KVM_MMIO_BUS, addr, len, value);

  it.each([
    ["of its length", { len: 4 }, [A, 4, 7], true],
    ["of a part of its length", { len: 4 }, [A, 2, 7], false],
    ["of 8 bytes to an eventfd of 4", { len: 4 }, [A, 8, 7], false],
    ["one byte before it that covers it", { len: 4 }, [A - 1, 8, 7], false],
    ["inside it", { len: 8 }, [A + 4, 4, 7], false],
    ["of its value", { len: 4, flags: DATAMATCH, datamatch: 7 }, [A, 4, 7], true],
    ["of another value", { len: 4, flags: DATAMATCH, datamatch: 7 }, [A, 4, 8], false],
    ["whose lowest bytes are its value", { len: 2, flags: DATAMATCH, datamatch: 7 }, [A, 2, 0x1_0007], true],
    [
      "to a datamatch that no byte can hold",
      { len: 1, flags: DATAMATCH, datamatch: 0x100 },
      [A, 1, 0x100],
      false,
    ],
    [
      "of a value beyond doubles",
      { len: 8, flags: DATAMATCH, datamatch: 2n ** 64n - 1n },
      [A, 8, 2n ** 64n - 1n],
      true,
    ],
    [
      "of a value that a double would round",
      { len: 8, flags: DATAMATCH, datamatch: 2n ** 60n },
      [A, 8, 2n ** 60n + 1n],
      false,
    ],
  ] as const)("%s signals or not", (_, args, [addr, len, value], signals) => {
    assign(args);
    expect(write(addr, len, value)).toBe(signals ? 0 : EOPNOTSUPP);
    expect(file().signals).toBe(signals ? 1 : 0);
  });

  it("signals one eventfd of several at its address", () => {
    const fds = [1, 2, 3].map((datamatch) => {
      const own = vm.eventfd();
      assign({ flags: DATAMATCH, datamatch, fd: own });
      return own;
    });
    expect([write(A, 4, 3), write(A, 4, 1), write(A, 4, 4)]).toEqual([0, 0, EOPNOTSUPP]);
    expect(fds.map((own) => file(own).signals)).toEqual([1, 0, 1]);
  });

  it("goes to the eventfds of its bus only, and a read to none", () => {
    assign();
    assign({ flags: PIO, fd: vm.eventfd() });
    assign({ flags: CCW, fd: vm.eventfd() });
    expect(vm.kvmIoBusWrite(KVM_VIRTIO_CCW_NOTIFY_BUS, A, 4)).toBe(0);
    expect([fd, fd + 1, fd + 2].map((own) => file(own).signals)).toEqual([0, 0, 1]);
    const buses = [KVM_MMIO_BUS, KVM_PIO_BUS, KVM_VIRTIO_CCW_NOTIFY_BUS] as const;
    expect(buses.map((bus) => vm.kvmIoBusRead(bus, A, 4))).toEqual(buses.map(() => EOPNOTSUPP));
  });

  it("is asked for its value only where an eventfd has a datamatch", () => {
    assign({ len: 4 });
    write(A, 4, 1);
    expect([count("ioeventfdInRange"), count("datamatchCompare")]).toEqual([1, 0]);
    assign({ addr: A + 8, flags: DATAMATCH, datamatch: 1 });
    write(A + 8, 4, 1);
    expect([count("ioeventfdInRange"), count("datamatchCompare")]).toEqual([2, 1]);
  });
});

describe("an eventfd", () => {
  it("has the lowest free descriptor after the standard streams", () => {
    expect([fd, vm.eventfd(), vm.eventfd()]).toEqual([3, 4, 5]);
    vm.close(4);
    expect([vm.eventfd(), vm.eventfd()]).toEqual([4, 6]);
    expect(errno(() => vm.close(99))).toBe("EBADF");
  });

  it.each<[Waiter, number, number]>([
    ["nobody", 0, 0],
    ["poller", 3, 0],
    ["sleeper", 0, 3],
  ])("that %s waits on is signalled, and wakes who waits, each time", (waiter, pollers, sleepers) => {
    const own = vm.eventfd(waiter);
    assign({ fd: own });
    for (let i = 0; i < 3; i++) vm.kvmIoBusWrite(KVM_MMIO_BUS, A, 4);
    expect(file(own).signals).toBe(3);
    expect(["eventfdSignal", "eventfdWakePoller", "eventfdWakeSleeper"].map(count)).toEqual([
      3,
      pollers,
      sleepers,
    ]);
  });

  it("moves its cache line when another vCPU signalled it last", () => {
    boot("v6.19", 2);
    assign();
    for (const vcpu of [0, 0, 1, 1, 0, 1]) {
      vm.vcpu = vm.vcpus[vcpu];
      vm.kvmIoBusWrite(KVM_MMIO_BUS, A, 4);
    }
    expect([count("eventfdSignal"), count("eventfdLineMoved")]).toEqual([6, 3]);
  });

  it("may be assigned to several addresses", () => {
    assign();
    assign({ addr: A + 8 });
    assign({ addr: A, flags: PIO });
    vm.kvmIoBusWrite(KVM_MMIO_BUS, A, 4);
    vm.kvmIoBusWrite(KVM_PIO_BUS, A, 4);
    expect(file().signals).toBe(2);
  });

  it("of its own for one address says how often it was signalled, and is closed again if it is refused", () => {
    const own = vm.assignIoeventfd({ addr: A, len: 4, datamatch: 7, pio: false });
    vm.kvmIoBusWrite(KVM_MMIO_BUS, A, 4, 7);
    expect(own).toMatchObject({ addr: A, fd: 4, signals: 1 });
    expect(errno(() => vm.assignIoeventfd({ addr: A, len: 3, pio: false }))).toBe("EINVAL");
    expect(vm.files.has(5)).toBe(false);
  });
});

describe("while an ioeventfd is put on its buses", () => {
  it.each([
    // buses that hold it, at each wait
    ["v3.9", { len: 4 }, [1], [0]],
    ["v4.2", { len: 0 }, [1, 2], [1, 0]],
    ["v4.2.8", { len: 0 }, [1, 2], [1, 0]],
    ["v6.19", { len: 0 }, [], [1, 0]],
  ] as const)(
    "or taken off them, %s waits, and vCPUs see how far it is",
    (kernel, args, assigning, deassigning) => {
      boot(kernel);
      const seen: number[] = [];
      vm.duringGracePeriod = () => seen.push(vm.buses.filter(({ ranges }) => ranges.length > 0).length);
      assign(args);
      expect(seen.splice(0)).toEqual(assigning);
      deassign(args);
      expect(seen).toEqual(deassigning);
    },
  );
});
