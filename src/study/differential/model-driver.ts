/**
 * Runs a scenario on the model. The model tells who reads and writes which bytes (`kvm/effects.ts`), but not what they are:
 * the driver moves the bytes, between the memories, userspace and the instruction's operand.
 */
import { deviceByte, deviceValue } from "../../host/device-model.js";
import { Effects, EMULATED_MEMORY, USERSPACE } from "../../kvm/effects.js";
import { KvmError } from "../../kvm/errno.js";
import { GuestStopped } from "../../kvm/guest-stopped.js";
import { INSTRUCTION_FORMS } from "../../kvm/instruction.js";
import type { Svm } from "../../kvm/svm.js";
import { u64 } from "../../kvm/u64.js";
import { KVM_EXIT_IO, type Vcpu } from "../../kvm/vcpu.js";
import { PAGE } from "../../x86/mmu.js";
import type { Coverage } from "./coverage.js";
import { CODE } from "./guest-memory.js";
import { ModelMemories } from "./model-memories.js";
import { createModel, type ModelSetting } from "./model-vm.js";
import { isLoad, isReadModifyWrite, Operand } from "./operand.js";
import { type Outcome, type OutcomeEvent, SUCCESS } from "./outcome.js";
import { EVENTFDS, type GuestStep, type Scenario, type Step, SYNC_PORT } from "./scenario.js";

/** A value that no scenario compares with, in place of one that a number cannot hold exactly. */
const NO_DATAMATCH = Number.MAX_SAFE_INTEGER;

/** Bytes between two instructions. */
const RIP_STEP = 16;

/** @param coverage notes what the scenario reaches */
export function runOnModel(scenario: Scenario, setting: ModelSetting, coverage?: Coverage): Outcome {
  return new ModelDriver(setting, coverage).run(scenario);
}

class ModelDriver {
  private readonly vm: Svm;
  private readonly effects = new Effects();
  private readonly memories: ModelMemories;
  private readonly descriptors: readonly number[];
  /** Guest page frame number of the first page of each slot. */
  private readonly slots = new Map<number, number>();
  /** What has come of the step so far. */
  private events: OutcomeEvent[] = [];
  /** Of the instruction under way; null: it is one of the driver. */
  private operand: Operand | null = null;
  /** Pieces of the effects that are accounted for. */
  private absorbed = 0;

  constructor(
    setting: ModelSetting,
    private readonly coverage: Coverage | undefined,
  ) {
    const vm = createModel(setting, coverage === undefined ? [] : [coverage.change]);
    this.vm = vm;
    this.memories = new ModelMemories(vm);
    this.descriptors = Array.from({ length: EVENTFDS }, () => vm.eventfd());
    this.effects.onIteration = () => {
      this.absorb();
      this.absorbed = 0;
    };
    vm.vcpu.effects = this.effects;
    vm.onUserspaceExit = (vcpu) => this.userspaceExit(vcpu);
  }

  run(scenario: Scenario): Outcome {
    const steps: OutcomeEvent[][] = scenario.map(() => []);
    for (const [index, step] of scenario.entries()) {
      this.coverage?.stepBegins(step, this.vm);
      this.events = steps[index];
      this.take(step, index);
      this.coverage?.stepEnds(step, this.events);
      if (this.events.some(({ kind }) => kind === "stopped")) break;
    }
    this.coverage?.scenarioEnds(this.vm.counts);
    return { steps, memories: this.memories.contents };
  }

  private take(step: Step, index: number): void {
    const { vm } = this;
    switch (step.does) {
      case "set-memory": {
        const { slot, flags, gpa, size, memory, offset } = step;
        const userspaceAddr = this.memories.addressOf(memory) + offset;
        this.ask(() => {
          vm.kvmSetUserMemoryRegion({ slot, flags, guestPhysAddr: gpa, memorySize: size, userspaceAddr });
          this.slots.set(slot, gpa / PAGE);
          return SUCCESS;
        });
        return;
      }
      case "ioeventfd": {
        const { addr, fd, ...args } = step;
        this.ask(() => {
          vm.kvmIoeventfd({ ...args, addr: u64(BigInt(addr), "addr"), fd: this.descriptorOf(fd) });
          return SUCCESS;
        });
        return;
      }
      case "get-dirty-log":
        this.ask(() => {
          const first = this.slots.get(step.slot) ?? 0;
          return { kind: "dirty", pages: vm.kvmGetDirtyLog(step.slot).map((gfn) => gfn - first) };
        });
        return;
      case "discard":
        this.memories.discard(step.memory);
        this.events.push(SUCCESS);
        return;
      default:
        this.access(step, CODE + RIP_STEP * index);
    }
  }

  /** An ioctl: what it returns, or its error. */
  private ask(call: () => OutcomeEvent): void {
    try {
      this.events.push(call());
    } catch (error) {
      if (!(error instanceof KvmError)) throw error;
      this.events.push({ kind: "ioctl", result: error.errno });
    }
  }

  private descriptorOf(fd: number | "closed" | "no eventfd"): number {
    if (typeof fd === "number") return this.descriptors[fd];
    return fd === "closed" ? -1 : 0;
  }

  // The guest.

  private access(step: GuestStep, rip: number): void {
    const before = this.signals();
    this.operand = new Operand(step);
    this.absorbed = 0;
    this.fill(step, rip);
    try {
      this.vm.execute();
      if (step.op !== "rep-stos") this.absorb();
      this.noteSignals(before);
      if (isLoad(step)) this.events.push({ kind: "loaded", value: this.operand.loaded });
      this.synchronize(rip);
    } catch (error) {
      if (!(error instanceof GuestStopped || error instanceof KvmError)) throw error;
      this.events.push({ kind: "stopped", why: error.message });
    }
  }

  /** The OUT that follows each instruction of a scenario. */
  private synchronize(rip: number): void {
    this.operand = null;
    const access = { op: "out", address: SYNC_PORT, size: 1, value: 0, count: 1 } as const;
    this.fill({ does: "access", ...access }, rip + RIP_STEP / 2);
    this.vm.execute();
  }

  private fill(step: GuestStep, rip: number): void {
    const { instruction } = this.vm.vcpu;
    const { op, address, size, count } = step;
    instruction.form = INSTRUCTION_FORMS[op];
    instruction.rip = rip;
    instruction.page = Math.floor(address / PAGE);
    instruction.offset = address % PAGE;
    instruction.port = address;
    instruction.size = size;
    instruction.count = count;
    instruction.value = this.valueOf(step);
  }

  /** What the instruction writes: of a read-modify-write what should come of what lies there now. */
  private valueOf(step: GuestStep): number {
    const { address, size } = step;
    const operand = new Operand(step);
    if (isReadModifyWrite(step)) {
      for (let at = address; at < address + size; at++) operand.setRead(at, this.byteAt(at));
    }
    const { written } = operand;
    return written > NO_DATAMATCH ? NO_DATAMATCH : Number(written);
  }

  /** What lies at a guest-physical address: memory, or what userspace answers. */
  private byteAt(gpa: number): number {
    const gfn = Math.floor(gpa / PAGE);
    return this.vm.findMemslot(gfn) === undefined ? deviceByte(gpa) : this.memories.bySlot(gpa)[gpa % PAGE];
  }

  /** Moves the bytes of what the instruction, or an iteration of it, has done since it was asked last. */
  private absorb(): void {
    const { effects, operand } = this;
    if (operand === null) return;
    if (effects.native) this.absorbNative(operand);
    for (; this.absorbed < effects.pieces; this.absorbed++) this.absorbPiece(operand, this.absorbed);
  }

  private absorbPiece(operand: Operand, piece: number): void {
    const { doers, writes, addresses, bytes } = this.effects;
    const first = addresses[piece];
    for (let at = first; at < first + bytes[piece]; at++) {
      if (doers[piece] === USERSPACE && !writes[piece]) operand.setRead(at, deviceByte(at));
      if (doers[piece] !== EMULATED_MEMORY) continue;
      const memory = this.memories.bySlot(at);
      if (writes[piece]) memory[at % PAGE] = Number(operand.writtenAt(at, 1));
      else operand.setRead(at, memory[at % PAGE]);
    }
  }

  /** The processor did it, with the memory that its own translation leads to. */
  private absorbNative(operand: Operand): void {
    const { form, page, offset, size } = this.vm.vcpu.instruction;
    if (form.operation !== "memory") return;
    const first = page * PAGE + offset;
    for (const write of [false, true]) {
      if (write ? !form.writes : !form.reads) continue;
      for (let at = first; at < first + size; at++) {
        const memory = this.memories.byProcessor(at, write);
        if (write) memory[at % PAGE] = Number(operand.writtenAt(at, 1));
        else operand.setRead(at, memory[at % PAGE]);
      }
    }
  }

  private userspaceExit({ run }: Vcpu): void {
    const { operand } = this;
    if (operand === null) return;
    this.absorb();
    const { exitReason, addr: address, len: bytes, isWrite: write } = run;
    const data = write ? operand.writtenAt(address, bytes) : deviceValue(address, bytes);
    this.events.push({ kind: exitReason === KVM_EXIT_IO ? "io" : "mmio", write, address, bytes, data });
  }

  private signals(): number[] {
    return this.descriptors.map((fd) => this.vm.eventfdCtxFdget(fd).signals);
  }

  private noteSignals(before: readonly number[]): void {
    this.signals().forEach((now, eventfd) => {
      const count = now - before[eventfd];
      if (count > 0) this.events.push({ kind: "signal", eventfd, count });
    });
  }
}
