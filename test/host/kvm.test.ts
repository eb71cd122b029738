/** Virtual machines of this machine's KVM: what they do, how runs end, and that nothing of them is left. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { GuestError } from "../../src/host/guest-error.js";
import type { KvmDevice } from "../../src/host/kvm.js";
import { openKvm } from "../../src/host/kvm.js";
import { loadLibc } from "../../src/host/libc.js";
import type { HostVcpu } from "../../src/host/vcpu.js";
import type { VcpuThread } from "../../src/host/vcpu-thread.js";
import type { HostVm } from "../../src/host/vm.js";
import { addressSpace, compiledUrl, host, KVM, kvmMappings, openFiles, threads, timers } from "./host-kvm.js";

const ON_LINUX = process.platform === "linux" && process.arch === "x64";

const STOP = 0xf4;
const SYNC = 0xe9;
const MEMORY = 0x1_0000;
const CODE = 0x1000;
const MMIO = 0x2_0000;
const CYCLES = 1000;

/** Machine code of real mode, in which a vCPU starts: DS points to MMIO. */
const out = (port: number) => [0xe6, port];
const setDs = [0xb8, MMIO >> 4, MMIO >> 12, 0x8e, 0xd8];
const storeByte = (offset: number, value: number) => [0xc6, 0x06, offset, 0, value];
const loadByte = (offset: number) => [0xa0, offset, 0];
const FOR_EVER = [0xeb, 0xfe];
/** An invalid opcode, without a table of interrupts that would have a handler. */
const TRIPLE_FAULT = [0x0f, 0x0b];

describe.skipIf(!ON_LINUX)("KVM that cannot be opened", () => {
  it("is refused in one line that says why", () => {
    expect(() => openKvm("/no/such/kvm")).toThrow(
      "this machine's KVM cannot be used: ENOENT: no such file or directory, open /no/such/kvm (no module of KVM, or a container without the device)",
    );
    expect(() => openKvm("/dev/null")).toThrow(
      "this machine's KVM cannot be used: /dev/null is not KVM: ENOTTY: inappropriate ioctl for device, KVM_GET_API_VERSION",
    );
  });

  it("is refused in one line elsewhere than on Linux on x86-64", () => {
    const { platform } = process;
    Object.defineProperty(process, "platform", { value: "darwin" });
    try {
      expect(loadLibc).toThrow(
        "this machine's KVM cannot be used: it takes Linux on x86-64, and this is darwin on x64",
      );
    } finally {
      Object.defineProperty(process, "platform", { value: platform });
    }
  });

  it("leaves no file open", () => {
    const before = openFiles();
    for (let time = 0; time < 10; time++) expect(() => openKvm("/dev/null")).toThrow("is not KVM");
    expect(openFiles()).toEqual(before);
  });
});

describe.skipIf(KVM !== null)(`KVM of this machine${KVM === null ? "" : `: ${KVM}`}`, () => {
  let kvm: KvmDevice;
  let thread: VcpuThread;
  let vm: HostVm;
  let vcpu: HostVcpu;

  beforeAll(async () => {
    kvm = host.openKvm();
    thread = await threads.VcpuThread.start();
  });

  beforeEach(() => {
    vm = kvm.createVm();
    return () => vm.close();
  });

  afterAll(async () => {
    await thread.close();
    kvm.close();
  });

  /** A vCPU of a virtual machine with some memory, before this code. */
  function guest(code: readonly number[]): HostVcpu {
    const memory = vm.mmap(MEMORY);
    memory.data.set(code, CODE);
    const region = { slot: 0, flags: 0, guest_phys_addr: 0, memory_size: MEMORY };
    vm.setUserMemoryRegion({ ...region, userspace_addr: memory.address });
    vcpu = vm.createVcpu(0);
    const sregs = vcpu.getSregs();
    const { cs, idt } = sregs;
    vcpu.setSregs({ ...sregs, cs: { ...cs, base: 0, selector: 0 }, idt: { ...idt, limit: 0 } });
    vcpu.setRegs({ rip: CODE, rflags: 2 });
    return vcpu;
  }

  it("runs a guest to its stop port, and notes its accesses, signals and syncs in order", async () => {
    const program = [
      setDs,
      storeByte(8, 0x5a),
      storeByte(9, 1),
      loadByte(8),
      out(SYNC),
      out(0x80),
      out(STOP),
    ];
    guest(program.flat());
    const eventfd = vm.eventfd();
    vm.ioeventfd({ datamatch: 0, addr: MMIO + 9, len: 1, fd: eventfd.fd, flags: 0 });
    const options = {
      limitMs: 60_000,
      stopPort: STOP,
      syncPort: SYNC,
      eventfds: [eventfd],
      recordExits: true,
    };
    const { events, exits } = await vcpu.run(thread, options);
    expect(events).toEqual([
      { kind: "mmio", write: true, gpa: MMIO + 8, len: 1, data: 0x5an },
      { kind: "mmio", write: false, gpa: MMIO + 8, len: 1, data: BigInt(((MMIO + 8) % 251) + 1) },
      { kind: "signal", eventfd: 0, count: 1 },
      { kind: "sync" },
      { kind: "io", write: true, port: 0x80, size: 1, count: 1, data: BigInt(((MMIO + 8) % 251) + 1) },
    ]);
    expect(exits).toEqual({ KVM_EXIT_MMIO: 2, KVM_EXIT_IO: 3 });
  });

  it("tells what happened before a guest ended too early", async () => {
    guest([...setDs, ...storeByte(8, 0x5a), ...out(SYNC), ...TRIPLE_FAULT]);
    const run = vcpu.run(thread, { limitMs: 60_000, stopPort: STOP, syncPort: SYNC, recordExits: true });
    await expect(run).rejects.toMatchObject({
      early: {
        events: [{ kind: "mmio", write: true, gpa: MMIO + 8, len: 1, data: 0x5an }, { kind: "sync" }],
      },
    });
  });

  it("says which pages of a logged slot were written", async () => {
    guest([0xc6, 0x06, 0x00, 0x30, 0x01, ...out(STOP)]);
    const memory = vm.mmap(MEMORY);
    const region = { slot: 1, guest_phys_addr: MEMORY, memory_size: MEMORY, userspace_addr: memory.address };
    vm.setUserMemoryRegion({ ...region, flags: 1 });
    const sregs = vcpu.getSregs();
    vcpu.setSregs({ ...sregs, ds: { ...sregs.ds, base: MEMORY, selector: MEMORY >> 4 } });
    await vcpu.run(thread, { limitMs: 60_000, stopPort: STOP });
    expect(vm.getDirtyLog(1)).toEqual([3]);
    expect(memory.data[0x3000]).toBe(1);
  });

  it("refuses what the kernel refuses, by the error's name", () => {
    guest([]);
    const eventfd = vm.eventfd();
    const one = { datamatch: 0, addr: MMIO, len: 4, fd: eventfd.fd, flags: 0 };
    vm.ioeventfd(one);
    expect(() => vm.ioeventfd(one)).toThrow("EEXIST: file already exists, KVM_IOEVENTFD");
    expect(() => vm.ioeventfd({ ...one, len: 3 })).toThrow("EINVAL: invalid argument, KVM_IOEVENTFD");
    expect(() => vm.ioeventfd({ ...one, addr: 0, flags: 4 })).toThrow("ENOENT");
  });

  it.each([
    ["loops for ever", FOR_EVER, "time-limit", "the guest's limit of 200 ms is reached"],
    [
      "waits for ever in userspace",
      [...out(SYNC), 0xeb, 0xfc],
      "time-limit",
      "the guest's limit of 200 ms is reached",
    ],
    ["faults three times", TRIPLE_FAULT, "shutdown", "a triple fault (KVM_EXIT_SHUTDOWN)"],
    ["halts", [0xf4], "unexpected-exit", "nothing answers KVM_EXIT_HLT"],
  ])("ends a guest that %s with a clear error, and goes on with the next", async (_, code, end, message) => {
    guest(code);
    const failed = vcpu.run(thread, { limitMs: 200, stopPort: STOP, syncPort: SYNC });
    await expect(failed).rejects.toMatchObject({
      name: GuestError.name,
      end,
      message: expect.stringContaining(message),
    });
    vm.close();
    vm = kvm.createVm();
    guest(out(STOP));
    expect((await vcpu.run(thread, { limitMs: 60_000, stopPort: STOP })).exits).toEqual({ KVM_EXIT_IO: 1 });
  });

  it("interrupts a guest from outside, and can run it again", async () => {
    guest(FOR_EVER);
    const run = vcpu.run(thread, { limitMs: 600_000, stopPort: STOP });
    setTimeout(() => thread.interrupt(), 50);
    await expect(run).rejects.toMatchObject({
      early: { end: "interrupted", rip: BigInt(CODE) },
    });
    vm.close();
    vm = kvm.createVm();
    guest(out(STOP));
    await expect(vcpu.run(thread, { limitMs: 60_000, stopPort: STOP })).resolves.toBeDefined();
  });

  it("leaves the caller free while the guest runs", async () => {
    guest(FOR_EVER);
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await expect(vcpu.run(thread, { limitMs: 300, stopPort: STOP })).rejects.toThrow("limit");
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  it("times round trips that do not enter the guest", async () => {
    guest(FOR_EVER);
    const ns = await thread.immediateExits(vcpu, 20, 5);
    expect(ns).toHaveLength(20);
    expect(Math.min(...ns)).toBeGreaterThan(0);
  });

  it("keeps a thread on a processor, and says if there is none of that number", async () => {
    const pinned = await threads.VcpuThread.start({ cpu: 0 });
    await pinned.close();
    await expect(threads.VcpuThread.start({ cpu: 4000 })).rejects.toThrow("EINVAL");
  });

  it("takes nothing away from a vCPU that runs, and lets no other thread have it", async () => {
    guest(FOR_EVER);
    const other = await threads.VcpuThread.start();
    const run = vcpu.run(thread, { limitMs: 600_000, stopPort: STOP });
    expect(() => vm.close()).toThrow("a vCPU of the virtual machine is running: interrupt its thread first");
    expect(() => kvm.close()).toThrow("is running");
    expect(() => vcpu.getRegs()).toThrow("a thread runs the vCPU");
    await expect(vcpu.run(thread, { limitMs: 1, stopPort: STOP })).rejects.toThrow("runs another vCPU");
    await expect(vcpu.run(other, { limitMs: 1, stopPort: STOP })).rejects.toThrow("a thread runs the vCPU");
    thread.interrupt();
    await expect(run).rejects.toThrow("the guest was interrupted");
    await other.close();
  });

  it("ends what runs when the thread is closed, which does nothing more then", async () => {
    guest(FOR_EVER);
    const other = await threads.VcpuThread.start();
    const run = vcpu.run(other, { limitMs: 600_000, stopPort: STOP });
    run.catch(() => {});
    await other.close();
    await expect(run).rejects.toThrow(/interrupted|has ended/);
    await expect(vcpu.run(other, { limitMs: 1, stopPort: STOP })).rejects.toThrow("thread has ended");
  });

  it("forgets an interrupt that came too late for its run", async () => {
    guest([...out(STOP), ...out(STOP)]);
    const run = vcpu.run(thread, { limitMs: 60_000, stopPort: STOP });
    // The guest ends meanwhile; the answer waits for this thread.
    const until = performance.now() + 1000;
    while (performance.now() < until);
    thread.interrupt();
    await run;
    await expect(vcpu.run(thread, { limitMs: 60_000, stopPort: STOP })).resolves.toBeDefined();
  });

  it("is behind the instruction that ended the run", async () => {
    guest([...out(STOP), ...FOR_EVER]);
    await vcpu.run(thread, { limitMs: 60_000, stopPort: STOP });
    expect(vcpu.getRegs().rip).toBe(CODE + 2);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses a limit of %s ms", async (limitMs) => {
    guest(out(STOP));
    await expect(vcpu.run(thread, { limitMs, stopPort: STOP })).rejects.toThrow("limitMs");
  });

  it("lets go of what is closed, whose number may be another's by then", () => {
    guest([]);
    const eventfd = vm.eventfd();
    vm.close();
    expect(() => vcpu.getRegs()).toThrow("the vCPU has been closed");
    expect(() => vm.createVcpu(1)).toThrow("the virtual machine has been closed");
    expect(() => vm.mmap(4096)).toThrow("the virtual machine has been closed");
    expect(() => eventfd.read()).toThrow("the eventfd has been closed");
  });

  it("does not keep a process that ends while a guest runs", () => {
    const script = `
      import { openKvm } from ${JSON.stringify(compiledUrl("kvm.js"))};
      import { VcpuThread } from ${JSON.stringify(compiledUrl("vcpu-thread.js"))};
      const vm = openKvm().createVm();
      const memory = vm.mmap(4096);
      memory.data.set([0xeb, 0xfe], 0);
      vm.setUserMemoryRegion({ slot: 0, guest_phys_addr: 0, memory_size: 4096, flags: 0, userspace_addr: memory.address });
      const vcpu = vm.createVcpu(0);
      const sregs = vcpu.getSregs();
      vcpu.setSregs({ ...sregs, cs: { ...sregs.cs, base: 0, selector: 0 } });
      vcpu.setRegs({ rip: 0, rflags: 2 });
      vcpu.run(await VcpuThread.start(), { limitMs: 600000, stopPort: 1 }).catch(() => {});
      setTimeout(() => process.exit(7), 100);
    `;
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
      timeout: 100_000,
    });
    expect({ status, stderr }).toEqual({ status: 7, stderr: "" });
  });

  it("gives no memory away that has been released", () => {
    const mapping = vm.mmap(4096);
    vm.close();
    expect(() => mapping.data).toThrow("the mapping has been released");
  });

  it("leaves no file, mapping, timer or virtual machine behind, whatever happened", async () => {
    const ways: readonly (readonly [code: readonly number[], limitMs: number])[] = [
      [out(STOP), 60_000],
      [TRIPLE_FAULT, 60_000],
      [FOR_EVER, 1],
      [FOR_EVER, 60_000],
    ];
    const cycle = async (time: number) => {
      const [code, limitMs] = ways[time % ways.length];
      guest(code);
      vm.eventfd();
      expect(() => vm.createVcpu(0)).toThrow("EEXIST");
      const run = vcpu.run(thread, { limitMs, stopPort: STOP });
      if (code === FOR_EVER && limitMs > 1) thread.interrupt();
      await run.catch((error: Error) => expect(error.name).toBe(GuestError.name));
      vm.close();
      vm = kvm.createVm();
      if (time % 100 > 0) return;
      const other = await threads.VcpuThread.start();
      await other.close();
    };
    for (let time = 0; time < 10; time++) await cycle(time);
    vm.close();
    const before = { files: openFiles(), mappings: kvmMappings(), timers: timers() };
    const bytes = addressSpace();
    vm = kvm.createVm();
    for (let time = 0; time < CYCLES; time++) await cycle(time);
    vm.close();
    expect({ files: openFiles(), mappings: kvmMappings(), timers: timers() }).toEqual(before);
    // A mapping of each cycle would be 64 Mbyte.
    expect(addressSpace() - bytes).toBeLessThan((CYCLES * MEMORY) / 2);
  }, 1_500_000);
});
