/**
 * A virtual machine for tests: 4 Mbyte of memory at 0 in large pages, with the guest's tables at its end already mapped, and
 * every page that an instruction touches mapped to the guest-physical page of the same number.
 */
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { type CreateOptions, createVm, type KernelVersion } from "../../src/kvm/eras.js";
import type { Backing } from "../../src/kvm/host-memory.js";
import { INSTRUCTION_FORMS, type InstructionName } from "../../src/kvm/instruction.js";
import type { Svm } from "../../src/kvm/svm.js";
import { Trace, type TraceEvent } from "../../src/kvm/trace.js";
import { GuestTables } from "../../src/workload/guest-tables.js";

const MEMORY = 2 ** 22;
const PAGE = 4096;
const LARGE = 2 ** 21;

export interface Operand {
  readonly size?: number;
  readonly value?: number;
  readonly count?: number;
  readonly vcpu?: number;
}

export class Machine {
  readonly vm: Svm;
  private readonly tables: GuestTables;
  private readonly mapped = new Set<number>();
  /** KVM's tables went with a new slot, as in Linux 3.9. What tests are about comes after the guest's own are mapped again. */
  private dropped = false;

  constructor(kernel: KernelVersion, options: CreateOptions & { cpu?: string } = {}) {
    const { cpu = "sandy-bridge-ep", ...rest } = options;
    this.vm = createVm(kernel, loadCpu(cpu).geometry, rest);
    this.slot(0, 0, MEMORY, { backing: "2M" });
    this.tables = new GuestTables(this.vm, 0, MEMORY / PAGE);
    for (let page = 0; page < 0x180; page++) this.map(page);
    this.touch();
  }

  /** Lets each vCPU use the guest's tables. */
  private touch(): void {
    this.dropped = false;
    const { vm } = this;
    const { vcpu } = vm;
    for (const { id } of vm.vcpus) {
      this.run("load", 0x1000, { vcpu: id });
      this.run("load", MEMORY / 2, { vcpu: id });
    }
    vm.vcpu = vcpu;
  }

  /** KVM_SET_USER_MEMORY_REGION, with memory of its own. Returns the userspace address. */
  slot(slot: number, gpa: number, size: number, { flags = 0, backing = "4K" as Backing } = {}): number {
    const userspaceAddr = this.vm.host.mmap(size, backing, gpa);
    this.vm.kvmSetUserMemoryRegion({ slot, flags, guestPhysAddr: gpa, memorySize: size, userspaceAddr });
    this.dropped = this.vm.kernel === "v3.9";
    return userspaceAddr;
  }

  /** An ioeventfd for each of these, by kind of address. */
  ioeventfd(addr: number, len: number, flags = 0, datamatch = 0): { readonly signals: number } {
    const fd = this.vm.eventfd();
    this.vm.kvmIoeventfd({ addr, len, flags, datamatch, fd });
    return this.vm.eventfdCtxFdget(fd);
  }

  /** Fills in the next instruction of a vCPU. */
  prepare(
    op: InstructionName,
    address: number,
    { size, value = 0, count = 1, vcpu = 0 }: Operand = {},
  ): void {
    const bytes = size ?? (op.startsWith("movups") ? 16 : 4);
    const form = INSTRUCTION_FORMS[op];
    if (["memory", "fetch", "event"].includes(form.operation)) {
      const last = Math.floor((address + bytes * count - 1) / PAGE);
      for (let page = Math.floor(address / PAGE); page <= last; page++) this.map(page);
    }
    Object.assign(this.vm.vcpus[vcpu].instruction, {
      form,
      size: bytes,
      value,
      count,
      port: address,
      page: Math.floor(address / PAGE),
      offset: address % PAGE,
    });
  }

  /** Executes one instruction; returns what it counted, without zeros. */
  run(op: InstructionName, address: number, operand: Operand = {}): Record<string, number> {
    const { vm } = this;
    if (this.dropped) this.touch();
    this.prepare(op, address, operand);
    vm.vcpu = vm.vcpus[operand.vcpu ?? 0];
    vm.ledger.reset();
    vm.execute();
    return this.counted();
  }

  /** Counts since the last `run()` began, without zeros. */
  counted(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.vm.ledger.toRecord()).filter(([, count]) => count !== 0));
  }

  /** The events of what `action` does. */
  events(action: () => void): TraceEvent[] {
    const trace = new Trace();
    this.vm.trace = trace;
    try {
      action();
    } finally {
      this.vm.trace = null;
    }
    return [...trace.records()].map(({ event }) => event);
  }

  /** The SPTE of a guest page, as the current vCPU's processor walks to it. */
  spte(gfn: number): string {
    return this.vm.sptep(gfn).toString(16);
  }

  /** Maps the 2 Mbyte around an address by a large page of the guest. */
  mapLarge(address: number): void {
    const first = Math.floor(address / LARGE) * (LARGE / PAGE);
    for (let page = first; page < first + LARGE / PAGE; page++) this.mapped.add(page);
    this.tables.mapIdentity(first, first + 1, "2M");
  }

  private map(page: number): void {
    if (this.mapped.has(page)) return;
    this.mapped.add(page);
    this.tables.mapIdentity(page, page + 1, "4K");
  }
}
