/**
 * The guest of a workload: its vCPUs draw instructions from the mix, and its paging structures map what they touch to itself.
 */
import { InputError, notAllowed } from "../../cost/input.js";
import { INSTRUCTION_FORMS } from "../../kvm/instruction.js";
import type { Vcpu } from "../../kvm/vcpu.js";
import { GUEST_LEAVES } from "../../workload/guest-tables.js";
import { type Access, Workload } from "../../workload/workload.js";
import { PAGE } from "../../x86/mmu.js";
import type { Machine } from "./machine.js";
import {
  doorbellLayout,
  hex,
  isDoorbellOp,
  isMemoryOperation,
  type Scenario,
  type ScenarioAccess,
} from "./scenario.js";
import type { Semantics } from "./semantics.js";
import { operandOf, stopped } from "./stopped.js";
import { Userspace } from "./userspace.js";

/** Levels of the guest's tables below the root, and bits of a page number that choose an entry of one. */
const LEVELS_BELOW = 3;
const INDEX_BITS = 9;

export class DrawnGuest {
  private readonly accesses: readonly Access[];
  private readonly workloads: readonly Workload[];
  private readonly userspace: Userspace;
  /** What the instructions are held against; null: nothing. */
  semantics: Semantics | null = null;

  /** @throws InputError for a workload that runs into the guest's page tables, or memory too small for them */
  constructor(private readonly machine: Machine) {
    const { scenario, vm } = machine;
    this.accesses = accessesOf(scenario);
    mapAll(machine, this.accesses);
    this.workloads = vm.vcpus.map(({ id }) => new Workload(this.accesses, scenario.seed, id));
    this.userspace = new Userspace(machine);
  }

  /**
   * Executes so many instructions on each vCPU, and returns how many that were.
   * @throws InputError for an access at which the guest cannot go on
   */
  execute(instructions: number): number {
    const { userspace } = this;
    for (let rest = instructions; rest > 0; ) {
      const some = Math.min(rest, userspace.wait);
      this.executeSome(some);
      userspace.advance(some);
      rest -= some;
    }
    return instructions * this.workloads.length;
  }

  private executeSome(instructions: number): void {
    try {
      if (this.workloads.length === 1) this.executeAlone(instructions);
      else this.executeTogether(instructions);
    } catch (error) {
      throw stopped(error, `${this.machine.what}: ${this.unfinished()}`);
    }
  }

  /** The guest maps its pages to themselves. */
  frameOf(page: number): number {
    return page;
  }

  /** What the vCPUs were at: side by side, it is one of those that are not done. */
  private unfinished(): string {
    const { scenario, vm } = this.machine;
    const fields = vm.vcpus
      .filter(({ retired }) => !retired)
      .map(({ id, instruction }) => {
        const index = this.accesses.indexOf(this.workloads[id].access);
        return `workload[${index}] (${operandOf(scenario.workload[index].op, instruction)})`;
      });
    return [...new Set(fields)].join(" or ");
  }

  private executeAlone(instructions: number): void {
    const [workload] = this.workloads;
    const { vm } = this.machine;
    const { vcpu } = vm;
    for (let i = 0; i < instructions; i++) {
      workload.next(vcpu.instruction);
      if (workload.access.fresh) this.refresh(vcpu);
      vm.execute();
      if (this.semantics !== null) this.semantics.ended(vcpu);
    }
  }

  private executeTogether(instructions: number): void {
    const { vm } = this.machine;
    for (let i = 0; i < instructions; i++) {
      for (const vcpu of vm.vcpus) {
        const workload = this.workloads[vcpu.id];
        workload.next(vcpu.instruction);
        if (workload.access.fresh) this.refresh(vcpu);
      }
      vm.executeTogether();
      if (this.semantics !== null) for (const vcpu of vm.vcpus) this.semantics.ended(vcpu);
    }
  }

  private refresh({ instruction: { page, offset, size, count } }: Vcpu): void {
    const end = page + Math.ceil((offset + size * count) / PAGE);
    this.machine.makeFresh(page, end);
  }
}

/** The mix of a scenario, each access with everything that the scenario says elsewhere or not at all. */
export function accessesOf(scenario: Scenario): Access[] {
  return scenario.workload.map((access) => resolve(scenario, access));
}

/** The access with everything that the scenario says elsewhere or not at all. */
function resolve({ doorbells }: Scenario, access: ScenarioAccess): Access {
  const { op, size, count } = access;
  if (op !== "kick" && op !== "doorbell-read") {
    const { footprint = size * count, stride = size, workingSet = footprint } = access;
    return { ...access, op, footprint, stride, workingSet };
  }
  if (doorbells === undefined) throw new Error(`${op} without doorbells`);
  const { address, queues, pio } = doorbells;
  const { stride } = doorbellLayout(doorbells);
  const footprint = stride * (queues - 1) + size;
  const instruction = op === "kick" ? (pio ? "out" : "store") : pio ? "in" : "load";
  return { ...access, op: instruction, address, footprint, stride, workingSet: footprint };
}

/**
 * Maps every page that the workload touches to itself.
 * @throws InputError for a workload that runs into the guest's page tables, or memory too small for them
 */
export function mapAll(machine: Machine, accesses: readonly Access[]): void {
  const { tables, guestMemory, scenario, what } = machine;
  checkFootprints(machine);
  const touched = accesses
    .filter(({ op }) => isMemoryOperation(INSTRUCTION_FORMS[op].operation))
    .map(({ address, footprint }) => ({ first: address, end: address + footprint }));
  machine.mapping(() => {
    for (const { first, end } of touched) {
      tables.mapIdentity(Math.floor(first / PAGE), Math.ceil(end / PAGE), scenario.guestPages);
    }
  });
  const end = guestMemory.end * PAGE;
  const firstTable = tables.firstGfn * PAGE;
  const hit = touched.find((range) => range.first < end && range.end > firstTable);
  if (hit !== undefined) {
    throw new InputError(
      `${what}: workload`,
      `${hex(hit.first)} to ${hex(hit.end - 1)} runs into the guest's page tables`,
      `addresses below ${hex(firstTable)} or from ${hex(end)}, the end of the last writable slot, on`,
    );
  }
}

/** A footprint that alone takes more tables than the slot holds is told before they are made. */
function checkFootprints({ scenario, guestMemory, what }: Machine): void {
  const room = guestMemory.end - guestMemory.first;
  const lowest = GUEST_LEAVES[scenario.guestPages].level;
  scenario.workload.forEach(({ op, address, footprint }, index) => {
    if (isDoorbellOp(op) || footprint === undefined) return;
    if (!isMemoryOperation(INSTRUCTION_FORMS[op].operation)) return;
    let tables = 1;
    for (let level = lowest; level <= LEVELS_BELOW; level++) {
      const span = PAGE * 2 ** (INDEX_BITS * level);
      tables += Math.floor((address + footprint - 1) / span) - Math.floor(address / span) + 1;
    }
    if (tables <= room) return;
    const allowed = `bytes whose page tables fit into memslots[${guestMemory.index}]: these take ${tables} pages of its ${room}`;
    throw new InputError(`${what}: workload[${index}].footprint`, notAllowed(footprint), allowed);
  });
}
