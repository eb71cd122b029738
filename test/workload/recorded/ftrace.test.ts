import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { printFtraceLine } from "../../../src/kvm/ftrace.js";
import { KVM_ISA_SVM, KVM_ISA_VMX, type KvmExit, type TraceEvent } from "../../../src/kvm/trace.js";
import { printEvent, type TraceFormat } from "../../../src/kvm/trace-formats.js";
import { leftOut, type Reading, read, type Step, step } from "./reading.js";

const GPA = 0xfebf0000;

/** Lines of events, by default of vCPU 0 and as Linux 6.19 prints them. */
function lines(events: readonly TraceEvent[], kernel: TraceFormat = "v6.19", pid = 31215): string[] {
  return events.map((event) => {
    const text = printEvent(event, kernel);
    const columns = { task: "CPU 0/KVM", pid, cpu: 0, flags: "....", timestampText: "12.000000" };
    return printFtraceLine({ ...columns, name: event.event, text }, kernel);
  });
}

function replay(events: readonly TraceEvent[], kernel?: TraceFormat): Reading {
  return read(
    "ftrace",
    lines(events, kernel)
      .map((line) => `${line}\n`)
      .join(""),
  );
}

function exit(exitReason: number, more: Partial<KvmExit> = {}): KvmExit {
  return {
    event: "kvm_exit",
    exitReason,
    isa: KVM_ISA_VMX,
    guestRip: 0x1000,
    info1: 0,
    info2: 0,
    vcpuId: 0,
    intrInfo: 0,
    errorCode: 0,
    requests: 0,
    ...more,
  };
}

const svm = { isa: KVM_ISA_SVM } as const;

function entry(vcpuId = 0): TraceEvent {
  return { event: "kvm_entry", vcpuId, rip: 0x1000, intrInfo: 0, errorCode: 0 };
}

function mmio(type: "unsatisfied-read" | "read" | "write", len: number, val = 0n, gpa = GPA): TraceEvent {
  return { event: "kvm_mmio", type, len, gpa, val };
}

function pio(rw: 0 | 1, size: number, count: number, val = 0): TraceEvent {
  return { event: "kvm_pio", rw, port: 0x3f8, size, count, val };
}

function fault(errorCode: number, faultAddress: number | bigint = 0x12345678): TraceEvent {
  return { event: "kvm_page_fault", faultAddress, errorCode, vcpuId: 0, guestRip: 0x1000 };
}

const FAST: TraceEvent = { event: "kvm_fast_mmio", gpa: GPA };
const HYPERCALL: TraceEvent = { event: "kvm_hypercall", nr: 1, a0: 0, a1: 0, a2: 0, a3: 0 };
const USERSPACE: TraceEvent = { event: "kvm_userspace_exit", reason: 6, errno: 0 };
const EMULATE: TraceEvent = {
  event: "kvm_emulate_insn",
  csbase: 0,
  rip: 0x1000,
  insn: [0x88, 7],
  flags: 9,
  failed: false,
};

/** Of VMX. */
const EXCEPTION_NMI = 0;
const HLT = 12;
const VMCALL = 18;
const IO_INSTRUCTION = 30;
const EPT_VIOLATION = 48;
const EPT_MISCONFIG = 49;

/** A step with a page taken from the guest before. */
function again(op: Step["op"], address: number): Step {
  return step(op, address, 1, { fresh: 1 });
}

describe("an exit", () => {
  it("that wrote to a device is a store with its value", () => {
    const { steps, summary } = replay([
      exit(EPT_MISCONFIG),
      EMULATE,
      mmio("write", 4, 0xabcdn),
      USERSPACE,
      entry(),
    ]);
    expect(steps).toEqual([step("store", GPA, 4, { value: 0xabcd })]);
    expect(summary.leftOut).toEqual({ kvm_emulate_insn: 1, kvm_userspace_exit: 1 });
  });

  it("that KVM served as fast MMIO is a store of two bytes", () => {
    expect(replay([exit(EPT_MISCONFIG), FAST, entry()]).steps).toEqual([step("store", GPA, 2)]);
  });

  it("that read a device is one load, whether KVM or userspace has answered", () => {
    const load = step("load", GPA, 4, { value: 7 });
    expect(replay([exit(EPT_MISCONFIG), mmio("read", 4, 7n), entry()]).steps).toEqual([load]);
    const answered = [
      exit(EPT_MISCONFIG),
      mmio("unsatisfied-read", 4),
      USERSPACE,
      EMULATE,
      mmio("read", 4, 7n),
      entry(),
    ];
    expect(replay(answered).steps).toEqual([load]);
  });

  it("whose read shows no answer is a load all the same", () => {
    const load = step("load", GPA, 4);
    expect(replay([exit(EPT_MISCONFIG), mmio("unsatisfied-read", 4)]).steps).toEqual([load]);
    expect(replay([exit(EPT_MISCONFIG), mmio("unsatisfied-read", 4), entry()]).steps).toEqual([load]);
    const other = [mmio("unsatisfied-read", 4), mmio("read", 8, 5n, GPA + 64)];
    expect(replay(other).steps).toEqual([load, step("load", GPA + 64, 8, { value: 5 })]);
  });

  it("with several fragments is several steps", () => {
    const fragments = [
      exit(EPT_MISCONFIG),
      mmio("write", 2, 1n, 0xfebf0ffe),
      mmio("write", 2, 2n, 0xfebf1000),
      entry(),
    ];
    expect(replay(fragments).steps).toEqual([
      step("store", 0xfebf0ffe, 2, { value: 1 }),
      step("store", 0xfebf1000, 2, { value: 2 }),
    ]);
  });

  it("of port I/O is IN or OUT, or INS or OUTS if it is repeated or its qualification says so", () => {
    const io = (event: TraceEvent, info1 = 0) =>
      replay([exit(IO_INSTRUCTION, { info1 }), event, entry()]).steps;
    expect(io(pio(1, 1, 1, 0x41))).toEqual([step("out", 0x3f8, 1, { value: 0x41 })]);
    expect(io(pio(0, 2, 1))).toEqual([step("in", 0x3f8, 2)]);
    expect(io(pio(1, 4, 3))).toEqual([step("outs", 0x3f8, 4, { count: 3 })]);
    expect(io(pio(0, 1, 1), 1 << 4)).toEqual([step("ins", 0x3f8, 1)]);
    expect(replay([exit(0x7b, { ...svm, info1: 1 << 2 }), pio(0, 1, 1), entry()]).steps).toEqual([
      step("ins", 0x3f8, 1),
    ]);
  });

  it("of a hypercall is VMCALL, with or without the event of the hypercall", () => {
    const call = [step("vmcall", 0, 1)];
    expect(replay([exit(VMCALL), HYPERCALL, entry()]).steps).toEqual(call);
    expect(replay([exit(VMCALL), entry()]).steps).toEqual(call);
    expect(replay([exit(0x81, svm), entry()]).steps).toEqual(call);
  });

  it("of a page fault is the access that faulted, its page taken away before", () => {
    const violation = (qualification: number) =>
      replay([exit(EPT_VIOLATION), fault(qualification), entry()]).steps;
    expect(violation(0x181)).toEqual([again("load", 0x12345678)]);
    expect(violation(0x182)).toEqual([again("store", 0x12345678)]);
    expect(violation(0x184)).toEqual([again("fetch", 0x12345678)]);
    const npf = (code: number) => replay([exit(0x400, svm), fault(code), entry()]).steps;
    expect(npf(0b00100)).toEqual([again("load", 0x12345678)]);
    expect(npf(0b00110)).toEqual([again("store", 0x12345678)]);
    expect(npf(0b10100)).toEqual([again("fetch", 0x12345678)]);
  });

  it("that accessed a device after its page fault is only the access", () => {
    const { steps, summary } = replay([exit(0x400, svm), fault(0xf), mmio("write", 4), entry()]);
    expect(steps).toEqual([step("store", GPA, 4)]);
    expect(summary.leftOut).toEqual({ kvm_page_fault: 1 });
  });

  it("of a page fault on a host that shadows page tables has a linear address, which is noted", () => {
    const shadow = replay([exit(EXCEPTION_NMI), fault(0x12, 0x7f0000001000), entry()]);
    expect(shadow.steps).toEqual([again("store", 0x7f0000001000)]);
    expect(shadow.summary.notes).toEqual([
      "the host shadows the guest's page tables: addresses of page faults are linear, and replayed as they are",
    ]);
    const kernel = [
      exit(0x4e, svm),
      fault(2, 0xffff888000001000n),
      entry(),
      exit(0x4e, svm),
      fault(0),
      entry(),
    ];
    expect(replay(kernel).summary.leftOut).toEqual({ "address above 0x7fffffffffff": 1 });
  });

  it("of another reason is left out and counted by the reason's name", () => {
    const events = [HLT, HLT, 10, EPT_MISCONFIG, EPT_VIOLATION, 0x80000021, 99].flatMap((reason) => [
      exit(reason),
      entry(),
    ]);
    const more = [exit(0x78, svm), entry(), exit(EPT_MISCONFIG), FAST, entry()];
    expect(replay([...events, ...more]).summary.leftOut).toEqual({
      "exit HLT": 2,
      "exit CPUID": 1,
      "exit EPT_MISCONFIG": 1,
      "exit EPT_VIOLATION": 1,
      "exit INVALID_STATE": 1,
      "exit 0x63": 1,
      "exit hlt": 1,
    });
  });

  it("ends also with the next exit, where the entry was lost, and with the recording", () => {
    const events = [exit(EPT_VIOLATION), fault(2), exit(VMCALL), exit(EPT_VIOLATION), fault(1)];
    expect(replay(events).steps).toEqual([
      again("store", 0x12345678),
      step("vmcall", 0, 1),
      again("load", 0x12345678),
    ]);
  });

  it("has one page fault; another, and one of no exit, is left out", () => {
    const { steps, summary } = replay([fault(2), exit(EPT_VIOLATION), fault(1), fault(2), entry(), fault(2)]);
    expect(steps).toEqual([again("load", 0x12345678)]);
    expect(summary.leftOut).toEqual({ kvm_page_fault: 3 });
  });

  it("is read in the text of older kernels too", () => {
    const events = [
      exit(EPT_VIOLATION),
      fault(0x182),
      entry(),
      exit(IO_INSTRUCTION),
      pio(1, 1, 1, 9),
      entry(),
    ];
    for (const kernel of ["v3.9", "v4.2", "v4.2.8"] as const) {
      const value = kernel === "v3.9" ? 0 : 9; // it does not print the datum
      expect(replay(events, kernel).steps).toEqual([
        again("store", 0x12345678),
        step("out", 0x3f8, 1, { value }),
      ]);
    }
  });
});

describe("a vCPU", () => {
  const text = (...parts: string[][]) =>
    parts
      .flat()
      .map((line) => `${line}\n`)
      .join("");

  it("is the one that its events name", () => {
    const recording = text(
      lines([exit(HLT, { vcpuId: 3 }), mmio("write", 1), entry(3)], "v6.19", 100),
      lines([entry(1), exit(HLT), mmio("write", 2), entry(1)], "v4.2", 200),
    );
    expect(read("ftrace", recording).steps.map(({ thread }) => thread)).toEqual([3, 1]);
  });

  it("is counted by its task until an event names it", () => {
    const recording = text(
      lines([mmio("write", 1)], "v4.2", 200),
      lines([mmio("write", 1)], "v4.2", 100),
      lines([entry(5), mmio("write", 1)], "v4.2", 200),
    );
    expect(read("ftrace", recording).steps.map(({ thread }) => thread)).toEqual([0, 1, 5]);
  });

  it("is noted if two tasks have its number", () => {
    const one = lines([entry(0), mmio("write", 1)], "v4.2", 100);
    const other = lines([entry(0), mmio("write", 1)], "v4.2", 200);
    expect(read("ftrace", text(one)).summary.notes).toEqual([]);
    expect(read("ftrace", text(one, other)).summary.notes).toEqual([
      "several tasks are a vCPU of the same number, as with several VMs: they are replayed as one vCPU",
    ]);
  });

  it("has a number of 16 bits", () => {
    expect(() => replay([entry(65536)], "v4.2")).toThrow("allowed: vCPUs from 0 to 65535");
  });
});

/** Exits with what each gives: steps, and lines that give none and are not counted as left out. */
const EXITS: readonly { events: TraceEvent[]; steps: Step[]; silent: number }[] = [
  { events: [exit(HLT), entry()], steps: [], silent: 1 },
  { events: [exit(EPT_MISCONFIG), FAST, entry()], steps: [step("store", GPA, 2)], silent: 2 },
  {
    events: [exit(EPT_MISCONFIG), EMULATE, mmio("write", 4), USERSPACE, entry()],
    steps: [step("store", GPA, 4)],
    silent: 2,
  },
  {
    events: [exit(EPT_MISCONFIG), mmio("unsatisfied-read", 8), USERSPACE, mmio("read", 8, 1n), entry()],
    steps: [step("load", GPA, 8, { value: 1 })],
    silent: 3,
  },
  { events: [exit(EPT_VIOLATION), fault(0x182), entry()], steps: [again("store", 0x12345678)], silent: 2 },
  { events: [exit(IO_INSTRUCTION), pio(0, 1, 1), entry()], steps: [step("in", 0x3f8, 1)], silent: 2 },
  { events: [exit(VMCALL), HYPERCALL, entry()], steps: [step("vmcall", 0, 1)], silent: 2 },
  { events: [exit(VMCALL), entry()], steps: [step("vmcall", 0, 1)], silent: 1 },
];

describe("a recording of exits", () => {
  it("gives each vCPU's steps in its order however the vCPUs interleave, and accounts for every line", () => {
    const queue = fc.array(fc.constantFrom(...EXITS), { minLength: 1, maxLength: 6 });
    const queues = fc.array(queue, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(queues, fc.infiniteStream(fc.nat(2)), (queues, turns) => {
        const waiting = queues.map((exits, vcpu) => {
          const events = exits.flatMap((exit) => exit.events);
          const named = events.map((event) => ("vcpuId" in event ? { ...event, vcpuId: vcpu } : event));
          return lines(named, "v6.19", 100 + vcpu);
        });
        const merged: string[] = [];
        while (waiting.some((rest) => rest.length > 0)) {
          const next = waiting[Number(turns.next().value) % waiting.length].shift();
          if (next !== undefined) merged.push(`${next}\n`);
        }
        const expected = queues.map((exits, vcpu) =>
          exits.flatMap(({ steps }) => steps.map((one) => ({ ...one, thread: vcpu }))),
        );
        if (expected.flat().length === 0) return;
        const { steps, summary } = read("ftrace", merged.join(""));
        expect(queues.map((_, vcpu) => steps.filter(({ thread }) => thread === vcpu))).toEqual(expected);
        const silent = queues.flat().reduce((sum, exit) => sum + exit.silent, 0);
        expect(summary.lines).toBe(steps.length + leftOut(summary) + silent);
      }),
    );
  });
});

describe("a line that gives no step", () => {
  it("is counted: comments, notes, events that KVM's vocabulary lacks or that only accompany an exit", () => {
    const text = [
      "# tracer: nop",
      "",
      "cpus=2",
      "CPU:1 [LOST 7 EVENTS]",
      "CPU:0 [12 EVENTS DROPPED]",
      "  qemu-7     [000] ....    12.000000: kvm_msr: msr_read c0000080 = 0xd01",
      "  qemu-7     [000] ....    12.000000: sched_waking: comm=kworker pid=8",
      ...lines([EMULATE, FAST]),
    ];
    expect(read("ftrace", text.map((line) => `${line}\r\n`).join("")).summary).toEqual({
      lines: 9,
      steps: 1,
      leftOut: {
        comment: 1,
        "blank line": 1,
        note: 1,
        "note of lost events": 2,
        kvm_msr: 1,
        sched_waking: 1,
        kvm_emulate_insn: 1,
      },
      notes: ["events were lost, and with them steps"],
    });
  });

  it("is refused if it is none of ftrace, or tells what KVM cannot do", () => {
    expect(() => read("ftrace", "# tracer: nop\nSegmentation fault\n")).toThrow(
      'trace: line 2: "Segmentation fault" is not allowed; allowed: a line of tracefs\' file trace',
    );
    expect(() => replay([mmio("write", 4097)])).toThrow("allowed: len from 1 to 4096");
    expect(() => replay([pio(1, 3, 1)])).toThrow("allowed: a port up to 0xffff, size 1, 2 or 4");
    expect(() => replay([pio(1, 1, 0)])).toThrow("count 1 to 4096");
  });

  it("is left out if its address is above what a physical address can be", () => {
    const events = [mmio("write", 1, 0n, 2 ** 52 - 1), mmio("write", 1, 0n, 2 ** 52)];
    expect(replay(events).summary).toMatchObject({
      steps: 1,
      leftOut: { "address above 0xfffffffffffff": 1 },
    });
  });
});

describe("the trace of a running kernel", () => {
  const real = readFileSync(
    join(import.meta.dirname, "../../../data/traces/kvm-mmio-linux-6.18.txt"),
    "utf8",
  );

  it("is replayed by its MMIO and port I/O, since it has no exits", () => {
    const { steps, summary } = read("ftrace", real);
    expect(steps).toHaveLength(280);
    expect(steps[0]).toEqual(step("store", 0x3fe00000, 1));
    expect(steps.filter(({ op }) => op === "out")).toHaveLength(80);
    expect(summary).toEqual({
      lines: 1251,
      steps: 280,
      leftOut: { comment: 16, kvm_emulate_insn: 868, kvm_userspace_exit: 87 },
      notes: [],
    });
  });
});
