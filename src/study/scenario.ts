/**
 * A scenario: everything that decides a run, as one JSON-serialisable object, checked by one schema.
 */
import * as z from "zod";
import { cpuNames } from "../cost/cpu-profile.js";
import { address, InputError, integer, notAllowed, oneOf, parseInput } from "../cost/input.js";
import { KERNEL_VERSIONS } from "../kvm/eras.js";
import { EXIT_EVICTS } from "../kvm/x86.js";
import { OPERATIONS, PATTERNS } from "../workload/workload.js";
import { PAGE } from "../x86/mmu.js";

/** 48-bit addresses; the identity-mapped guest uses their lower, user half. */
const LAST_ADDRESS = 2 ** 47 - 1;

const memslot = z.strictObject({
  gpa: address(0, LAST_ADDRESS, "guest-physical address in bytes", PAGE),
  size: address(PAGE, LAST_ADDRESS, "size in bytes", PAGE),
  readonly: z.boolean({ error: "true or false" }).default(false),
  backing: oneOf(["4K", "2M"]).default("4K"),
});

const ioeventfd = z.strictObject({
  addr: address(0, LAST_ADDRESS, "guest-physical address or port"),
  len: z.literal([0, 1, 2, 4, 8], { error: "0 (any length, from v4.2 on), 1, 2, 4 or 8 bytes" }),
  datamatch: address(0, Number.MAX_SAFE_INTEGER, "value").optional(),
  pio: z.boolean({ error: "true or false" }).default(false),
});

const portRange = z.strictObject({
  port: address(0, 0xffff, "port"),
  len: integer(1, 256, "number of ports"),
});

const access = z.strictObject({
  op: oneOf(OPERATIONS),
  address: address(0, LAST_ADDRESS, "address in bytes or port").default(0),
  size: z.literal([1, 2, 4, 8], { error: "1, 2, 4 or 8 bytes" }).default(1),
  value: address(0, Number.MAX_SAFE_INTEGER, "value").default(0),
  footprint: address(1, LAST_ADDRESS, "footprint in bytes").optional(),
  stride: address(1, LAST_ADDRESS, "stride in bytes").optional(),
  pattern: oneOf(PATTERNS).default("sequential"),
  weight: z.number({ error: "a positive number" }).positive({ error: "a positive number" }).default(1),
});

const scenario = z.strictObject({
  cpu: oneOf(cpuNames()),
  kernel: oneOf(KERNEL_VERSIONS),
  exitEvicts: oneOf(EXIT_EVICTS).default("nothing"),
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
export type ScenarioInput = Immutable<z.input<typeof scenario>>;

/** A complete scenario. */
export type Scenario = Immutable<z.output<typeof scenario>>;

/** Checks a scenario and fills in its defaults. @throws InputError that names the field, the value and what is allowed */
export function parseScenario(input: unknown, what = "scenario"): Scenario {
  const parsed = parseInput(scenario, input, what);
  parsed.memslots.forEach((slot, index) => {
    const other = parsed.memslots.findIndex((o) => slot.gpa < o.gpa + o.size && o.gpa < slot.gpa + slot.size);
    if (other < index) {
      throw new InputError(
        `${what}: memslots[${index}]`,
        `${range(slot.gpa, slot.size)} overlaps memslots[${other}], ${range(parsed.memslots[other].gpa, parsed.memslots[other].size)}`,
        "slots that do not overlap",
      );
    }
  });
  parsed.workload.forEach(({ op, address, size, footprint, stride }, index) => {
    const field = `${what}: workload[${index}]`;
    const port = op === "in" || op === "out";
    if (address % size !== 0 || (stride ?? size) % size !== 0) {
      throw new InputError(
        `${field}.size`,
        notAllowed(size),
        `a divisor of address ${address} and stride ${stride ?? size}`,
      );
    }
    if (footprint !== undefined && footprint < size) {
      throw new InputError(`${field}.footprint`, notAllowed(footprint), `at least the size, ${size} bytes`);
    }
    if (port && (size === 8 || address + (footprint ?? size) > 0x1_0000)) {
      throw new InputError(`${field}.address`, notAllowed(address), "ports 0 to 65535, 1, 2 or 4 bytes wide");
    }
  });
  return parsed;
}

function range(first: number, size: number): string {
  return `0x${first.toString(16)} to 0x${(first + size - 1).toString(16)}`;
}
