/**
 * The schema of a scenario, field by field: checks, types, defaults and the table of `exitlab scenario` come from here.
 */
import * as z from "zod";
import { cpuNames } from "../../cost/cpu-profile.js";
import { address, flag, integer, list, number, oneNumberOf, oneOf, record, text } from "../../cost/input.js";
import { KERNEL_VERSIONS } from "../../kvm/eras.js";
import { LINES_OF_PAGE, MAX_FOOTPRINT_PAGES } from "../../kvm/exit-footprint.js";
import { BACKINGS } from "../../kvm/host-memory.js";
import { INSTRUCTION_NAMES } from "../../kvm/instruction.js";
import { WAITERS } from "../../kvm/ioeventfd.js";
import { DEFAULT_VM_OPTIONS, HOSTS, MITIGATIONS } from "../../kvm/kvm.js";
import { PRIMITIVES } from "../../kvm/primitives.js";
import { PAGINGS } from "../../kvm/spte.js";
import { EXIT_EVICTS } from "../../kvm/x86.js";
import { PATCH_NAMES } from "../../patches/index.js";
import { GUEST_PAGES } from "../../workload/guest-tables.js";
import { RECORDING_FORMATS } from "../../workload/recorded/recording.js";
import { PATTERNS } from "../../workload/workload.js";
import { DEFAULT_SWITCHES, DROPS } from "../../x86/cpu.js";
import { PAGE } from "../../x86/mmu.js";
import type { ScenarioPatchInput } from "./patch-source.js";
import { LEAST_INSTRUCTIONS } from "./precision.js";

/** 48-bit addresses; the identity-mapped guest uses their lower, user half. */
const LAST_ADDRESS = 2 ** 47 - 1;

/** What a kick and a read at a doorbell are in the mix, beside the instruction forms. */
export const DOORBELL_OPS = ["kick", "doorbell-read"] as const;

/** Whether what each instruction does is held against what it should do. */
export const SEMANTICS = ["checked", "off"] as const;

export const USERSPACE_ACTIONS = ["get-dirty-log", "toggle-dirty-log", "recreate-slot"] as const;

const eventfdLength = oneNumberOf(
  [0, 1, 2, 4, 8],
  "length of the ioeventfd",
  "0 (any length, from v4.2 on), 1, 2, 4 or 8 bytes",
);

const memslot = record({
  name: text("a name for axes and tables").optional(),
  gpa: address(0, LAST_ADDRESS, "guest-physical address in bytes", PAGE),
  size: address(PAGE, LAST_ADDRESS, "size in bytes", PAGE),
  readonly: flag("KVM_MEM_READONLY: the guest may not write to it").default(false),
  logDirtyPages: flag("KVM_MEM_LOG_DIRTY_PAGES: writes are logged from the start").default(false),
  backing: oneOf(BACKINGS, "how the host maps it").default("4K"),
});

const ioeventfd = record({
  addr: address(0, LAST_ADDRESS, "guest-physical address or port"),
  len: eventfdLength,
  datamatch: address(0, Number.MAX_SAFE_INTEGER, "value that signals").optional(),
  pio: flag("addr is a port").default(false),
  waiter: oneOf(WAITERS, "who waits on the eventfd").default("nobody"),
  count: integer(0, 1000, "number of such ioeventfds, each a stride behind the one before").default(1),
  stride: address(1, LAST_ADDRESS, "bytes or ports from one of them to the next").default(PAGE),
});

const doorbells = record({
  address: address(0, LAST_ADDRESS, "guest-physical address in bytes, or port, of the first"),
  queues: integer(1, 1000, "number of queues; each has a doorbell with an ioeventfd").default(1),
  perPage: oneNumberOf(
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    "doorbells in a page",
    "a power of two from 1 to 1024; at ports they follow each other",
  ).default(1),
  size: oneNumberOf([1, 2, 4, 8], "bytes of a kick", "1, 2, 4 or 8").default(2),
  len: eventfdLength.default(0),
  datamatch: address(0, Number.MAX_SAFE_INTEGER, "value that signals; kicks write their own").optional(),
  pio: flag("address is a port").default(false),
  waiter: oneOf(WAITERS, "who waits on the eventfds").default("nobody"),
  slot: oneOf(["none", "read-only"], "memory slot behind the doorbell pages").default("none"),
  backing: oneOf(
    ["4K", "2M"],
    "how the host maps that slot; with 2M the slot is all of the 2-Mbyte pages that hold doorbells",
  ).default("4K"),
});

const portRange = record({
  port: address(0, 0xffff, "port"),
  len: integer(1, 256, "number of ports"),
});

const access = record({
  name: text("a name for axes and tables").optional(),
  op: oneOf([...INSTRUCTION_NAMES, ...DOORBELL_OPS], "instruction"),
  address: address(0, LAST_ADDRESS, "address in bytes or port").default(0),
  size: oneNumberOf(
    [1, 2, 4, 8, 16],
    "bytes of the access (by default 1, of doorbells their size)",
    "1, 2, 4, 8 or 16 bytes",
  ).optional(),
  value: address(0, Number.MAX_SAFE_INTEGER, "value that is written").default(0),
  count: integer(1, 1e6, "number of iterations of a repeated instruction").default(1),
  footprint: address(
    1,
    LAST_ADDRESS,
    "bytes from address on that the accesses cover (by default size times count)",
  ).optional(),
  stride: address(1, LAST_ADDRESS, "bytes between neighbouring addresses (by default size)").optional(),
  pattern: oneOf(PATTERNS, "order of the addresses").default("sequential"),
  skew: number("exponent of zipf", "above 0, up to 10", (s) => s > 0 && s <= 10).default(0.99),
  workingSet: address(1, LAST_ADDRESS, "bytes of a working set of phases").optional(),
  phase: integer(1, 1e9, "accesses of a phase").default(1000),
  fresh: flag(
    "each access is the first touch of its page: it faults anew. That the page goes before counts nothing, but drops what all vCPUs have cached of KVM's tables",
  ).default(false),
  weight: number(
    "share of the instructions relative to the others",
    "0, or a positive number up to 1e9",
    (weight) => weight >= 0 && weight <= 1e9,
  ).default(1),
  burst: integer(1, 1e6, "instructions in a row").default(1),
  vcpu: integer(0, 254, "the only vCPU that does it").optional(),
});

const footprintLines = (whose: string) =>
  integer(
    0,
    LINES_OF_PAGE * MAX_FOOTPRINT_PAGES,
    `distinct cache lines of host memory that ${whose} touches`,
  );
const footprintPages = (whose: string) =>
  integer(0, MAX_FOOTPRINT_PAGES, `4K pages that the lines of ${whose} lie on`);

/** `ExitFootprint` of kvm/exit-footprint.ts. */
const exitFootprint = record({
  lines: footprintLines("KVM's handling of an exit"),
  pages: footprintPages("KVM's handling of an exit"),
  userspaceLines: footprintLines("a round trip to userspace, beside KVM's,").default(0),
  userspacePages: footprintPages("a round trip to userspace").default(0),
});

const recording = record({
  file: text("path of a recording, also gzipped, relative to the working directory"),
  format: oneOf(RECORDING_FORMATS, "what wrote it"),
});

const userspaceAction = record({
  action: oneOf(USERSPACE_ACTIONS, "what the device model does while the guest runs"),
  slot: integer(0, 508, "number of the memory slot"),
  every: integer(1, 1e9, "instructions of a vCPU, or of a recording steps of all vCPUs, between two of them"),
});

/** What the manual leaves open, as in `Switches` of x86/cpu.ts. */
export const switchesSchema = record({
  permissionFaultWalks: oneNumberOf(
    [0, 1, 2],
    "walks before a permission fault at a TLB hit",
    "0, 1 or 2 walks",
  ).default(DEFAULT_SWITCHES.permissionFaultWalks),
  faultWalkStart: oneOf(["paging-structure-caches", "root"], "where such a walk starts").default(
    DEFAULT_SWITCHES.faultWalkStart,
  ),
  violationDrops: oneOf(DROPS, "what an EPT violation drops").default(DEFAULT_SWITCHES.violationDrops),
  misconfigDrops: oneOf(DROPS, "what an EPT misconfiguration drops").default(DEFAULT_SWITCHES.misconfigDrops),
  nestedPageFaultDrops: oneOf(DROPS, "what a #NPF drops").default(DEFAULT_SWITCHES.nestedPageFaultDrops),
  nestedTlbHolds: oneOf(["tables", "all"], "what the nested TLB holds").default(
    DEFAULT_SWITCHES.nestedTlbHolds,
  ),
  guestFlags: oneOf(
    ["before-final-translation", "after-final-translation"],
    "when a walk sets the guest's accessed and dirty flags",
  ).default(DEFAULT_SWITCHES.guestFlags),
});

const precision = record({
  of: oneOf(["cycles", ...PRIMITIVES], "per instruction").default("cycles"),
  relativeHalfWidth: number(
    "half of the 95% interval over the mean",
    "above 0, below 1",
    (width) => width > 0 && width < 1,
  ).default(0.01),
});

export const scenarioSchema = record({
  name: text("a name for tables").optional(),
  cpu: oneOf(cpuNames(), "processor"),
  kernel: oneOf(KERNEL_VERSIONS, "Linux of the host"),
  patches: list(
    z.custom<ScenarioPatchInput>(),
    `patches over the kernel, in the order of the series: ${PATCH_NAMES.join(", ")}, or with their source`,
  ).default([]),
  vcpus: integer(1, 255, "number of vCPUs").default(DEFAULT_VM_OPTIONS.vcpus),
  paging: oneOf(PAGINGS, "EPT, nested page tables of AMD, or shadow paging").default(
    DEFAULT_VM_OPTIONS.paging,
  ),
  mmioCaching: flag("kvm.mmio_caching").default(DEFAULT_VM_OPTIONS.mmioCaching),
  l1tf: flag("the processor has L1TF").default(DEFAULT_VM_OPTIONS.l1tf),
  mitigations: oneOf(MITIGATIONS, "of speculative execution").default(DEFAULT_VM_OPTIONS.mitigations),
  host: oneOf(HOSTS, "what the host itself runs on").default(DEFAULT_VM_OPTIONS.host),
  irqchip: flag("interrupt controllers and timer are in the kernel").default(false),
  exitEvicts: oneOf(EXIT_EVICTS, "what an exit evicts").default("nothing"),
  exitFootprint: exitFootprint
    .describe(
      "what the handling of an exit drives through the caches and TLBs, in place of exitEvicts; not counted itself",
    )
    .optional(),
  switches: switchesSchema.describe("what the manual leaves open").default(DEFAULT_SWITCHES),
  guestMode: flag("a guest of the guest (L2) executes the workload").default(false),
  singleStep: flag("the guest steps (EFLAGS.TF): each instruction ends with a debug exception").default(
    false,
  ),
  semantics: oneOf(
    SEMANTICS,
    "whether what each instruction does is held against what guest and device should see",
  ).default("checked"),
  guestPages: oneOf(GUEST_PAGES, "page size of the guest's tables; 1G where the processor has it").default(
    "4K",
  ),
  memslots: list(memslot, "memory slots").min(1, { error: "at least one memory slot" }),
  ioeventfds: list(ioeventfd, "ioeventfds").default([]),
  doorbells: doorbells.describe("doorbells of a virtio-like device").optional(),
  inKernelPorts: list(portRange, "port ranges of devices in the kernel").default([]),
  deviceModelPorts: list(portRange, "port ranges of devices in userspace").default([]),
  workload: list(access, "accesses: the mix that each vCPU executes").default([]),
  recording: recording.describe("what the guest executes in place of a workload").optional(),
  userspace: list(userspaceAction, "what the device model does in the run").default([]),
  accesses: integer(
    1,
    1e9,
    `number of guest instructions that count, of each vCPU, or of a recording steps of all vCPUs; with a precision, the most, and at least ${LEAST_INSTRUCTIONS}`,
  ).optional(),
  warmup: integer(
    0,
    1e9,
    "number of guest instructions before them, counted as they are (by default 64, of a recording 0)",
  ).optional(),
  precision: precision.describe("the run ends when its figure is known so well").optional(),
  seed: integer(0, 0xffff_ffff, "seed").default(1),
});

type Immutable<T> = T extends object ? { readonly [Key in keyof T]: Immutable<T[Key]> } : T;

/** A scenario as a person writes it: fields with a default may be left out, addresses may be "0x..." text. */
export interface ScenarioInput extends Immutable<z.input<typeof scenarioSchema>> {}

/** A scenario whose fields were checked one by one. */
export interface ParsedScenario extends Immutable<z.output<typeof scenarioSchema>> {}
