/** The I/O buses: which device an access finds, on each kernel. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { createVm, KERNEL_VERSIONS, type KernelVersion } from "../../src/kvm/eras.js";
import {
  KVM_FAST_MMIO_BUS,
  KVM_MMIO_BUS,
  KVM_PIO_BUS,
  KVM_VIRTIO_CCW_NOTIFY_BUS,
  type KvmIoDevice,
  KvmIoRange,
} from "../../src/kvm/io-bus.js";
import type { KvmIrqchip } from "../../src/kvm/irqchip.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { addU64, lowBytes, type U64, u64 } from "../../src/kvm/u64.js";
import { processor } from "../../src/study/conformance/paging-rows.js";

const EOPNOTSUPP = -95;
const ENOENT = -2;
const A = 0x1000;

let vm: KvmIrqchip;
/** Names of the devices that took an access, in order. */
let taken: string[];

function boot(kernel: KernelVersion): void {
  vm = createVm(kernel, processor({ w: 46 }));
  taken = [];
}

beforeEach(() => boot("v6.19"));

/** A device that takes everything the bus gives it, or refuses it. */
function device(name: string, takes = true): KvmIoDevice {
  const answer = () => {
    if (takes) taken.push(name);
    return takes ? 0 : EOPNOTSUPP;
  };
  return { write: answer, read: answer };
}

function register(addr: U64, len: number, name: string, takes = true): KvmIoDevice {
  const made = device(name, takes);
  vm.kvmIoBusRegisterDev(KVM_MMIO_BUS, addr, len, made);
  return made;
}

function write(addr: U64, len: number): number {
  return vm.kvmIoBusWrite(KVM_MMIO_BUS, addr, len, 1);
}

function count(name: string): number {
  return vm.ledger.counts[PRIMITIVES.indexOf(name)];
}

describe.each(KERNEL_VERSIONS)("an I/O bus of %s", (kernel) => {
  beforeEach(() => boot(kernel));

  it("gives an access to the device whose range contains it", () => {
    register(A, 8, "one");
    register(A + 0x10, 8, "two");
    expect([write(A + 0x10, 8), write(A + 0x14, 4), write(A + 7, 1), write(A + 0x17, 2)]).toEqual([
      0,
      0,
      0,
      EOPNOTSUPP,
    ]);
    expect(taken).toEqual(["two", "two", "one"]);
  });

  it("has reads and writes, on four buses that know nothing of each other", () => {
    const buses = [KVM_MMIO_BUS, KVM_PIO_BUS, KVM_VIRTIO_CCW_NOTIFY_BUS, KVM_FAST_MMIO_BUS] as const;
    expect(buses).toEqual([0, 1, 2, 3]);
    for (const bus of buses) vm.kvmIoBusRegisterDev(bus, A + 8 * bus, 4, device(`bus ${bus}`));
    expect(buses.map((bus) => vm.kvmIoBusRead(bus, A + 8 * bus, 4))).toEqual([0, 0, 0, 0]);
    expect(buses.map((bus) => vm.kvmIoBusWrite(bus, A + 8 * ((bus + 1) % 4), 4))).toEqual(
      buses.map(() => EOPNOTSUPP),
    );
    expect(taken).toEqual(["bus 0", "bus 1", "bus 2", "bus 3"]);
  });

  it("asks on until a device takes the access, and then no other", () => {
    register(A, 4, "refuses", false);
    register(A, 4, "takes");
    register(A, 4, "takes too");
    expect(write(A, 4)).toBe(0);
    expect(taken).toHaveLength(1);
  });

  it("bisects: 1000 ranges cost at most ten comparisons to find one, and two to take it", () => {
    for (let i = 0; i < 1000; i++) register(A + 8 * ((i * 7) % 1000), 8, `${i}`);
    for (let i = 0; i < 1000; i++) {
      const before = count("ioBusCompare");
      expect(write(A + 8 * i, 8)).toBe(0);
      expect(count("ioBusCompare") - before).toBeLessThanOrEqual(10 + 2);
    }
    expect(count("ioBusLookup")).toBe(1000);
    expect(new Set(taken).size).toBe(1000);
  });

  it("compares exactly as 64 bits, where doubles could not tell addresses apart", () => {
    const high = 0xffff_ffff_ffff_ff7en;
    register(high, 4, "high");
    register(2n ** 53n, 1, "even");
    register(2n ** 53n + 1n, 1, "odd");
    expect([write(high, 4), write(high - 1n, 4), write(high + 1n, 4)]).toEqual([0, EOPNOTSUPP, EOPNOTSUPP]);
    expect([write(2n ** 53n + 1n, 1), write(2n ** 53n, 1), write(2 ** 53 - 1, 1)]).toEqual([
      0,
      0,
      EOPNOTSUPP,
    ]);
    expect(taken).toEqual(["high", "odd", "even"]);
  });

  it("takes numbers and bigints of one value for one address", () => {
    register(BigInt(A), 4, "device");
    expect([write(A, 4), write(BigInt(A), 4)]).toEqual([0, 0]);
    expect(() => write(-1n, 4)).toThrow(RangeError);
    expect(() => register(2 ** 53, 4, "not exact")).toThrow("addr: 9007199254740992 is not a whole number");
  });

  it("lets the end of an access wrap around, so that it lies before the end of any range", () => {
    register(0xffff_ffff_ffff_fff0n, 8, "device");
    expect([write(0xffff_ffff_ffff_fff4n, 8), write(0xffff_ffff_ffff_fffcn, 4)]).toEqual([EOPNOTSUPP, 0]);
  });

  it("misses what does not stand beside its other matches: an eventfd in a zone hides the zone behind it", () => {
    register(A, 0x100, "zone");
    register(A + 0x10, 4, "eventfd");
    expect([write(A + 8, 4), write(A + 0x10, 4), write(A + 0x20, 4)]).toEqual([0, 0, EOPNOTSUPP]);
    expect(taken).toEqual(["zone", "zone"]);
  });

  it("searches on where a device searched a bus itself", () => {
    const nested = device("nested");
    nested.write = () => {
      vm.kvmIoBusWrite(KVM_PIO_BUS, 0x80, 1);
      return EOPNOTSUPP;
    };
    vm.kvmIoBusRegisterDev(KVM_MMIO_BUS, A, 4, nested);
    register(A, 4, "next");
    expect(write(A, 4)).toBe(0);
    expect(taken).toEqual(["next"]);
  });

  it("tries the cookie first, and answers with the cookie of the device that took the write", () => {
    for (const i of [0, 1, 2]) register(A + 4 * i, 4, `${i}`);
    const writeCookie = (addr: number, cookie: number) =>
      vm.kvmIoBusWriteCookie(KVM_MMIO_BUS, addr, 4, 1, cookie);
    expect(writeCookie(A + 8, 2)).toBe(2);
    expect(count("ioBusLookup")).toBe(0);
    expect([writeCookie(A + 8, 0), writeCookie(A, -1), writeCookie(A + 4, 99)]).toEqual([2, 0, 1]);
    expect(writeCookie(A + 12, 2)).toBe(EOPNOTSUPP);
    expect(taken).toEqual(["2", "2", "0", "1"]);
  });

  it("shows what a change made of the bus to vCPUs that exit while the change waits", () => {
    const seen: number[] = [];
    vm.duringGracePeriod = () => seen.push(write(A, 4));
    const made = register(A, 4, "device");
    vm.kvmIoBusUnregisterDev(KVM_MMIO_BUS, made);
    // In v6.19 a registration does not wait.
    expect(seen).toEqual(kernel === "v6.19" ? [EOPNOTSUPP] : [0, EOPNOTSUPP]);
  });

  it("ends a search in the array that it began with", () => {
    const devices = ["a", "b", "c"].map((name) => register(A, 4, name, false));
    const asked = new Set<KvmIoDevice>();
    for (const one of devices) {
      one.write = () => {
        asked.add(one);
        for (const other of devices) vm.kvmIoBusUnregisterDev(KVM_MMIO_BUS, other);
        return EOPNOTSUPP;
      };
    }
    expect(write(A, 4)).toBe(EOPNOTSUPP);
    expect(asked.size).toBe(3);
    expect(vm.buses[KVM_MMIO_BUS].ranges).toEqual([]);
  });
});

describe("an access against a range", () => {
  const range = (addr: number, len: number) => new KvmIoRange(addr, len, device("any"));

  it.each([
    ["before it", [A - 1, 1], [A, 4], -1, -1],
    ["before it and into it", [A - 1, 4], [A, 4], -1, -1],
    ["all of it", [A, 4], [A, 4], 0, 0],
    ["a part of it", [A + 1, 2], [A, 4], 0, 0],
    ["from within it to behind it", [A + 2, 4], [A, 4], 1, 1],
    ["behind it", [A + 4, 1], [A, 4], 1, 1],
    ["at the address of one without length", [A, 4], [A, 0], 1, 0],
    ["without length at the address of one without length", [A, 0], [A, 0], 0, 0],
    ["before one without length", [A - 1, 4], [A, 0], -1, -1],
    ["behind one without length", [A + 1, 0], [A, 0], 1, 1],
    ["without length in a range", [A + 4, 0], [A, 4], 0, 0],
  ] as const)("that is %s", (_, access, [addr, len], before, fixed) => {
    const orders = KERNEL_VERSIONS.map((kernel) => {
      boot(kernel);
      return vm.kvmIoBusCmp(access[0], access[0] + access[1], range(addr, len));
    });
    expect(orders).toEqual([before, before, fixed, fixed]); // v3.9, v4.2, v4.2.8, v6.19
  });
});

describe("a registration", () => {
  it.each([
    ["v3.9", [EOPNOTSUPP, 0]],
    ["v4.2", [EOPNOTSUPP, 0]],
    ["v4.2.8", [EOPNOTSUPP, 0]],
    ["v6.19", [0, 0]],
  ] as const)(
    "of a wider range after a narrower one at its address is found or not, and before it is found (%s)",
    (kernel, outcomes) => {
      const found = [
        [4, 8],
        [8, 4],
      ].map((lengths) => {
        boot(kernel);
        for (const len of lengths) register(A, len, `${len}`);
        return write(A, 8);
      });
      expect(found).toEqual(outcomes);
    },
  );

  it("of equal ranges keeps their order in v6.19 and not before, where they are sorted by heapsort", () => {
    const orders = KERNEL_VERSIONS.map((kernel) => {
      boot(kernel);
      const made = ["a", "b", "c", "d"].map((name) => register(A, 4, name));
      return vm.buses[KVM_MMIO_BUS].ranges.map((range) => made.indexOf(range.device));
    });
    expect(orders[3]).toEqual([0, 1, 2, 3]);
    for (const order of orders.slice(0, 3)) {
      expect(order).not.toEqual([0, 1, 2, 3]);
      expect(order.toSorted()).toEqual([0, 1, 2, 3]);
    }
  });

  it("leaves what the kernel's way to insert a range makes of the bus, whatever lies there", () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.constantFrom(0, 1, 2, 4, 8));
    const step = fc.oneof(
      { weight: 4, arbitrary: range },
      fc.integer({ min: 0, max: 9 }), // takes one of the devices off the bus
    );
    // Ranges of 8 bytes side by side, in any order: those that never are equal.
    const apart = fc.shuffledSubarray([...Array(12).keys()].map((at) => [8 * at, 8] as [number, number]));
    const steps = fc.oneof(fc.array(step, { maxLength: 30 }), apart);
    fc.assert(
      fc.property(fc.constantFrom(...KERNEL_VERSIONS), steps, (kernel, taken) => {
        boot(kernel);
        const ranges = () => vm.buses[KVM_MMIO_BUS].ranges;
        for (const each of taken) {
          if (typeof each === "number") {
            const there = ranges()[each];
            if (there !== undefined) vm.kvmIoBusUnregisterDev(KVM_MMIO_BUS, there.device);
            continue;
          }
          const [addr, len] = each;
          const made = device("any");
          const sorted = vm.kvmIoBusInsert(ranges(), new KvmIoRange(addr, len, made));
          vm.kvmIoBusRegisterDev(KVM_MMIO_BUS, addr, len, made);
          expect(ranges().map((one) => one.device)).toEqual(sorted.map((one) => one.device));
        }
      }),
      { seed: 1, numRuns: 1000 },
    );
  });

  it("waits for those who search up to v4.2.8; taking a device off waits on every kernel", () => {
    const waits = KERNEL_VERSIONS.map((kernel) => {
      boot(kernel);
      const made = register(A, 4, "device");
      const registering = count("synchronizeSrcu");
      vm.kvmIoBusUnregisterDev(KVM_MMIO_BUS, made);
      return [registering, count("synchronizeSrcu") - registering];
    });
    expect(waits).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
      [0, 1],
    ]);
  });

  it("is taken back once: a device that is not on the bus is an error up to v4.2.8 and none in v6.19", () => {
    const results = KERNEL_VERSIONS.map((kernel) => {
      boot(kernel);
      register(A, 4, "stays");
      const made = register(A, 8, "goes");
      return [made, made].map((one) => vm.kvmIoBusUnregisterDev(KVM_MMIO_BUS, one));
    });
    expect(results).toEqual([
      [0, ENOENT],
      [0, ENOENT],
      [0, ENOENT],
      [0, 0],
    ]);
    expect(write(A, 4)).toBe(0);
  });
});

describe("1000-entry limits", () => {
  const ENOSPC = /^ENOSPC: addr 0x[0-9a-f]+: the [A-Z_]+ bus holds the 1000 devices it can$/;
  const eventfd = (i: number) => ({ addr: 0x10_0000 + 8 * i, len: 8, pio: false });

  it.each(KERNEL_VERSIONS)("hold for devices on every bus of %s", (kernel) => {
    boot(kernel);
    for (const bus of [KVM_MMIO_BUS, KVM_PIO_BUS, KVM_VIRTIO_CCW_NOTIFY_BUS, KVM_FAST_MMIO_BUS] as const) {
      for (let i = 0; i < 1000; i++) vm.kvmIoBusRegisterDev(bus, 4 * i, 4, device("any"));
      const { ranges } = vm.buses[bus];
      expect(() => vm.kvmIoBusRegisterDev(bus, 4000, 4, device("any"))).toThrow(ENOSPC);
      expect(vm.buses[bus].ranges).toBe(ranges);
    }
  });

  it("hold for ioeventfds in v3.9", () => {
    boot("v3.9");
    for (let i = 0; i < 1000; i++) vm.assignIoeventfd(eventfd(i));
    expect(() => vm.assignIoeventfd(eventfd(1000))).toThrow(ENOSPC);
    expect(() => register(A, 4, "device")).toThrow(ENOSPC);
  });

  it.each(["v4.2", "v4.2.8", "v6.19"] as const)(
    "do not hold for ioeventfds with a length in %s",
    (kernel) => {
      boot(kernel);
      for (let i = 0; i < 1100; i++) vm.assignIoeventfd(eventfd(i));
      for (let i = 0; i < 1000; i++) register(8 * i, 8, "device");
      expect(() => register(0x8000, 8, "device")).toThrow(ENOSPC);
      // Once the devices fill the bus, it takes neither.
      expect(() => vm.assignIoeventfd(eventfd(1100))).toThrow(ENOSPC);
    },
  );

  it("hold for ioeventfds without a length in v4.2, whose fast bus nobody counts, and in no later kernel", () => {
    const any = (i: number) => ({ ...eventfd(i), len: 0 });
    boot("v4.2");
    for (let i = 0; i < 1000; i++) vm.assignIoeventfd(any(i));
    expect(() => vm.assignIoeventfd(any(1000))).toThrow("the FAST_MMIO bus holds the 1000 devices it can");
    expect(vm.buses[KVM_MMIO_BUS].ranges).toHaveLength(1000);
    expect(() => vm.assignIoeventfd(eventfd(1000))).not.toThrow();
    for (const kernel of ["v4.2.8", "v6.19"] as const) {
      boot(kernel);
      for (let i = 0; i <= 1000; i++) vm.assignIoeventfd(any(i));
      expect(vm.buses[KVM_FAST_MMIO_BUS].ranges).toHaveLength(1001);
    }
  });
});

describe("any registrations", () => {
  const ranges = fc.array(fc.record({ addr: fc.integer({ min: 0, max: 64 }), len: fc.nat(16) }), {
    maxLength: 24,
  });

  it("leave the same ranges on a bus that sorts and on one that inserts", () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const contents = KERNEL_VERSIONS.map((kernel) => {
          boot(kernel);
          for (const { addr, len } of list) register(addr, len, "any");
          return vm.buses[KVM_MMIO_BUS].ranges.map(({ addr, len }) => `${addr}+${len}`).sort();
        });
        const wanted = list.map(({ addr, len }) => `${addr}+${len}`).sort();
        expect(contents).toEqual(KERNEL_VERSIONS.map(() => wanted));
      }),
      { numRuns: 60 },
    );
  });

  it("that do not overlap are found exactly where a range contains the access, in any order and on any kernel", () => {
    /** Gap before each range, and its length. */
    const places = fc.uniqueArray(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 8 }), fc.nat()), {
      maxLength: 16,
      selector: ([, , order]) => order,
    });
    fc.assert(
      fc.property(places, (list) => {
        let next = 0;
        const made = list.map(([gap, len, order]) => {
          const addr = next + gap;
          next = addr + len;
          return { addr, len, order };
        });
        for (const kernel of KERNEL_VERSIONS) {
          boot(kernel);
          for (const { addr, len } of made.toSorted((a, b) => a.order - b.order)) {
            register(addr, len, `${addr}`);
          }
          for (let at = 0; at <= next; at++) {
            for (const size of [1, 2, 4]) {
              const wanted = made.find(({ addr, len }) => at >= addr && at + size <= addr + len);
              taken = [];
              expect(write(at, size)).toBe(wanted === undefined ? EOPNOTSUPP : 0);
              expect(taken).toEqual(wanted === undefined ? [] : [`${wanted.addr}`]);
            }
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it("taken back in any order leave the bus empty", () => {
    fc.assert(
      fc.property(ranges, fc.infiniteStream(fc.nat()), (list, picks) => {
        boot("v4.2.8");
        const made = list.map(({ addr, len }) => register(addr, len, "any"));
        while (made.length > 0) {
          const [one] = made.splice(Number(picks.next().value) % made.length, 1);
          expect(vm.kvmIoBusUnregisterDev(KVM_MMIO_BUS, one)).toBe(0);
        }
        expect(vm.buses[KVM_MMIO_BUS].ranges).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

describe("64-bit integers", () => {
  const any = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

  it("have one form: a number where it is exact", () => {
    expect([u64(5n, "x"), u64(2n ** 53n - 1n, "x"), u64(2n ** 53n, "x")]).toEqual([
      5,
      2 ** 53 - 1,
      2n ** 53n,
    ]);
    for (const wrong of [1.5, -1, Number.NaN, 2 ** 53, 2n ** 64n, -1n]) {
      expect(() => u64(wrong, "x")).toThrow("x: ");
    }
  });

  it("add up as the processor adds, and give a device their lowest bytes", () => {
    fc.assert(
      fc.property(any, fc.integer(), (value, addend) => {
        expect(BigInt(addU64(u64(value, "x"), addend))).toBe(BigInt.asUintN(64, value + BigInt(addend)));
      }),
    );
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 16 }), (value, bytes) => {
        const wanted = BigInt.asUintN(Math.min(8 * bytes, 64), value);
        expect(lowBytes(u64(value, "x"), bytes)).toBe(u64(wanted, "x"));
      }),
    );
  });
});
