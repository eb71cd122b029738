import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { replay, run } from "../../../src/study/run/run.js";
import type { ScenarioInput } from "../../../src/study/run/scenario.js";

const machine = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x4000000" }],
} as const;

function file(content: string | Uint8Array): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-replay-")), "recording");
  writeFileSync(path, content);
  return path;
}

type Format = NonNullable<ScenarioInput["recording"]>["format"];
const replayed = (content: string | Uint8Array, format: Format, change: Partial<ScenarioInput> = {}) =>
  replay({ ...machine, recording: { file: file(content), format }, ...change });

/** Loads of 8 bytes, `stride` bytes apart, from an address above the machine's physical ones. */
const loads = (n: number, stride: number) =>
  `op,address,size\n${Array.from({ length: n }, (_, i) => `load,0x${(0x7fff_0000_0000 + i * stride).toString(16)},8\n`).join("")}`;

describe("a recording of a process", () => {
  it("is executed step by step, and its pages get frames as they are touched first", async () => {
    const { accesses, counts, recording } = await replayed(loads(512, 4096), "csv");
    expect([accesses, recording?.steps, recording?.leftOut]).toEqual([512, 512, { header: 1 }]);
    expect(counts.walkLoad).toBeGreaterThanOrEqual(512);
    // Each frame once, and the guest's tables.
    expect(counts.exitEptViolation).toBe(512 + 1);
  });

  it("is held against what it should do, at the frames that its pages got", async () => {
    const { semantics } = await replayed("op,address,size\nstore,0xffe,4\nmodify,0x1ffe,4\n", "csv", {
      paging: "shadow",
    });
    expect(semantics).toEqual({ kicks: 0, kicksByUserspace: 0, doorbellReads: 0, incidents: {} });
  });

  it("walks for each page once where the TLB holds them", async () => {
    const { counts } = await replayed(
      loads(64, 4096) + loads(64, 4096).split("\n").slice(1).join("\n"),
      "csv",
    );
    expect(counts.walkCompletedLoad4K).toBe(64);
  });

  it("counts as much from a packed file", async () => {
    const { counts } = await replayed(loads(512, 4096), "csv");
    expect((await replayed(gzipSync(loads(512, 4096)), "csv")).counts).toEqual(counts);
  });

  it("touches both pages of an access across their boundary", async () => {
    const { counts } = await replayed("op,address,size\nstore,0xfff,2\n", "csv");
    expect(counts.walkCompletedStore4K).toBe(2);
  });

  it("takes pages of 2 Mbyte where the guest has them", async () => {
    const { counts } = await replayed(loads(1024, 4096), "csv", {
      guestPages: "2M",
      memslots: [{ ...machine.memslots[0], backing: "2M" }],
    });
    expect([counts.walkCompletedLoad2M, counts.walkCompletedLoad4K]).toEqual([2, 0]);
  });

  it("ends where the scenario says, after the warm-up that it asks for", async () => {
    expect((await replayed(loads(512, 8), "csv", { accesses: 100 })).accesses).toBe(100);
    const warm = await replayed(loads(512, 8), "csv", { warmup: 500 });
    expect([warm.accesses, warm.counts.walkLoad]).toEqual([12, 0]);
  });

  it("puts its threads on the vCPUs in turn", async () => {
    const text = "op,address,size,thread\nload,4096,8,11\nload,4096,8,12\n";
    const { counts } = await replayed(text, "csv", { vcpus: 2 });
    expect(counts.walkCompletedLoad4K).toBe(2);
    expect((await replayed(text, "csv")).counts.walkCompletedLoad4K).toBe(1);
  });

  it("is refused by a slot that has no room for its pages", async () => {
    await expect(
      replayed(loads(512, 4096), "csv", { memslots: [{ gpa: 0, size: 0x10_0000 }] }),
    ).rejects.toThrow(
      /memslots\[0\]\.size: 1048576 is not allowed; allowed: a writable slot with room for the recording: \d+ pages did not fit/,
    );
  });

  it("is named where it is wrong", async () => {
    await expect(replayed("op,address,size\nload,4096,8\njump,1,1\n", "csv")).rejects.toThrow(
      /line 3.*"jump"/,
    );
    await expect(replay({ ...machine, recording: { file: "/nowhere", format: "csv" } })).rejects.toThrow(
      /\/nowhere/,
    );
  });

  it("has a step that counts after the warm-up", async () => {
    await expect(replayed(loads(64, 8), "csv", { warmup: 64 })).rejects.toThrow(
      "scenario: warmup: 64 is not allowed; allowed: 0 to 63, for the recording has 64 steps",
    );
    expect((await replayed(loads(64, 8), "csv", { warmup: 63 })).accesses).toBe(1);
  });

  it("notes threads that share a vCPU", async () => {
    const text = `op,address,size,thread\n${[1, 2, 3, 4].map((id) => `load,4096,8,${id}\n`).join("")}`;
    const note = "4 threads on 1 vCPU: set vcpus to keep them apart";
    expect((await replayed(text, "csv")).recording?.notes).toContain(note);
    expect((await replayed(text, "csv", { vcpus: 4 })).recording?.notes).toEqual([]);
  });

  it.each([
    ["plain", (text: string) => text],
    ["packed", (text: string) => gzipSync(text)],
  ] as const)("closes its %s file where it is left or a step fails", async (_, pack) => {
    const descriptors = () => readdirSync("/proc/self/fd").length;
    // More than one chunk, and more than one piece.
    const content = pack(loads(20_000, 8));
    const small = [{ gpa: 0, size: 0x10_0000 }];
    const failing = pack(loads(20_000, 4096));
    await replayed(content, "csv", { accesses: 10 });
    const before = descriptors();
    for (let i = 0; i < 25; i++) {
      await replayed(content, "csv", { accesses: 10 });
      await expect(replayed(failing, "csv", { memslots: small })).rejects.toThrow("did not fit");
    }
    expect(descriptors()).toBe(before);
  });

  it("is not for run(), which cannot wait", () => {
    const recording = { file: file(loads(1, 8)), format: "csv" } as const;
    expect(() => run({ ...machine, recording })).toThrow("recording: is read piece by piece");
  });
});

describe("a recording of KVM's events", () => {
  const event = (time: number, text: string) => ` CPU 0/KVM-1000  [000] ....     1.00000${time}: ${text}\n`;
  const exit = (time: number, reason: string, ...between: string[]) =>
    [
      event(time, `kvm_exit: reason ${reason} rip 0x1000 info 0 0`),
      ...between.map((text) => event(time, text)),
      event(time, "kvm_entry: vcpu 0"),
    ].join("");
  const doorbell = { ioeventfds: [{ addr: "0xfebf0000", len: 0 }] } as const;

  it("kicks where a fast MMIO exit was, and leaves out what the guest did not do to devices or memory", async () => {
    const text =
      // The first finds no MMIO SPTE, and in v4.2 goes on to userspace.
      exit(1, "EPT_MISCONFIG", "kvm_fast_mmio: fast mmio at gpa 0xfebf0000") +
      exit(2, "HLT") +
      exit(2, "EPT_MISCONFIG", "kvm_fast_mmio: fast mmio at gpa 0xfebf0000") +
      exit(3, "EPT_MISCONFIG", "kvm_mmio: mmio write len 4 gpa 0xfebf0008 val 0x1") +
      exit(4, "IO_INSTRUCTION", "kvm_pio: pio_write at 0x70 size 1 count 1");
    const { accesses, signals, counts, recording } = await replayed(text, "ftrace", doorbell);
    expect([accesses, signals, counts.exitIoInstruction, counts.userspaceExitMmio]).toEqual([4, [1], 1, 2]);
    expect(Object.entries(recording?.leftOut ?? {}).find(([kind]) => kind.includes("HLT"))?.[1]).toBe(1);
  });

  it("names a step beyond the processor's addresses", async () => {
    const io = exit(1, "EPT_MISCONFIG", "kvm_mmio: mmio write len 4 gpa 0xfebf0008 val 0x1");
    const beyond = exit(2, "EPT_VIOLATION", "kvm_page_fault: address 400000001000 error_code 182");
    await expect(replayed(io + beyond, "ftrace")).rejects.toThrow(
      /scenario: recording .*, step 2: touches 0x400000001000; allowed: addresses below 0x400000000000/,
    );
  });

  it("names a step at which the guest cannot go on", async () => {
    const fetch = exit(1, "EPT_VIOLATION", "kvm_page_fault: address febf0000 error_code 14");
    await expect(replayed(fetch, "ftrace")).rejects.toThrow(
      /recording .*, step 1 \(fetch at 0xfebf0000\): KVM stops vCPU 0: KVM_EXIT_INTERNAL_ERROR/,
    );
  });

  it("faults where a page fault was, also where the page was there", async () => {
    const fault = exit(1, "EPT_VIOLATION", "kvm_page_fault: address 1000000 error_code 182");
    const { counts } = await replayed(fault + fault + fault, "ftrace");
    expect(counts.tdpPageFault).toBeGreaterThanOrEqual(3);
    expect(counts.walkStore + counts.walkLoad).toBeGreaterThanOrEqual(3);
    // What the host does before each is not the guest's.
    expect(counts.remoteTlbFlush).toBe(0);
  });
});
