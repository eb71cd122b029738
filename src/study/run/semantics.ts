/**
 * What the instructions of a run really did, held against the plain model of what guest and device should see. What differs is
 * an incident. The plain model (`plain-model.ts`) looks at the scenario and the instruction only; `operand-check.ts` says
 * what is none.
 *
 * An instruction that KVM ends in the processor's place ends with a debug exception where the guest steps (EFLAGS.TF). One
 * without is a skipped instruction to whoever steps.
 */
import { Effects } from "../../kvm/effects.js";
import { INSTRUCTION_FORMS, INSTRUCTION_NAMES, type InstructionForm } from "../../kvm/instruction.js";
import type { Vcpu } from "../../kvm/vcpu.js";
import { expectedText, happenedText } from "./incident-words.js";
import type { Machine } from "./machine.js";
import {
  DOORBELL_READ,
  KICK,
  KICK_BY_USERSPACE,
  OperandCheck,
  SKIPPED_INSTRUCTION,
} from "./operand-check.js";
import { PlainModel } from "./plain-model.js";
import { operandOf } from "./stopped.js";

/** In the order of reports, and of the bits of `operand-check.ts`. */
export const INCIDENT_KINDS = [
  /** An eventfd was signalled that no write waited for, or twice. */
  "spurious-signal",
  /** A load ended, and nothing was read. */
  "lost-load",
  /** A write to a doorbell ended, and neither its eventfd nor userspace saw it. */
  "lost-kick",
  /** Another instruction ended that was not executed, or its RIP is elsewhere, or its debug exception is missing. */
  "skipped-instruction",
  /** A load's value is from elsewhere, a store went elsewhere (a doorbell swallowed it), or data went twice. */
  "wrong-data",
] as const;
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

const INCIDENTS = 2 ** INCIDENT_KINDS.length - 1;

/** The first incident of a kind. */
export interface FirstIncident {
  /** Number of the counted instruction, from 1, of all vCPUs in the order in which they executed them. */
  readonly instruction: number;
  readonly vcpu: number;
  /** Such as "load at 0xfebf0000". */
  readonly op: string;
  readonly expected: string;
  readonly happened: string;
}

export interface Incident {
  /** Instructions that it happened in. */
  readonly count: number;
  readonly first: FirstIncident;
}

/** JSON-serialisable. Of all instructions after the warm-up, with a precision also of those that its figure leaves out. */
export interface MeasuredSemantics {
  /** Instructions whose write should signal an eventfd, and those of them whose write userspace got instead. */
  readonly kicks: number;
  readonly kicksByUserspace: number;
  /** Instructions that read at the address of an ioeventfd, where no writable memory lies. */
  readonly doorbellReads: number;
  readonly incidents: Readonly<Partial<Record<IncidentKind, Incident>>>;
}

export class Semantics {
  private readonly plain: PlainModel;
  private readonly operand: OperandCheck;
  private readonly counts = new Float64Array(INCIDENT_KINDS.length);
  private readonly firsts: (FirstIncident | undefined)[] = [];
  private instructions = 0;
  private kicks = 0;
  private kicksByUserspace = 0;
  private doorbellReads = 0;
  /** By vCPU: what was found of the instruction under way, and how often RIP went wrong before it. */
  private readonly found: Uint8Array;
  private readonly wrongSkips: Float64Array;

  /**
   * Notes from now on what the machine's vCPUs do.
   * @param frameOf guest page frame number that the guest maps a page to
   */
  constructor(
    machine: Machine,
    private readonly frameOf: (page: number) => number,
  ) {
    const { vcpus } = machine.vm;
    this.plain = new PlainModel(machine.scenario, machine.eventfds);
    this.operand = new OperandCheck(this.plain, frameOf);
    this.found = new Uint8Array(vcpus.length);
    this.wrongSkips = Float64Array.from(vcpus, (vcpu) => vcpu.wrongSkips);
    for (const vcpu of vcpus) {
      const effects = new Effects();
      effects.onIteration = () => this.note(vcpu, this.operand.check(vcpu, effects));
      vcpu.effects = effects;
    }
  }

  get measured(): MeasuredSemantics {
    const { counts, firsts, kicks, kicksByUserspace, doorbellReads } = this;
    const incidents = INCIDENT_KINDS.flatMap((kind, index) => {
      const first = firsts[index];
      return first === undefined ? [] : [[kind, { count: counts[index], first }] as const];
    });
    return { kicks, kicksByUserspace, doorbellReads, incidents: Object.fromEntries(incidents) };
  }

  /** The vCPU has executed its instruction. */
  ended(vcpu: Vcpu): void {
    const { instruction, effects, id } = vcpu;
    if (effects === null) return;
    const { repeated } = instruction.form;
    const isDone = repeated && instruction.count === 0;
    let found = isDone ? this.operand.checkNothing(vcpu, effects) : this.operand.check(vcpu, effects);
    // Nobody executes the iterations behind one that the whole instruction was skipped in.
    if (repeated && instruction.count > 1) found |= SKIPPED_INSTRUCTION;
    if (vcpu.wrongSkips !== this.wrongSkips[id]) found |= SKIPPED_INSTRUCTION;
    if (vcpu.trapFlag && !effects.native && effects.debugExceptions === 0) found |= SKIPPED_INSTRUCTION;
    this.wrongSkips[id] = vcpu.wrongSkips;
    this.note(vcpu, found);
    this.instructions++;
    this.count(this.found[id]);
    this.found[id] = 0;
  }

  private note(vcpu: Vcpu, found: number): void {
    if (found === 0) return;
    this.found[vcpu.id] |= found;
    if ((found & INCIDENTS) === 0) return;
    for (let kind = 0; kind < INCIDENT_KINDS.length; kind++) {
      if ((found & (1 << kind)) !== 0) this.firsts[kind] ??= this.firstOf(vcpu);
    }
  }

  private count(found: number): void {
    if (found === 0) return;
    if ((found & KICK) !== 0) this.kicks++;
    if ((found & KICK_BY_USERSPACE) !== 0) this.kicksByUserspace++;
    if ((found & DOORBELL_READ) !== 0) this.doorbellReads++;
    if ((found & INCIDENTS) === 0) return;
    for (let kind = 0; kind < INCIDENT_KINDS.length; kind++) {
      if ((found & (1 << kind)) !== 0) this.counts[kind]++;
    }
  }

  private firstOf(vcpu: Vcpu): FirstIncident {
    const { instruction, id } = vcpu;
    return {
      instruction: this.instructions + 1,
      vcpu: id,
      op: operandOf(nameOf(instruction.form), instruction),
      expected: expectedText(this.plain, vcpu, this.frameOf),
      happened: happenedText(this.plain, vcpu),
    };
  }
}

function nameOf(form: InstructionForm): string {
  return INSTRUCTION_NAMES.find((name) => INSTRUCTION_FORMS[name] === form) ?? form.operation;
}
