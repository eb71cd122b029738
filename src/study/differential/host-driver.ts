/**
 * Runs scenarios on this machine's KVM, each on a virtual machine of its own, all on one thread. The guest's instructions up to
 * the next call of userspace are one program; behind each of them it says so, so that signals are told apart.
 */
import { closeSync, openSync } from "node:fs";
import type { HostEventFd } from "../../host/eventfd.js";
import { GuestError } from "../../host/guest-error.js";
import { GuestProgram } from "../../host/guest-program.js";
import type { KvmDevice } from "../../host/kvm.js";
import { longModeSregs } from "../../host/long-mode.js";
import type { Mapping } from "../../host/mapping.js";
import { SystemCallError } from "../../host/system-call-error.js";
import type { HostVcpu, RunEvent } from "../../host/vcpu.js";
import type { VcpuThread } from "../../host/vcpu-thread.js";
import type { HostVm } from "../../host/vm.js";
import { CODE, CR3, INITIAL, RESULTS, TABLES, TABLES_BYTES } from "./guest-memory.js";
import { isLoad } from "./operand.js";
import { type Outcome, type OutcomeEvent, SUCCESS } from "./outcome.js";
import {
  EVENTFDS,
  type GuestStep,
  MEMORIES,
  MEMORY_BYTES,
  RAM_BYTES,
  type Scenario,
  STOP_PORT,
  type Step,
  SYNC_PORT,
} from "./scenario.js";

/** What a guest may take until it stops. It executes some 40 instructions. */
const LIMIT_MS = 10_000;

/** RFLAGS: the bit that is always 1. Interrupts are off. */
const RFLAGS = 2;

/** No file has this descriptor. */
const CLOSED = 0xffff_ffff;

/** @throws SystemCallError where the machine cannot be made */
export async function runOnHost(scenario: Scenario, kvm: KvmDevice, thread: VcpuThread): Promise<Outcome> {
  const vm = kvm.createVm();
  // A file that is no eventfd.
  const file = openSync("/dev/null", "r");
  try {
    return await new HostDriver(vm, thread, file, scenario).run();
  } finally {
    vm.close();
    closeSync(file);
  }
}

/** The places of the results in their area, by step. */
type ResultOffsets = ReadonlyMap<number, number>;

class HostDriver {
  private readonly ram: Mapping;
  private readonly memories: readonly Mapping[];
  private readonly eventfds: readonly HostEventFd[];
  private readonly vcpu: HostVcpu;
  private readonly results: ResultOffsets;
  private readonly outcome: OutcomeEvent[][];

  constructor(
    private readonly vm: HostVm,
    private readonly thread: VcpuThread,
    private readonly file: number,
    private readonly scenario: Scenario,
  ) {
    this.outcome = scenario.map(() => []);
    this.ram = vm.mmap(RAM_BYTES);
    this.ram.data.set(TABLES_BYTES, TABLES);
    this.results = loadProgram(this.ram.data, scenario);
    vm.setUserMemoryRegion({
      ...{ slot: 0, flags: 0, guest_phys_addr: 0 },
      ...{ memory_size: RAM_BYTES, userspace_addr: this.ram.address },
    });
    this.memories = Array.from({ length: MEMORIES }, (_, memory) => {
      const mapping = vm.mmap(MEMORY_BYTES);
      mapping.data.set(INITIAL[memory]);
      return mapping;
    });
    this.eventfds = Array.from({ length: EVENTFDS }, () => vm.eventfd());
    this.vcpu = vm.createVcpu(0);
    this.vcpu.setSregs(longModeSregs(this.vcpu.getSregs(), CR3));
    this.vcpu.setRegs({ rip: CODE, rflags: RFLAGS });
  }

  async run(): Promise<Outcome> {
    let first = 0;
    for (const last of stopsOf(this.scenario)) {
      if (!(await this.runGuest(first, last))) break;
      for (first = last; first < this.scenario.length && !isGuest(this.scenario[first]); first++)
        this.outcome[first].push(this.call(this.scenario[first]));
    }
    return { steps: this.outcome, memories: this.memories.map(({ data }) => Uint8Array.from(data)) };
  }

  /** Lets the guest execute the steps from `first` to before `end`. Returns whether it can go on. */
  private async runGuest(first: number, end: number): Promise<boolean> {
    if (first === end) return true;
    try {
      const { eventfds } = this;
      const options = { limitMs: LIMIT_MS, stopPort: STOP_PORT, syncPort: SYNC_PORT, recordExits: true };
      const { events } = await this.vcpu.run(this.thread, { ...options, eventfds });
      this.note(events, first);
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      // Between the last step and the stop there is nothing to be blamed.
      const stopped = Math.min(this.note(error.early.events, first), end - 1);
      for (let step = first; step < stopped; step++) this.noteLoaded(step);
      this.outcome[stopped].push({ kind: "stopped", why: error.message });
      return false;
    }
    for (let step = first; step < end; step++) this.noteLoaded(step);
    return true;
  }

  /** Notes what was seen from a step on. Returns the step that was under way in the end. */
  private note(events: readonly RunEvent[], first: number): number {
    let step = first;
    for (const event of events) {
      if (event.kind === "sync") step++;
      else this.outcome[step].push(seen(event));
    }
    return step;
  }

  private noteLoaded(index: number): void {
    const step = this.scenario[index];
    const offset = this.results.get(index);
    if (step.does !== "access" || offset === undefined) return;
    const { buffer, byteOffset } = this.ram.data;
    const result = new DataView(buffer, byteOffset + RESULTS + offset);
    const value = result.getBigUint64(0, true) + (result.getBigUint64(8, true) << 64n);
    this.outcome[index].push({ kind: "loaded", value: BigInt.asUintN(8 * step.size, value) });
  }

  private call(step: Step): OutcomeEvent {
    try {
      return this.called(step);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return { kind: "ioctl", result: error.code };
    }
  }

  private called(step: Step): OutcomeEvent {
    const { vm, memories } = this;
    switch (step.does) {
      case "set-memory": {
        const { slot, flags, gpa, size, memory, offset } = step;
        const userspace_addr = memories[memory].address + BigInt(offset);
        vm.setUserMemoryRegion({ slot, flags, guest_phys_addr: gpa, memory_size: size, userspace_addr });
        return SUCCESS;
      }
      case "ioeventfd": {
        const { addr, len, flags, datamatch, fd } = step;
        vm.ioeventfd({ datamatch, addr: BigInt(addr), len, fd: this.descriptorOf(fd), flags });
        return SUCCESS;
      }
      case "get-dirty-log":
        return { kind: "dirty", pages: vm.getDirtyLog(step.slot) };
      case "discard":
        memories[step.memory].discard();
        memories[step.memory].data.fill(0);
        return SUCCESS;
      default:
        throw new Error("a guest instruction is no call");
    }
  }

  private descriptorOf(fd: number | "closed" | "no eventfd"): number {
    if (typeof fd === "number") return this.eventfds[fd].fd;
    return fd === "closed" ? CLOSED : this.file;
  }
}

/** Writes the code of all guest instructions, with a stop before each call after them and at the end. */
function loadProgram(ram: Uint8Array, scenario: Scenario): ResultOffsets {
  const program = new GuestProgram(RESULTS);
  const results = new Map<number, number>();
  scenario.forEach((step, index) => {
    if (!isGuest(step)) return;
    const offset = program.access(step);
    if (isLoad(step)) results.set(index, offset);
    program.out(SYNC_PORT);
    const next = scenario[index + 1];
    if (next === undefined || !isGuest(next)) program.out(STOP_PORT);
  });
  ram.set(program.bytes, CODE);
  return results;
}

/** Where the guest's instructions end that are without a call between them, one after the other. */
function stopsOf(scenario: Scenario): number[] {
  const ends = scenario.flatMap((step, index) => {
    const isLast = isGuest(step) && (index + 1 === scenario.length || !isGuest(scenario[index + 1]));
    return isLast ? [index + 1] : [];
  });
  // Calls may come first.
  return isGuest(scenario[0]) ? ends : [0, ...ends];
}

function isGuest(step: Step): step is GuestStep {
  return step.does === "access";
}

function seen(event: Exclude<RunEvent, { readonly kind: "sync" }>): OutcomeEvent {
  switch (event.kind) {
    case "mmio":
      return { ...event, address: event.gpa, bytes: event.len };
    case "io":
      return { ...event, address: event.port, bytes: event.size };
    default:
      return event;
  }
}
