/**
 * What the guest of a scenario executes, as a list that can be shortened, and its execution on a fresh machine.
 */
import { INSTRUCTION_FORMS, Instruction, type InstructionName } from "../../kvm/instruction.js";
import type { Trace } from "../../kvm/trace.js";
import { Workload } from "../../workload/workload.js";
import { PAGE } from "../../x86/mmu.js";
import { accessesOf, mapAll } from "../run/drawn-guest.js";
import { Machine } from "../run/machine.js";
import { hex, isMemoryOperation, type Scenario } from "../run/scenario.js";
import { type MeasuredSemantics, Semantics } from "../run/semantics.js";
import { Userspace } from "../run/userspace.js";

/** An instruction with all that decides what it does. */
export interface GuestInstruction {
  readonly vcpu: number;
  readonly op: InstructionName;
  /** Guest-physical, which is linear too, or a port. */
  readonly address: number;
  readonly size: number;
  readonly value: number;
  readonly count: number;
  /** The page is taken from the guest before. */
  readonly fresh: boolean;
  /** Of the instruction. */
  readonly rip: number;
}

/** Instructions that one vCPU, or all of them side by side, execute; or what the device model does between. */
export type GuestStep =
  | { readonly by: "guest"; readonly instructions: readonly GuestInstruction[] }
  | { readonly by: "userspace"; readonly action: Scenario["userspace"][number] };

/** The first instructions of a scenario's workload, warm-up included: so many of each vCPU. */
export function stepsOf(scenario: Scenario, instructions: number): GuestStep[] {
  const accesses = accessesOf(scenario);
  const workloads = Array.from(
    { length: scenario.vcpus },
    (_, vcpu) => new Workload(accesses, scenario.seed, vcpu),
  );
  const scratch = new Instruction();
  const steps: GuestStep[] = [];
  for (let number = 1; number <= instructions; number++) {
    const drawn = workloads.map((workload, vcpu) => {
      workload.next(scratch);
      const { op, fresh } = workload.access;
      return instructionOf(scratch, vcpu, op, fresh);
    });
    steps.push({ by: "guest", instructions: drawn });
    for (const action of scenario.userspace)
      if (number % action.every === 0) steps.push({ by: "userspace", action });
  }
  return steps;
}

/**
 * What guest and device see of some steps on a fresh machine.
 * @param trace where the events of the last step go
 * @throws Error where the guest cannot execute a step
 */
export function semanticsOf(
  scenario: Scenario,
  steps: readonly GuestStep[],
  trace: Trace | null = null,
): MeasuredSemantics {
  const machine = new Machine(scenario, "scenario");
  mapAll(machine, accessesOf(scenario));
  const semantics = new Semantics(machine, (page) => page);
  const userspace = new Userspace(machine);
  steps.forEach((step, index) => {
    if (index === steps.length - 1) machine.vm.trace = trace;
    if (step.by === "userspace") userspace.act(step.action);
    else executeStep(machine, semantics, step.instructions);
  });
  machine.release();
  return semantics.measured;
}

/** A step in a few words, such as "vCPU 0: load at 0xfebf0000, 2 bytes". */
export function stepText(step: GuestStep): string {
  if (step.by === "userspace") return `userspace: ${step.action.action} of slot ${step.action.slot}`;
  return step.instructions
    .map(({ vcpu, op, address, size, count, fresh }) => {
      const { operation } = INSTRUCTION_FORMS[op];
      const isPort = operation === "in" || operation === "out";
      const place =
        isPort || isMemoryOperation(operation)
          ? ` at ${hex(address)}, ${size} byte${size === 1 ? "" : "s"}`
          : "";
      const times = count > 1 ? `, ${count} times` : "";
      return `vCPU ${vcpu}: ${op}${place}${times}${fresh ? ", a fresh page" : ""}`;
    })
    .join("; at the same time ");
}

function executeStep(
  machine: Machine,
  semantics: Semantics,
  instructions: readonly GuestInstruction[],
): void {
  const { vm } = machine;
  const vcpus = instructions.map((step) => {
    const vcpu = vm.vcpus[step.vcpu];
    fill(vcpu.instruction, step);
    const { page, offset, size, count } = vcpu.instruction;
    if (step.fresh) machine.makeFresh(page, page + Math.ceil((offset + size * count) / PAGE));
    return vcpu;
  });
  if (vcpus.length === 1) {
    vm.vcpu = vcpus[0];
    vm.execute();
  } else {
    vm.executeTogether();
  }
  for (const vcpu of vcpus) semantics.ended(vcpu);
}

function instructionOf(
  { page, offset, port, size, value, count, rip }: Instruction,
  vcpu: number,
  op: InstructionName,
  fresh: boolean,
): GuestInstruction {
  const { operation } = INSTRUCTION_FORMS[op];
  const address = isMemoryOperation(operation) ? page * PAGE + offset : port;
  return { vcpu, op, address, size, value, count, fresh, rip };
}

function fill(instruction: Instruction, { op, address, size, value, count, rip }: GuestInstruction): void {
  instruction.form = INSTRUCTION_FORMS[op];
  instruction.rip = rip;
  instruction.size = size;
  instruction.value = value;
  instruction.count = count;
  instruction.port = address;
  instruction.page = Math.floor(address / PAGE);
  instruction.offset = address % PAGE;
}
