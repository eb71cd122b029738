/** The decisions of exits on memory, era by era: violations, misconfigurations, SPTEs. */
import { describe, expect, it } from "vitest";
import type { KernelVersion } from "../../src/kvm/eras.js";
import { KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import {
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_UNKNOWN,
  KVM_INTERNAL_ERROR_DELIVERY_EV,
} from "../../src/kvm/vcpu.js";
import { Machine } from "./machine.js";

const MMIO = 0xfebf_0800;
const GFN = MMIO / 4096 - 0.5;
const ROM = 0x1000_0000;
const MB2 = 2 ** 21;
const ERAS: KernelVersion[] = ["v3.9", "v4.2", "v4.2.8", "v6.19"];
const FAST = ERAS.slice(1);

function withRom(kernel: KernelVersion): Machine {
  const machine = new Machine(kernel);
  machine.slot(1, ROM, MB2, { flags: KVM_MEM_READONLY });
  return machine;
}

describe.each(ERAS)("in %s, a page without a slot", (kernel) => {
  it("is a violation at first touch: the MMIO SPTE is installed and the access emulated in one exit", () => {
    const machine = new Machine(kernel);
    expect(machine.run("store", MMIO)).toMatchObject({
      exitEptViolation: 1,
      emulateInstruction: 1,
      userspaceExitMmio: 1,
    });
    expect(machine.spte(Math.floor(GFN))).toBe(
      {
        "v3.9": "1fe0000febf0006",
        "v4.2": "fff00000febf0db6",
        "v4.2.8": "fff00000febf0db6",
        "v6.19": "febf0016",
      }[kernel],
    );
  });

  it("is a misconfiguration from then on, and reads no SPTE while the vCPU remembers the page", () => {
    const machine = new Machine(kernel);
    machine.run("store", MMIO);
    const again = machine.run("load", MMIO);
    expect(again).toMatchObject({ exitEptMisconfig: 1, emulateInstruction: 1, userspaceExitMmio: 1 });
    expect(again.mmioSpteWalk).toBeUndefined();
    machine.run("store", MMIO + 0x1000);
    expect(machine.run("store", MMIO)).toMatchObject({ exitEptMisconfig: 1, mmioSpteWalk: 1 });
  });

  it("cannot be fetched from: the emulator has no bytes, and userspace gets an emulation error", () => {
    const machine = new Machine(kernel);
    expect(() => machine.run("fetch", MMIO)).toThrow("KVM_EXIT_INTERNAL_ERROR, EMULATION");
  });
});

describe.each(FAST)("in %s, the fast MMIO bus", (kernel) => {
  it("is never asked by the violation of a first touch", () => {
    const machine = new Machine(kernel);
    const eventfd = machine.ioeventfd(MMIO, 0);
    const first = machine.run("store", MMIO);
    // v4.2 does not find it on the MMIO bus either.
    expect([first.exitEptViolation, eventfd.signals]).toEqual([1, kernel === "v4.2" ? 0 : 1]);
    expect(first.userspaceExitMmio).toBe(kernel === "v4.2" ? 1 : undefined);
    const second = machine.run("store", MMIO);
    expect(second).toMatchObject({ exitEptMisconfig: 1, ioBusLookup: 1, eventfdSignal: 1 });
    expect(second.emulateInstruction).toBeUndefined();
  });

  it("signals for a read at a zero-length eventfd: the exit does not tell it from a write", () => {
    const machine = new Machine(kernel);
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    expect(machine.run("load", MMIO)).toMatchObject({ exitEptMisconfig: 1, eventfdSignal: 1 });
    expect(eventfd.signals).toBe(1);
  });

  it("ignores a stale generation, even if RAM backs the address by now", () => {
    const machine = new Machine(kernel);
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    machine.slot(1, 0xfea0_0000, MB2);
    expect(machine.run("store", MMIO)).toMatchObject({ exitEptMisconfig: 1, eventfdSignal: 1 });
    expect(eventfd.signals).toBe(1);
    // Beside the eventfd the stale entry is noticed: faulted again as a read, and mapped.
    expect(machine.run("store", MMIO + 4)).toMatchObject({
      exitEptMisconfig: 1,
      tdpPageFault: 1,
      spteInstall: 1,
    });
    expect(machine.run("store", MMIO)).not.toHaveProperty("exitEptMisconfig");
    expect(eventfd.signals).toBe(1);
  });

  it("is left out for a guest's guest from v6.19 on, whose addresses are its own", () => {
    const machine = new Machine(kernel);
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    machine.vm.vcpu.guestMode = true;
    machine.run("store", MMIO);
    const emulated = machine.counted().emulateInstruction ?? 0;
    expect([eventfd.signals, emulated]).toEqual(kernel === "v6.19" ? [1, 1] : [1, 0]);
  });
});

describe("a stale MMIO SPTE", () => {
  it.each(FAST)(
    "in %s under a new slot is one misconfiguration, faulted again as a read, then memory",
    (kernel) => {
      const machine = new Machine(kernel);
      machine.run("store", ROM);
      machine.slot(1, ROM, MB2);
      const refault = machine.run("store", ROM);
      expect(refault).toMatchObject({
        exitEptMisconfig: 1,
        mmioSpteWalk: 1,
        tdpPageFault: 1,
        spteInstall: 1,
      });
      expect(refault.emulateInstruction).toBeUndefined();
      expect(machine.run("store", ROM)).toMatchObject({ dtlbHit: 1 });
    },
  );

  it.each(FAST)("in %s under a new read-only slot takes two exits for a write", (kernel) => {
    const machine = new Machine(kernel);
    machine.run("store", ROM);
    machine.slot(1, ROM, MB2, { flags: KVM_MEM_READONLY });
    const write = machine.run("store", ROM);
    expect(write).toMatchObject({ exitEptMisconfig: 1, exitEptViolation: 1, emulateInstruction: 1 });
  });

  it.each(FAST)("in %s without a new slot is written anew and the access emulated", (kernel) => {
    const machine = new Machine(kernel);
    machine.run("store", MMIO);
    machine.slot(1, ROM, MB2);
    const before = machine.spte(Math.floor(GFN));
    expect(machine.run("store", MMIO)).toMatchObject({
      exitEptMisconfig: 1,
      tdpPageFault: 1,
      spteInstall: 1,
      emulateInstruction: 1,
    });
    expect(machine.spte(Math.floor(GFN))).not.toBe(before);
  });

  it.each(ERAS)("in %s that is gone when the exit is handled lets the guest try again", (kernel) => {
    const machine = new Machine(kernel, { vcpus: 2 });
    machine.run("store", MMIO);
    machine.run("store", MMIO + 0x1000); // the vCPU remembers another page
    machine.prepare("store", MMIO);
    const { vm } = machine;
    [vm.vcpu] = vm.vcpus;
    vm.begin();
    expect(vm.step()).toBe(false);
    vm.kvmMmuInvalidateZapAllPages();
    vm.ledger.reset();
    expect([vm.vcpu.vmcs.exitReason, vm.step()]).toEqual([49, false]);
    expect(machine.counted()).toMatchObject({ exitEptMisconfig: 1, mmioSpteWalk: 1 });
    expect(machine.counted().emulateInstruction).toBeUndefined();
  });

  it("does not exist in v3.9: a new slot drops all tables, and the next access faults anew", () => {
    const machine = new Machine("v3.9");
    machine.run("store", ROM);
    machine.vm.ledger.reset();
    machine.slot(1, ROM, MB2);
    expect(machine.counted()).toMatchObject({ zapAllPages: 1 });
    const write = machine.run("store", ROM);
    expect(write.exitEptMisconfig).toBeUndefined();
    expect(write.emulateInstruction).toBeUndefined();
    expect(machine.run("store", ROM)).toMatchObject({ dtlbHit: 1 });
  });
});

describe.each(ERAS)("in %s, a read-only slot", (kernel) => {
  it("never touched stays unmapped under writes: each is a violation that installs nothing", () => {
    const machine = withRom(kernel);
    for (let i = 0; i < 3; i++) {
      const write = machine.run("store", ROM);
      expect(write).toMatchObject({ exitEptViolation: 1, emulateInstruction: 1, userspaceExitMmio: 1 });
      expect([write.spteInstall, write.mmuLock, write.mmuLockRead, write.fastPageFault]).toEqual([
        undefined,
        undefined,
        undefined,
        // Without accessed flags a missing entry is one that v6.19 may only have marked.
        kernel === "v6.19" ? 1 : undefined,
      ]);
    }
    expect(machine.spte(ROM / 4096)).toBe(kernel === "v6.19" ? "8000000000000000" : "0");
  });

  it("is mapped by a read, without write access, and then read without an exit", () => {
    const machine = withRom(kernel);
    expect(machine.run("load", ROM)).toMatchObject({ exitEptViolation: 1 });
    expect(machine.run("load", ROM)).toMatchObject({ dtlbHit: 1 });
    const write = machine.run("store", ROM);
    expect(write).toMatchObject({ exitEptViolation: 1, fastPageFault: 1, emulateInstruction: 1 });
    expect(write.spteInstall).toBeUndefined();
  });

  it("asks the MMIO bus for its writes, and the fast bus never", () => {
    const machine = withRom(kernel);
    const sized = machine.ioeventfd(ROM, 4);
    machine.run("store", ROM);
    expect(sized.signals).toBe(1);
    if (kernel === "v3.9") return;
    const any = machine.ioeventfd(ROM + 8, 0);
    machine.run("store", ROM + 8);
    expect(any.signals).toBe(kernel === "v4.2" ? 0 : 1);
  });

  it("takes two violations for stos up to v4.2 and one from v6.19 on; mov takes one", () => {
    const machine = withRom(kernel);
    machine.run("load", ROM);
    expect(machine.run("store", ROM).exitEptViolation).toBe(1);
    const [first, second] = [machine.run("stos", ROM), machine.run("stos", ROM)];
    const expected =
      kernel === "v6.19" ? { exitEptViolation: 1 } : { exitEptViolation: 2, decodeInstruction: 1 };
    expect(first).toMatchObject({ ...expected, emulateInstruction: 1 });
    expect(second).toMatchObject({ ...expected, emulateInstruction: 1 });
  });
});

describe("instructions that guests write page tables with", () => {
  it.each(["or", "add", "movnti", "stos"] as const)("are emulated at once in v4.2: %s", (op) => {
    const machine = withRom("v4.2");
    machine.run("load", ROM);
    expect(machine.run(op, ROM).exitEptViolation).toBe(op === "or" ? 1 : 2);
  });

  it("are told apart by RIP and address: one in between makes the next be tried again", () => {
    const machine = withRom("v4.2");
    machine.vm.vcpu.lastRetryRip = machine.vm.vcpu.instruction.rip;
    machine.vm.vcpu.lastRetryAddr = ROM;
    expect(machine.run("stos", ROM).exitEptViolation).toBe(1);
    expect(machine.run("stos", ROM).exitEptViolation).toBe(2);
  });
});

describe("the error code that an EPT violation is turned into", () => {
  it.each([
    ["v4.2", 0x181, 0],
    ["v4.2", 0x182, 2],
    ["v4.2", 0x184, 16],
    ["v4.2", 0x1aa, 3],
    ["v4.2", 0x1a2, 2], // present means readable there
    ["v6.19", 0x181, 2 ** 32 + 4],
    ["v6.19", 0x182, 2 ** 32 + 2],
    ["v6.19", 0x184, 2 ** 32 + 16],
    ["v6.19", 0x1aa, 2 ** 32 + 3],
    ["v6.19", 0x1a2, 2 ** 32 + 3],
    ["v6.19", 0x083, 2 ** 33 + 6],
    ["v6.19", 0x001, 4],
  ] as const)("in %s, of qualification 0x%s", (kernel, qualification, expected) => {
    const { vm } = new Machine(kernel);
    let seen = -1;
    vm.kvmMmuPageFault = (_, errorCode) => {
      seen = errorCode;
      return 1;
    };
    vm.vcpu.vmcs.exitQualification = qualification;
    vm.handleEptViolation();
    expect(seen).toBe(expected);
  });

  it("is none where bits 8:7 are 2, which no processor reports", () => {
    const { vm } = new Machine("v4.2");
    vm.vcpu.vmcs.exitQualification = 0x101;
    expect([vm.handleEptViolation(), vm.vcpu.run.exitReason]).toEqual([0, KVM_EXIT_UNKNOWN]);
  });
});

describe("while an event is being delivered", () => {
  it("a misconfiguration stops the vCPU before its handler up to v4.2", () => {
    const machine = new Machine("v4.2.8");
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    expect(() => machine.run("event", MMIO)).toThrow("KVM_EXIT_INTERNAL_ERROR, DELIVERY_EV");
    const { exitReason, suberror } = machine.vm.vcpu.run;
    expect([exitReason, suberror]).toEqual([KVM_EXIT_INTERNAL_ERROR, KVM_INTERNAL_ERROR_DELIVERY_EV]);
    expect([eventfd.signals, machine.counted().exitEptMisconfig]).toEqual([0, 1]);
  });

  it("a misconfiguration is left to be delivered again in v6.19, for ever, and signals nothing", () => {
    const machine = new Machine("v6.19");
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    expect(() => machine.run("event", MMIO)).toThrow("the guest makes no progress");
    expect(eventfd.signals).toBe(0);
    expect(machine.counted().userspaceExitMmio).toBeUndefined();
  });

  it("a violation is handled: memory is mapped and the event delivered", () => {
    for (const kernel of ERAS) {
      const machine = new Machine(kernel);
      machine.slot(1, ROM, MB2);
      expect(machine.run("event", ROM)).toMatchObject({ exitEptViolation: 1 });
    }
  });

  it("a violation that needs the emulator stops the vCPU in v6.19; v4.2 emulates what was interrupted", () => {
    expect(() => new Machine("v6.19").run("event", MMIO)).toThrow("DELIVERY_EV");
    const machine = new Machine("v4.2");
    expect(() => machine.run("event", MMIO)).toThrow("DELIVERY_EV"); // the second time it is a misconfiguration
    expect(machine.counted()).toMatchObject({ exitEptViolation: 1, emulateInstruction: 1 });
  });
});

describe("the skip of an instruction on the fast bus", () => {
  const kick = (kernel: KernelVersion, host: "bare-metal" | "kvm" | "hyper-v") => {
    const machine = new Machine(kernel, { host });
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    return { machine, eventfd };
  };

  it("goes by the VMCS on bare metal", () => {
    for (const kernel of FAST) {
      const { machine } = kick(kernel, "bare-metal");
      const counts = machine.run("store", MMIO);
      expect(counts).toMatchObject({ skipEmulatedInstruction: 1 });
      expect(counts.decodeInstruction).toBeUndefined();
    }
  });

  it("decodes the instruction from v6.19 on where the host has a hypervisor: one walk of the guest's tables", () => {
    for (const host of ["kvm", "hyper-v"] as const) {
      const { machine, eventfd } = kick("v6.19", host);
      expect(machine.run("store", MMIO)).toMatchObject({ decodeInstruction: 1, guestWalkInSoftware: 1 });
      expect([eventfd.signals, machine.vm.vcpu.wrongSkips]).toEqual([1, 0]);
    }
  });

  it("goes nowhere up to v4.2 where the hypervisor leaves the length out: the store signals again and again", () => {
    const { machine, eventfd } = kick("v4.2", "hyper-v");
    expect(() => machine.run("store", MMIO)).toThrow("the guest makes no progress");
    expect(eventfd.signals).toBeGreaterThan(10);
  });

  it("honours single steps from v6.19 on", () => {
    for (const kernel of ["v4.2", "v6.19"] as const) {
      const { machine } = kick(kernel, "bare-metal");
      machine.vm.vcpu.trapFlag = true;
      expect(machine.run("store", MMIO).injectException).toBe(kernel === "v6.19" ? 1 : undefined);
    }
  });

  it("ends a repeated instruction after its first store, whose others are lost", () => {
    const { machine, eventfd } = kick("v4.2", "bare-metal");
    machine.run("rep-stos", MMIO, { count: 16 });
    expect([eventfd.signals, machine.vm.vcpu.instruction.count]).toEqual([1, 16]);
  });
});

describe("during an update of the memory slots", () => {
  it.each(FAST)("in %s, what the vCPU remembered as MMIO is looked up anew", (kernel) => {
    const machine = new Machine(kernel);
    const { vm } = machine;
    machine.run("store", ROM);
    machine.prepare("store", ROM);
    vm.duringGracePeriod = () => {
      vm.ledger.reset();
      vm.execute();
    };
    machine.slot(1, ROM, MB2);
    // The slot is there already.
    expect(machine.counted()).toMatchObject({ exitEptMisconfig: 1, mmioSpteWalk: 1, tdpPageFault: 1 });
    expect(machine.counted().emulateInstruction).toBeUndefined();
  });
});

describe("a fault of v6.19", () => {
  it("from a stale MMIO SPTE does not try the fast way", () => {
    const machine = new Machine("v6.19");
    machine.run("store", ROM);
    machine.slot(1, ROM, MB2);
    expect(machine.run("store", ROM).fastPageFault).toBeUndefined();
  });

  it("on a page that another vCPU has just mapped is spurious: nothing is installed", () => {
    const machine = new Machine("v6.19", { vcpus: 2, cpu: "haswell-ep-e5-2660v3" });
    machine.slot(1, ROM, MB2);
    for (const vcpu of [0, 1]) machine.prepare("store", ROM, { vcpu });
    machine.run("load", ROM + 0x1000, { vcpu: 0 });
    for (const vcpu of [0, 1]) machine.prepare("store", ROM, { vcpu });
    machine.vm.ledger.reset();
    machine.vm.executeTogether();
    expect(machine.counted()).toMatchObject({ exitEptViolation: 2, mmuLockRead: 2, spteInstall: 1 });
  });

  it("does not look at what the qualification says of the address", () => {
    const { vm } = new Machine("v6.19");
    vm.vcpu.vmcs.exitQualification = 0x101;
    vm.vcpu.vmcs.guestPhysicalAddress = 0x1000;
    expect(vm.handleEptViolation()).toBe(1);
  });
});

describe("without MMIO caching", () => {
  it("each access is a violation, and the fast bus is never asked", () => {
    const machine = new Machine("v6.19", { mmioCaching: false });
    const eventfd = machine.ioeventfd(MMIO, 0);
    for (let i = 0; i < 3; i++) {
      expect(machine.run("store", MMIO)).toMatchObject({ exitEptViolation: 1, emulateInstruction: 1 });
    }
    expect(eventfd.signals).toBe(3); // by the MMIO bus
    expect(machine.spte(Math.floor(GFN))).toBe("8000000000000000");
  });
});
