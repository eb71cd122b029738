/**
 * How the kernels print their events: the text behind the name, format by format, and back.
 *
 * Each format is written once, as in the kernel's TP_printk(), and serves both directions. Sources: Linux 3.9.6, 4.2.8 and
 * 6.19 for "v3.9", "v4.2.8" and "v6.19"; what a running 6.18 traced agrees. Recalled: "v4.2" prints as 4.2.8 does but for
 * one name, that of the #AC exit on SVM, which a fix of November 2015 brought.
 */

import {
  type CheckMmioSpte,
  type FastPageFault,
  type HandleMmioPageFault,
  KVM_ISA_SVM,
  KVM_ISA_UNKNOWN,
  KVM_ISA_VMX,
  type KvmCr,
  type KvmEmulateInsn,
  type KvmEntry,
  type KvmExit,
  type KvmFastMmio,
  type KvmHypercall,
  type KvmInjException,
  type KvmMmio,
  type KvmMmuGetPage,
  type KvmMmuPagetableWalk,
  type KvmMmuPagingElement,
  type KvmMmuSetSpte,
  type KvmMmuSpteRequested,
  type KvmMmuWalkerError,
  type KvmPageFault,
  type KvmPio,
  type KvmTdpMmuSpteChanged,
  type KvmUnmapHvaRange,
  type KvmUserspaceExit,
  type MarkMmioSpte,
  type ShadowPage,
  type TraceEvent,
  type VcpuMatchMmio,
  type ZapAll,
} from "./trace.js";
import {
  EMUL_MODES,
  EXCEPTIONS_3_9,
  EXCEPTIONS_6_19,
  PFERR_3_9,
  PFERR_6_19,
  SVM_4_2,
  SVM_4_2_8,
  SVM_6_19,
  SVM_TRACE_CMD,
  type Symbols,
  USERSPACE_EXITS_3_9,
  USERSPACE_EXITS_6_19,
  VMX_3_9,
  VMX_4_2,
  VMX_6_19,
  VMX_FLAGS_6_19,
} from "./trace-symbols.js";
import type { U64 } from "./u64.js";

export const TRACE_FORMATS = ["v3.9", "v4.2", "v4.2.8", "v6.19"] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

/** A piece of text that shows fields of an event. */
interface Piece<E> {
  /** A regular expression without groups that capture. */
  readonly pattern: string;
  readonly print: (event: E) => string;
  /** The fields that the text shows, or undefined if it cannot be such a text. */
  readonly read: (text: string) => object | undefined;
}

function literally(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A format string: each piece stands where the kernel has a conversion. */
function printk<E>(literals: TemplateStringsArray, ...pieces: Piece<E>[]): Piece<E> {
  const weave = (literal: (text: string) => string, show: (piece: Piece<E>) => string) =>
    literals.map((text, index) => (index > 0 ? show(pieces[index - 1]) : "") + literal(text)).join("");
  const whole = new RegExp(`^${weave(literally, ({ pattern }) => `(${pattern})`)}$`);
  return {
    pattern: weave(literally, ({ pattern }) => `(?:${pattern})`),
    print: (event) => weave(String, ({ print }) => print(event)),
    read: (text) => {
      const parts = whole.exec(text);
      if (parts === null) return undefined;
      const fields = pieces.map(({ read }, index) => read(parts[index + 1]));
      return fields.includes(undefined) ? undefined : Object.assign({}, ...fields);
    },
  };
}

/** A piece that shows one field. */
function field<K extends string, V>(
  name: K,
  pattern: string,
  print: (value: V) => string,
  read: (text: string) => V | undefined,
): Piece<{ readonly [name in K]?: V }> {
  return {
    pattern,
    print: (event) => {
      const value = event[name];
      if (value === undefined) throw new RangeError(`${name} is missing`);
      return print(value);
    },
    read: (text) => {
      const value = read(text);
      return value === undefined ? undefined : { [name]: value };
    },
  };
}

function digits(name: string, value: U64, radix: 10 | 16): string {
  if (typeof value === "number" ? !(Number.isSafeInteger(value) && value >= 0) : value >> 64n !== 0n) {
    throw new RangeError(`${name} is ${value}, not an unsigned integer of at most 64 bits`);
  }
  return value.toString(radix);
}

/** The number for a field that is one, or undefined where it would not be exact. */
function narrow(value: bigint): number | undefined {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : undefined;
}

const dec = <K extends string>(name: K) =>
  field<K, U64>(
    name,
    "\\d+",
    (value) => digits(name, value, 10),
    (text) => narrow(BigInt(text)),
  );

const hexadecimal =
  (read: (value: bigint) => U64 | undefined) =>
  <K extends string>(name: K, width = 0) =>
    field<K, U64>(
      name,
      "[0-9a-f]{1,16}",
      (value) => digits(name, value, 16).padStart(width, "0"),
      (text) => read(BigInt(`0x${text}`)),
    );
const hex = hexadecimal(narrow);
const hex64 = hexadecimal((value) => narrow(value) ?? value);
const spte = hexadecimal((value) => value);

/** %p: sixteen digits. The old kernels have a text for a null pointer. */
const pointer = <K extends string>(name: K, nullPointer = "0".repeat(16)) =>
  field<K, bigint>(
    name,
    `[0-9a-f]{16}|${literally(nullPointer)}`,
    (value) => (value === 0n ? nullPointer : digits(name, value, 16).padStart(16, "0")),
    (text) => (text === nullPointer ? 0n : BigInt(`0x${text}`)),
  );
const NULL_3_9 = "(null)".padStart(16);

/** One text of several. */
const choice = <K extends string, const V>(name: K, texts: readonly (readonly [string, V])[]) =>
  field<K, V>(
    name,
    texts.map(([text]) => literally(text)).join("|"),
    (value) => {
      const found = texts.find(([, other]) => other === value);
      if (found === undefined) throw new RangeError(`${name} is ${value}, for which there is no text`);
      return found[0];
    },
    (text) => texts.find(([other]) => other === text)?.[1],
  );

const flag = <K extends string>(name: K, yes: string, no: string) =>
  choice(name, [
    [yes, true],
    [no, false],
  ]);

/** A flag that other kernels do not have: absent if it is not set. */
const mark = <K extends string>(name: K, text: string): Piece<{ readonly [name in K]?: boolean }> => ({
  pattern: `(?:${literally(text)})?`,
  print: (event) => (event[name] === true ? text : ""),
  read: (found) => (found === "" ? {} : { [name]: true }),
});

/** What follows from fields that other pieces show. */
const derived = <E>(pattern: string, print: (event: E) => string): Piece<E> => ({
  pattern,
  print,
  read: () => ({}),
});

/** Prints a number as __print_symbolic() does. */
function printSymbol(name: string, value: number, symbols: Symbols | undefined): string {
  return symbols?.names.get(value) ?? `0x${digits(name, value, 16)}`;
}

function readSymbol(text: string, { codes }: Symbols): number | undefined {
  return codes.get(text) ?? (/^0x[0-9a-f]+$/.test(text) ? narrow(BigInt(text)) : undefined);
}

const symbol = <K extends string>(name: K, symbols: Symbols) =>
  field<K, number>(
    name,
    "[#\\w]+",
    (value) => printSymbol(name, value, symbols),
    (text) => readSymbol(text, symbols),
  );

/** Prints bits as __print_flags() does: by name, and the rest as a number. */
function printFlags(name: string, value: number, { names }: Symbols, delimiter: string): string {
  let rest = BigInt(value);
  const texts: string[] = [];
  for (const [bit, text] of names) {
    if ((rest & BigInt(bit)) === 0n) continue;
    rest &= ~BigInt(bit);
    texts.push(text);
  }
  return (rest === 0n ? texts : [...texts, `0x${digits(name, rest, 16)}`]).join(delimiter);
}

function readFlags(texts: readonly string[], symbols: Symbols): number | undefined {
  const sum = texts.reduce((all, text) => all + (readSymbol(text, symbols) ?? Number.NaN), 0);
  return Number.isSafeInteger(sum) ? sum : undefined;
}

const flags = <K extends string>(name: K, symbols: Symbols) =>
  field<K, number>(
    name,
    "[\\w|]*",
    (value) => printFlags(name, value, symbols, "|"),
    (text) => readFlags(text === "" ? [] : text.split("|"), symbols),
  );

const bytes = <K extends string>(name: K) =>
  field<K, readonly number[]>(
    name,
    "(?:[0-9a-f]{2}(?: [0-9a-f]{2})*)?",
    (value) => value.map((byte) => digits(name, byte, 16).padStart(2, "0")).join(" "),
    (text) => (text === "" ? [] : text.split(" ").map((byte) => Number.parseInt(byte, 16))),
  );

type Reason = Pick<KvmExit, "exitReason" | "isa">;

/** Above the 16 bits of a VMX reason are flags, which v6 prints apart. A reason without a name does not tell whose it is. */
const exitReason = (vmx: Symbols, svm: Symbols, above?: Symbols): Piece<Reason> => ({
  pattern: "\\S.*?",
  print: ({ exitReason, isa }) => {
    const symbols = isa === KVM_ISA_VMX ? vmx : isa === KVM_ISA_SVM ? svm : undefined;
    if (symbols !== vmx || above === undefined) return printSymbol("exitReason", exitReason, symbols);
    const basic = exitReason % 0x1_0000;
    const flags = printFlags("exitReason", exitReason - basic, above, " ");
    return printSymbol("exitReason", basic, vmx) + (flags && ` ${flags}`);
  },
  read: (text): Reason | undefined => {
    const code = svm.codes.get(text);
    if (code !== undefined) return { exitReason: code, isa: KVM_ISA_SVM };
    const [name, ...flagNames] = text.split(" ");
    const basic = readSymbol(name, vmx);
    const flags =
      above === undefined && flagNames.length > 0 ? undefined : readFlags(flagNames, above ?? vmx);
    if (basic === undefined || flags === undefined || !Number.isSafeInteger(basic + flags)) return undefined;
    const isa = flags > 0 || vmx.codes.has(name) ? KVM_ISA_VMX : KVM_ISA_UNKNOWN;
    return { exitReason: basic + flags, isa };
  },
});

/** How the kvm plugin of `trace-cmd report` prints a reason without a name. */
const unnamedReason: Piece<Reason> = {
  pattern: "UNKNOWN \\(\\d+\\)",
  print: ({ exitReason }) => `UNKNOWN (${exitReason})`,
  read: (text): Reason => ({ exitReason: Number.parseInt(text.slice(9), 10), isa: KVM_ISA_UNKNOWN }),
};

const EINTR = 4;

/** The reason, or the error in its place. */
const userspaceExit = (symbols: Symbols): Piece<{ readonly reason?: number; readonly errno: number }> => ({
  pattern: "\\w+ \\(\\d+\\)",
  print: ({ reason, errno }) => {
    if (errno < 0) return `${errno === -EINTR ? "restart" : "error"} (${-errno})`;
    if (reason === undefined) throw new RangeError("reason is missing");
    const name = symbols.names.get(reason);
    return `${name === undefined ? `0x${digits("reason", reason, 16)}` : `KVM_EXIT_${name}`} (${reason})`;
  },
  read: (text) => {
    const [name, inBrackets] = text.split(" ");
    const value = narrow(BigInt(inBrackets.slice(1, -1)));
    if (name !== "restart" && name !== "error")
      return value === undefined ? undefined : { reason: value, errno: 0 };
    return value === undefined || value === 0 ? undefined : { errno: -value };
  },
});

const ACCESS = ["---", "--x", "w--", "w-x", "-u-", "-ux", "wu-", "wux"].map(
  (text, access) => [text, access] as const,
);
const access = choice("access", ACCESS);
const direct = flag("direct", " direct", "");
const invalid = flag("invalid", " invalid", "");
const nxe = flag("nxe", "nxe", "!nxe");
const unsync = flag("unsync", "unsync", "sync");
const gfn = hex("gfn");

const role3_9 = printk<ShadowPage>`${dec("level")}${flag("has4ByteGpte", "", " pae")} q${dec("quadrant")}${direct} ${access}${invalid} ${nxe} root ${dec("rootCount")} ${unsync}`;
const page3_9 = printk<ShadowPage>`sp gfn ${gfn} ${role3_9}`;
const page4_2 = printk<ShadowPage>`sp gen ${hex64("mmuValidGen")} gfn ${gfn} ${role3_9}`;
const page6_19 = printk<ShadowPage>`sp gen ${dec("mmuValidGen")} gfn ${gfn} l${dec("level")} ${flag("has4ByteGpte", "4", "8")}-byte q${dec("quadrant")}${direct} ${access}${invalid} ${nxe} ${flag("adDisabled", "!ad", "ad")} root ${dec("rootCount")} ${unsync}`;

type EventName = TraceEvent["event"];
type EventOf<N extends EventName> = Extract<TraceEvent, { event: N }>;
/** Kernels, and how they print the event. */
type Format<N extends EventName> = readonly [readonly TraceFormat[], Piece<EventOf<N>>];

const ALL = TRACE_FORMATS;
const V3 = ["v3.9"] as const;
const V4 = ["v4.2", "v4.2.8"] as const;
const V6 = ["v6.19"] as const;
const UP_TO_4_2_8 = ["v3.9", "v4.2", "v4.2.8"] as const;
const SINCE_4_2 = ["v4.2", "v4.2.8", "v6.19"] as const;
/** Formats that are only read. */
const NONE = [] as const;

const exit4_2 = (reason: Piece<Reason>) =>
  printk<KvmExit>`reason ${reason} rip 0x${hex64("guestRip")} info ${hex64("info1")} ${hex64("info2")}`;
const exitBetween = printk<KvmExit>`vcpu ${dec("vcpuId")} reason ${exitReason(VMX_6_19, SVM_6_19, VMX_FLAGS_6_19)} rip 0x${hex64("guestRip")} info1 0x${hex64("info1", 16)} info2 0x${hex64("info2", 16)} intr_info 0x${hex("intrInfo", 8)} error_code 0x${hex("errorCode", 8)}`;

const type = choice("type", [
  ["unsatisfied-read", "unsatisfied-read"],
  ["read", "read"],
  ["write", "write"],
]);

const pio3_9 = printk<KvmPio>`pio_${choice("rw", [
  ["read", 0],
  ["write", 1],
])} at 0x${hex("port")} size ${dec("size")} count ${dec("count")}`;
const more = derived<KvmPio>("(?:\\(\\.\\.\\.\\))?", ({ count }) => (count > 1 ? "(...)" : ""));

const insn = printk<KvmEmulateInsn>`${hex("csbase")}:${hex64("rip")}:${bytes("insn")}`;

/** Without an error code the old format prints 0, the new one nothing. */
const errorCode3_9: Piece<KvmInjException> = {
  ...hex("errorCode"),
  print: ({ errorCode = 0 }) => digits("errorCode", errorCode, 16),
};
const errorCode6_19: Piece<KvmInjException> = {
  pattern: "(?: \\(0x[0-9a-f]+\\))?",
  print: ({ errorCode }) => (errorCode === undefined ? "" : ` (0x${digits("errorCode", errorCode, 16)})`),
  read: (text) => {
    const errorCode = text === "" ? 0 : narrow(BigInt(text.slice(2, -1)));
    return errorCode === undefined ? undefined : text === "" ? {} : { errorCode };
  },
};

const fastPageFault = (sptep: Piece<FastPageFault>, errorCode: Symbols) =>
  printk<FastPageFault>`vcpu ${dec("vcpuId")} gva ${hex64("cr2OrGpa")} error_code ${flags("errorCode", errorCode)} sptep ${sptep} old 0x${spte("oldSpte")} new ${spte("newSpte")} spurious ${flag("spurious", "1", "0")} fixed ${flag("fixed", "1", "0")}`;

const mark3_9 = (sptep: Piece<MarkMmioSpte>) =>
  printk<MarkMmioSpte>`sptep:${sptep} gfn ${gfn} access ${hex("access")}`;

const walk = (pferr: Symbols) =>
  printk<KvmMmuPagetableWalk>`addr ${hex64("addr")} pferr ${hex("pferr")} ${flags("pferr", pferr)}`;
const walkerError = (pferr: Symbols) =>
  printk<KvmMmuWalkerError>`pferr ${hex("pferr")} ${flags("pferr", pferr)}`;

const created = flag("created", "new", "existing");
const writable = derived<KvmMmuSetSpte>("[w-]", ({ spte }) => ((spte & 2n) === 0n ? "-" : "w"));
const user = choice("u", [
  ["", -1],
  ["u", 1],
  ["-", 0],
]);
const valid = derived<CheckMmioSpte>("[01]", ({ kvmGen, spteGen }) => (kvmGen === spteGen ? "1" : "0"));

const FORMATS: { readonly [N in EventName]: readonly Format<N>[] } = {
  kvm_entry: [
    [
      V6,
      printk<KvmEntry>`vcpu ${dec("vcpuId")}, rip 0x${hex64("rip")} intr_info 0x${hex("intrInfo", 8)} error_code 0x${hex("errorCode", 8)}${mark("immediateExit", "[immediate exit]")}`,
    ],
    [UP_TO_4_2_8, printk<KvmEntry>`vcpu ${dec("vcpuId")}`],
    // Kernels between.
    [
      NONE,
      printk<KvmEntry>`vcpu ${dec("vcpuId")}, rip 0x${hex64("rip")}${mark("immediateExit", "[immediate exit]")}`,
    ],
  ],
  kvm_exit: [
    [V6, printk<KvmExit>`${exitBetween} requests 0x${hex64("requests", 16)}`],
    [V3, exit4_2(exitReason(VMX_3_9, SVM_4_2))],
    [["v4.2"], exit4_2(exitReason(VMX_4_2, SVM_4_2))],
    [["v4.2.8"], exit4_2(exitReason(VMX_4_2, SVM_4_2_8))],
    // Kernels between, the younger first.
    [NONE, exitBetween],
    [NONE, printk<KvmExit>`vcpu ${dec("vcpuId")} ${exit4_2(exitReason(VMX_6_19, SVM_6_19))}`],
    // The kvm plugin of trace-cmd report, for any kernel.
    [NONE, exit4_2(exitReason(VMX_6_19, SVM_TRACE_CMD))],
    [NONE, exit4_2(unnamedReason)],
  ],
  kvm_page_fault: [
    [
      V6,
      printk<KvmPageFault>`vcpu ${dec("vcpuId")} rip 0x${hex64("guestRip")} address 0x${hex64("faultAddress", 16)} error_code 0x${hex64("errorCode")}`,
    ],
    [UP_TO_4_2_8, printk<KvmPageFault>`address ${hex64("faultAddress")} error_code ${hex64("errorCode")}`],
  ],
  kvm_mmio: [[ALL, printk<KvmMmio>`mmio ${type} len ${dec("len")} gpa 0x${hex("gpa")} val 0x${spte("val")}`]],
  kvm_fast_mmio: [[V6, printk<KvmFastMmio>`fast mmio at gpa 0x${hex("gpa")}`]],
  kvm_pio: [
    [SINCE_4_2, printk<KvmPio>`${pio3_9} val 0x${hex("val")} ${more}`],
    [V3, pio3_9],
  ],
  kvm_emulate_insn: [
    [ALL, printk<KvmEmulateInsn>`${insn} (${symbol("flags", EMUL_MODES)})${flag("failed", " failed", "")}`],
    // The kvm plugin of trace-cmd report, built without a disassembler.
    [
      NONE,
      printk<KvmEmulateInsn>`${hex("csbase")}:${hex64("rip")}: ${bytes("insn")}${flag("failed", " FAIL", "")}`,
    ],
  ],
  kvm_userspace_exit: [
    [V6, printk<KvmUserspaceExit>`reason ${userspaceExit(USERSPACE_EXITS_6_19)}`],
    [UP_TO_4_2_8, printk<KvmUserspaceExit>`reason ${userspaceExit(USERSPACE_EXITS_3_9)}`],
  ],
  kvm_hypercall: [
    [
      ALL,
      printk<KvmHypercall>`nr 0x${hex64("nr")} a0 0x${hex64("a0")} a1 0x${hex64("a1")} a2 0x${hex64("a2")} a3 0x${hex64("a3")}`,
    ],
  ],
  kvm_inj_exception: [
    [
      V6,
      printk<KvmInjException>`${symbol("exception", EXCEPTIONS_6_19)}${errorCode6_19}${mark("reinjected", " [reinjected]")}`,
    ],
    [UP_TO_4_2_8, printk<KvmInjException>`${symbol("exception", EXCEPTIONS_3_9)} (0x${errorCode3_9})`],
  ],
  kvm_cr: [
    [
      ALL,
      printk<KvmCr>`cr_${choice("rw", [
        ["read", 0],
        ["write", 1],
      ])} ${hex("cr")} = 0x${hex64("val")}`,
    ],
  ],
  kvm_unmap_hva_range: [
    [
      V6,
      // %#016lx: the width counts 0x.
      printk<KvmUnmapHvaRange>`mmu notifier unmap range: 0x${hex64("start", 14)} -- 0x${hex64("end", 14)}`,
    ],
  ],
  vcpu_match_mmio: [
    [
      ALL,
      printk<VcpuMatchMmio>`gva 0x${hex64("gva")} gpa 0x${hex("gpa")} ${flag("write", "Write", "Read")} ${flag("gpaMatch", "GPA", "GVA")}`,
    ],
  ],
  mark_mmio_spte: [
    [V6, printk<MarkMmioSpte>`${mark3_9(pointer("sptep"))} gen ${hex("gen")}`],
    [V4, printk<MarkMmioSpte>`${mark3_9(pointer("sptep", NULL_3_9))} gen ${hex("gen")}`],
    [V3, mark3_9(pointer("sptep", NULL_3_9))],
  ],
  handle_mmio_page_fault: [
    [ALL, printk<HandleMmioPageFault>`addr:${hex("addr")} gfn ${gfn} access ${hex("access")}`],
  ],
  check_mmio_spte: [
    [
      SINCE_4_2,
      printk<CheckMmioSpte>`spte ${spte("spte")} kvm_gen ${hex("kvmGen")} spte-gen ${hex("spteGen")} valid ${valid}`,
    ],
  ],
  fast_page_fault: [
    [V6, fastPageFault(pointer("sptep"), PFERR_6_19)],
    [UP_TO_4_2_8, fastPageFault(pointer("sptep", NULL_3_9), PFERR_3_9)],
  ],
  kvm_mmu_set_spte: [
    [
      V6,
      printk<KvmMmuSetSpte>`gfn ${gfn} spte ${spte("spte")} (${flag("r", "r", "-")}${writable}${flag("x", "x", "-")}${user}) level ${dec("level")} at ${hex("sptep")}`,
    ],
  ],
  kvm_tdp_mmu_spte_changed: [
    [
      V6,
      printk<KvmTdpMmuSpteChanged>`as id ${dec("asId")} gfn ${gfn} level ${dec("level")} old_spte ${spte("oldSpte")} new_spte ${spte("newSpte")}`,
    ],
  ],
  kvm_mmu_spte_requested: [
    [V6, printk<KvmMmuSpteRequested>`gfn ${gfn} pfn ${hex64("pfn")} level ${dec("level")}`],
  ],
  kvm_mmu_get_page: [
    [V6, printk<KvmMmuGetPage>`${page6_19} ${created}`],
    [V4, printk<KvmMmuGetPage>`${page4_2} ${created}`],
    [V3, printk<KvmMmuGetPage>`${page3_9} ${created}`],
  ],
  kvm_mmu_prepare_zap_page: [
    [V6, page6_19],
    [V4, page4_2],
    [V3, page3_9],
  ],
  kvm_mmu_invalidate_zap_all_pages: [
    [V4, printk<ZapAll>`kvm-mmu-valid-gen ${hex64("mmuValidGen")} used_pages ${hex("mmuUsedPages")}`],
  ],
  kvm_mmu_zap_all_fast: [
    [V6, printk<ZapAll>`kvm-mmu-valid-gen ${dec("mmuValidGen")} used_pages ${hex("mmuUsedPages")}`],
  ],
  kvm_mmu_pagetable_walk: [
    [V6, walk(PFERR_6_19)],
    [UP_TO_4_2_8, walk(PFERR_3_9)],
  ],
  kvm_mmu_paging_element: [[ALL, printk<KvmMmuPagingElement>`pte ${spte("pte")} level ${dec("level")}`]],
  kvm_mmu_walker_error: [
    [V6, walkerError(PFERR_6_19)],
    [UP_TO_4_2_8, walkerError(PFERR_3_9)],
  ],
};

const FORMATS_BY_NAME: ReadonlyMap<string, readonly Format<never>[]> = new Map(Object.entries(FORMATS));

/** The formats for a name that may be any. They are the name's own, so they take the events that have it. */
function formatsOf(name: string): readonly (readonly [readonly TraceFormat[], Piece<TraceEvent>])[] {
  return (FORMATS_BY_NAME.get(name) ?? []) as readonly [readonly TraceFormat[], Piece<TraceEvent>][];
}

/** Whether a kernel has the tracepoint. */
export function hasTracepoint(kernel: TraceFormat, name: EventName): boolean {
  return formatsOf(name).some(([kernels]) => kernels.includes(kernel));
}

/**
 * The text of an event without its name, as the kernel prints it.
 * @throws RangeError for an event that the kernel does not have, or that lacks a field which it prints
 */
export function printEvent(event: TraceEvent, kernel: TraceFormat): string {
  const format = formatsOf(event.event).find(([kernels]) => kernels.includes(kernel));
  if (format === undefined) throw new RangeError(`Linux ${kernel} has no tracepoint ${event.event}`);
  try {
    return format[1].print(event);
  } catch (error) {
    throw new RangeError(`${event.event} for Linux ${kernel}: ${(error as Error).message}`);
  }
}

/** The event that some kernel prints as this text, or undefined if none of those known here does. */
export function parseEvent(name: string, text: string): TraceEvent | undefined {
  for (const [, format] of formatsOf(name)) {
    const fields = format.read(text);
    if (fields === undefined) continue;
    const event = { event: name, ...fields } as TraceEvent;
    // Also what the text says twice has to agree.
    if (format.print(event) === text) return event;
  }
  return undefined;
}
