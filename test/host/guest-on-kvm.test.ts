/** Guest programs on this machine's KVM: what the model says of an instruction is what a processor and a kernel do. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { deviceValue } from "../../src/host/device-model.js";
import { drawAccesses, GuestProgram, SAMPLE_BYTES } from "../../src/host/guest-program.js";
import type { KvmDevice } from "../../src/host/kvm.js";
import { GuestPageTables, longModeSregs } from "../../src/host/long-mode.js";
import type { RunResult } from "../../src/host/vcpu.js";
import type { VcpuThread } from "../../src/host/vcpu-thread.js";
import type { HostVm } from "../../src/host/vm.js";
import type { InstructionName } from "../../src/kvm/instruction.js";
import { Workload } from "../../src/workload/workload.js";
import { PAGE } from "../../src/x86/mmu.js";
import { access } from "../workload/access.js";
import { host, KVM, threads } from "./host-kvm.js";

const MEMORY = 2 ** 22;
const CODE = 0x1000;
const RESULTS = 0x10_0000;
const TABLES = 0x18_0000;
const RAM = 0x20_0000;
const MMIO = 0xfebf_0000;
const STOP = 0xf4;

const VALUE = 0x1122_3344_5566_7788n;

describe.skipIf(KVM !== null)(`guest programs${KVM === null ? "" : `: ${KVM}`}`, () => {
  let kvm: KvmDevice;
  let thread: VcpuThread;
  let vm: HostVm;
  let memory: Uint8Array;

  beforeAll(async () => {
    kvm = host.openKvm();
    thread = await threads.VcpuThread.start();
  });

  beforeEach(() => {
    vm = kvm.createVm();
    const mapping = vm.mmap(MEMORY);
    const region = { slot: 0, flags: 0, guest_phys_addr: 0, memory_size: MEMORY };
    vm.setUserMemoryRegion({ ...region, userspace_addr: mapping.address });
    memory = mapping.data;
    return () => vm.close();
  });

  afterAll(async () => {
    await thread.close();
    kvm.close();
  });

  /** Runs a program, and stops, with memory and two pages of a device mapped. */
  function run(write: (program: GuestProgram) => void, size: "4K" | "2M" = "4K"): Promise<RunResult> {
    const program = new GuestProgram(RESULTS);
    write(program);
    program.out(STOP);
    memory.set(program.bytes, CODE);
    const tables = new GuestPageTables(memory.subarray(TABLES, RAM), TABLES);
    tables.mapIdentity(0, MEMORY / PAGE, size);
    tables.mapIdentity(MMIO / PAGE, MMIO / PAGE + 2, size);
    const vcpu = vm.createVcpu(0);
    vcpu.setSregs(longModeSregs(vcpu.getSregs(), tables.cr3));
    vcpu.setRegs({ rip: CODE, rflags: 2 });
    return vcpu.run(thread, { limitMs: 60_000, stopPort: STOP, recordExits: true });
  }

  const read = (address: number) =>
    new DataView(memory.buffer, memory.byteOffset).getBigUint64(address, true);

  const mmio = (write: boolean, len: number, data: bigint, offset = 0) => ({
    kind: "mmio",
    write,
    gpa: MMIO + offset,
    len,
    data,
  });

  const low = (value: bigint, bytes: number) => BigInt.asUintN(8 * bytes, value);

  it.each(["store", "movnti", "stos"] as const)("write to a device by %s", async (op) => {
    const sizes = op === "movnti" ? [4, 8] : [1, 2, 4, 8];
    const { events } = await run((program) => {
      for (const size of sizes) program.access({ op, address: MMIO, size, value: VALUE });
    });
    expect(events).toEqual(sizes.map((size) => mmio(true, size, low(VALUE, size))));
  });

  it("read from a device, into the low bytes of the register or, of 4 bytes, into all of it", async () => {
    const { events } = await run((program) => {
      for (const size of [1, 2, 4, 8]) program.access({ op: "load", address: MMIO, size, value: VALUE });
    });
    const answers = [1, 2, 4, 8].map((size) => deviceValue(MMIO, size));
    expect(events).toEqual([1, 2, 4, 8].map((size, index) => mmio(false, size, answers[index])));
    expect([0, 1, 2, 3].map((index) => read(RESULTS + 16 * index))).toEqual([
      (VALUE & ~0xffn) | answers[0],
      (VALUE & ~0xffffn) | answers[1],
      answers[2],
      answers[3],
    ]);
  });

  it.each([
    ["or", (value: bigint) => value | VALUE],
    ["add", (value: bigint) => value + VALUE],
  ] as const)("read and write by %s", async (op, result) => {
    const { events } = await run((program) => program.access({ op, address: MMIO, size: 8, value: VALUE }));
    const value = deviceValue(MMIO, 8);
    expect(events).toEqual([mmio(false, 8, value), mmio(true, 8, low(result(value), 8))]);
  });

  it("repeat a store at rising addresses", async () => {
    const { events } = await run((program) =>
      program.access({ op: "rep-stos", address: MMIO, size: 2, value: VALUE, count: 3 }),
    );
    expect(events).toEqual([0, 2, 4].map((offset) => mmio(true, 2, 0x7788n, offset)));
  });

  it("move 16 bytes in two pieces", async () => {
    const { events } = await run((program) => {
      program.access({ op: "movups-store", address: MMIO, size: 16, value: VALUE + (5n << 64n) });
      program.access({ op: "movups-load", address: MMIO, size: 16, value: 0 });
    });
    const answers = [deviceValue(MMIO, 8), deviceValue(MMIO + 8, 8)];
    expect(events).toEqual([
      mmio(true, 8, VALUE),
      mmio(true, 8, 5n, 8),
      mmio(false, 8, answers[0]),
      mmio(false, 8, answers[1], 8),
    ]);
    expect([read(RESULTS + 16), read(RESULTS + 24)]).toEqual(answers);
  });

  it("read from ports and write to them", async () => {
    const { events } = await run((program) => {
      program.access({ op: "out", address: 0xc000, size: 4, value: VALUE });
      program.access({ op: "in", address: 0xc000, size: 2, value: VALUE });
    });
    const answer = deviceValue(0xc000, 2);
    expect(events).toEqual([
      { kind: "io", write: true, port: 0xc000, size: 4, count: 1, data: 0x5566_7788n },
      { kind: "io", write: false, port: 0xc000, size: 2, count: 1, data: answer },
    ]);
    expect(read(RESULTS + 16)).toBe((VALUE & ~0xffffn) | answer);
  });

  it.each(["4K", "2M"] as const)("reach memory through pages of %s, without userspace", async (size) => {
    const store = (op: InstructionName, address: number) => ({ op, address, size: 8, value: VALUE });
    const { events } = await run((program) => {
      program.access(store("store", RAM));
      program.access(store("add", RAM));
      program.access({ op: "load", address: RAM, size: 8, value: 0 });
    }, size);
    expect(events).toEqual([]);
    expect([read(RAM), read(RESULTS + 32)]).toEqual([2n * VALUE, 2n * VALUE]);
  });

  it("shut down at an address that their tables do not map", async () => {
    const beyond = { op: "load", address: 0x1_0000_0000, size: 8, value: 0 } as const;
    await expect(run((program) => program.access(beyond))).rejects.toThrow("triple fault");
  });

  it("write each page once with a step of a page, and leave a time for each batch", async () => {
    const store = { op: "store", address: RAM, size: 8, value: VALUE, step: PAGE } as const;
    await run((program) => program.timedLoop({ batches: 4, rounds: 64, body: [store] }));
    const pages = Array.from({ length: 512 }, (_, page) => read(RAM + page * PAGE));
    expect(pages).toEqual([...Array(256).fill(VALUE), ...Array(256).fill(0n)]);
    const times = [0, 1, 2, 3].map((batch) => read(RESULTS + batch * SAMPLE_BYTES));
    // Each round is several instructions.
    for (const time of times) expect(time).toBeGreaterThan(64n);
  });

  it("execute the mix of a workload, whose kicks are signals", async () => {
    const eventfd = vm.eventfd();
    vm.ioeventfd({ datamatch: 0, addr: MMIO, len: 0, fd: eventfd.fd, flags: 0 });
    const mix = [
      access({ weight: 3, address: RAM, footprint: 64 * PAGE, stride: PAGE, pattern: "uniform" }),
      access({ weight: 1, op: "store", address: MMIO, size: 2, footprint: 2, stride: 2 }),
    ];
    const body = drawAccesses(new Workload(mix, 1, 0), 40);
    const { events } = await run((program) => program.timedLoop({ batches: 2, rounds: 5, body }));
    expect(events).toEqual([]);
    expect(eventfd.read()).toBe(10 * body.filter(({ op }) => op === "store").length);
  });
});
