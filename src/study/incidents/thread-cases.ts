/**
 * What the RFC and the reviewer's alternatives do beside a kick: a tiny sequence for each consequence that follows from the
 * patches, numbered in their order. What matters is which page was touched before, by what, and what lies there. Each case
 * runs on each design.
 *
 * A is a doorbell, and A+8 lies in its page; R is a page of RAM with an ioeventfd. Of a design with port I/O, a kick is an
 * OUT and a read an IN, and its one ioeventfd is at the port.
 */
import type { InstructionName } from "../../kvm/instruction.js";
import { PAGE } from "../../x86/mmu.js";
import { studyCommand } from "../command.js";
import { conditionsOf } from "../conditions.js";
import { provenanceOf } from "../provenance.js";
import type { Provenance } from "../result.js";
import { parseScenario, type Scenario, type ScenarioInput } from "../run/scenario.js";
import type { MeasuredSemantics } from "../run/semantics.js";
import { isOfTheModel } from "../run/stopped.js";
import { DESIGNS, type Design } from "../thread/designs.js";
import { DOORBELLS } from "../thread/setting.js";
import { type GuestStep, semanticsOf } from "./guest-steps.js";

const A = DOORBELLS;
const PORT = 0xc000;
/** RAM from 0 on; the last page is the root of the guest's tables, whose first entry every walk reads. */
const RAM_BYTES = 0x40_0000;
const ROOT_ENTRY = RAM_BYTES - PAGE;
const R = 0x10_0000;
const OTHER_RAM = 0x20_0000;
/** Bytes of each access. */
const SIZE = 2;

/** Their caches decide nothing here, and are small, so that a machine is soon made. */
const CPUS = { Intel: "ivy-bridge-i7-3770k", AMD: "zen-2-epyc-7742" } as const;

/** An instruction at an address; that of a kick and of a read is A, or the port. */
type Does = readonly ["kick" | "read"] | readonly [op: InstructionName, address: number];

export interface ThreadCase {
  /** What the kernel itself does, then as the consequences are counted: those of the RFC, of the alternatives, of all skips. */
  readonly number: string;
  readonly title: string;
  /** Where the ioeventfd is: at the doorbell, in RAM, or on the first entry of the root of the guest's tables. */
  readonly eventfd: "A" | "R" | "guest table";
  /** Behind the doorbell's page; "design": what the design wants. */
  readonly slot: "design" | "none" | "read-only";
  readonly guestMode: boolean;
  readonly singleStep: boolean;
  /** What it shows is a read of the doorbell. */
  readonly isRead: boolean;
  /** Each does one instruction on vCPU 0, or one on each of two. */
  readonly steps: readonly (readonly Does[])[];
}

const USUAL = { eventfd: "A", slot: "design", guestMode: false, singleStep: false, isRead: false } as const;
const KICK: readonly Does[] = [["kick"]];
const READ: readonly Does[] = [["read"]];
const NEIGHBOUR: readonly Does[] = [["load", A + 8]];

export const THREAD_CASES: readonly ThreadCase[] = [
  {
    ...USUAL,
    number: "read",
    isRead: true,
    title: "a read of A, its page known for MMIO",
    slot: "none",
    steps: [NEIGHBOUR, READ],
  },
  { ...USUAL, number: "i", title: "kicks at a page that was never touched", steps: [KICK, KICK, KICK] },
  {
    ...USUAL,
    number: "ii",
    title: "kicks after a read of a neighbour has mapped the page",
    steps: [NEIGHBOUR, KICK, KICK],
  },
  { ...USUAL, number: "iii", isRead: true, title: "a read of A, the page never touched", steps: [READ] },
  {
    ...USUAL,
    number: "iii'",
    title: "a fetch at A, the page never touched",
    slot: "read-only",
    steps: [[["fetch", A]]],
  },
  {
    ...USUAL,
    number: "iii''",
    title: "a read of A after a neighbour's has mapped the page",
    slot: "read-only",
    steps: [NEIGHBOUR, READ],
  },
  {
    ...USUAL,
    number: "iv",
    title: "first touches of RAM",
    steps: [[["load", OTHER_RAM]], [["store", OTHER_RAM + 16 * PAGE]], [["fetch", OTHER_RAM + 32 * PAGE]]],
  },
  {
    ...USUAL,
    number: "v",
    title: "an ioeventfd over RAM: its first accesses, and those after a neighbour's",
    eventfd: "R",
    steps: [[["store", R]], [["load", R]], [["load", R + 8]], [["store", R]]],
  },
  {
    ...USUAL,
    number: "vi",
    title: "an ioeventfd over an entry of the guest's tables: any first walk",
    eventfd: "guest table",
    steps: [[["store", OTHER_RAM]]],
  },
  {
    ...USUAL,
    number: "vii",
    title: "the delivery of an event writes at R while another vCPU maps the page",
    eventfd: "R",
    steps: [
      [
        ["event", R],
        ["store", R + 8],
      ],
    ],
  },
  {
    ...USUAL,
    number: "viii",
    title: "kicks of a guest's guest (L2)",
    guestMode: true,
    steps: [KICK, KICK],
  },
  {
    ...USUAL,
    number: "ix",
    title: "kicks at a page without a slot, never touched",
    slot: "none",
    steps: [KICK, KICK, KICK],
  },
  {
    ...USUAL,
    number: "alt 1",
    isRead: true,
    title: "a read of A before a kick, and one after",
    slot: "read-only",
    steps: [READ, KICK, READ],
  },
  {
    ...USUAL,
    number: "alt 2",
    isRead: true,
    title: "reads of A and its neighbour after two kicks",
    slot: "read-only",
    steps: [KICK, KICK, READ, NEIGHBOUR],
  },
  {
    ...USUAL,
    number: "skip",
    title: "kicks of a guest that steps (EFLAGS.TF): I is a debug exception that is missing",
    singleStep: true,
    steps: [KICK, KICK],
  },
];

/** What of a design decides a case: one of the thread's, or one of your own with a patch of your own. */
export interface TriedDesign extends Pick<Design, "kernel" | "vendor" | "pio" | "length" | "slot"> {
  readonly name: string;
  readonly patches: NonNullable<ScenarioInput["patches"]>;
}

/** What a case comes to on a design. */
export interface ThreadOutcome {
  readonly number: string;
  readonly design: string;
  /** What guest and device saw; null where the guest cannot go on. */
  readonly seen: MeasuredSemantics | null;
  readonly stopped: string | null;
}

/** Plain data, JSON-serialisable. */
export interface ThreadIncidents {
  readonly provenance: Provenance;
  readonly designs: readonly string[];
  readonly cases: readonly Pick<ThreadCase, "number" | "title" | "isRead">[];
  /** Case by case, each on all designs. */
  readonly outcomes: readonly ThreadOutcome[];
}

/**
 * Every case on every design.
 * @param designs by default those of the thread
 * @throws InputError for a patch that cannot be
 */
export function studyThreadIncidents(designs: readonly TriedDesign[] = DESIGNS): ThreadIncidents {
  const scenarios = designs.map((design) => parsed(THREAD_CASES[0], design));
  return {
    provenance: provenanceOf({
      seed: scenarios[0].seed,
      conditions: conditionsOf(scenarios),
      command: designs === DESIGNS ? studyCommand("thread-incidents", {}) : null,
    }),
    designs: designs.map(({ name }) => name),
    cases: THREAD_CASES.map(({ number, title, isRead }) => ({ number, title, isRead })),
    outcomes: THREAD_CASES.flatMap((of) => designs.map((design) => threadOutcome(of, design))),
  };
}

export function threadOutcome(of: ThreadCase, design: TriedDesign): ThreadOutcome {
  const head = { number: of.number, design: design.name };
  try {
    return { ...head, seen: semanticsOf(parsed(of, design), stepsOfCase(of, design)), stopped: null };
  } catch (error) {
    if (!isOfTheModel(error)) throw error;
    return { ...head, seen: null, stopped: error.message };
  }
}

/** The machine of a case on a design; its workload has the instructions of the case, in no order. */
export function scenarioOfCase(of: ThreadCase, design: TriedDesign): ScenarioInput {
  const { pio, length, kernel, patches, vendor } = design;
  const slot = of.slot === "design" ? design.slot : of.slot;
  const address = { A, R, "guest table": ROOT_ENTRY }[of.eventfd];
  const vcpus = of.steps[0].length;
  return {
    name: `${of.number} on ${design.name}`,
    cpu: CPUS[vendor],
    kernel,
    patches: [...patches],
    paging: vendor === "AMD" ? "npt" : "ept",
    vcpus,
    memslots: [
      { gpa: 0, size: RAM_BYTES },
      ...(slot === "read-only" ? [{ gpa: A, size: PAGE, readonly: true }] : []),
    ],
    ioeventfds: [pio ? { addr: PORT, len: SIZE, pio } : { addr: address, len: length }],
    workload: of.steps.flatMap((does) =>
      does.map(
        (one, vcpu) => ({ ...accessOf(one, design), size: SIZE, ...(vcpus > 1 && { vcpu }) }) as const,
      ),
    ),
    guestMode: of.guestMode,
    singleStep: of.singleStep,
    accesses: of.steps.length,
    warmup: 0,
  };
}

export function stepsOfCase(of: ThreadCase, design: TriedDesign): GuestStep[] {
  return of.steps.map((does, step) => ({
    by: "guest",
    instructions: does.map((one, vcpu) => ({
      vcpu,
      ...accessOf(one, design),
      ...{ size: SIZE, value: 0, count: 1, fresh: false, rip: 0x1000 + 16 * (step + vcpu) },
    })),
  }));
}

function parsed(of: ThreadCase, design: TriedDesign): Scenario {
  return parseScenario(scenarioOfCase(of, design), `case ${of.number} on ${design.name}`);
}

function accessOf(
  does: Does,
  { pio }: TriedDesign,
): { readonly op: InstructionName; readonly address: number } {
  const [op, address = pio ? PORT : A] = does;
  if (op === "kick") return { op: pio ? "out" : "store", address };
  return { op: op === "read" ? (pio ? "in" : "load") : op, address };
}
