/**
 * The designs that the thread compares, and those that came of it: which kernel with which patches, what lies behind the
 * doorbell, and who does what when the guest writes to it.
 */
import type { KernelVersion } from "../../kvm/eras.js";
import type { PatchName } from "../../patches/index.js";

export const DESIGN_NAMES = [
  "base-4.2",
  "pio",
  "datamatch",
  "rfc",
  "bad-page",
  "write-mostly",
  "base-6.19",
  "repaired",
  "fastpath",
  "npf-6.19",
  "npf-fast",
] as const;
export type DesignName = (typeof DESIGN_NAMES)[number];

/** Who handles a write to a doorbell, one after the other. */
export const LANES = ["guest", "page walk", "exit", "KVM", "bus"] as const;
export type Lane = (typeof LANES)[number];

export interface Design {
  /** Short, for tables: at most 12 characters. */
  readonly name: DesignName;
  /** What it is, in a few words. */
  readonly title: string;
  readonly kernel: KernelVersion;
  readonly patches: readonly PatchName[];
  readonly vendor: "Intel" | "AMD";
  /** Doorbells at ports. */
  readonly pio: boolean;
  /** Length of the ioeventfds in bytes: 0 for any, or that of a kick with the value that it writes. */
  readonly length: 0 | 2;
  /** What the design wants behind the doorbell pages. */
  readonly slot: "none" | "read-only";
  /** The design that it is measured against: the one of its kernel and processor without a patch. */
  readonly base: DesignName;
  /** Who does what, from the guest's write to the signal. */
  readonly handles: Readonly<Record<Lane, string>>;
  /** Where a patch acts; null: there is none. */
  readonly patched: Lane | null;
}

const INTEL = {
  vendor: "Intel",
  pio: false,
  length: 0,
  slot: "none",
  patches: [],
  patched: null,
} as const;
const AMD = { ...INTEL, vendor: "AMD" } as const;

const RESERVED = "to a reserved entry";
const READ_ONLY = "to a read-only entry, or none";
const MISCONFIGURATION = "EPT misconfiguration";
const VIOLATION = "EPT violation";
const FAST = "fast MMIO bus; RIP is moved";

const misconfiguration = (handler: string, bus = FAST) => ({
  guest: "store",
  "page walk": RESERVED,
  exit: MISCONFIGURATION,
  KVM: handler,
  bus,
});
const violation = (handler: string) => ({
  guest: "store",
  "page walk": READ_ONLY,
  exit: VIOLATION,
  KVM: handler,
  bus: FAST,
});
const nestedPageFault = (handler: string, bus: string) => ({
  guest: "store",
  "page walk": RESERVED,
  exit: "#NPF",
  KVM: handler,
  bus,
});

export const DESIGNS: readonly Design[] = [
  {
    ...INTEL,
    name: "base-4.2",
    title: "MMIO SPTE and fast MMIO bus, v4.2",
    kernel: "v4.2",
    base: "base-4.2",
    handles: misconfiguration("handle_ept_misconfig"),
  },
  {
    ...INTEL,
    name: "pio",
    title: "port I/O, the yardstick",
    kernel: "v4.2",
    pio: true,
    base: "base-4.2",
    handles: {
      guest: "OUT",
      "page walk": "none",
      exit: "I/O instruction",
      KVM: "handle_io",
      bus: "port bus; RIP is moved before",
    },
  },
  {
    ...INTEL,
    name: "datamatch",
    title: "MMIO SPTE, ioeventfd with a value",
    kernel: "v4.2",
    length: 2,
    base: "base-4.2",
    handles: misconfiguration("the instruction is emulated", "MMIO bus, after the fast one"),
  },
  {
    ...INTEL,
    name: "rfc",
    title: "the RFC: all EPT violations ask the fast bus",
    kernel: "v4.2",
    patches: ["rfc"],
    patched: "KVM",
    slot: "read-only",
    base: "base-4.2",
    handles: violation("handle_ept_violation, first of all"),
  },
  {
    ...INTEL,
    name: "bad-page",
    title: "first alternative: kvm_handle_bad_page",
    kernel: "v4.2",
    patches: ["handle-bad-page"],
    patched: "KVM",
    slot: "read-only",
    base: "base-4.2",
    handles: violation("tdp_page_fault, then kvm_handle_bad_page"),
  },
  {
    ...INTEL,
    name: "write-mostly",
    title: "second alternative: reserved SPTE once written",
    kernel: "v4.2",
    patches: ["write-mostly-spte"],
    patched: "page walk",
    slot: "read-only",
    base: "base-4.2",
    handles: misconfiguration("handle_ept_misconfig"),
  },
  {
    ...INTEL,
    name: "base-6.19",
    title: "MMIO SPTE and fast MMIO bus, v6.19",
    kernel: "v6.19",
    base: "base-6.19",
    handles: misconfiguration("handle_ept_misconfig"),
  },
  {
    ...INTEL,
    name: "repaired",
    title: "the RFC, for writes to read-only slots alone",
    kernel: "v6.19",
    patches: ["rfc-repaired"],
    patched: "KVM",
    slot: "read-only",
    base: "base-6.19",
    handles: violation("handle_ept_violation, read-only slots only"),
  },
  {
    ...INTEL,
    name: "fastpath",
    title: "our candidate: misconfiguration in the exit fast path",
    kernel: "v6.19",
    patches: ["exit-fastpath"],
    patched: "KVM",
    base: "base-6.19",
    handles: misconfiguration("exit fast path, interrupts still off"),
  },
  {
    ...AMD,
    name: "npf-6.19",
    title: "SVM as it is: no fast bus",
    kernel: "v6.19",
    base: "npf-6.19",
    handles: nestedPageFault("the instruction is emulated", "MMIO bus"),
  },
  {
    ...AMD,
    name: "npf-fast",
    title: "SVM with the fast bus, after v6.19",
    kernel: "v6.19",
    patches: ["svm-fast-mmio"],
    patched: "KVM",
    base: "npf-6.19",
    handles: nestedPageFault("npf_interception", FAST),
  },
];

/** A design by its name. */
export function designOf(name: DesignName): Design {
  const design = DESIGNS.find((known) => known.name === name);
  if (design === undefined) throw new Error(`no design is called ${name}`);
  return design;
}
