/**
 * The designs that the thread compares, and those that came of it: which kernel with which patches, what lies behind the
 * doorbell, and who does what when the guest writes to it.
 */
import type { KernelVersion } from "../../kvm/eras.js";
import type { PatchName } from "../../patches/index.js";

export const DESIGN_NAMES = [
  "pio",
  "base-4.2",
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
  /** From the guest's write to the eventfd: who handles what. */
  readonly path: readonly string[];
}

const INTEL = { vendor: "Intel", pio: false, length: 0, slot: "none", patches: [] } as const;
const AMD = { ...INTEL, vendor: "AMD" } as const;

const SIGNAL = "eventfd_signal";
const SKIP = "skip the instruction";

export const DESIGNS: readonly Design[] = [
  {
    ...INTEL,
    name: "pio",
    title: "port I/O, the yardstick",
    kernel: "v4.2",
    pio: true,
    base: "base-4.2",
    path: ["OUT", "exit: I/O instruction", "handle_io", "KVM_PIO_BUS", SIGNAL],
  },
  {
    ...INTEL,
    name: "base-4.2",
    title: "MMIO SPTE and the fast MMIO bus",
    kernel: "v4.2",
    base: "base-4.2",
    path: [
      "store",
      "walk to a reserved entry",
      "exit: EPT misconfiguration",
      "KVM_FAST_MMIO_BUS",
      SIGNAL,
      SKIP,
    ],
  },
  {
    ...INTEL,
    name: "datamatch",
    title: "MMIO SPTE and an ioeventfd with a value",
    kernel: "v4.2",
    length: 2,
    base: "base-4.2",
    path: [
      "store",
      "walk to a reserved entry",
      "exit: EPT misconfiguration",
      "KVM_FAST_MMIO_BUS: nothing",
      "emulate the instruction",
      "KVM_MMIO_BUS",
      SIGNAL,
    ],
  },
  {
    ...INTEL,
    name: "rfc",
    title: "the RFC: every EPT violation asks the fast bus",
    kernel: "v4.2",
    patches: ["rfc"],
    slot: "read-only",
    base: "base-4.2",
    path: [
      "store",
      "walk to a read-only entry, or none",
      "exit: EPT violation",
      "KVM_FAST_MMIO_BUS",
      SIGNAL,
      SKIP,
    ],
  },
  {
    ...INTEL,
    name: "bad-page",
    title: "first alternative: kvm_handle_bad_page",
    kernel: "v4.2",
    patches: ["handle-bad-page"],
    slot: "read-only",
    base: "base-4.2",
    path: [
      "store",
      "walk to a read-only entry, or none",
      "exit: EPT violation",
      "tdp_page_fault, fast_page_fault",
      "kvm_handle_bad_page",
      "KVM_FAST_MMIO_BUS",
      SIGNAL,
      SKIP,
    ],
  },
  {
    ...INTEL,
    name: "write-mostly",
    title: "second alternative: reserved SPTE for a written read-only page",
    kernel: "v4.2",
    patches: ["write-mostly-spte"],
    slot: "read-only",
    base: "base-4.2",
    path: [
      "store",
      "walk to a reserved entry",
      "exit: EPT misconfiguration",
      "KVM_FAST_MMIO_BUS",
      SIGNAL,
      SKIP,
    ],
  },
  {
    ...INTEL,
    name: "base-6.19",
    title: "MMIO SPTE and the fast MMIO bus, as it is",
    kernel: "v6.19",
    base: "base-6.19",
    path: [
      "store",
      "walk to a reserved entry",
      "exit: EPT misconfiguration",
      "KVM_FAST_MMIO_BUS",
      SIGNAL,
      SKIP,
    ],
  },
  {
    ...INTEL,
    name: "repaired",
    title: "the RFC for writes to read-only slots only",
    kernel: "v6.19",
    patches: ["rfc-repaired"],
    slot: "read-only",
    base: "base-6.19",
    path: [
      "store",
      "walk to a read-only entry, or none",
      "exit: EPT violation",
      "a write to a read-only slot?",
      "KVM_FAST_MMIO_BUS",
      SIGNAL,
      SKIP,
    ],
  },
  {
    ...INTEL,
    name: "fastpath",
    title: "our candidate: the fast bus in the exit fast path",
    kernel: "v6.19",
    patches: ["exit-fastpath"],
    base: "base-6.19",
    path: [
      "store",
      "walk to a reserved entry",
      "exit: EPT misconfiguration",
      "exit fast path: KVM_FAST_MMIO_BUS",
      SIGNAL,
      SKIP,
    ],
  },
  {
    ...AMD,
    name: "npf-6.19",
    title: "SVM without the fast bus",
    kernel: "v6.19",
    base: "npf-6.19",
    path: [
      "store",
      "walk to a reserved entry",
      "exit: #NPF",
      "emulate the instruction",
      "KVM_MMIO_BUS",
      SIGNAL,
    ],
  },
  {
    ...AMD,
    name: "npf-fast",
    title: "SVM with the fast bus",
    kernel: "v6.19",
    patches: ["svm-fast-mmio"],
    base: "npf-6.19",
    path: ["store", "walk to a reserved entry", "exit: #NPF", "KVM_FAST_MMIO_BUS", SIGNAL, SKIP],
  },
];

/** A design by its name. */
export function designOf(name: DesignName): Design {
  const design = DESIGNS.find((known) => known.name === name);
  if (design === undefined) throw new Error(`no design is called ${name}`);
  return design;
}
