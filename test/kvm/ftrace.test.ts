import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ParsedEvent, parseFtrace, printFtrace, printFtraceLine } from "../../src/kvm/ftrace.js";
import {
  KVM_EMUL_INSN_PROT64,
  KVM_ISA_SVM,
  KVM_ISA_UNKNOWN,
  KVM_ISA_VMX,
  type KvmExit,
  Trace,
  type TraceEvent,
} from "../../src/kvm/trace.js";
import {
  hasTracepoint,
  parseEvent,
  printEvent,
  TRACE_FORMATS,
  type TraceFormat,
} from "../../src/kvm/trace-formats.js";
import {
  EMUL_MODES,
  SVM_4_2,
  SVM_4_2_8,
  SVM_6_19,
  type Symbols,
  VMX_3_9,
  VMX_4_2,
  VMX_6_19,
} from "../../src/kvm/trace-symbols.js";
import type { U64 } from "../../src/kvm/u64.js";

const real = readFileSync(join(import.meta.dirname, "ftrace-6.18.txt"), "utf8");

function events(text: string | Iterable<string>): ParsedEvent[] {
  return [...parseFtrace(text)].filter((line) => line.kind === "event");
}

/** A violation by a write to a page that is readable and executable. */
const VIOLATION: KvmExit = {
  event: "kvm_exit",
  exitReason: 48,
  isa: KVM_ISA_VMX,
  guestRip: 0xffffffff81a42401n,
  info1: 0x1aa,
  info2: 0,
  vcpuId: 3,
  intrInfo: 0,
  errorCode: 0,
  requests: 0,
};

describe("an event's text", () => {
  it("is that of the kernel's era", () => {
    expect(TRACE_FORMATS.map((kernel) => printEvent(VIOLATION, kernel))).toEqual([
      "reason EPT_VIOLATION rip 0xffffffff81a42401 info 1aa 0",
      "reason EPT_VIOLATION rip 0xffffffff81a42401 info 1aa 0",
      "reason EPT_VIOLATION rip 0xffffffff81a42401 info 1aa 0",
      "vcpu 3 reason EPT_VIOLATION rip 0xffffffff81a42401 info1 0x00000000000001aa info2 0x0000000000000000 intr_info 0x00000000 error_code 0x00000000 requests 0x0000000000000000",
    ]);
  });

  const changed: [TraceEvent, string, string][] = [
    [
      { event: "kvm_entry", vcpuId: 1, rip: 0x1000, intrInfo: 0x800000ef, errorCode: 0, immediateExit: true },
      "vcpu 1",
      "vcpu 1, rip 0x1000 intr_info 0x800000ef error_code 0x00000000[immediate exit]",
    ],
    [
      { event: "kvm_page_fault", faultAddress: 0xfebf0000, errorCode: 0x182, vcpuId: 0, guestRip: 0x1000 },
      "address febf0000 error_code 182",
      "vcpu 0 rip 0x1000 address 0x00000000febf0000 error_code 0x182",
    ],
    [
      { event: "mark_mmio_spte", sptep: 0xffff880012345678n, gfn: 0xfebf0, access: 7, gen: 0xfff6a },
      "sptep:ffff880012345678 gfn febf0 access 7 gen fff6a",
      "sptep:ffff880012345678 gfn febf0 access 7 gen fff6a",
    ],
    [
      { event: "mark_mmio_spte", sptep: 0n, gfn: 0, access: 0, gen: 0 },
      "sptep:          (null) gfn 0 access 0 gen 0",
      "sptep:0000000000000000 gfn 0 access 0 gen 0",
    ],
    [{ event: "kvm_inj_exception", exception: 6 }, "#UD (0x0)", "#UD"],
    [
      { event: "kvm_inj_exception", exception: 17, errorCode: 0, reinjected: true },
      "0x11 (0x0)",
      "#AC (0x0) [reinjected]",
    ],
    [
      { event: "kvm_userspace_exit", reason: 24, errno: 0 },
      "reason 0x18 (24)",
      "reason KVM_EXIT_SYSTEM_EVENT (24)",
    ],
    [
      {
        event: "fast_page_fault",
        vcpuId: 0,
        cr2OrGpa: 0x1000,
        errorCode: 0b100011,
        sptep: 0xffff880000001000n,
        oldSpte: 0xf75n,
        newSpte: 0xf77n,
        spurious: false,
        fixed: true,
      },
      "vcpu 0 gva 1000 error_code P|W|0x20 sptep ffff880000001000 old 0xf75 new f77 spurious 0 fixed 1",
      "vcpu 0 gva 1000 error_code P|W|PK sptep ffff880000001000 old 0xf75 new f77 spurious 0 fixed 1",
    ],
    [
      {
        event: "kvm_mmu_get_page",
        mmuValidGen: 16,
        gfn: 0xfee00,
        level: 1,
        has4ByteGpte: false,
        quadrant: 0,
        direct: true,
        access: 7,
        invalid: false,
        nxe: false,
        adDisabled: false,
        rootCount: 0,
        unsync: false,
        created: true,
      },
      "sp gen 10 gfn fee00 1 pae q0 direct wux !nxe root 0 sync new",
      "sp gen 16 gfn fee00 l1 8-byte q0 direct wux !nxe ad root 0 sync new",
    ],
  ];

  it.each(changed.map(([event, ...texts]) => ({ name: event.event, event, texts })))(
    "differs between v4.2 and v6.19: $name",
    ({ event, texts }) => {
      expect([printEvent(event, "v4.2"), printEvent(event, "v6.19")]).toEqual(texts);
    },
  );

  const kept: [TraceEvent, string][] = [
    [
      { event: "kvm_mmio", type: "unsatisfied-read", len: 8, gpa: 0xfebf0000, val: 0n },
      "mmio unsatisfied-read len 8 gpa 0xfebf0000 val 0x0",
    ],
    [
      { event: "kvm_mmio", type: "write", len: 8, gpa: 0xfebf0000, val: 0xffff_ffff_ffff_ffffn },
      "mmio write len 8 gpa 0xfebf0000 val 0xffffffffffffffff",
    ],
    [
      { event: "kvm_pio", rw: 0, port: 0x3f8, size: 1, count: 2, val: 0x41 },
      "pio_read at 0x3f8 size 1 count 2 val 0x41 (...)",
    ],
    [
      { event: "kvm_pio", rw: 1, port: 0x10, size: 4, count: 1, val: 0 },
      "pio_write at 0x10 size 4 count 1 val 0x0 ",
    ],
    [
      {
        event: "kvm_emulate_insn",
        csbase: 0,
        rip: 0xffffffff81000000n,
        insn: [0x88, 0x07],
        flags: KVM_EMUL_INSN_PROT64,
        failed: true,
      },
      "0:ffffffff81000000:88 07 (prot64) failed",
    ],
    [{ event: "kvm_userspace_exit", reason: 6, errno: 0 }, "reason KVM_EXIT_MMIO (6)"],
    [{ event: "kvm_userspace_exit", errno: -4 }, "reason restart (4)"],
    [{ event: "kvm_userspace_exit", errno: -14 }, "reason error (14)"],
    [
      { event: "kvm_hypercall", nr: 1, a0: 2, a1: 0, a2: 0, a3: 0xffffffffffffffffn },
      "nr 0x1 a0 0x2 a1 0x0 a2 0x0 a3 0xffffffffffffffff",
    ],
    [
      { event: "vcpu_match_mmio", gva: 0xffffc90000000000n, gpa: 0xfebf0000, write: true, gpaMatch: true },
      "gva 0xffffc90000000000 gpa 0xfebf0000 Write GPA",
    ],
    [
      { event: "check_mmio_spte", spte: 0xfff0_0000_febf_0daen, kvmGen: 0xfff6a, spteGen: 0xfff68 },
      "spte fff00000febf0dae kvm_gen fff6a spte-gen fff68 valid 0",
    ],
    [{ event: "kvm_cr", rw: 1, cr: 3, val: 0x3ff000 }, "cr_write 3 = 0x3ff000"],
    [{ event: "kvm_mmu_pagetable_walk", addr: 0x1000, pferr: 0 }, "addr 1000 pferr 0 "],
    [{ event: "kvm_mmu_walker_error", pferr: 0b11010 }, "pferr 1a W|RSVD|F"],
  ];

  it.each(kept.map(([event, text]) => ({ name: event.event, event, text })))(
    "is the same in v4.2.8 and v6.19: $name",
    ({ event, text }) => {
      expect([printEvent(event, "v4.2.8"), printEvent(event, "v6.19")]).toEqual([text, text]);
    },
  );

  it("shows in v3.9 neither a datum of a port nor a memslot generation", () => {
    expect(printEvent({ event: "kvm_pio", rw: 1, port: 0x10, size: 1, count: 1, val: 0 }, "v3.9")).toBe(
      "pio_write at 0x10 size 1 count 1",
    );
    expect(printEvent({ event: "mark_mmio_spte", sptep: 1n, gfn: 1, access: 7, gen: 2 }, "v3.9")).toBe(
      "sptep:0000000000000001 gfn 1 access 7",
    );
  });

  it("names exit reasons as the instruction set and the kernel do, and numbers the rest", () => {
    const reason = (exitReason: number, isa: KvmExit["isa"], kernel: TraceFormat) =>
      /reason (.*) rip/.exec(printEvent({ ...VIOLATION, exitReason, isa }, kernel))?.[1];
    expect([49, 30, 28, 18, 0, 7, 67, 0x80000021].map((code) => reason(code, KVM_ISA_VMX, "v4.2"))).toEqual([
      "EPT_MISCONFIG",
      "IO_INSTRUCTION",
      "CR_ACCESS",
      "VMCALL",
      "EXCEPTION_NMI",
      "PENDING_INTERRUPT",
      "0x43",
      "0x80000021",
    ]);
    expect([7, 67, 0x80000021, 0x48000030, 99].map((code) => reason(code, KVM_ISA_VMX, "v6.19"))).toEqual([
      "INTERRUPT_WINDOW",
      "UMWAIT",
      "INVALID_STATE FAILED_VMENTRY",
      "EPT_VIOLATION 0x48000000",
      "0x63",
    ]);
    expect([0x400, 0x7b, 0x81, 0x4e].map((code) => reason(code, KVM_ISA_SVM, "v6.19"))).toEqual([
      "npf",
      "io",
      "hypercall",
      "PF excp",
    ]);
    expect(TRACE_FORMATS.map((kernel) => reason(0x51, KVM_ISA_SVM, kernel))).toEqual([
      "0x51",
      "0x51",
      "AC excp",
      "AC excp",
    ]);
  });

  it("is refused where the kernel has no such tracepoint", () => {
    const fast: TraceEvent = { event: "kvm_fast_mmio", gpa: 0xfebf0000 };
    expect(printEvent(fast, "v6.19")).toBe("fast mmio at gpa 0xfebf0000");
    for (const kernel of ["v3.9", "v4.2", "v4.2.8"] as const) {
      expect(() => printEvent(fast, kernel)).toThrow(`Linux ${kernel} has no tracepoint kvm_fast_mmio`);
    }
    // The kernel's width of 16 counts "0x".
    const unmap: TraceEvent = { event: "kvm_unmap_hva_range", start: 0, end: 0x7f00_0000_1000 };
    expect(printEvent(unmap, "v6.19")).toBe("mmu notifier unmap range: 0x00000000000000 -- 0x007f0000001000");
    expect(TRACE_FORMATS.filter((kernel) => hasTracepoint(kernel, unmap.event))).toEqual(["v6.19"]);
    const check: TraceEvent = { event: "check_mmio_spte", spte: 0n, kvmGen: 0, spteGen: 0 };
    expect(() => printEvent(check, "v3.9")).toThrow("Linux v3.9 has no tracepoint check_mmio_spte");
    expect(TRACE_FORMATS.map((kernel) => hasTracepoint(kernel, "kvm_mmu_invalidate_zap_all_pages"))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  it("is refused with the field that is missing or is no such number", () => {
    expect(() => printEvent({ event: "kvm_entry", vcpuId: 0 }, "v6.19")).toThrow(
      "kvm_entry for Linux v6.19: rip is missing",
    );
    expect(() => printEvent({ ...VIOLATION, info1: -1 }, "v4.2")).toThrow(
      "kvm_exit for Linux v4.2: info1 is -1, not an unsigned integer of at most 64 bits",
    );
    expect(() => printEvent({ ...VIOLATION, info1: 1n << 64n }, "v4.2")).toThrow(
      "info1 is 18446744073709551616",
    );
    expect(() => printEvent({ ...VIOLATION, guestRip: 2 ** 53 }, "v4.2")).toThrow(
      "guestRip is 9007199254740992",
    );
  });
});

const u8 = fc.nat(255);
const u32 = fc.nat(0xffff_ffff);
const address = fc.nat(2 ** 52 - 1);
const big = fc.bigInt(0n, 2n ** 64n - 1n);
const u64: fc.Arbitrary<U64> = fc.oneof(fc.maxSafeNat(), fc.bigInt(2n ** 53n, 2n ** 64n - 1n));
const flag = fc.boolean();
const isTrue = fc.constant(true as const);

const isV6 = (kernel: TraceFormat) => kernel === "v6.19";

/** A record of arbitraries, with more fields where the kernel prints them. */
function fields<T extends object, M extends object>(
  always: { [K in keyof T]: fc.Arbitrary<T[K]> },
  printed: boolean,
  more: { [K in keyof M]: fc.Arbitrary<M[K]> },
) {
  return fc.record({ ...always, ...(printed ? more : {}) }) as fc.Arbitrary<T & Partial<M>>;
}

function reasons(kernel: TraceFormat): fc.Arbitrary<{ exitReason: number; isa: KvmExit["isa"] }> {
  const [vmx, svm]: [Symbols, Symbols] = {
    "v3.9": [VMX_3_9, SVM_4_2] as [Symbols, Symbols],
    "v4.2": [VMX_4_2, SVM_4_2] as [Symbols, Symbols],
    "v4.2.8": [VMX_4_2, SVM_4_2_8] as [Symbols, Symbols],
    "v6.19": [VMX_6_19, SVM_6_19] as [Symbols, Symbols],
  }[kernel];
  const named = ({ names }: Symbols, isa: KvmExit["isa"], above: number) =>
    fc.constantFrom(...names.keys()).map((code) => ({ exitReason: code + above, isa }));
  return fc.oneof(
    named(vmx, KVM_ISA_VMX, 0),
    ...(isV6(kernel) ? [named(vmx, KVM_ISA_VMX, 0x8000_0000), named(vmx, KVM_ISA_VMX, 0x8800_0000)] : []),
    named(svm, KVM_ISA_SVM, 0),
    u32.map((exitReason) => ({ exitReason, isa: KVM_ISA_UNKNOWN as KvmExit["isa"] })),
  );
}

function pages(kernel: TraceFormat) {
  return fields(
    {
      gfn: address,
      level: u8,
      has4ByteGpte: flag,
      quadrant: u8,
      direct: flag,
      access: fc.nat(7),
      invalid: flag,
      nxe: flag,
      rootCount: u32,
      unsync: flag,
    },
    kernel !== "v3.9",
    { mmuValidGen: isV6(kernel) ? u8 : u64, ...(isV6(kernel) ? { adDisabled: flag } : {}) },
  );
}

/** Any fields of each event, as far as the kernel prints them. */
const FIELDS: { readonly [N in TraceEvent["event"]]: (kernel: TraceFormat) => fc.Arbitrary<object> } = {
  kvm_entry: (kernel) =>
    fc.oneof(
      fields({ vcpuId: u32 }, isV6(kernel), { rip: u64, intrInfo: u32, errorCode: u32 }),
      fields({ vcpuId: u32 }, isV6(kernel), {
        rip: u64,
        intrInfo: u32,
        errorCode: u32,
        immediateExit: isTrue,
      }),
    ),
  kvm_exit: (kernel) =>
    fc
      .tuple(
        reasons(kernel),
        fields({ guestRip: u64, info1: u64, info2: u64 }, isV6(kernel), {
          vcpuId: u32,
          intrInfo: u32,
          errorCode: u32,
          requests: u64,
        }),
      )
      .map(([reason, rest]) => ({ ...reason, ...rest })),
  kvm_page_fault: (kernel) =>
    fields({ faultAddress: u64, errorCode: u64 }, isV6(kernel), { vcpuId: u32, guestRip: u64 }),
  kvm_mmio: () =>
    fc.record({
      type: fc.constantFrom("unsatisfied-read", "read", "write"),
      len: u32,
      gpa: address,
      val: big,
    }),
  kvm_fast_mmio: () => fc.record({ gpa: address }),
  kvm_pio: (kernel) =>
    fields({ rw: fc.constantFrom(0, 1), port: u32, size: u8, count: u8 }, kernel !== "v3.9", { val: u32 }),
  kvm_emulate_insn: () =>
    fc.record({
      csbase: u32,
      rip: u64,
      insn: fc.array(u8, { maxLength: 15 }),
      flags: fc.oneof(fc.constantFrom(...EMUL_MODES.names.keys()), u8),
      failed: flag,
    }),
  kvm_userspace_exit: () =>
    fc.oneof(
      fc.record({ reason: fc.nat(50), errno: fc.constant(0) }),
      fc.record({ errno: fc.integer({ min: -4095, max: -1 }) }),
    ),
  kvm_hypercall: () => fc.record({ nr: u64, a0: u64, a1: u64, a2: u64, a3: u64 }),
  kvm_inj_exception: (kernel) =>
    isV6(kernel)
      ? fc.record({ exception: u8, errorCode: u32, reinjected: isTrue }, { requiredKeys: ["exception"] })
      : fc.record({ exception: u8, errorCode: u32 }),
  kvm_cr: () => fc.record({ rw: fc.constantFrom(0, 1), cr: u32, val: u64 }),
  kvm_unmap_hva_range: () => fc.record({ start: u64, end: u64 }),
  vcpu_match_mmio: () => fc.record({ gva: u64, gpa: address, write: flag, gpaMatch: flag }),
  mark_mmio_spte: (kernel) =>
    fields({ sptep: fc.oneof(fc.constant(0n), big), gfn: address, access: u32 }, kernel !== "v3.9", {
      gen: u32,
    }),
  handle_mmio_page_fault: () => fc.record({ addr: address, gfn: address, access: u32 }),
  check_mmio_spte: () => fc.record({ spte: big, kvmGen: fc.nat(9), spteGen: fc.nat(9) }),
  fast_page_fault: () =>
    fc.record({
      vcpuId: u32,
      cr2OrGpa: u64,
      errorCode: fc.maxSafeNat(),
      sptep: fc.oneof(fc.constant(0n), big),
      oldSpte: big,
      newSpte: big,
      spurious: flag,
      fixed: flag,
    }),
  kvm_mmu_set_spte: () =>
    fc.record({
      gfn: address,
      spte: big,
      r: flag,
      x: flag,
      u: fc.constantFrom(-1, 0, 1),
      level: u8,
      sptep: address,
    }),
  kvm_tdp_mmu_spte_changed: () =>
    fc.record({ asId: u8, gfn: address, level: u8, oldSpte: big, newSpte: big }),
  kvm_mmu_spte_requested: () => fc.record({ gfn: address, pfn: u64, level: u8 }),
  kvm_mmu_get_page: (kernel) =>
    fc.tuple(pages(kernel), flag).map(([page, created]) => ({ ...page, created })),
  kvm_mmu_prepare_zap_page: pages,
  kvm_mmu_invalidate_zap_all_pages: () => fc.record({ mmuValidGen: u64, mmuUsedPages: u32 }),
  kvm_mmu_zap_all_fast: () => fc.record({ mmuValidGen: u8, mmuUsedPages: u32 }),
  kvm_mmu_pagetable_walk: () => fc.record({ addr: u64, pferr: u32 }),
  kvm_mmu_paging_element: () => fc.record({ pte: big, level: u32 }),
  kvm_mmu_walker_error: () => fc.record({ pferr: u32 }),
};

describe.each(TRACE_FORMATS)("text of %s", (kernel) => {
  const names = (Object.keys(FIELDS) as TraceEvent["event"][]).filter((name) => hasTracepoint(kernel, name));

  it.each(names)("gives %s back as it was", (name) => {
    const arbitrary = FIELDS[name](kernel).map((rest) => ({ event: name, ...rest }) as TraceEvent);
    fc.assert(
      fc.property(arbitrary, (event) => {
        expect(parseEvent(name, printEvent(event, kernel))).toEqual(event);
      }),
    );
  });

  it.each(names)("is compared in full: a spoilt text of %s is no event or another one", (name) => {
    const noise = fc.string({ unit: fc.constantFrom(..."0123456789af x()|"), maxLength: 40 });
    const spoilt = fc
      .tuple(FIELDS[name](kernel), fc.nat(200), fc.nat(9), noise)
      .map(([rest, at, length, other]) => {
        const text = printEvent({ event: name, ...rest } as TraceEvent, kernel);
        return { text, spoilt: text.slice(0, at) + other + text.slice(at + length) };
      });
    fc.assert(
      fc.property(spoilt, ({ text, spoilt }) => {
        if (spoilt === text) return;
        const event = parseEvent(name, spoilt);
        if (event !== undefined) expect(event).not.toEqual(parseEvent(name, text));
      }),
    );
  });

  it("gives a whole trace back as it was", () => {
    const any = fc.oneof(
      ...names.map((name) => FIELDS[name](kernel).map((rest) => ({ event: name, ...rest }) as TraceEvent)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(any, fc.nat(3)), { maxLength: 50 }), (recorded) => {
        const trace = new Trace();
        for (const [event, vcpu] of recorded) trace.record(event, vcpu, new Float64Array(1));
        const parsed = events(printFtrace(trace, { kernel }));
        expect(parsed.map(({ event, cpu }) => [event, cpu])).toEqual(recorded);
      }),
      { numRuns: 30 },
    );
  });
});

/** Events of two vCPUs, counts that rise by one. */
function twoVcpus(length: number, capacity?: number): Trace {
  const trace = new Trace(capacity);
  for (let index = 0; index < length; index++) {
    trace.record({ event: "kvm_entry", vcpuId: index % 2 }, index % 2, Float64Array.of(index));
  }
  return trace;
}

describe("a printed trace", () => {
  it("has the columns and the head of its kernel, above which it says what it is", () => {
    expect(
      printFtrace(twoVcpus(3), { kernel: "v4.2", time: ([count]) => 12 + count / 1e6 }).split("\n"),
    ).toEqual([
      "# SIMULATED by exitlab, as KVM of Linux v4.2 would trace it. No kernel recorded these events.",
      "# Time stamps are computed: what was counted until the event, times what it costs.",
      "# tracer: nop",
      "#",
      "# entries-in-buffer/entries-written: 3/3   #P:2",
      "#",
      "#                              _-----=> irqs-off",
      "#                             / _----=> need-resched",
      "#                            | / _---=> hardirq/softirq",
      "#                            || / _--=> preempt-depth",
      "#                            ||| /     delay",
      "#           TASK-PID   CPU#  ||||    TIMESTAMP  FUNCTION",
      "#              | |       |   ||||       |         |",
      "       CPU 0/KVM-1000  [000] ....    12.000000: kvm_entry: vcpu 0",
      "       CPU 1/KVM-1001  [001] ....    12.000001: kvm_entry: vcpu 1",
      "       CPU 0/KVM-1000  [000] ....    12.000002: kvm_entry: vcpu 0",
      "",
    ]);
  });

  it("has in v6.19 the head of a real one", () => {
    const head = (text: string) => {
      const lines = text.split("\n").filter((line) => line.startsWith("#"));
      return lines.slice(lines.indexOf("# tracer: nop")).filter((line) => !line.includes("entries"));
    };
    expect(head(printFtrace(new Trace(), { kernel: "v6.19" }))).toEqual(head(real));
  });

  it("numbers its events where no time is computed, and says so", () => {
    const text = printFtrace(twoVcpus(5, 2), { kernel: "v4.2", notes: ["first note", "second\nthird"] });
    expect(text.split("\n").slice(0, 7)).toEqual([
      "# SIMULATED by exitlab, as KVM of Linux v4.2 would trace it. No kernel recorded these events.",
      "# Time stamps are no times: they number the events.",
      "# first note",
      "# second",
      "# third",
      "# tracer: nop",
      "#",
    ]);
    expect(text).toContain("# entries-in-buffer/entries-written: 2/5   #P:2\n");
    expect(events(text).map(({ timestampText }) => timestampText)).toEqual(["0.000004", "0.000005"]);
  });

  it("has nanoseconds for the asking", () => {
    const text = printFtrace(twoVcpus(2), {
      kernel: "v4.2.8",
      fraction: 9,
      time: ([count]) => 1 + count / 1e9,
    });
    expect(events(text).map(({ raw }) => raw)).toEqual([
      "       CPU 0/KVM-1000  [000] ....     1.000000000: kvm_entry: vcpu 0",
      "       CPU 1/KVM-1001  [001] ....     1.000000001: kvm_entry: vcpu 1",
    ]);
  });

  it("takes the tasks that it is given, their names as short as the kernel keeps them", () => {
    const text = printFtrace(twoVcpus(2), {
      kernel: "v4.2",
      task: (vcpu) => ({ comm: "qemu-system-x86_64", pid: 31215 + vcpu }),
    });
    expect(events(text).map(({ raw }) => raw)).toEqual([
      " qemu-system-x86-31215 [000] ....     0.000001: kvm_entry: vcpu 0",
      " qemu-system-x86-31216 [001] ....     0.000002: kvm_entry: vcpu 1",
    ]);
  });

  it("never goes back in time: it merges what vCPUs that time themselves recorded", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), fc.nat(1000))), (steps) => {
        const clocks = [0, 0, 0];
        const trace = new Trace();
        for (const [vcpu, step] of steps) {
          clocks[vcpu] += step;
          trace.record({ event: "kvm_entry", vcpuId: vcpu }, vcpu, Float64Array.of(clocks[vcpu]));
        }
        const times = events(printFtrace(trace, { kernel: "v3.9", time: ([count]) => count / 1e6 })).map(
          ({ timestamp }) => timestamp,
        );
        expect(times).toEqual([...times].sort((one, other) => one - other));
        expect(times).toHaveLength(steps.length);
      }),
    );
  });

  it("refuses a time that decreases on a vCPU, as after a reset of the ledger, and what is no time", () => {
    const trace = twoVcpus(4);
    expect(() => printFtrace(trace, { kernel: "v4.2", time: ([count]) => 1 - count / 1e6 })).toThrow(
      "time of event 3, kvm_entry: 0.999998 seconds on vCPU 0 after 1",
    );
    for (const time of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      expect(() => printFtrace(trace, { kernel: "v4.2", time: () => time })).toThrow("time of event 1");
    }
  });
});

describe("the trace of a running kernel", () => {
  it("is known line by line and printed back as it was", () => {
    const parsed = events(real);
    const lines = real.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(parsed.map(({ raw }) => raw)).toEqual(lines);
    expect(
      parsed.map((line) =>
        line.event === undefined
          ? `not known: ${line.raw}`
          : printFtraceLine({ ...line, text: printEvent(line.event, "v6.19") }, "v6.19"),
      ),
    ).toEqual(lines);
  });

  it("tells the columns", () => {
    expect(events(real)[4]).toEqual({
      kind: "event",
      line: 19,
      raw: "             b40-18202   [000] .....  4258.058387: kvm_mmio: mmio write len 1 gpa 0x3fe00000 val 0x0",
      task: "b40",
      pid: 18202,
      cpu: 0,
      flags: ".....",
      timestamp: 4258.058387,
      timestampText: "4258.058387",
      name: "kvm_mmio",
      text: "mmio write len 1 gpa 0x3fe00000 val 0x0",
      event: { event: "kvm_mmio", type: "write", len: 1, gpa: 0x3fe00000, val: 0n },
    });
  });
});

describe("the reader", () => {
  const read = (line: string) => [...parseFtrace(line)][0];

  it("knows the columns of trace-cmd report, which pads the text and may leave out the flags", () => {
    expect(
      read(
        "       CPU 0/KVM-31218 [007] 159269.806542: kvm_exit:             reason EPT_MISCONFIG rip 0x133025 info 0 0",
      ),
    ).toMatchObject({
      task: "CPU 0/KVM",
      pid: 31218,
      cpu: 7,
      flags: "",
      timestamp: 159269.806542,
      text: "reason EPT_MISCONFIG rip 0x133025 info 0 0",
      event: { event: "kvm_exit", exitReason: 49, isa: KVM_ISA_VMX, guestRip: 0x133025, info1: 0, info2: 0 },
    });
    expect(
      read("           <...>-3979  (   3970) [007] d..1.   217.975284123: kvm_entry:            vcpu 2"),
    ).toMatchObject({
      task: "<...>",
      flags: "d..1.",
      timestampText: "217.975284123",
      event: { event: "kvm_entry", vcpuId: 2 },
    });
  });

  it("knows the texts of trace-cmd's plugin and of the kernels between", () => {
    const rest = "rip 0x10 info 181 0";
    const fields = { event: "kvm_exit", guestRip: 0x10, info1: 0x181, info2: 0 };
    expect(parseEvent("kvm_exit", `reason INTERRUPT_WINDOW ${rest}`)).toEqual({
      ...fields,
      exitReason: 7,
      isa: KVM_ISA_VMX,
    });
    expect(parseEvent("kvm_exit", `reason EXIT_NPF ${rest}`)).toEqual({
      ...fields,
      exitReason: 0x400,
      isa: KVM_ISA_SVM,
    });
    expect(parseEvent("kvm_exit", `reason UNKNOWN (67) ${rest}`)).toEqual({
      ...fields,
      exitReason: 67,
      isa: KVM_ISA_UNKNOWN,
    });
    expect(parseEvent("kvm_exit", `vcpu 1 reason HLT ${rest}`)).toEqual({
      ...fields,
      exitReason: 12,
      isa: KVM_ISA_VMX,
      vcpuId: 1,
    });
    expect(parseEvent("kvm_emulate_insn", "0:133025: ec FAIL")).toEqual({
      event: "kvm_emulate_insn",
      csbase: 0,
      rip: 0x133025,
      insn: [0xec],
      failed: true,
    });
    expect(parseEvent("kvm_entry", "vcpu 0, rip 0xfffff8031964a708")).toEqual({
      event: "kvm_entry",
      vcpuId: 0,
      rip: 0xfffff8031964a708n,
    });
  });

  it("keeps an event of an unknown name or text, without guessing", () => {
    expect(
      read("            qemu-7     [000] ....    12.000000: kvm_msr: msr_read c0000080 = 0xd01"),
    ).toMatchObject({
      name: "kvm_msr",
      text: "msr_read c0000080 = 0xd01",
    });
    for (const [name, text] of [
      ["kvm_msr", "msr_read c0000080 = 0xd01"],
      ["constructor", ""],
      ["kvm_exit", "reason SOMETHING rip 0x10 info 0 0"],
      ["kvm_mmio", "mmio write len 1 gpa 0x3fe00000 val 0x0 and more"],
      ["kvm_mmio", "mmio write len 01 gpa 0x3fe00000 val 0x0"],
      ["kvm_mmio", "mmio write len 1 gpa 0xffffffffffffffff val 0x0"],
      ["check_mmio_spte", "spte 0 kvm_gen 1 spte-gen 2 valid 1"],
      ["kvm_mmu_set_spte", "gfn 0 spte 0 (rwxu) level 1 at 0"],
    ]) {
      expect(parseEvent(name, text)).toBeUndefined();
    }
  });

  it("keeps notes, passes over comments and blank lines, and counts them all", () => {
    const text = [
      "# tracer: nop",
      "version = 6",
      "cpus=2",
      "",
      "CPU:1 [LOST 123 EVENTS]",
      "CPU:7 [204600 EVENTS DROPPED]",
      "CPU 1 is empty",
      "  qemu-7     [000] ....    12.000000: kvm_entry: vcpu 0",
    ].join("\r\n");
    expect([...parseFtrace(text)].map(({ kind, line }) => `${kind} ${line}`)).toEqual([
      "note 2",
      "note 3",
      "note 5",
      "note 6",
      "note 7",
      "event 8",
    ]);
    expect([...parseFtrace(text)].at(-1)).toMatchObject({ event: { event: "kvm_entry", vcpuId: 0 } });
  });

  it("refuses any other line, with its number, its text and what is allowed", () => {
    const lines = ["cpus=2", "  qemu-7     [000] ....    12.000000: kvm_entry: vcpu 0", "Segmentation fault"];
    expect(() => [...parseFtrace(lines)]).toThrow(
      'line 3 of the trace: "Segmentation fault" is not a comment (#), a note like "cpus=2" or "CPU:1 [LOST 7 EVENTS]", or an event: "<task>-<pid> [<cpu>] <flags> <seconds>.<fraction>: <event>: <text>", flags optional',
    );
    expect(() => [...parseFtrace("  qemu-7     [000] ....  123456789: kvm_entry: vcpu 0")]).toThrow("line 1");
  });

  it("holds one line at a time", () => {
    let given = 0;
    function* endless() {
      for (;;) {
        given++;
        yield `  qemu-7     [000] ....    12.000000: kvm_entry: vcpu ${given}`;
      }
    }
    const reader = parseFtrace(endless());
    expect([reader.next().value, reader.next().value]).toMatchObject([
      { event: { vcpuId: 1 } },
      { event: { vcpuId: 2 } },
    ]);
    expect(given).toBe(2);
  });
});
