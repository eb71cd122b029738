/**
 * The guest of a recording: it executes what was recorded, step by step.
 *
 * The pages of a process get guest page frames as it touches them first, from the beginning of the slot that holds the
 * paging structures on; what an operating system does for that is not simulated. Guest-physical addresses, of KVM's own
 * events, the guest maps to themselves.
 */
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError } from "../../cost/input.js";
import { INSTRUCTION_FORMS, INSTRUCTION_NAMES, type InstructionForm } from "../../kvm/instruction.js";
import type { Vcpu } from "../../kvm/vcpu.js";
import { GUEST_LEAVES } from "../../workload/guest-tables.js";
import {
  ADDRESSES,
  LINEAR_LIMIT,
  Recording,
  type RecordingSummary,
  type Steps,
} from "../../workload/recorded/recording.js";
import { PAGE } from "../../x86/mmu.js";
import type { Machine } from "./machine.js";
import { hex, isMemoryOperation } from "./scenario.js";
import type { Semantics } from "./semantics.js";
import { operandOf, stopped } from "./stopped.js";
import { Userspace } from "./userspace.js";

const FORMS: readonly InstructionForm[] = INSTRUCTION_NAMES.map((name) => INSTRUCTION_FORMS[name]);
const TOUCHES: readonly boolean[] = FORMS.map(({ operation }) => isMemoryOperation(operation));

/** Pages that were touched last, by their lowest bits. */
const RECENT = 1024;

export class RecordedGuest {
  readonly recording: Recording;
  private readonly pieces: AsyncGenerator<Steps>;
  private steps: Steps | null = null;
  private next = 0;
  /** Threads that were seen so far. */
  private threads = 0;
  /** Guest page frame number by page, or by the number of a 2-Mbyte page the first of its frames. */
  private readonly frames = new Map<number, number>();
  private readonly recent = new Float64Array(RECENT).fill(-1);
  private nextGfn: number;
  private readonly userspace: Userspace;
  /** What the instructions are held against; null: nothing. */
  semantics: Semantics | null = null;
  private readonly isLinear: boolean;
  /** 4-Kbyte pages in a page of the guest. */
  private readonly pages: number;
  /** Guest-physical addresses that the guest can map to themselves are below it. */
  private readonly limit: number;

  constructor(
    private readonly machine: Machine,
    private readonly file: string,
    format: keyof typeof ADDRESSES,
  ) {
    this.recording = new Recording(file, format);
    this.pieces = this.recording.steps();
    this.nextGfn = machine.guestMemory.first;
    this.userspace = new Userspace(machine);
    this.isLinear = ADDRESSES[format] === "linear";
    this.pages = GUEST_LEAVES[machine.scenario.guestPages].pages;
    const { physicalAddressBits } = loadCpu(machine.scenario.cpu).geometry;
    this.limit = Math.min(LINEAR_LIMIT, 2 ** physicalAddressBits);
  }

  /** Waits for more of the recording. Returns whether there is more. @throws InputError for one that is not as it should be */
  async more(): Promise<boolean> {
    const { done, value } = await this.pieces.next();
    this.steps = done ? null : value;
    this.next = 0;
    if (this.steps !== null) this.seeThreads(this.steps);
    return !done;
  }

  /** Closes the file, wherever it was read to. */
  async close(): Promise<void> {
    await this.pieces.return(undefined);
  }

  /** What was read so far. */
  get summary(): RecordingSummary {
    const { threads } = this;
    const { summary } = this.recording;
    const vcpus = this.machine.vm.vcpus.length;
    if (threads <= vcpus) return summary;
    const note = `${threads} threads on ${vcpus} vCPU${vcpus === 1 ? "" : "s"}: set vcpus to keep them apart`;
    return { ...summary, notes: [...summary.notes, note] };
  }

  private seeThreads({ thread, length }: Steps): void {
    for (let i = 0; i < length; i++) this.threads = Math.max(this.threads, thread[i] + 1);
  }

  /**
   * Executes up to so many steps, of all vCPUs, and returns how many that were; fewer, and there must be `more()` first.
   * @throws InputError for a step that the guest cannot execute
   */
  execute(instructions: number): number {
    const { userspace, steps } = this;
    if (steps === null) return 0;
    const begin = this.next;
    const end = Math.min(steps.length, begin + instructions);
    while (this.next < end) {
      const some = Math.min(end - this.next, userspace.wait);
      this.executeSome(steps, some);
      userspace.advance(some);
    }
    return end - begin;
  }

  private executeSome(steps: Steps, some: number): void {
    try {
      for (let i = 0; i < some; i++) this.step(steps, this.next++);
    } catch (error) {
      const { instruction } = this.machine.vm.vcpu;
      const op = INSTRUCTION_NAMES[steps.op[this.next - 1]];
      throw stopped(error, `${this.stepName(steps)} (${operandOf(op, instruction)})`);
    }
  }

  /** The step that is executed, by its number in the recording, from 1 on. */
  private stepName({ length }: Steps): string {
    const number = this.recording.summary.steps - length + this.next;
    return `${this.machine.what}: recording ${this.file}, step ${number}`;
  }

  private step(steps: Steps, index: number): void {
    const { vm } = this.machine;
    const op = steps.op[index];
    const vcpu = vm.vcpus[steps.thread[index] % vm.vcpus.length];
    const address = steps.address[index];
    const { instruction } = vcpu;
    instruction.form = FORMS[op];
    instruction.size = steps.size[index];
    instruction.count = steps.count[index];
    instruction.value = steps.value[index];
    instruction.port = address;
    instruction.page = Math.floor(address / PAGE);
    instruction.offset = address % PAGE;
    vm.vcpu = vcpu;
    if (TOUCHES[op]) this.touch(steps, vcpu, steps.fresh[index] === 1);
    vm.execute();
    if (this.semantics !== null) this.semantics.ended(vcpu);
  }

  private touch(steps: Steps, { instruction: { page, offset, size } }: Vcpu, fresh: boolean): void {
    const last = page + Math.floor((offset + size - 1) / PAGE);
    for (let touched = page; touched <= last; touched++) {
      let isFirst = false;
      if (this.recent[touched % RECENT] !== touched) {
        isFirst = this.map(steps, touched);
        this.recent[touched % RECENT] = touched;
      }
      if (!fresh || isFirst) continue;
      const gfn = this.frameOf(touched);
      this.machine.makeFresh(gfn, gfn + 1);
    }
  }

  /** Guest page frame number that a page is mapped to. */
  frameOf(page: number): number {
    const inside = page % this.pages;
    return (this.frames.get(page - inside) ?? 0) + inside;
  }

  /** Maps the guest's page that holds a page, if it is not mapped yet. Returns whether it was not. */
  private map(steps: Steps, page: number): boolean {
    const { machine, pages } = this;
    const first = page - (page % pages);
    if (this.frames.has(first)) return false;
    if (!this.isLinear && page * PAGE >= this.limit) throw this.beyond(steps, page * PAGE);
    const gfn = this.isLinear ? this.allocate() : first;
    machine.mapping(() => machine.tables.map(first, gfn, machine.scenario.guestPages));
    this.frames.set(first, gfn);
    const { tables, guestMemory } = machine;
    if (gfn < guestMemory.end && gfn + pages > tables.firstGfn) {
      if (this.isLinear) throw machine.noRoom(`the recording: ${this.frames.size} pages did not fit`);
      throw new InputError(
        `${machine.what}: recording`,
        `touches ${hex(page * PAGE)}, where the guest's page tables are`,
        "a last writable slot whose end the recording does not touch",
      );
    }
    return true;
  }

  private beyond(steps: Steps, address: number): InputError {
    const allowed = `addresses below ${hex(this.limit)}, which this cpu has and the guest can map`;
    return new InputError(this.stepName(steps), `touches ${hex(address)}`, allowed);
  }

  private allocate(): number {
    const { pages, nextGfn } = this;
    const gfn = Math.ceil(nextGfn / pages) * pages;
    this.nextGfn = gfn + pages;
    return gfn;
  }
}
