/** What comes of a scenario on the model: who gets which bytes, and what loads find. */
import { describe, expect, it } from "vitest";
import {
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
} from "../../../src/kvm/ioeventfd.js";
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from "../../../src/kvm/memslots.js";
import { PAGINGS } from "../../../src/kvm/spte.js";
import { runOnModel } from "../../../src/study/differential/model-driver.js";
import type { ModelSetting } from "../../../src/study/differential/model-vm.js";
import { eventText } from "../../../src/study/differential/outcome.js";
import type { AskIoeventfd, GuestOp, SetMemory, Step } from "../../../src/study/differential/scenario.js";

/** Userspace answers 0x49, 0x4a, 0x4b, ... here. */
const A = 0x1000_1000;
/** 0xd0, 0xd1, ... */
const PORT = 0xc000;
const NPT = { kernel: "v6.19", paging: "npt", mmioCaching: true } as const satisfies ModelSetting;

function access(op: GuestOp, address: number, size: number, value = 0, count = 1): Step {
  return { does: "access", op, address, size, value, count };
}

/** Memory 1, whose bytes are 0x10, seven zeros, 0x11, ... */
function slot(flags: number, given: Partial<SetMemory> = {}): SetMemory {
  return { does: "set-memory", slot: 1, flags, gpa: A, size: 4096, memory: 1, offset: 0, ...given };
}

function ioeventfd(given: Partial<AskIoeventfd> = {}): AskIoeventfd {
  return { does: "ioeventfd", addr: "0x10001000", len: 4, flags: 0, datamatch: 0, fd: 0, ...given };
}

/** What came of each step, in words. */
function cameOf(steps: readonly Step[], setting: ModelSetting = NPT): string[] {
  return runOnModel(steps, setting).steps.map((events) => events.map(eventText).join("; "));
}

function memoryAfter(steps: readonly Step[]): number[] {
  return [...runOnModel(steps, NPT).memories[1].subarray(0, 16)];
}

describe("where no slot is", () => {
  it("a load returns what userspace answers", () => {
    expect(cameOf([access("load", A, 4)])).toEqual([
      "userspace answers 0x10001000, 4 bytes: 0x4c4b4a49; returns 0x4c4b4a49",
    ]);
  });

  it("a store of 16 bytes reaches userspace 8 by 8, the value in the first", () => {
    expect(cameOf([access("movups-store", A, 16, 0x1234)])).toEqual([
      "userspace gets 0x10001000, 8 bytes: 0x1234; userspace gets 0x10001008, 8 bytes: 0x0",
    ]);
  });

  it("a store into the next page reaches userspace in two pieces", () => {
    expect(cameOf([access("store", A - 2, 4, 0x1122_3344)])).toEqual([
      "userspace gets 0x10000ffe, 2 bytes: 0x3344; userspace gets 0x10001000, 2 bytes: 0x1122",
    ]);
  });

  it("a read-modify-write writes what it has made of what userspace answered", () => {
    expect(cameOf([access("add", A, 2, 0x0101), access("or", A, 1, 0x80)])).toEqual([
      "userspace answers 0x10001000, 2 bytes: 0x4a49; userspace gets 0x10001000, 2 bytes: 0x4b4a",
      "userspace answers 0x10001000, 1 bytes: 0x49; userspace gets 0x10001000, 1 bytes: 0xc9",
    ]);
  });

  it("each iteration of a repeated store reaches userspace, over a page's end in pieces", () => {
    expect(cameOf([access("rep-stos", A - 3, 2, 0xabcd, 2)])).toEqual([
      "userspace gets 0x10000ffd, 2 bytes: 0xabcd; userspace gets 0x10000fff, 1 bytes: 0xcd; " +
        "userspace gets 0x10001000, 1 bytes: 0xab",
    ]);
  });

  it("ports are userspace's", () => {
    expect(cameOf([access("out", PORT, 2, 0x1_2345), access("in", PORT, 4)])).toEqual([
      "userspace gets port 0xc000, 2 bytes: 0x2345",
      "userspace answers port 0xc000, 4 bytes: 0xd3d2d1d0; returns 0xd3d2d1d0",
    ]);
  });
});

describe.each(PAGINGS)("with %s, in a slot", (paging) => {
  const setting = { ...NPT, paging };

  it("loads and stores are the memory's", () => {
    const steps = [slot(0), access("store", A + 1, 2, 0xbeef), access("load", A, 4), access("add", A, 8, 1)];
    expect(cameOf(steps, setting)).toEqual(["0", "", "returns 0xbeef10", ""]);
    expect(runOnModel(steps, setting).memories[1].subarray(0, 9)).toEqual(
      Uint8Array.of(0x11, 0xef, 0xbe, 0, 0, 0, 0, 0, 0x11),
    );
  });

  it("that is read-only, loads are the memory's, and stores the device's", () => {
    const steps = [slot(KVM_MEM_READONLY), access("load", A + 8, 8), access("or", A, 1, 3)];
    expect(cameOf(steps, setting)).toEqual(["0", "returns 0x11", "userspace gets 0x10001000, 1 bytes: 0x13"]);
  });

  it("an operand over its end is half the memory's and half userspace's", () => {
    const steps = [slot(0), access("store", A + 4094, 4, 0x1122_3344), access("load", A + 4094, 4)];
    expect(cameOf(steps, setting)).toEqual([
      "0",
      "userspace gets 0x10002000, 2 bytes: 0x1122",
      "userspace answers 0x10002000, 2 bytes: 0x9a99; returns 0x9a993344",
    ]);
  });

  it("whose memory userspace discards, loads find zeros", () => {
    const steps: Step[] = [
      slot(0),
      access("load", A, 1),
      { does: "discard", memory: 1 },
      access("load", A, 1),
    ];
    expect(cameOf(steps, setting)).toEqual(["0", "returns 0x10", "0", "returns 0x0"]);
  });

  it("that is moved, the memory is at its new place only", () => {
    const steps = [slot(0), access("load", A, 1), slot(0, { gpa: A + 4096 })];
    expect(cameOf([...steps, access("load", A, 1), access("load", A + 4096, 1)], setting)).toEqual([
      ...["0", "returns 0x10", "0"],
      "userspace answers 0x10001000, 1 bytes: 0x49; returns 0x49",
      "returns 0x10",
    ]);
  });

  it("that is logged, the pages are dirty that were written since the log was read", () => {
    const log: Step = { does: "get-dirty-log", slot: 1 };
    const logged = slot(KVM_MEM_LOG_DIRTY_PAGES, { size: 8192 });
    const steps = [logged, access("store", A + 4096, 4), log, log, access("store", A + 4096, 4), log];
    const came = cameOf(steps, setting);
    expect(came).toEqual(["0", "", "dirty pages: 1", "no page is dirty", "", "dirty pages: 1"]);
  });
});

describe("an ioeventfd", () => {
  it("takes the writes of its length, and of its value where it has one", () => {
    const flags = KVM_IOEVENTFD_FLAG_DATAMATCH;
    const steps = [
      ...[ioeventfd({ flags, datamatch: 7, fd: 1 }), access("store", A, 4, 7), access("store", A, 4, 8)],
      ...[access("store", A, 8, 7), ioeventfd({ len: 8, fd: 2 }), access("movups-store", A, 16, 7)],
    ];
    expect(cameOf(steps)).toEqual([
      ...["0", "signal of eventfd 1", "userspace gets 0x10001000, 4 bytes: 0x8"],
      ...["userspace gets 0x10001000, 8 bytes: 0x7", "0"],
      "userspace gets 0x10001008, 8 bytes: 0x0; signal of eventfd 2",
    ]);
  });

  it("of a read-only slot takes what a read-modify-write makes of the memory", () => {
    const matching = ioeventfd({ flags: KVM_IOEVENTFD_FLAG_DATAMATCH, datamatch: 0x12 });
    expect(
      cameOf([slot(KVM_MEM_READONLY), matching, access("add", A, 4, 2), access("add", A, 4, 1)]),
    ).toEqual([...["0", "0", "signal of eventfd 0", "userspace gets 0x10001000, 4 bytes: 0x11"]]);
  });

  it("takes each iteration of a repeated store at its address", () => {
    const count = cameOf([ioeventfd(), ioeventfd({ addr: "0x10001004" }), access("rep-stos", A, 4, 0, 3)])[2];
    expect(count).toBe("userspace gets 0x10001008, 4 bytes: 0x0; signal of eventfd 0, 2 times");
  });

  it("of a port takes OUT, and no IN", () => {
    const port = ioeventfd({ addr: "0xc000", len: 0, flags: KVM_IOEVENTFD_FLAG_PIO });
    expect(cameOf([port, access("out", PORT, 2, 5), access("in", PORT, 1)])).toEqual([
      ...["0", "signal of eventfd 0", "userspace answers port 0xc000, 1 bytes: 0xd0; returns 0xd0"],
    ]);
  });

  it("of any length swallows loads on the fast MMIO bus of EPT: they return what the register held", () => {
    const steps = [access("store", A, 4), ioeventfd({ len: 0 }), access("load", A, 4, 0x5a)];
    const [, , onEpt] = cameOf(steps, { ...NPT, paging: "ept" });
    expect(onEpt).toBe("signal of eventfd 0; returns 0x5a");
    expect(cameOf(steps)[2]).toBe("userspace answers 0x10001000, 4 bytes: 0x4c4b4a49; returns 0x4c4b4a49");
  });
});

describe("a call that the kernel refuses has the error's name", () => {
  it.each([
    ["a length of 3 bytes", ioeventfd({ len: 3 }), "EINVAL"],
    ["a range that wraps around", ioeventfd({ addr: "0xfffffffffffffffc" }), "EINVAL"],
    ["a descriptor that is closed", ioeventfd({ fd: "closed" }), "EBADF"],
    ["a file that is no eventfd", ioeventfd({ fd: "no eventfd" }), "EINVAL"],
    ["an ioeventfd that nobody assigned", ioeventfd({ flags: KVM_IOEVENTFD_FLAG_DEASSIGN }), "ENOENT"],
    ["a slot over that of the guest's code", slot(0, { gpa: 0x1000 }), "EEXIST"],
    ["a slot that is not there to be deleted", slot(0, { size: 0 }), "EINVAL"],
    ["the log of a slot that is none", { does: "get-dirty-log", slot: 1 } as const, "ENOENT"],
  ])("%s", (_, step, error) => {
    expect(cameOf([step])).toEqual([error]);
  });
});

it("leaves in the memories what the guest has written, whoever wrote it", () => {
  // The second store begins before the slot, so that the emulator executes it, and writes its last 4 bytes to memory.
  const steps = [slot(0), access("stos", A + 14, 1, 0xff), access("store", A - 4, 8, 0x0006_0504_0302_01aa)];
  expect(memoryAfter(steps)).toEqual([4, 5, 6, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 0xff, 0]);
});
