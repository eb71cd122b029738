/**
 * Third objection: "It completely bypasses the logic of handing RO memslot." What a kernel does with a write to a read-only slot,
 * and what of it a design leaves out: steps of the kernel and events of its tracepoints, so that what is saved and what is
 * lost stand in one row.
 */
import { type Counts, occurrences, perOne } from "../../../cost/counts.js";
import { loadCpu } from "../../../cost/cpu-profile.js";
import { priceCounts } from "../../../cost/price.js";
import { primitiveCosts } from "../../../cost/primitive-costs.js";
import { linearBounds } from "../../../cost/uncertainty.js";
import { Trace } from "../../../kvm/trace.js";
import { PAGE } from "../../../x86/mmu.js";
import { studyCommand } from "../../command.js";
import { conditionsOf } from "../../conditions.js";
import { provenanceOf } from "../../provenance.js";
import type { Interval, Provenance } from "../../result.js";
import { Machine } from "../../run/machine.js";
import { type Run, run } from "../../run/run.js";
import { parseScenario, type ScenarioInput } from "../../run/scenario.js";
import { type DesignName, designOf } from "../designs.js";
import { DOORBELLS, type Setting, scenarioOf } from "../setting.js";
import { type ObjectionOptions, settingOf } from "./setting.js";
import { touch } from "./touch.js";

export const HANDLINGS = ["base-4.2", "rfc", "bad-page", "base-6.19", "repaired"] as const;
export const BYPASS_OPS = ["store", "stos"] as const;

/** The ioeventfd at the address that is written: its length and the value that it asks for; the guest writes 0. */
const EVENTFDS = {
  none: [],
  "any length": [{ len: 0 }],
  "2 bytes": [{ len: 2 }],
  "2 bytes, the value": [{ len: 2, datamatch: 0 }],
  "2 bytes, another value": [{ len: 2, datamatch: 1 }],
} as const;
export type EventfdName = keyof typeof EVENTFDS;
export const EVENTFD_NAMES = Object.keys(EVENTFDS) as readonly EventfdName[];

/** A write of 2 bytes to a page of a read-only slot; all per write, cycles are TSC cycles. */
export interface BypassRow {
  readonly design: DesignName;
  readonly op: (typeof BYPASS_OPS)[number];
  readonly eventfd: EventfdName;
  readonly exits: number;
  /** Instructions emulated, and exits after which the guest was only told to try again. */
  readonly emulations: number;
  readonly retries: number;
  readonly userspaceExits: number;
  readonly signals: number;
  readonly cycles: Interval;
}

/** A step or an event, per write. */
export interface Happening {
  readonly name: string;
  readonly base: number;
  readonly design: number;
}

/**
 * A store at an ioeventfd of any length with a design, against a store in its kernel without a patch: at the same ioeventfd, or at
 * one of 2 bytes, which every kernel finds.
 */
export interface BypassChange {
  readonly design: DesignName;
  readonly base: DesignName;
  readonly baseEventfd: EventfdName;
  /** Primitives and tracepoint events that happen more or less often. */
  readonly steps: readonly Happening[];
  readonly events: readonly Happening[];
  /** TSC cycles per write, design less base. */
  readonly difference: Interval;
}

/** What becomes of a page that the guest reads at its ioeventfd of any length, from the first time on. */
export interface Population {
  readonly design: DesignName;
  readonly reads: number;
  readonly exits: number;
  /** Pages of the host that were asked for, and SPTEs that were written. */
  readonly hostPages: number;
  readonly sptes: number;
  readonly signals: number;
}

/** Plain data, JSON-serialisable. */
export interface BypassStudy {
  readonly provenance: Provenance;
  readonly machine: string;
  readonly rows: readonly BypassRow[];
  readonly changes: readonly BypassChange[];
  readonly population: readonly Population[];
  /** For the verdict table. */
  readonly verdict: string;
}

const BASE_EVENTFDS = ["any length", "2 bytes"] as const;

const WHAT = "studyBypass";
const ACCESSES = 200;
/** Writes whose events are looked at: a trace holds all of them. */
const TRACED = 100;
const READS = 64;

/** @throws InputError that names the option, its value and what is allowed */
export function studyBypass(options: ObjectionOptions = {}): BypassStudy {
  const setting = settingOf(options, ACCESSES, WHAT);
  const studied = HANDLINGS.flatMap((design) =>
    BYPASS_OPS.flatMap((op) =>
      EVENTFD_NAMES.map((eventfd) => {
        const done = run(scenarioWith(design, op, eventfd, setting));
        return { row: rowOf(design, op, eventfd, done), done };
      }),
    ),
  );
  const rows = studied.map(({ row }) => row);
  const changes = HANDLINGS.filter((design) => designOf(design).base !== design).flatMap((design) =>
    BASE_EVENTFDS.map((baseEventfd) => changeOf(design, baseEventfd, setting)),
  );
  return {
    provenance: provenanceOf({
      seed: setting.seed,
      conditions: conditionsOf(studied.map(({ done }) => done.scenario)),
      command: studyCommand("bypass", options),
    }),
    machine: loadCpu(setting.cpu).model,
    rows,
    changes,
    population: HANDLINGS.map((design) => populationOf(design, setting)),
    verdict: verdictOf(rows, changes),
  };
}

/** One page of a read-only slot, and one address in it. */
function scenarioWith(
  design: DesignName,
  op: (typeof BYPASS_OPS)[number] | "load",
  eventfd: EventfdName,
  setting: Setting,
): ScenarioInput {
  const { doorbells: _, memslots, ...scenario } = scenarioOf(designOf(design), setting);
  return {
    ...scenario,
    memslots: [{ gpa: DOORBELLS, size: PAGE, readonly: true }, ...memslots],
    ioeventfds: EVENTFDS[eventfd].map((of) => ({ ...of, addr: DOORBELLS, waiter: setting.waiter })),
    workload: [{ op, address: DOORBELLS, size: 2 }],
  };
}

function rowOf(
  design: DesignName,
  op: BypassRow["op"],
  eventfd: EventfdName,
  { scenario, counts, accesses, signals }: Run,
): BypassRow {
  const { perAccess: cycles } = priceCounts(
    primitiveCosts(loadCpu(scenario.cpu), scenario.kernel),
    counts,
    accesses,
  );
  const each = (count: number) => count / accesses;
  const handled = counts.emulateInstruction + counts.skipEmulatedInstruction;
  return {
    design,
    op,
    eventfd,
    exits: each(counts.exitEptViolation),
    emulations: each(counts.emulateInstruction),
    retries: each(counts.exitEptViolation - handled),
    userspaceExits: each(counts.userspaceExitMmio),
    signals: each(signals.reduce((sum, count) => sum + count, 0)),
    cycles,
  };
}

function changeOf(design: DesignName, baseEventfd: EventfdName, setting: Setting): BypassChange {
  const { base, kernel } = designOf(design);
  const traced = (of: DesignName, eventfd: EventfdName) => {
    const trace = new Trace();
    const scenario = { ...scenarioWith(of, "store", eventfd, setting), accesses: TRACED };
    const done = run(scenario, "scenario", { trace });
    const events: Record<string, number> = {};
    for (const { event } of trace.records()) events[event.event] = (events[event.event] ?? 0) + 1;
    const perWrite = Object.entries(events).map(([name, count]) => [name, count / TRACED]);
    return { counts: perOne(done.counts, done.accesses), events: Object.fromEntries(perWrite) as Counts };
  };
  const [own, before] = [traced(design, "any length"), traced(base, baseEventfd)];
  const costs = primitiveCosts(loadCpu(setting.cpu), kernel);
  return {
    design,
    base,
    baseEventfd,
    steps: happenings(before.counts, own.counts),
    events: happenings(before.events, own.events),
    difference: linearBounds(costs, occurrences(costs, own.counts, before.counts)),
  };
}

function happenings(base: Counts, design: Counts): Happening[] {
  const names = [...new Set([...Object.keys(base), ...Object.keys(design)])];
  return names
    .map((name) => ({ name, base: base[name] ?? 0, design: design[name] ?? 0 }))
    .filter((happening) => happening.base !== happening.design);
}

function populationOf(design: DesignName, setting: Setting): Population {
  const scenario = parseScenario(scenarioWith(design, "load", "any length", setting));
  const machine = new Machine(scenario, WHAT);
  const { tables, vm, eventfds } = machine;
  tables.mapIdentity(DOORBELLS / PAGE, DOORBELLS / PAGE + 2, scenario.guestPages);
  // The page behind it has no slot; reading there has the guest's tables mapped.
  touch(machine, "load", DOORBELLS + PAGE, 2);
  vm.ledger.reset();
  for (let read = 0; read < READS; read++) touch(machine, "load", DOORBELLS, 2);
  const { exitEptViolation, hvaToPfn, spteInstall } = vm.ledger.toRecord();
  return {
    design,
    reads: READS,
    exits: exitEptViolation,
    hostPages: hvaToPfn,
    sptes: spteInstall,
    signals: eventfds.reduce((sum, { signals }) => sum + signals, 0),
  };
}

function verdictOf(rows: readonly BypassRow[], changes: readonly BypassChange[]): string {
  const usual = (op: BypassRow["op"]) =>
    rows.find(
      (row) => row.design === "base-4.2" && row.op === op && row.eventfd === "any length",
    ) as BypassRow;
  const [store, stos] = [usual("store"), usual("stos")];
  const change = changes.find(
    ({ design, baseEventfd }) => design === "rfc" && baseEventfd === "2 bytes",
  ) as BypassChange;
  const lost = change.events.filter(({ base, design }) => base > design).map(({ name }) => name);
  const { low, high } = change.difference;
  return (
    `On v4.2 a store to a read-only slot is ${times(store.exits, "exit")} (stos: ${stos.exits}), ` +
    `${times(store.emulations, "emulation")} and, at an ioeventfd of any length, ${times(store.signals, "signal")} and ` +
    `${times(store.userspaceExits, "exit")} to userspace. Against one of 2 bytes, which signals there, the RFC saves ` +
    `${Math.round(-high)} to ${Math.round(-low)} cycles; but without the slot nothing is emulated at all. Gone: ` +
    `${lost.join(", ") || "no event"}.`
  );
}

const times = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
