/** What the emulator does with each form of instruction, and what goes to userspace. */
import { describe, expect, it } from "vitest";
import type { KernelVersion } from "../../src/kvm/eras.js";
import { KVM_IOEVENTFD_FLAG_DATAMATCH, KVM_IOEVENTFD_FLAG_PIO } from "../../src/kvm/ioeventfd.js";
import { KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import { KVM_EXIT_IO, KVM_EXIT_MMIO, type Vcpu } from "../../src/kvm/vcpu.js";
import { Machine } from "./machine.js";

const MMIO = 0xfebf_0800;
const ROM = 0x1000_0000;
const ERAS: KernelVersion[] = ["v3.9", "v4.2", "v4.2.8", "v6.19"];

/** The exits to userspace of what `action` does: reason, direction, address, length, whether RIP had moved. */
function userspaceExits(machine: Machine, action: () => void): unknown[] {
  const exits: unknown[] = [];
  machine.vm.onUserspaceExit = ({ run, rip, instruction }: Vcpu) => {
    const reason =
      run.exitReason === KVM_EXIT_MMIO ? "mmio" : run.exitReason === KVM_EXIT_IO ? "io" : "other";
    const moved = rip !== instruction.rip ? "after" : "before";
    exits.push([reason, run.isWrite ? "write" : "read", run.addr, run.len, moved]);
  };
  action();
  machine.vm.onUserspaceExit = null;
  return exits;
}

describe.each(ERAS)("the emulator of %s", (kernel) => {
  const exitsOf = (...[op, address, operand]: Parameters<Machine["run"]>) => {
    const machine = new Machine(kernel);
    return userspaceExits(machine, () => machine.run(op, address, operand));
  };

  it("posts a write: RIP has moved when userspace gets it", () => {
    for (const op of ["store", "movnti", "stos"] as const) {
      expect(exitsOf(op, MMIO)).toEqual([["mmio", "write", MMIO, 4, "after"]]);
    }
  });

  it("completes a read: RIP moves once userspace has answered", () => {
    expect(exitsOf("load", MMIO, { size: 8 })).toEqual([["mmio", "read", MMIO, 8, "before"]]);
  });

  it("reads and then writes for a read-modify-write: two exits to userspace in one of the guest", () => {
    const machine = new Machine(kernel);
    const exits = userspaceExits(machine, () => machine.run("add", MMIO));
    expect(exits).toEqual([
      ["mmio", "read", MMIO, 4, "before"],
      ["mmio", "write", MMIO, 4, "after"],
    ]);
    expect(machine.counted()).toMatchObject({
      exitEptViolation: 1,
      emulateInstruction: 1,
      userspaceExitMmio: 2,
    });
  });

  it("reads memory and posts the write for a read-modify-write of a read-only slot", () => {
    const machine = new Machine(kernel);
    machine.slot(1, ROM, 2 ** 21, { flags: KVM_MEM_READONLY });
    machine.run("load", ROM);
    const exits = userspaceExits(machine, () => machine.run("or", ROM));
    expect(exits).toEqual([["mmio", "write", ROM, 4, "after"]]);
  });

  it("splits a 16-byte store 8+8, and userspace gets it in two parts of one fragment", () => {
    expect(exitsOf("movups-store", MMIO)).toEqual([
      ["mmio", "write", MMIO, 8, "after"],
      ["mmio", "write", MMIO + 8, 8, "after"],
    ]);
    expect(exitsOf("movups-load", MMIO)).toEqual([
      ["mmio", "read", MMIO, 8, "before"],
      ["mmio", "read", MMIO + 8, 8, "before"],
    ]);
  });

  it("gives the first 8 bytes of a 16-byte store to an eventfd of 8, and the rest to userspace", () => {
    const machine = new Machine(kernel);
    const eventfd = machine.ioeventfd(MMIO, 8);
    const exits = userspaceExits(machine, () => machine.run("movups-store", MMIO));
    expect([eventfd.signals, exits]).toEqual([1, [["mmio", "write", MMIO + 8, 8, "after"]]]);
  });

  it("does not split 8 bytes for an eventfd of 4, nor find one in the middle", () => {
    const machine = new Machine(kernel);
    const [four, middle] = [machine.ioeventfd(MMIO, 4), machine.ioeventfd(MMIO + 4, 4)];
    machine.run("store", MMIO, { size: 8 });
    expect([four.signals, middle.signals]).toEqual([0, 0]);
  });

  it("makes two pieces of an access across pages, each with a fragment", () => {
    const end = 0xfebf_1000;
    expect(exitsOf("store", end - 3, { size: 8 })).toEqual([
      ["mmio", "write", end - 3, 3, "after"],
      ["mmio", "write", end, 5, "after"],
    ]);
  });

  it("writes to memory what lies in memory, and posts the rest", () => {
    const machine = new Machine(kernel);
    machine.slot(1, ROM, 2 ** 21);
    const exits = userspaceExits(machine, () => machine.run("store", ROM - 2, { size: 8 }));
    expect(exits).toEqual([["mmio", "write", ROM - 2, 2, "after"]]);
  });

  it("repeats stos in one exit while the kernel takes the stores, and once each for userspace", () => {
    const machine = new Machine(kernel);
    machine.vm.addDeviceModel({ port: 0, len: 1 });
    const one = machine.ioeventfd(MMIO, 4);
    const counts = machine.run("rep-stos", MMIO, { count: 1 });
    expect([one.signals, counts.userspaceExitMmio]).toEqual([1, undefined]);
    const exits = userspaceExits(machine, () => machine.run("rep-stos", MMIO + 0x100, { count: 5 }));
    expect(exits).toEqual(
      // RIP moves once the guest itself finds that nothing is left.
      [0, 1, 2, 3, 4].map((i) => ["mmio", "write", MMIO + 0x100 + 4 * i, 4, "before"]),
    );
    const { exitEptMisconfig, userspaceExitMmio } = machine.counted();
    expect([exitEptMisconfig, userspaceExitMmio]).toEqual([5, 5]);
  });

  it("goes back to the guest where 1024 iterations are left", () => {
    const machine = new Machine(kernel);
    machine.vm.kvmCreateIrqchip();
    // The local APIC takes every store of its page, in the kernel.
    machine.run("rep-stos", 0xfee0_0000, { count: 1024 + 100, size: 1 });
    const { emulateInstruction, inKernelDevice } = machine.counted();
    expect([emulateInstruction, inKernelDevice]).toEqual([2, 1124]);
  });

  it("asks the local APIC before the MMIO bus", () => {
    const machine = new Machine(kernel);
    machine.vm.kvmCreateIrqchip();
    const eventfd = machine.ioeventfd(0xfee0_0300, 4);
    expect(machine.run("store", 0xfee0_0300)).toMatchObject({ inKernelDevice: 1 });
    expect(eventfd.signals).toBe(0);
  });

  it("matches a datum of the size that is written", () => {
    const machine = new Machine(kernel);
    const eventfd = machine.ioeventfd(MMIO, 2, KVM_IOEVENTFD_FLAG_DATAMATCH, 7);
    machine.run("store", MMIO, { size: 2, value: 7 });
    machine.run("store", MMIO, { size: 2, value: 8 });
    machine.run("store", MMIO, { size: 4, value: 7 });
    expect(eventfd.signals).toBe(1);
  });
});

describe.each(ERAS)("an instruction that KVM of %s ends", (kernel) => {
  it("may repeat more often than it may fail to make progress", () => {
    const machine = new Machine(kernel);
    expect(machine.run("rep-stos", MMIO, { count: 100 }).userspaceExitMmio).toBe(100);
    machine.slot(1, ROM, 2 ** 21);
    expect(machine.run("rep-stos", ROM, { count: 100 * 1024 }).exitEptViolation).toBe(100);
    expect(machine.run("rep-stos", MMIO, { count: 0 }).exitEptViolation).toBeUndefined();
  });

  it("is followed by a debug exception where the guest steps, if it was emulated in the kernel", () => {
    const machine = new Machine(kernel);
    machine.ioeventfd(MMIO, 4);
    machine.vm.vcpu.trapFlag = true;
    expect(machine.run("store", MMIO).injectException).toBe(1);
  });

  it("leaves nothing to be completed when userspace breaks off", () => {
    const machine = new Machine(kernel);
    const eventfd = machine.ioeventfd(MMIO, 4);
    machine.vm.onUserspaceExit = () => {
      throw new Error("userspace has had enough");
    };
    for (const op of ["store", "load"] as const) {
      expect(() => machine.run(op, MMIO + 8)).toThrow("enough");
    }
    machine.vm.onUserspaceExit = null;
    expect(machine.run("store", MMIO).userspaceExitMmio).toBeUndefined();
    expect(eventfd.signals).toBe(1);
  });

  it("stays the vCPU's own while others run in between", () => {
    const machine = new Machine(kernel, { vcpus: 2 });
    const { vm } = machine;
    machine.prepare("load", 0x2000, { vcpu: 1 });
    vm.onUserspaceExit = ({ id }) => {
      if (id !== 0) return;
      vm.duringGracePeriod = () => {
        [, vm.vcpu] = vm.vcpus;
        vm.execute();
      };
      machine.slot(1, ROM, 2 ** 21);
    };
    machine.run("load", MMIO, { vcpu: 0 });
    expect(vm.vcpus.map(({ retired, mmioReadCompleted }) => [retired, mmioReadCompleted])).toEqual([
      [true, false],
      [true, false],
    ]);
  });

  it("tells of reads once for the access, when userspace is asked and when it has answered", () => {
    const machine = new Machine(kernel);
    machine.run("store", MMIO);
    const events = machine.events(() => machine.run("movups-load", MMIO));
    expect(events.filter(({ event }) => event === "kvm_mmio")).toMatchObject([
      { type: "unsatisfied-read", len: 16, gpa: MMIO },
      { type: "read", len: 16 },
    ]);
  });

  it("tells of IN once the datum is there", () => {
    const machine = new Machine(kernel);
    const names = machine.events(() => machine.run("in", 0xc000)).map(({ event }) => event);
    expect(names.indexOf("kvm_pio")).toBeGreaterThan(names.indexOf("kvm_userspace_exit"));
  });
});

describe("the operand's address", () => {
  const walks = (kernel: KernelVersion, ...args: Parameters<Machine["run"]>) => {
    const machine = new Machine(kernel);
    return machine.run(...args).guestWalkInSoftware;
  };

  it("takes a walk of the guest's tables in v4.2; v6.19 has it from the fault, and walks for the code alone", () => {
    expect(walks("v4.2", "store", MMIO)).toBe(2);
    expect(walks("v6.19", "store", MMIO)).toBe(1);
    expect(walks("v4.2", "add", MMIO)).toBe(3);
    expect(walks("v6.19", "add", MMIO)).toBe(1);
  });

  it("is walked for in v6.19 too where it is repeated, and in the page that did not fault", () => {
    expect(walks("v6.19", "rep-stos", MMIO, { count: 1 })).toBe(2);
    expect(walks("v6.19", "store", 0xfebf_1000 - 3, { size: 8 })).toBe(2);
  });
});

describe("port I/O", () => {
  const PORT = 0xc000;

  it("moves RIP past OUT before the bus is asked up to v4.2, and after it from v6.19 on", () => {
    for (const kernel of ERAS) {
      const machine = new Machine(kernel);
      const exits = userspaceExits(machine, () => machine.run("out", PORT));
      expect(exits).toEqual([["io", "write", PORT, 4, kernel === "v6.19" ? "before" : "after"]]);
    }
  });

  it("moves RIP before userspace sees port 0x7e even then", () => {
    const machine = new Machine("v6.19");
    const exits = userspaceExits(machine, () => machine.run("out", 0x7e, { size: 1 }));
    expect(exits).toEqual([["io", "write", 0x7e, 1, "after"]]);
  });

  it("emulates IN up to v4.2, and does not from v6.19 on", () => {
    for (const kernel of ERAS) {
      const machine = new Machine(kernel);
      const exits = userspaceExits(machine, () => machine.run("in", PORT));
      expect(exits).toEqual([["io", "read", PORT, 4, "before"]]);
      const { emulateInstruction, fastPioIn } = machine.counted();
      expect([emulateInstruction, fastPioIn]).toEqual(kernel === "v6.19" ? [undefined, 1] : [1, undefined]);
    }
  });

  it("emulates the string forms in every era", () => {
    for (const kernel of ERAS) {
      const machine = new Machine(kernel);
      expect(machine.run("outs", PORT).emulateInstruction).toBe(1);
      expect(machine.run("ins", PORT).emulateInstruction).toBe(1);
    }
  });

  it("never exits for port 0x80 in v4.x, whose I/O bitmap lets it pass", () => {
    for (const kernel of ERAS) {
      const { exitIoInstruction } = new Machine(kernel).run("out", 0x80, { size: 1 });
      expect(exitIoInstruction).toBe(kernel === "v6.19" ? 1 : undefined);
    }
  });

  it("exits for port 0x80 where more than its byte is written, and on AMD", () => {
    expect(new Machine("v4.2").run("out", 0x80, { size: 4 }).exitIoInstruction).toBe(1);
    expect(new Machine("v4.2", { paging: "npt" }).run("out", 0x80, { size: 1 }).exitIoInstruction).toBe(1);
  });

  it("completes OUT of v6.19 as an instruction that ends, unless userspace has moved RIP", () => {
    const machine = new Machine("v6.19");
    const { vcpu } = machine.vm;
    vcpu.trapFlag = true;
    expect(machine.run("out", PORT).injectException).toBe(1);
    machine.vm.onUserspaceExit = () => {
      vcpu.rip = 0x5000;
      vcpu.retired = true;
    };
    expect(machine.run("out", PORT).injectException).toBeUndefined();
    expect(vcpu.rip).toBe(0x5000);
  });

  it("asks its own bus only", () => {
    for (const kernel of ERAS) {
      const machine = new Machine(kernel);
      const [pio, mmio] = [machine.ioeventfd(PORT, 4, KVM_IOEVENTFD_FLAG_PIO), machine.ioeventfd(PORT, 4)];
      const counts = machine.run("out", PORT);
      expect([pio.signals, mmio.signals, counts.ioBusLookup]).toEqual([1, 0, 1]);
      expect(counts.emulateInstruction).toBeUndefined();
    }
  });
});
