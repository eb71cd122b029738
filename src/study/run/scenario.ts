/**
 * A scenario: everything that decides a run, as one JSON-serialisable object. `scenario-schema.ts` has its fields; here is
 * what they owe each other.
 */
import { loadCpu } from "../../cost/cpu-profile.js";
import {
  describeFields,
  type FieldDescription,
  InputError,
  notAllowed,
  parseInput,
  withoutDefaults,
} from "../../cost/input.js";
import { LINES_OF_PAGE, linesFit } from "../../kvm/exit-footprint.js";
import { INSTRUCTION_FORMS } from "../../kvm/instruction.js";
import { PLACES_OF_A_CHAIN } from "../../workload/pattern.js";
import { PAGE } from "../../x86/mmu.js";
import { PAGES_2M } from "../../x86/tlb.js";
import { headerOf, parsePatch, patchName, type ScenarioPatch } from "./patch-source.js";
import { LEAST_INSTRUCTIONS } from "./precision.js";
import {
  type DOORBELL_OPS,
  type ParsedScenario,
  type ScenarioInput,
  scenarioSchema,
} from "./scenario-schema.js";

export type { ScenarioInput };

/** A complete scenario. */
export interface Scenario extends ParsedScenario {
  readonly patches: readonly ScenarioPatch[];
  readonly workload: readonly ScenarioAccess[];
  readonly warmup: number;
}

type ParsedAccess = ParsedScenario["workload"][number];

export interface ScenarioAccess extends ParsedAccess {
  readonly size: NonNullable<ParsedAccess["size"]>;
}

/** Warm-up of a workload, in instructions. A recording counts from its first. */
const WARM_UP = 64;

const PORTS = 0x1_0000;
const PORTS_ALLOWED = "ports 0x0 to 0xffff";

/** Checks a scenario and fills in its defaults. @throws InputError that names the field, the value and what is allowed */
export function parseScenario(input: unknown, what = "scenario"): Scenario {
  const parsed = parseInput(scenarioSchema, input, what);
  const { doorbells, recording } = parsed;
  const scenario: Scenario = {
    ...parsed,
    patches: parsed.patches.map((patch, index) => parsePatch(patch, `${what}: patches[${index}]`)),
    workload: parsed.workload.map((access) => ({
      ...access,
      size: access.size ?? (isDoorbellOp(access.op) ? (doorbells?.size ?? 2) : 1),
    })),
    warmup: parsed.warmup ?? (recording === undefined ? WARM_UP : 0),
  };
  const refuse: Refuse = (field, found, allowed) => {
    throw new InputError(`${what}: ${field}`, found, allowed);
  };
  checkPatches(scenario, refuse);
  checkKernel(scenario, refuse);
  checkGuestPages(scenario, refuse);
  checkExitFootprint(scenario, refuse);
  checkAddresses(scenario, refuse);
  for (const [index, access] of scenario.workload.entries()) {
    checkAccess(scenario, access, `workload[${index}]`, refuse);
  }
  checkSource(scenario, refuse);
  return scenario;
}

/** The scenario without the fields that have their defaults: what a person would have written. */
export function scenarioInput({ warmup, ...scenario }: Scenario): ScenarioInput {
  const usual = scenario.recording === undefined ? WARM_UP : 0;
  return withoutDefaults(scenarioSchema, {
    ...scenario,
    ...(warmup !== usual && { warmup }),
  }) as ScenarioInput;
}

/** Every field of a scenario with what it may be and its default. */
export function scenarioFields(): FieldDescription[] {
  return describeFields(scenarioSchema);
}

/** One ioeventfd, and the field of the entry that stands for it, such as "ioeventfds[0]". */
export interface ScenarioIoeventfd extends Omit<ParsedScenario["ioeventfds"][number], "count" | "stride"> {
  readonly field: string;
}

/** Each ioeventfd of a scenario, in the order of the entries; one entry may stand for several. */
export function ioeventfdsOf({ ioeventfds }: Pick<ParsedScenario, "ioeventfds">): ScenarioIoeventfd[] {
  const all: ScenarioIoeventfd[] = [];
  for (const [entry, { addr, len, datamatch, pio, waiter, count, stride }] of ioeventfds.entries()) {
    const field = `ioeventfds[${entry}]`;
    for (let index = 0; index < count; index++)
      all.push({ addr: addr + index * stride, len, datamatch, pio, waiter, field });
  }
  return all;
}

export function isDoorbellOp(op: ScenarioAccess["op"]): op is (typeof DOORBELL_OPS)[number] {
  return op === "kick" || op === "doorbell-read";
}

/** Addresses of the doorbells: bytes from one to the next, and bytes of all pages or ports that they take. */
export function doorbellLayout({ queues, perPage, size, pio }: NonNullable<Scenario["doorbells"]>): {
  readonly stride: number;
  readonly bytes: number;
} {
  if (pio) return { stride: size, bytes: size * queues };
  return { stride: PAGE / perPage, bytes: PAGE * Math.ceil(queues / perPage) };
}

/** The memory slot behind doorbells: its first address and its size, whole pages of the host. Bytes. */
export function doorbellSlot(doorbells: NonNullable<Scenario["doorbells"]>): {
  readonly first: number;
  readonly bytes: number;
} {
  const { address, backing } = doorbells;
  const page = backing === "2M" ? PAGES_2M * PAGE : PAGE;
  const first = address - (address % page);
  const end = address + doorbellLayout(doorbells).bytes;
  return { first, bytes: Math.ceil((end - first) / page) * page };
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

type Refuse = (field: string, found: string, allowed: string) => never;

function checkPatches({ patches, kernel, paging }: Scenario, refuse: Refuse): void {
  for (const [index, patch] of patches.entries()) {
    const applies = headerOf(patch);
    const found = `${JSON.stringify(patchName(patch))} does not apply to`;
    if (applies.eras?.includes(kernel) === false)
      refuse(`patches[${index}]`, `${found} kernel ${kernel}`, applies.eras.join(", "));
    if (applies.paging !== undefined && applies.paging !== paging)
      refuse(`patches[${index}]`, `${found} paging ${paging}`, applies.paging);
  }
}

/** Parameters of KVM and the processor that came later than some of the kernels. */
function checkKernel({ kernel, ...parameters }: Scenario, refuse: Refuse): void {
  for (const [parameter, usual] of [
    ["mmioCaching", true],
    ["l1tf", false],
    ["mitigations", "off"],
  ] as const) {
    const value = parameters[parameter];
    if (value === usual || kernel === "v6.19") continue;
    const allowed = `${JSON.stringify(usual)}: ${kernel} is older than the parameter, v6.19 has it`;
    refuse(parameter, notAllowed(value), allowed);
  }
}

/** Not every processor has pages of 1 Gbyte. */
function checkGuestPages({ cpu, guestPages }: Scenario, refuse: Refuse): void {
  if (guestPages === "1G" && !loadCpu(cpu).geometry.guest1GPages)
    refuse("guestPages", notAllowed(guestPages), "4K or 2M: this cpu has no pages of 1 Gbyte");
}

/** What an exit does to the caches is said once; and lines lie on pages. */
function checkExitFootprint({ exitFootprint, exitEvicts }: Scenario, refuse: Refuse): void {
  if (exitFootprint === undefined) return;
  if (exitEvicts !== "nothing")
    refuse("exitEvicts", notAllowed(exitEvicts), '"nothing" beside an exitFootprint');
  const { lines, pages, userspaceLines, userspacePages } = exitFootprint;
  for (const [field, found, on] of [
    ["lines", lines, pages],
    ["userspaceLines", userspaceLines, userspacePages],
  ] as const) {
    if (linesFit(found, on)) continue;
    const allowed = `1 to ${LINES_OF_PAGE} lines on each of ${on} pages, ${on} to ${LINES_OF_PAGE * on}`;
    refuse(`exitFootprint.${field}`, notAllowed(found), allowed);
  }
}

/** A range of addresses and what it is called. */
interface Range {
  readonly field: string;
  readonly first: number;
  readonly bytes: number;
}

function checkAddresses(scenario: Scenario, refuse: Refuse): void {
  const { memslots, doorbells, userspace } = scenario;
  const beyond = beyondProcessor(scenario);
  const slots: Range[] = memslots.map(({ gpa, size }, index) => ({
    field: `memslots[${index}]`,
    first: gpa,
    bytes: size,
  }));
  if (doorbells !== undefined) {
    const { address, size, perPage, pio, datamatch, len, slot, backing } = doorbells;
    const { stride, bytes } = doorbellLayout(doorbells);
    const behind = slot === "none" ? { first: address, bytes } : doorbellSlot(doorbells);
    const range = { field: "doorbells.address", ...behind };
    if (pio && size === 8) refuse("doorbells.size", notAllowed(size), "1, 2 or 4 bytes for a port");
    if (pio && address + bytes > PORTS) refuse("doorbells.queues", text(range), PORTS_ALLOWED);
    if (!pio && address % PAGE !== 0) {
      refuse("doorbells.address", notAllowed(hex(address)), "the beginning of a page, a multiple of 4096");
    }
    if (!pio && size > stride)
      refuse("doorbells.perPage", notAllowed(perPage), `at most ${PAGE / size}, for kicks of ${size} bytes`);
    if (datamatch !== undefined && len === 0)
      refuse("doorbells.len", notAllowed(len), "1, 2, 4 or 8 bytes, where the value has to match");
    if (slot === "read-only" && pio) refuse("doorbells.slot", notAllowed(slot), "none for ports");
    if (slot === "none" && backing !== "4K")
      refuse(
        "doorbells.backing",
        notAllowed(backing),
        "4K where there is no slot: an MMIO SPTE is of 4 Kbyte",
      );
    if (!pio) slots.push(range);
  }
  slots.forEach((range, index) => {
    if (beyond(range)) refuse(range.field, `${text(range)} is not allowed`, beyond.allowed);
    const other = slots.slice(0, index).find((before) => overlap(before, range));
    if (other !== undefined) {
      const found = `${text(range)} overlaps ${other.field}, ${text(other)}`;
      refuse(range.field, found, "memory slots and doorbells that do not overlap");
    }
  });
  for (const { addr, len, pio, field } of ioeventfdsOf(scenario)) {
    if (pio && addr + len > PORTS) refuse(`${field}.addr`, `${hex(addr)} is not allowed`, PORTS_ALLOWED);
  }
  for (const list of ["inKernelPorts", "deviceModelPorts"] as const) {
    scenario[list].forEach(({ port, len }, index) => {
      if (port + len > PORTS) refuse(`${list}[${index}].len`, notAllowed(len), PORTS_ALLOWED);
    });
  }
  userspace.forEach(({ slot, action }, index) => {
    const field = `userspace[${index}]`;
    if (slot >= memslots.length) {
      refuse(`${field}.slot`, notAllowed(slot), `the number of a memory slot, 0 to ${memslots.length - 1}`);
    }
    const log = userspace.some((other) => other.slot === slot && other.action === "toggle-dirty-log");
    if (action === "get-dirty-log" && (log || !memslots[slot].logDirtyPages)) {
      const allowed = `a slot with logDirtyPages, which nothing toggles: memslots[${slot}] is not one`;
      refuse(`${field}.slot`, notAllowed(slot), allowed);
    }
  });
}

/** Exactly one thing says what the guest does, and for how long. */
function checkSource(scenario: Scenario, refuse: Refuse): void {
  const { workload, recording, accesses, vcpus, precision } = scenario;
  if (recording !== undefined) {
    if (workload.length > 0)
      refuse("workload", "stands beside a recording", "one of them: workload or recording");
    if (precision !== undefined)
      refuse("precision", "stands beside a recording", "nothing: a recording has its length");
    return;
  }
  if (precision !== undefined && (accesses ?? 0) < LEAST_INSTRUCTIONS) {
    const allowed = `at least ${LEAST_INSTRUCTIONS}, the shortest run whose precision can be told`;
    refuse("accesses", notAllowed(accesses), allowed);
  }
  if (workload.length === 0) refuse("workload", "has no access", "at least one access, or a recording");
  if (accesses === undefined)
    refuse("accesses", notAllowed(undefined), "number of guest instructions that count");
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    if (workload.some((access) => access.weight > 0 && (access.vcpu ?? vcpu) === vcpu)) continue;
    refuse("workload", `has no access of positive weight for vCPU ${vcpu}`, "something to do for each vCPU");
  }
}

function checkAccess(scenario: Scenario, access: ScenarioAccess, field: string, refuse: Refuse): void {
  const { op, size, value, vcpu, pattern, workingSet } = access;
  if (vcpu !== undefined && vcpu >= scenario.vcpus) {
    refuse(`${field}.vcpu`, notAllowed(vcpu), `0 to ${scenario.vcpus - 1}, of ${scenario.vcpus} vCPUs`);
  }
  if (pattern === "phases" && workingSet === undefined && !isDoorbellOp(op))
    refuse(`${field}.workingSet`, notAllowed(undefined), "bytes of a working set, for the pattern phases");
  if (isDoorbellOp(op)) checkDoorbellAccess(scenario, access, field, refuse);
  else checkInstruction(scenario, { ...access, op }, field, refuse);
  if (value >= 2 ** (8 * size)) {
    refuse(`${field}.value`, notAllowed(value), `what ${size} bytes can hold, below 2^${8 * size}`);
  }
}

function checkDoorbellAccess(
  { doorbells }: Scenario,
  { op, size, address, footprint, stride, count, fresh, pattern }: ScenarioAccess,
  field: string,
  refuse: Refuse,
): void {
  if (doorbells === undefined) {
    refuse(`${field}.op`, notAllowed(op), "an instruction, for there are no doorbells in the scenario");
  }
  const given = [
    ["address", address, 0],
    ["footprint", footprint, undefined],
    ["stride", stride, undefined],
    ["count", count, 1],
    ["fresh", fresh, false],
    ["size", size, doorbells.size],
  ] as const;
  refuseGiven(given, field, `doorbells says where and how ${op} goes`, refuse);
  if (pattern === "phases")
    refuse(
      `${field}.pattern`,
      notAllowed(pattern),
      "sequential, uniform, zipf or pointer-chase for doorbells",
    );
}

function checkInstruction(
  scenario: Scenario,
  access: ScenarioAccess & { readonly op: keyof typeof INSTRUCTION_FORMS },
  field: string,
  refuse: Refuse,
): void {
  const { op, address, size, count, fresh, pattern, footprint = size * count, stride = size } = access;
  const { operation, repeated } = INSTRUCTION_FORMS[op];
  if (!hasAddress(operation)) {
    checkWithoutAddress(access, field, refuse);
    return;
  }
  if (fresh && !isMemoryOperation(operation))
    refuse(`${field}.fresh`, notAllowed(fresh), `false for ${op}, which has no page`);
  if (access.footprint === undefined && (pattern !== "sequential" || access.stride !== undefined)) {
    const reason = pattern === "sequential" ? "a stride" : `the pattern ${pattern}`;
    refuse(`${field}.footprint`, notAllowed(undefined), `bytes that the accesses cover, for ${reason}`);
  }
  if (count > 1 && !repeated)
    refuse(`${field}.count`, notAllowed(count), `1 for ${op}, which does not repeat`);
  if (footprint < size * count)
    refuse(`${field}.footprint`, notAllowed(footprint), `at least size times count, ${size * count} bytes`);
  const { workingSet = footprint } = access;
  if (workingSet > footprint || workingSet < size * count) {
    const allowed = `${size * count} bytes to the footprint, ${footprint}`;
    refuse(`${field}.workingSet`, notAllowed(workingSet), allowed);
  }
  if (pattern === "pointer-chase" && (footprint - size * count) / stride + 1 > PLACES_OF_A_CHAIN) {
    const allowed = `at most ${PLACES_OF_A_CHAIN} places a stride apart for a pointer-chase`;
    refuse(`${field}.footprint`, notAllowed(footprint), allowed);
  }
  const isVector = op === "movups-load" || op === "movups-store";
  if (isVector !== (size === 16))
    refuse(`${field}.size`, notAllowed(size), isVector ? "16 bytes" : "1, 2, 4 or 8 bytes");
  const range = { field, first: address, bytes: footprint };
  if (operation !== "in" && operation !== "out") {
    const beyond = beyondProcessor(scenario);
    if (beyond(range)) refuse(field, `${text(range)} is not allowed`, beyond.allowed);
    return;
  }
  if (size === 8) refuse(`${field}.size`, notAllowed(size), "1, 2 or 4 bytes for a port");
  if (address + footprint > PORTS)
    refuse(`${field}.address`, `${hex(address)} is not allowed`, PORTS_ALLOWED);
}

/** An instruction without an operand in memory or at a port. */
function checkWithoutAddress(
  { op, address, footprint, stride, count, value, pattern, fresh }: ScenarioAccess,
  field: string,
  refuse: Refuse,
): void {
  const given = [
    ["address", address, 0],
    ["footprint", footprint, undefined],
    ["stride", stride, undefined],
    ["count", count, 1],
    ["value", value, 0],
    ["pattern", pattern, "sequential"],
    ["fresh", fresh, false],
  ] as const;
  refuseGiven(given, field, `${op} has no address`, refuse);
}

/** Refuses fields that mean nothing here: those that are not as they usually are. */
function refuseGiven(
  fields: readonly (readonly [name: string, found: unknown, usual: unknown])[],
  field: string,
  reason: string,
  refuse: Refuse,
): void {
  for (const [name, found, usual] of fields) {
    if (found !== usual) refuse(`${field}.${name}`, notAllowed(found), `nothing: ${reason}`);
  }
}

/** Whether an instruction has an operand in memory or at a port. */
export function hasAddress(operation: string): boolean {
  return isMemoryOperation(operation) || operation === "in" || operation === "out";
}

/** Whether an instruction accesses memory, so that the guest's tables map what it touches. */
export function isMemoryOperation(operation: string): boolean {
  return operation === "memory" || operation === "fetch" || operation === "event";
}

/** Whether a range ends beyond the processor's physical addresses. */
function beyondProcessor({ cpu }: Scenario) {
  const limit = 2 ** loadCpu(cpu).geometry.physicalAddressBits;
  const allowed = `addresses below ${hex(limit)}, the physical address width of this cpu`;
  return Object.assign(({ first, bytes }: Range) => first + bytes > limit, { allowed });
}

function overlap(one: Range, other: Range): boolean {
  return one.first < other.first + other.bytes && other.first < one.first + one.bytes;
}

function text({ first, bytes }: Range): string {
  return `${hex(first)} to ${hex(first + bytes - 1)}`;
}
