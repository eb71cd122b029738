/**
 * A scenario's virtual machine on this machine's KVM: its memory slots and ioeventfds, and a guest in 64-bit mode, whose
 * program is in the last slot that is writable, where the model's guest has its page tables too.
 */
import type { HostEventFd } from "../../host/eventfd.js";
import type { KvmDevice } from "../../host/kvm.js";
import { GuestPageTables, longModeSregs } from "../../host/long-mode.js";
import type { Mapping } from "../../host/mapping.js";
import type { HostVcpu, RunResult } from "../../host/vcpu.js";
import type { VcpuThread } from "../../host/vcpu-thread.js";
import type { HostVm } from "../../host/vm.js";
import { INSTRUCTION_FORMS } from "../../kvm/instruction.js";
import { KVM_IOEVENTFD_FLAG_DATAMATCH, KVM_IOEVENTFD_FLAG_PIO } from "../../kvm/ioeventfd.js";
import { KVM_MEM_READONLY } from "../../kvm/memslots.js";
import { PAGE } from "../../x86/mmu.js";
import { isMemoryOperation, type Scenario } from "../run/scenario.js";

/** A guest's OUT to this port ends its program. */
export const STOP_PORT = 0x500;

/** Where things are in the program's slot, in bytes from its beginning; the tables go up to the slot's end. */
const CODE = 1 * PAGE;
const RESULTS = 16 * PAGE;
const TABLES = 32 * PAGE;
const RESULTS_BYTES = TABLES - RESULTS;

/** Nothing that is measured takes longer, on any host: a guest that does hangs. */
const LIMIT_MS = 120_000;

export class GuestVm {
  readonly vcpu: HostVcpu;
  private readonly vm: HostVm;
  private readonly mappings: readonly Mapping[];
  private readonly eventfds: readonly HostEventFd[];
  /** The program's slot, by its place among the scenario's. */
  private readonly own: number;

  /** @throws SystemCallError */
  constructor(
    kvm: KvmDevice,
    private readonly scenario: Scenario,
  ) {
    this.own = scenario.memslots.findLastIndex(({ readonly }) => !readonly);
    this.vm = kvm.createVm();
    try {
      this.mappings = scenario.memslots.map((slot, index) => this.addSlot(slot, index));
      this.eventfds = scenario.ioeventfds.map((ioeventfd) => this.addIoeventfd(ioeventfd));
      this.vcpu = this.vm.createVcpu(0);
      this.vcpu.setSregs(longModeSregs(this.vcpu.getSregs(), this.mapGuest()));
    } catch (error) {
      this.vm.close();
      throw error;
    }
  }

  /** Linear address, in bytes, where a program may leave its results. */
  get results(): number {
    return this.base + RESULTS;
  }

  /** What the guest's programs left there. */
  get left(): DataView {
    const { data } = this.mappings[this.own];
    return new DataView(data.buffer, data.byteOffset + RESULTS, RESULTS_BYTES);
  }

  /** Runs a program from its beginning to its stop. @throws GuestError, SystemCallError */
  run(code: Uint8Array, thread: VcpuThread): Promise<RunResult> {
    this.mappings[this.own].data.set(code, CODE);
    // Of the flags, bit 1 is always set.
    this.vcpu.setRegs({ rip: this.base + CODE, rflags: 2 });
    return this.vcpu.run(thread, { limitMs: LIMIT_MS, stopPort: STOP_PORT, eventfds: this.eventfds });
  }

  /**
   * Takes the memory of a slot back, and has the host provide each page in which one of these addresses (in bytes, `stride`
   * apart) lies: KVM maps none of them any more, and only its entries are missing.
   */
  makeFresh(slot: number, stride: number): void {
    const mapping = this.mappings[slot];
    mapping.discard();
    // Not the line that the guest reads: it would come from this thread's core.
    for (let offset = 0; offset < mapping.bytes; offset += stride) mapping.data[offset + PAGE / 2] = 1;
  }

  close(): void {
    this.vm.close();
  }

  private get base(): number {
    return this.scenario.memslots[this.own].gpa;
  }

  private addSlot({ gpa, size, readonly }: Scenario["memslots"][number], slot: number): Mapping {
    const mapping = this.vm.mmap(size);
    this.vm.setUserMemoryRegion({
      slot,
      flags: readonly ? KVM_MEM_READONLY : 0,
      guest_phys_addr: gpa,
      memory_size: size,
      userspace_addr: mapping.address,
    });
    return mapping;
  }

  private addIoeventfd({ addr, len, datamatch, pio }: Scenario["ioeventfds"][number]): HostEventFd {
    const eventfd = this.vm.eventfd();
    this.vm.ioeventfd({
      addr,
      len,
      datamatch: datamatch ?? 0,
      fd: eventfd.fd,
      flags:
        (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH),
    });
    return eventfd;
  }

  /** Maps what the program and the scenario's accesses touch to itself. Returns CR3. */
  private mapGuest(): number {
    const tables = new GuestPageTables(this.mappings[this.own].data.subarray(TABLES), this.base + TABLES);
    tables.mapIdentity((this.base + CODE) / PAGE, (this.base + TABLES) / PAGE, "4K");
    for (const { op, address, size, count, footprint = size * count } of this.scenario.workload) {
      if (op === "kick" || op === "doorbell-read") continue;
      if (!isMemoryOperation(INSTRUCTION_FORMS[op].operation)) continue;
      tables.mapIdentity(Math.floor(address / PAGE), Math.ceil((address + footprint) / PAGE), "4K");
    }
    return tables.cr3;
  }
}
