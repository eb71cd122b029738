/**
 * A run whose counts are kept apart by what the guest did: kicks, reads of doorbells, and all else. A mean over a mix does not
 * say what a read costs, or what becomes of it.
 */
import { type Counts, perOne } from "../../../cost/counts.js";
import type { Instruction } from "../../../kvm/instruction.js";
import { PRIMITIVES } from "../../../kvm/primitives.js";
import { PAGE } from "../../../x86/mmu.js";
import { DrawnGuest } from "../../run/drawn-guest.js";
import { Machine } from "../../run/machine.js";
import { doorbellLayout, parseScenario, type Scenario, type ScenarioInput } from "../../run/scenario.js";
import { type MeasuredSemantics, Semantics } from "../../run/semantics.js";
import { touch } from "./touch.js";

type PartName = "kicks" | "reads" | "others";

export interface Part {
  readonly instructions: number;
  /** Of all of them, by primitive, without the zeros. */
  readonly counts: Counts;
  /** Signals of the doorbells' eventfds. */
  readonly signals: number;
}

export interface SplitRun extends Readonly<Record<PartName, Part>> {
  readonly scenario: Scenario;
  /** What guest and device saw of all of them. */
  readonly semantics: MeasuredSemantics;
}

/** Of one instruction of a part; of none, nothing. */
export function perInstruction({ instructions, counts }: Part): Counts {
  return perOne(counts, instructions);
}

/**
 * Runs a scenario of one vCPU with doorbells. Each doorbell has been kicked before: no kick that counts is its page's first.
 *
 * @param populated before that the guest has read each doorbell page beside the doorbells, so that a slot's page is mapped
 * @throws InputError as `run()`
 */
export function splitRun(input: ScenarioInput, populated: boolean): SplitRun {
  const scenario = parseScenario(input);
  const machine = new Machine(scenario, "scenario");
  const guest = new DrawnGuest(machine);
  touchDoorbells(machine, populated);
  guest.execute(scenario.warmup);
  const { vm } = machine;
  const semantics = new Semantics(machine, (page) => guest.frameOf(page));
  guest.semantics = semantics;
  const { counts } = vm.ledger;
  const tallies = {
    kicks: new Tally(counts.length),
    reads: new Tally(counts.length),
    others: new Tally(counts.length),
  };
  const signalled = () => machine.signals().reduce((sum, signals) => sum + signals, 0);
  let before = signalled();
  for (let i = 0; i < (scenario.accesses ?? 0); i++) {
    counts.fill(0);
    guest.execute(1);
    const after = signalled();
    tallies[partOf(scenario, vm.vcpu.instruction)].add(counts, after - before);
    before = after;
  }
  machine.release();
  return {
    scenario,
    kicks: tallies.kicks.part(),
    reads: tallies.reads.part(),
    others: tallies.others.part(),
    semantics: semantics.measured,
  };
}

class Tally {
  private readonly counts: Float64Array;
  private instructions = 0;
  private signals = 0;

  constructor(primitives: number) {
    this.counts = new Float64Array(primitives);
  }

  add(counts: Float64Array, signals: number): void {
    this.instructions++;
    this.signals += signals;
    counts.forEach((count, index) => {
      this.counts[index] += count;
    });
  }

  part(): Part {
    const { instructions, signals } = this;
    const counts = Object.fromEntries(
      PRIMITIVES.map((name, index) => [name, this.counts[index]] as const).filter(([, count]) => count > 0),
    );
    return { instructions, signals, counts };
  }
}

function partOf({ doorbells }: Scenario, { form, page }: Instruction): PartName {
  if (form.operation === "out") return "kicks";
  if (form.operation === "in") return "reads";
  if (doorbells === undefined || doorbells.pio) return "others";
  const first = doorbells.address / PAGE;
  if (page < first || page >= first + doorbellLayout(doorbells).bytes / PAGE) return "others";
  return form.writes ? "kicks" : "reads";
}

function touchDoorbells(machine: Machine, populated: boolean): void {
  const { doorbells } = machine.scenario;
  if (doorbells === undefined || doorbells.pio) return;
  const { address, queues, size } = doorbells;
  const { stride, bytes } = doorbellLayout(doorbells);
  if (populated) {
    // At the second byte no doorbell begins.
    for (let page = address; page < address + bytes; page += PAGE) touch(machine, "load", page + 1, 1);
  }
  for (let queue = 0; queue < queues; queue++) touch(machine, "store", address + stride * queue, size);
}
