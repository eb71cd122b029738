/** Several vCPUs side by side, what they contend for, counts of exits, and the events of all this. */
import { describe, expect, it } from "vitest";
import type { KernelVersion } from "../../src/kvm/eras.js";
import { ExitCounts } from "../../src/kvm/exit-counts.js";
import { printFtrace } from "../../src/kvm/ftrace.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { Trace } from "../../src/kvm/trace.js";
import { run } from "../../src/study/run/run.js";
import { Machine } from "./machine.js";

const MMIO = 0xfebf_0800;
const ROM = 0x1000_0000;
const MB2 = 2 ** 21;
const ERAS: KernelVersion[] = ["v3.9", "v4.2", "v4.2.8", "v6.19"];

/** Executes one store on each vCPU, at the same time. */
function together(machine: Machine, addresses: readonly number[]): Record<string, number> {
  addresses.forEach((address, vcpu) => {
    machine.prepare("store", address, { vcpu });
  });
  machine.vm.ledger.reset();
  machine.vm.executeTogether();
  return machine.counted();
}

describe.each(ERAS)("vCPUs of %s", (kernel) => {
  it("share memory slots, SPTEs and buses, and have caches of their own", () => {
    const machine = new Machine(kernel, { vcpus: 2 });
    const eventfd = machine.ioeventfd(MMIO, 4);
    machine.run("store", MMIO, { vcpu: 0 });
    // The other vCPU finds the MMIO SPTE that the first one installed.
    const other = machine.run("store", MMIO, { vcpu: 1 });
    expect(other).toMatchObject({ exitEptMisconfig: 1, mmioSpteWalk: 1 });
    expect(eventfd.signals).toBe(2);
  });

  it("contend for the lock of KVM's tables where they fault at the same time", () => {
    const machine = new Machine(kernel, { vcpus: 3 });
    machine.slot(1, ROM, MB2);
    machine.run("load", 0x1000);
    const faults = together(machine, [ROM, ROM + 0x1000, ROM + 0x2000]);
    if (kernel === "v6.19") expect(faults).toMatchObject({ mmuLockRead: 3, mmuLockReadContended: 2 });
    else expect(faults).toMatchObject({ mmuLock: 3, mmuLockContended: 2 });
    machine.run("store", ROM + 0x3000, { vcpu: 0 });
    const alone = machine.run("store", ROM + 0x4000, { vcpu: 1 });
    expect([alone.mmuLockContended, alone.mmuLockReadContended]).toEqual([undefined, undefined]);
  });

  it("move the line of an eventfd that another of them signalled last", () => {
    const machine = new Machine(kernel, { vcpus: 2 });
    machine.ioeventfd(MMIO, 4);
    expect(together(machine, [MMIO, MMIO])).toMatchObject({ eventfdSignal: 2, eventfdLineMoved: 1 });
    expect(machine.run("store", MMIO, { vcpu: 1 }).eventfdLineMoved).toBeUndefined();
    expect(machine.run("store", MMIO, { vcpu: 0 }).eventfdLineMoved).toBe(1);
  });

  it("are waited for by an update while they handle an exit", () => {
    const machine = new Machine(kernel, { vcpus: 2 });
    const { vm } = machine;
    machine.prepare("store", MMIO, { vcpu: 1 });
    [, vm.vcpu] = vm.vcpus;
    vm.begin();
    vm.step();
    vm.ledger.reset();
    machine.slot(1, ROM, MB2);
    expect(machine.counted()).toMatchObject({ synchronizeSrcu: 1, srcuReaderAwaited: 1 });
    while (!vm.step());
    expect(vm.vcpu.retired).toBe(true);
  });

  it("all lose what a zapped slot was cached as", () => {
    const machine = new Machine(kernel, { vcpus: 2 });
    const userspaceAddr = machine.slot(1, ROM, MB2);
    for (const vcpu of [0, 1]) machine.run("store", ROM, { vcpu });
    machine.vm.kvmSetUserMemoryRegion({
      slot: 1,
      flags: 0,
      guestPhysAddr: ROM,
      memorySize: 0,
      userspaceAddr,
    });
    for (const vcpu of [0, 1]) expect(machine.run("store", ROM, { vcpu }).userspaceExitMmio).toBe(1);
  });

  it("end each its own instruction, in as many steps as it takes", () => {
    const machine = new Machine(kernel, { vcpus: 3 });
    machine.slot(1, ROM, MB2);
    machine.run("store", ROM, { vcpu: 0 });
    const counts = together(machine, [ROM, MMIO, ROM]);
    expect(counts).toMatchObject({ userspaceExitMmio: 1 });
    expect(machine.vm.vcpus.map(({ retired }) => retired)).toEqual([true, true, true]);
    expect(machine.vm.vcpu.id).toBe(0);
  });
});

describe("a machine", () => {
  it.each([0, 256, 1.5, -1])("of %d vCPUs is refused", (vcpus) => {
    expect(() => new Machine("v4.2", { vcpus })).toThrow(
      `EINVAL: vcpus: ${vcpus} is not allowed; allowed: 1 to 255`,
    );
  });
});

describe("a scenario with several vCPUs", () => {
  const scenario = {
    cpu: "sandy-bridge-ep",
    kernel: "v4.2",
    memslots: [{ gpa: 0, size: 2 ** 21 }],
    ioeventfds: [{ addr: MMIO, len: 0, waiter: "sleeper" }],
    workload: [{ op: "store", address: MMIO, size: 4 }],
    accesses: 100,
  } as const;

  it("lets each of them execute all instructions, and gives the same counts every time", () => {
    const once = run({ ...scenario, vcpus: 2 });
    expect(once.signals).toEqual([200]);
    expect(once.counts).toMatchObject({ eventfdSignal: 200, eventfdWakeSleeper: 200, eventfdLineMoved: 200 });
    expect(run({ ...scenario, vcpus: 2 })).toEqual(once);
  });

  it("is the same as before with one", () => {
    expect(run({ ...scenario, vcpus: 1 }).counts).toMatchObject({ eventfdSignal: 100, eventfdLineMoved: 0 });
  });

  it.each(["ept", "npt", "shadow"] as const)("runs with %s", (paging) => {
    const { counts } = run({ ...scenario, kernel: "v6.19", paging, vcpus: 2 });
    expect(counts.eventfdSignal).toBe(200);
    expect(counts.emulateInstruction).toBe(paging === "ept" ? 0 : 200);
  });
});

describe("counts of exits", () => {
  it("keep the distinct vectors of each reason with how often they occurred", () => {
    const machine = new Machine("v4.2");
    machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 8);
    const exits = new ExitCounts();
    machine.vm.exitCounts = exits;
    for (let i = 0; i < 10; i++) machine.run("store", MMIO);
    for (let i = 0; i < 3; i++) machine.run("store", MMIO + 8);
    machine.run("out", 0xc000);
    machine.vm.exitCounts = null;
    machine.run("store", MMIO);
    expect([...exits.byReason]).toEqual([
      [49, 13],
      [30, 1],
    ]);
    const signals = PRIMITIVES.indexOf("eventfdSignal");
    const seen = exits.all.map(({ reason, occurrences, counts }) => [reason, occurrences, counts[signals]]);
    expect(seen).toEqual([
      [49, 10, 1],
      [49, 3, 0],
      [30, 1, 0],
    ]);
  });

  it("are told apart where userspace runs another vCPU while one waits", () => {
    const machine = new Machine("v6.19", { vcpus: 2 });
    const { vm } = machine;
    const exits = new ExitCounts();
    machine.run("store", MMIO, { vcpu: 1 });
    machine.prepare("store", MMIO, { vcpu: 1 });
    vm.exitCounts = exits;
    vm.onUserspaceExit = ({ id }) => {
      if (id !== 0) return;
      [, vm.vcpu] = vm.vcpus;
      vm.execute();
    };
    machine.run("store", MMIO + 0x1000, { vcpu: 0 });
    const [userspace, fault] = ["userspaceExitMmio", "tdpPageFault"].map((name) => PRIMITIVES.indexOf(name));
    const seen = exits.all.map(({ reason, counts }) => [reason, counts[userspace], counts[fault]]);
    expect(seen).toEqual([
      [49, 1, 0],
      [48, 1, 1],
    ]);
  });

  it("do not hold an exit that could not be handled", () => {
    const machine = new Machine("v6.19");
    machine.vm.exitCounts = new ExitCounts();
    expect(() => machine.run("fetch", MMIO)).toThrow("EMULATION");
    expect(machine.vm.exitCounts.all).toEqual([]);
    machine.run("store", MMIO);
    expect([...machine.vm.exitCounts.byReason]).toEqual([[49, 1]]);
  });

  it("add up to what the handlers counted", () => {
    const machine = new Machine("v6.19");
    const exits = new ExitCounts();
    machine.vm.exitCounts = exits;
    machine.run("store", MMIO);
    const total = exits.all.reduce(
      (sum, { occurrences, counts }) => sum.map((count, index) => count + occurrences * counts[index]),
      PRIMITIVES.map(() => 0),
    );
    const walks = /^(dtlb|stlb|walk|guestWalkRef|eptWalkRef|dataRef)/;
    for (const [index, name] of PRIMITIVES.entries()) {
      if (!walks.test(name)) expect([name, total[index]]).toEqual([name, machine.vm.ledger.counts[index]]);
    }
  });
});

describe("events", () => {
  const names = (machine: Machine, action: () => void) => machine.events(action).map(({ event }) => event);

  it("of a first touch and of the kick after it, in v4.2", () => {
    const machine = new Machine("v4.2");
    machine.ioeventfd(MMIO, 0);
    expect(names(machine, () => machine.run("store", MMIO))).toEqual([
      "kvm_exit",
      "kvm_page_fault",
      "mark_mmio_spte",
      "kvm_emulate_insn",
      "vcpu_match_mmio",
      "kvm_mmio",
      "kvm_userspace_exit",
      "kvm_entry",
    ]);
    // The fast bus has no tracepoint there.
    expect(names(machine, () => machine.run("store", MMIO))).toEqual(["kvm_exit", "kvm_entry"]);
  });

  it("of the same in v6.19, which has one for the fast bus", () => {
    const machine = new Machine("v6.19", { cpu: "haswell-ep-e5-2660v3" });
    machine.ioeventfd(MMIO, 0);
    expect(names(machine, () => machine.run("store", MMIO))).toEqual([
      "kvm_exit",
      "kvm_page_fault",
      "kvm_mmu_spte_requested",
      "mark_mmio_spte",
      "kvm_emulate_insn",
      "vcpu_match_mmio",
      "kvm_mmio",
      "kvm_entry",
    ]);
    expect(names(machine, () => machine.run("store", MMIO))).toEqual([
      "kvm_exit",
      "kvm_fast_mmio",
      "kvm_entry",
    ]);
  });

  it("of a stale generation tell both generations", () => {
    const machine = new Machine("v4.2");
    machine.run("store", MMIO);
    machine.slot(1, ROM, MB2);
    const events = machine.events(() => machine.run("store", MMIO));
    expect(events.find(({ event }) => event === "check_mmio_spte")).toMatchObject({
      kvmGen: 0xfff6e,
      spteGen: 0xfff6c,
    });
  });

  it.each(ERAS)("are printed as ftrace text of %s, whatever happens", (kernel) => {
    const machine = new Machine(kernel);
    const trace = new Trace();
    const { vm } = machine;
    vm.ledger.reset();
    vm.trace = trace;
    machine.slot(1, ROM, MB2, { flags: 2 });
    const ops = ["load", "store", "stos", "add", "movups-store", "movups-load"] as const;
    for (const op of ops) {
      for (const address of [MMIO, ROM, ROM - 2]) {
        machine.prepare(op, address);
        vm.execute();
      }
    }
    for (const op of ["out", "in", "outs", "vmcall"] as const) {
      machine.prepare(op, 0xc000);
      vm.execute();
    }
    const text = printFtrace(trace, { kernel });
    expect(text.split("\n").filter((line) => line.includes("kvm_exit:")).length).toBeGreaterThan(10);
    expect(text.toLowerCase()).toContain("simulated");
  });

  it("cost no counts", () => {
    const count = (trace: Trace | null) => {
      const machine = new Machine("v6.19");
      machine.vm.trace = trace;
      return machine.run("store", MMIO);
    };
    expect(count(new Trace())).toEqual(count(null));
  });
});
