/**
 * A scenario: everything that decides a run, as one JSON-serialisable object, checked by one schema.
 */
import * as z from "zod";
import { cpuNames, loadCpu } from "../cost/cpu-profile.js";
import { address, InputError, integer, notAllowed, oneOf, parseInput, record } from "../cost/input.js";
import { KERNEL_VERSIONS } from "../kvm/eras.js";
import { BACKINGS } from "../kvm/host-memory.js";
import { INSTRUCTION_FORMS, INSTRUCTION_NAMES } from "../kvm/instruction.js";
import { WAITERS } from "../kvm/ioeventfd.js";
import { DEFAULT_VM_OPTIONS, HOSTS } from "../kvm/kvm.js";
import { PAGINGS } from "../kvm/spte.js";
import { EXIT_EVICTS } from "../kvm/x86.js";
import { PATTERNS } from "../workload/workload.js";
import { DEFAULT_SWITCHES, DROPS } from "../x86/cpu.js";
import { PAGE } from "../x86/mmu.js";

/** 48-bit addresses; the identity-mapped guest uses their lower, user half. */
const LAST_ADDRESS = 2 ** 47 - 1;

const PORTS = 0x1_0000;
const PORTS_ALLOWED = "ports 0x0 to 0xffff";

/** What a weight may be. */
const WEIGHT = "a positive number up to 1e9";

const memslot = record({
  gpa: address(0, LAST_ADDRESS, "guest-physical address in bytes", PAGE),
  size: address(PAGE, LAST_ADDRESS, "size in bytes", PAGE),
  readonly: z.boolean({ error: "true or false" }).default(false),
  backing: oneOf(BACKINGS).default("4K"),
});

const ioeventfd = record({
  addr: address(0, LAST_ADDRESS, "guest-physical address or port"),
  len: z.literal([0, 1, 2, 4, 8], { error: "0 (any length, from v4.2 on), 1, 2, 4 or 8 bytes" }),
  datamatch: address(0, Number.MAX_SAFE_INTEGER, "value").optional(),
  pio: z.boolean({ error: "true or false" }).default(false),
  waiter: oneOf(WAITERS).default("nobody"),
});

const portRange = record({
  port: address(0, 0xffff, "port"),
  len: integer(1, 256, "number of ports"),
});

const access = record({
  op: oneOf(INSTRUCTION_NAMES),
  address: address(0, LAST_ADDRESS, "address in bytes or port").default(0),
  size: z.literal([1, 2, 4, 8, 16], { error: "1, 2, 4, 8 or 16 bytes" }).default(1),
  value: address(0, Number.MAX_SAFE_INTEGER, "value").default(0),
  count: integer(1, 1e6, "number of iterations of a repeated instruction").default(1),
  footprint: address(1, LAST_ADDRESS, "footprint in bytes").optional(),
  stride: address(1, LAST_ADDRESS, "stride in bytes").optional(),
  pattern: oneOf(PATTERNS).default("sequential"),
  weight: z.number({ error: WEIGHT }).positive({ error: WEIGHT }).max(1e9, { error: WEIGHT }).default(1),
});

/** What the manual leaves open, as in `Switches` of x86/cpu.ts. */
const switches = record({
  permissionFaultWalks: z
    .literal([0, 1, 2], { error: "0, 1 or 2 walks" })
    .default(DEFAULT_SWITCHES.permissionFaultWalks),
  faultWalkStart: oneOf(["paging-structure-caches", "root"]).default(DEFAULT_SWITCHES.faultWalkStart),
  violationDrops: oneOf(DROPS).default(DEFAULT_SWITCHES.violationDrops),
  misconfigDrops: oneOf(DROPS).default(DEFAULT_SWITCHES.misconfigDrops),
  nestedPageFaultDrops: oneOf(DROPS).default(DEFAULT_SWITCHES.nestedPageFaultDrops),
  nestedTlbHolds: oneOf(["tables", "all"]).default(DEFAULT_SWITCHES.nestedTlbHolds),
  guestFlags: oneOf(["before-final-translation", "after-final-translation"]).default(
    DEFAULT_SWITCHES.guestFlags,
  ),
});

const scenario = record({
  cpu: oneOf(cpuNames()),
  kernel: oneOf(KERNEL_VERSIONS),
  vcpus: integer(1, 255, "number of vCPUs").default(DEFAULT_VM_OPTIONS.vcpus),
  paging: oneOf(PAGINGS).default(DEFAULT_VM_OPTIONS.paging),
  mmioCaching: z.boolean({ error: "true or false" }).default(DEFAULT_VM_OPTIONS.mmioCaching),
  l1tf: z.boolean({ error: "true or false" }).default(DEFAULT_VM_OPTIONS.l1tf),
  host: oneOf(HOSTS).default(DEFAULT_VM_OPTIONS.host),
  irqchip: z.boolean({ error: "true or false" }).default(false),
  exitEvicts: oneOf(EXIT_EVICTS).default("nothing"),
  switches: switches.default(DEFAULT_SWITCHES),
  guestPages: oneOf(["4K", "2M"]).default("4K"),
  memslots: z
    .array(memslot, { error: "a list of memory slots" })
    .min(1, { error: "at least one memory slot" }),
  ioeventfds: z.array(ioeventfd, { error: "a list of ioeventfds" }).default([]),
  inKernelPorts: z.array(portRange, { error: "a list of port ranges" }).default([]),
  deviceModelPorts: z.array(portRange, { error: "a list of port ranges" }).default([]),
  workload: z.array(access, { error: "a list of accesses" }).min(1, { error: "at least one access" }),
  accesses: integer(1, 1e9, "number of guest instructions that count"),
  warmup: integer(0, 1e9, "number of guest instructions before them").default(64),
  seed: integer(0, 0xffff_ffff, "seed").default(1),
});

type Immutable<T> = T extends object ? { readonly [Key in keyof T]: Immutable<T[Key]> } : T;

/** A scenario as a person writes it: fields with a default may be left out, addresses may be "0x..." text. */
export interface ScenarioInput extends Immutable<z.input<typeof scenario>> {}

/** A complete scenario. */
export interface Scenario extends Immutable<z.output<typeof scenario>> {}

/** Checks a scenario and fills in its defaults. @throws InputError that names the field, the value and what is allowed */
export function parseScenario(input: unknown, what = "scenario"): Scenario {
  const parsed = parseInput(scenario, input, what);
  const fail = (field: string, found: string, allowed: string): never => {
    throw new InputError(`${what}: ${field}`, found, allowed);
  };
  const limit = 2 ** loadCpu(parsed.cpu).geometry.physicalAddressBits;
  const belowLimit = `addresses below ${hex(limit)}, the physical address width of this cpu`;

  for (const [parameter, usual] of [
    ["mmioCaching", true],
    ["l1tf", false],
  ] as const) {
    if (parsed[parameter] !== usual && parsed.kernel !== "v6.19") {
      const found = `${parsed[parameter]} is not allowed`;
      fail(parameter, found, `${usual}: ${parsed.kernel} is older than the parameter, v6.19 has it`);
    }
  }
  parsed.memslots.forEach(({ gpa, size }, index) => {
    const field = `memslots[${index}]`;
    if (gpa + size > limit) fail(field, `${range(gpa, size)} is not allowed`, belowLimit);
    const other = parsed.memslots.findIndex((o) => gpa < o.gpa + o.size && o.gpa < gpa + size);
    if (other < index) {
      const { gpa: otherGpa, size: otherSize } = parsed.memslots[other];
      const found = `${range(gpa, size)} overlaps memslots[${other}], ${range(otherGpa, otherSize)}`;
      fail(field, found, "slots that do not overlap");
    }
  });
  parsed.ioeventfds.forEach(({ addr, len, pio }, index) => {
    if (pio && addr + len > PORTS)
      fail(`ioeventfds[${index}].addr`, `${hex(addr)} is not allowed`, PORTS_ALLOWED);
  });
  for (const list of ["inKernelPorts", "deviceModelPorts"] as const) {
    parsed[list].forEach(({ port, len }, index) => {
      if (port + len > PORTS) fail(`${list}[${index}].len`, notAllowed(len), PORTS_ALLOWED);
    });
  }
  parsed.workload.forEach((access, index) => {
    const { op, address, size, value, count, footprint = size * count } = access;
    const { operation, repeated } = INSTRUCTION_FORMS[op];
    const field = `workload[${index}]`;
    if (operation === "vmcall") return;
    if (value >= 2 ** (8 * size)) {
      fail(`${field}.value`, notAllowed(value), `what ${size} bytes can hold, below 2^${8 * size}`);
    }
    if (count > 1 && !repeated)
      fail(`${field}.count`, notAllowed(count), `1 for ${op}, which does not repeat`);
    if (footprint < size * count)
      fail(`${field}.footprint`, notAllowed(footprint), `at least size times count, ${size * count} bytes`);
    const isVector = op === "movups-load" || op === "movups-store";
    if (isVector !== (size === 16))
      fail(`${field}.size`, notAllowed(size), isVector ? "16 bytes" : "1, 2, 4 or 8 bytes");
    if (operation !== "in" && operation !== "out") {
      if (address + footprint > limit) fail(field, `${range(address, footprint)} is not allowed`, belowLimit);
      return;
    }
    if (size === 8) fail(`${field}.size`, notAllowed(size), "1, 2 or 4 bytes for a port");
    if (address + footprint > PORTS)
      fail(`${field}.address`, `${hex(address)} is not allowed`, PORTS_ALLOWED);
  });
  return parsed;
}

function range(first: number, size: number): string {
  return `${hex(first)} to ${hex(first + size - 1)}`;
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
