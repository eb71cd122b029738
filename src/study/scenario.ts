/**
 * A scenario: everything that decides a run, as one JSON-serialisable object, checked by one schema.
 */
import * as z from "zod";
import { cpuNames, loadCpu } from "../cost/cpu-profile.js";
import { address, InputError, integer, notAllowed, oneOf, parseInput, record } from "../cost/input.js";
import { KERNEL_VERSIONS } from "../kvm/eras.js";
import { EXIT_EVICTS } from "../kvm/x86.js";
import { OPERATIONS, PATTERNS } from "../workload/workload.js";
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
  backing: oneOf(["4K", "2M"]).default("4K"),
});

const ioeventfd = record({
  addr: address(0, LAST_ADDRESS, "guest-physical address or port"),
  len: z.literal([0, 1, 2, 4, 8], { error: "0 (any length, from v4.2 on), 1, 2, 4 or 8 bytes" }),
  datamatch: address(0, Number.MAX_SAFE_INTEGER, "value").optional(),
  pio: z.boolean({ error: "true or false" }).default(false),
});

const portRange = record({
  port: address(0, 0xffff, "port"),
  len: integer(1, 256, "number of ports"),
});

const access = record({
  op: oneOf(OPERATIONS),
  address: address(0, LAST_ADDRESS, "address in bytes or port").default(0),
  size: z.literal([1, 2, 4, 8], { error: "1, 2, 4 or 8 bytes" }).default(1),
  value: address(0, Number.MAX_SAFE_INTEGER, "value").default(0),
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
  parsed.workload.forEach(({ op, address, size, value, footprint = size, stride = size }, index) => {
    const field = `workload[${index}]`;
    if (op === "vmcall") return;
    if (address % size !== 0 || stride % size !== 0) {
      fail(`${field}.size`, notAllowed(size), `a divisor of address ${hex(address)} and stride ${stride}`);
    }
    if (value >= 2 ** (8 * size)) {
      fail(`${field}.value`, notAllowed(value), `what ${size} bytes can hold, below 2^${8 * size}`);
    }
    if (footprint < size)
      fail(`${field}.footprint`, notAllowed(footprint), `at least the size, ${size} bytes`);
    if (op === "load" || op === "store") {
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
