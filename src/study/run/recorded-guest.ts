/**
 * The guest of a recording: it executes what was recorded, step by step.
 *
 * The pages of a process get guest page frames as it touches them first, from the beginning of the slot that holds the
 * paging structures on; what an operating system does for that is not simulated. Guest-physical addresses, of KVM's own
 * events, the guest maps to themselves.
 */
import { InputError } from "../../cost/input.js";
import { INSTRUCTION_FORMS, INSTRUCTION_NAMES, type InstructionForm } from "../../kvm/instruction.js";
import type { Vcpu } from "../../kvm/vcpu.js";
import { ADDRESSES, Recording, type Steps } from "../../workload/recorded/recording.js";
import { PAGE } from "../../x86/mmu.js";
import { PAGES_2M } from "../../x86/tlb.js";
import type { Machine } from "./machine.js";
import { hex, isMemoryOperation } from "./scenario.js";
import { Userspace } from "./userspace.js";

const FORMS: readonly InstructionForm[] = INSTRUCTION_NAMES.map((name) => INSTRUCTION_FORMS[name]);
const TOUCHES: readonly boolean[] = FORMS.map(({ operation }) => isMemoryOperation(operation));

/** Pages that were touched last, by their lowest bits. */
const RECENT = 1024;

export class RecordedGuest {
  readonly recording: Recording;
  private readonly pieces: AsyncIterator<Steps>;
  private steps: Steps | null = null;
  private next = 0;
  /** Guest page frame number by page, or by the number of a 2-Mbyte page the first of its frames. */
  private readonly frames = new Map<number, number>();
  private readonly recent = new Float64Array(RECENT).fill(-1);
  private nextGfn: number;
  private readonly userspace: Userspace;
  private readonly isLinear: boolean;
  private readonly isLarge: boolean;

  constructor(
    private readonly machine: Machine,
    file: string,
    format: keyof typeof ADDRESSES,
  ) {
    this.recording = new Recording(file, format);
    this.pieces = this.recording.steps()[Symbol.asyncIterator]();
    this.nextGfn = machine.guestMemory.first;
    this.userspace = new Userspace(machine);
    this.isLinear = ADDRESSES[format] === "linear";
    this.isLarge = machine.scenario.guestPages === "2M";
  }

  /** Waits for more of the recording. Returns whether there is more. @throws InputError for one that is not as it should be */
  async more(): Promise<boolean> {
    const { done, value } = await this.pieces.next();
    this.steps = done ? null : value;
    this.next = 0;
    return !done;
  }

  /** Executes up to so many steps, of all vCPUs, and returns how many that were; fewer, and there must be `more()` first. */
  execute(instructions: number): number {
    const { userspace, steps } = this;
    if (steps === null) return 0;
    const begin = this.next;
    const end = Math.min(steps.length, begin + instructions);
    while (this.next < end) {
      const some = Math.min(end - this.next, userspace.wait);
      for (let i = 0; i < some; i++) this.step(steps, this.next++);
      userspace.advance(some);
    }
    return end - begin;
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
    if (TOUCHES[op]) this.touch(vcpu, steps.fresh[index] === 1);
    vm.execute();
  }

  private touch({ instruction: { page, offset, size } }: Vcpu, fresh: boolean): void {
    const last = page + Math.floor((offset + size - 1) / PAGE);
    for (let touched = page; touched <= last; touched++) {
      if (this.recent[touched % RECENT] !== touched) {
        this.map(touched);
        this.recent[touched % RECENT] = touched;
      }
      if (!fresh) continue;
      const gfn = this.frameOf(touched);
      this.machine.vm.discardPages(gfn, gfn + 1);
    }
  }

  private frameOf(page: number): number {
    const inside = this.isLarge ? page % PAGES_2M : 0;
    return (this.frames.get(page - inside) ?? 0) + inside;
  }

  /** Maps a page, or the 2-Mbyte page that holds it, if it is not mapped yet. */
  private map(page: number): void {
    const { machine, isLarge } = this;
    const first = isLarge ? page - (page % PAGES_2M) : page;
    if (this.frames.has(first)) return;
    const gfn = this.isLinear ? this.allocate() : first;
    machine.mapping(() => machine.tables.map(first, gfn, isLarge));
    this.frames.set(first, gfn);
    const { tables, guestMemory } = machine;
    if (gfn < guestMemory.end && gfn + (isLarge ? PAGES_2M : 1) > tables.firstGfn) {
      if (this.isLinear) throw machine.noRoom(`the recording: ${this.frames.size} pages did not fit`);
      throw new InputError(
        `${machine.what}: recording`,
        `touches ${hex(page * PAGE)}, where the guest's page tables are`,
        "a last writable slot whose end the recording does not touch",
      );
    }
  }

  private allocate(): number {
    const { isLarge, nextGfn } = this;
    const gfn = isLarge ? Math.ceil(nextGfn / PAGES_2M) * PAGES_2M : nextGfn;
    this.nextGfn = gfn + (isLarge ? PAGES_2M : 1);
    return gfn;
  }
}
