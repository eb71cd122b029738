/**
 * The life of a fault: one guest-physical address from its first touch, where no memory slot is, through the MMIO SPTE, the
 * fast MMIO bus and a memory slot that comes and goes, to its first touch again. Each step is one instruction of the guest or
 * one ioctl of userspace.
 *
 * The kernels differ by what the simulated kernel does and by nothing in here.
 */
import { cpuNames, loadCpu } from "../cost/cpu-profile.js";
import { address as addressFrom, InputError, oneOf, parseInput, record } from "../cost/input.js";
import { createVm, KERNEL_VERSIONS, type KernelClass, type KernelVersion } from "../kvm/eras.js";
import { printFtrace } from "../kvm/ftrace.js";
import { INSTRUCTION_FORMS } from "../kvm/instruction.js";
import type { EventFd } from "../kvm/ioeventfd.js";
import { Trace } from "../kvm/trace.js";
import { GuestTables } from "../workload/guest-tables.js";
import type { CpuGeometry } from "../x86/cpu.js";
import { PAGE } from "../x86/mmu.js";
import { studyCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { provenanceOf } from "./provenance.js";
import type { Provenance } from "./result.js";
import { hex } from "./run/scenario.js";

/** What an SPTE says of its page. A stale one was made under another generation of the memory slots. */
export const SPTE_STATES = ["not present", "MMIO", "MMIO, stale", "memory"] as const;
export type SpteState = (typeof SPTE_STATES)[number];

export interface SpteView {
  /** The entry that a walk of KVM's tables for the page ends at, 64 bits in hex. */
  readonly spte: string;
  readonly state: SpteState;
}

export interface FaultStep {
  /** From 1. */
  readonly number: number;
  /** Who acts: the guest with an instruction, or userspace with an ioctl. */
  readonly by: "guest" | "ioctl";
  /** Such as "store at A". */
  readonly what: string;
  /** Reasons of the exits, in order, as KVM's tracepoint prints them. */
  readonly exits: readonly string[];
  /** How often each primitive happened, of those that did. */
  readonly counts: Readonly<Record<string, number>>;
  /** The SPTE of A's page. */
  readonly before: SpteView;
  readonly after: SpteView;
  /** Of the memory slots after the step, as far as an MMIO SPTE can hold it, in hex. */
  readonly generation: string;
  /** Of the eventfd so far. */
  readonly signals: number;
  /** Whether an exit went on to userspace. */
  readonly userspace: boolean;
  /** The lines of `ftrace` that tell of the step. */
  readonly events: readonly string[];
}

export interface LifeOfFault {
  readonly provenance: Provenance;
  readonly kernel: KernelVersion;
  /** The processor as its maker calls it. */
  readonly machine: string;
  /** The guest-physical address A, bytes. */
  readonly address: number;
  /** Length of the ioeventfd at A, bytes: 0 where the kernel allows it. */
  readonly eventfdLength: number;
  readonly steps: readonly FaultStep[];
  /** The events of all steps as ftrace text. */
  readonly ftrace: string;
}

export interface LifeOfFaultOptions {
  readonly kernel?: KernelVersion;
  /** A name in `data/cpus`. */
  readonly cpu?: string;
  /** A, bytes or "0x..." text: a multiple of 16 from 1 Gbyte on, so that A + 8 is in the same page. */
  readonly address?: number | string;
}

const MBYTE = 2 ** 20;

/** The guest's RAM from 0 on, its paging structures at the end. */
const RAM = 4 * MBYTE;
/** Where userspace puts a memory slot that has nothing to do with A. */
const B = 256 * MBYTE;
/** A lies above both. */
const LOWEST_ADDRESS = 1024 * MBYTE;
const HIGHEST_ADDRESS = 2 ** 47 - 16;
/** A device to KVM, whatever the slots say. */
const LOCAL_APIC = 0xfee0_0000;

/** Numbers of the memory slots. */
const RAM_SLOT = 0;
const B_SLOT = 1;
const A_SLOT = 2;

/** Bytes of each load and store, and what is stored. */
const SIZE = 4;
const VALUE = 1;

/** Nothing here is random. */
const SEED = 1;

const WHAT = "studyLifeOfFault";

/** The schema of `LifeOfFaultOptions`. */
export const lifeOfFaultOptions = record({
  kernel: oneOf(KERNEL_VERSIONS).default("v4.2"),
  cpu: oneOf(cpuNames()).default("haswell-ep-e5-2660v3"),
  address: addressFrom(LOWEST_ADDRESS, HIGHEST_ADDRESS, "guest-physical address in bytes", 16).default(
    0xfebf_0800,
  ),
});

interface Act {
  readonly by: FaultStep["by"];
  readonly what: string;
  readonly perform: (life: Life) => void;
}

const guest = (op: "store" | "load", place: "A" | "A+8"): Act => ({
  by: "guest",
  what: `${op} at ${place}`,
  perform: (life) => life.access(op, life.address + (place === "A" ? 0 : 8)),
});
const ioctl = (what: string, perform: Act["perform"]): Act => ({ by: "ioctl", what, perform });

const ACTS: readonly Act[] = [
  guest("store", "A"),
  guest("store", "A"),
  ioctl("assign ioeventfd at A", (life) => life.assignIoeventfd()),
  guest("store", "A"),
  guest("load", "A"),
  ioctl("add memslot at B", (life) => life.setMemslot(B_SLOT, B, 2 * MBYTE)),
  guest("store", "A"),
  guest("store", "A+8"),
  ioctl("add memslot at A", (life) => life.setMemslot(A_SLOT, life.gfn * PAGE, PAGE)),
  guest("store", "A"),
  guest("store", "A+8"),
  guest("store", "A"),
  ioctl("delete memslot at A", (life) => life.setMemslot(A_SLOT, life.gfn * PAGE, 0)),
  guest("store", "A"),
  guest("store", "A"),
];

/** Follows one address through its life. @throws InputError that names the option, its value and what is allowed */
export function studyLifeOfFault(options: LifeOfFaultOptions = {}): LifeOfFault {
  const { kernel, cpu, address } = parseInput(lifeOfFaultOptions, options, WHAT);
  const { geometry, model } = loadCpu(cpu);
  const limit = 2 ** geometry.physicalAddressBits;
  if (address >= limit || pageOf(address) === pageOf(LOCAL_APIC)) {
    throw new InputError(
      `${WHAT}: address`,
      `${hex(address)} is not allowed`,
      `addresses below ${hex(limit)}, the physical address width of this cpu, but for the page of the local APIC, ${hex(LOCAL_APIC)}`,
    );
  }
  const life = new Life(kernel, geometry, address);
  const recorded = ACTS.map((act, index) => life.step(index + 1, act));
  const provenance = provenanceOf({
    seed: SEED,
    conditions: conditionsOf([{ cpu, kernel }]),
    command: studyCommand("life-of-a-fault", options),
  });
  const notes = [
    `exitlab ${provenance.version}, model ${provenance.model}, ${cpu}. A is ${hex(address)}. Events by step:`,
    ...recorded.map(
      ({ number, what, from, to }) => `${number}. ${what}: ${from === to ? "none" : `${from + 1} to ${to}`}`,
    ),
  ];
  const ftrace = printFtrace(life.trace, { kernel, notes });
  const lines = ftrace.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return {
    provenance,
    kernel,
    machine: model,
    address,
    eventfdLength: life.eventfdLength,
    steps: recorded.map(({ from, to, ...step }) => {
      const events = lines.slice(from, to);
      return { ...step, exits: events.flatMap((line) => EXIT.exec(line)?.[1] ?? []), events };
    }),
    ftrace,
  };
}

/** The reason in the text of an exit. */
const EXIT = /: kvm_exit: .*?reason (\S+)/;

/** A step, and which events tell of it: those after the number `from`, up to the number `to`. */
type RecordedStep = Omit<FaultStep, "exits" | "events"> & { readonly from: number; readonly to: number };

const pageOf = (address: number) => Math.floor(address / PAGE);

/** The kernel, with a look at what it does not tell: what an SPTE says. */
const observed = (Kernel: KernelClass) =>
  class extends Kernel {
    get generation(): string {
      const { spteFormat } = this;
      return spteFormat.storesGeneration ? hex(spteFormat.truncated(this.memslotsGeneration)) : "none";
    }

    view(gfn: number): SpteView {
      const spte = this.sptep(gfn);
      return { spte: `0x${spte.toString(16).padStart(16, "0")}`, state: this.spteState() };
    }

    private spteState(): SpteState {
      const { spteFormat, spteLow, spteHigh } = this;
      if (spteFormat.isMmio(spteLow, spteHigh)) {
        const made = spteFormat.generationOf(spteLow, spteHigh);
        return made === spteFormat.truncated(this.memslotsGeneration) ? "MMIO" : "MMIO, stale";
      }
      return spteFormat.isPresent(spteLow, spteHigh) ? "memory" : "not present";
    }
  };

/** The virtual machine that A is an address of, and what becomes of it. */
class Life {
  readonly trace = new Trace();
  readonly gfn: number;
  private readonly vm: InstanceType<ReturnType<typeof observed>>;
  private readonly eventfd: EventFd;
  private readonly fd: number;

  constructor(
    kernel: KernelVersion,
    geometry: CpuGeometry,
    readonly address: number,
  ) {
    this.gfn = pageOf(address);
    this.vm = createVm(kernel, geometry, { changes: [observed] }) as typeof this.vm;
    this.fd = this.vm.eventfd();
    this.eventfd = this.vm.eventfdCtxFdget(this.fd);
    this.setMemslot(RAM_SLOT, 0, RAM, "2M");
    const tables = new GuestTables(this.vm, 0, pageOf(RAM));
    tables.mapIdentity(0, 1, "4K");
    tables.mapIdentity(this.gfn, this.gfn + 1, "4K");
    // KVM's tables map the guest's, and the processor has used them.
    this.access("load", 0);
    this.vm.trace = this.trace;
  }

  /** The shortest length that the kernel allows for an ioeventfd, or that of the store. */
  get eventfdLength(): number {
    return this.vm.ioeventfdLengths.includes(0) ? 0 : SIZE;
  }

  step(number: number, { by, what, perform }: Act): RecordedStep {
    const { vm, trace, gfn } = this;
    vm.ledger.reset();
    const from = trace.written;
    const before = vm.view(gfn);
    perform(this);
    const counts = Object.fromEntries(Object.entries(vm.ledger.toRecord()).filter(([, count]) => count > 0));
    return {
      number,
      by,
      what,
      counts,
      before,
      after: vm.view(gfn),
      generation: vm.generation,
      signals: this.eventfd.signals,
      userspace: counts.userspaceExitMmio !== undefined,
      from,
      to: trace.written,
    };
  }

  /** Lets the guest load or store. */
  access(op: "store" | "load", address: number): void {
    const { vm } = this;
    const operand = { page: pageOf(address), offset: address % PAGE, size: SIZE, value: VALUE, count: 1 };
    Object.assign(vm.vcpu.instruction, { form: INSTRUCTION_FORMS[op], ...operand });
    vm.execute();
  }

  /** KVM_IOEVENTFD: an eventfd at A, for a write of any value. */
  assignIoeventfd(): void {
    this.vm.kvmIoeventfd({ addr: this.address, len: this.eventfdLength, flags: 0, fd: this.fd });
  }

  /** KVM_SET_USER_MEMORY_REGION, with memory of its own; a size of 0 deletes the slot. */
  setMemslot(slot: number, guestPhysAddr: number, memorySize: number, backing: "4K" | "2M" = "4K"): void {
    const userspaceAddr = memorySize === 0 ? 0 : this.vm.host.mmap(memorySize, backing, guestPhysAddr);
    this.vm.kvmSetUserMemoryRegion({ slot, flags: 0, guestPhysAddr, memorySize, userspaceAddr });
  }
}
