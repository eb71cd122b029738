/**
 * The virtual machine of a scenario: its memory slots, its ioeventfds and doorbells, and the guest's paging structures.
 */
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { createVm } from "../../kvm/eras.js";
import { KvmError } from "../../kvm/errno.js";
import { ExitHandlerFootprint } from "../../kvm/exit-footprint.js";
import { type EventFd, KVM_IOEVENTFD_FLAG_DATAMATCH, KVM_IOEVENTFD_FLAG_PIO } from "../../kvm/ioeventfd.js";
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from "../../kvm/memslots.js";
import type { Svm } from "../../kvm/svm.js";
import { GuestTables } from "../../workload/guest-tables.js";
import { PAGE } from "../../x86/mmu.js";
import { patchOf } from "./patch-source.js";
import {
  doorbellLayout,
  doorbellSlot,
  ioeventfdsOf,
  type Scenario,
  type ScenarioIoeventfd,
} from "./scenario.js";

/** The slot that holds the guest's paging structures: the last one that is writable. */
export interface GuestMemory {
  /** Its place among the scenario's. */
  readonly index: number;
  /** Guest page frame numbers: of its first page, and of the page behind its last. */
  readonly first: number;
  readonly end: number;
}

export class Machine {
  readonly vm: Svm;
  readonly guestMemory: GuestMemory;
  readonly tables: GuestTables;
  /** Those of the scenario's ioeventfds, then those of its doorbells. */
  readonly eventfds: readonly EventFd[];
  private readonly hostAddresses: readonly number[];
  private readonly savedCounts: Float64Array;

  /** @throws InputError for what the kernel refuses; `what` names the scenario */
  constructor(
    readonly scenario: Scenario,
    readonly what: string,
  ) {
    this.vm = createVmOf(scenario);
    for (const vcpu of this.vm.vcpus) {
      vcpu.guestMode = scenario.guestMode;
      vcpu.trapFlag = scenario.singleStep;
    }
    this.savedCounts = new Float64Array(this.vm.ledger.counts.length);
    this.hostAddresses = scenario.memslots.map((slot, index) => {
      const { gpa, size, backing } = slot;
      return this.asked(`memslots[${index}]`, slot, () => {
        const address = this.vm.host.mmap(size, backing, gpa);
        this.setMemslot(index, size, slot.logDirtyPages, address);
        return address;
      });
    });
    this.addDevices();
    this.eventfds = [...this.ioeventfds(), ...this.doorbells()];
    this.guestMemory = this.findGuestMemory();
    const { first, end } = this.guestMemory;
    this.tables = this.mapping(() => new GuestTables(this.vm, first, end));
  }

  /** KVM_SET_USER_MEMORY_REGION for a slot of the scenario. @param size bytes; 0 deletes it */
  setMemslot(slot: number, size: number, logDirtyPages: boolean, address = this.hostAddresses[slot]): void {
    const { gpa, readonly } = this.scenario.memslots[slot];
    this.vm.kvmSetUserMemoryRegion({
      slot,
      flags: (readonly ? KVM_MEM_READONLY : 0) | (logDirtyPages ? KVM_MEM_LOG_DIRTY_PAGES : 0),
      guestPhysAddr: gpa,
      memorySize: size,
      userspaceAddr: address,
    });
  }

  /**
   * Makes the next access to each guest page from `first` to before `end` the first: it faults. What KVM does to let go of
   * them is not counted.
   */
  makeFresh(first: number, end: number): void {
    const { counts } = this.vm.ledger;
    this.savedCounts.set(counts);
    this.vm.discardPages(first, end);
    counts.set(this.savedCounts);
  }

  /** Leaves the memory of its processors to the next machine with such processors. Nothing runs on this one any more. */
  release(): void {
    for (const { cpu } of this.vm.vcpus) cpu.release();
    this.vm.memory.release();
  }

  /** How often each eventfd was signalled. */
  signals(): number[] {
    return this.eventfds.map(({ signals }) => signals);
  }

  /** Does what may need a page for another table. @throws InputError where there is none */
  mapping<T>(map: () => T): T {
    try {
      return map();
    } catch (error) {
      if (!(error instanceof KvmError)) throw error;
      throw this.noRoom("the guest's page tables");
    }
  }

  /** The slot with the guest's page tables is too small for something. */
  noRoom(what: string): InputError {
    const { index } = this.guestMemory;
    const allowed = `a writable slot with room for ${what}`;
    const { size } = this.scenario.memslots[index];
    return new InputError(`${this.what}: memslots[${index}].size`, notAllowed(size), allowed);
  }

  private addDevices(): void {
    const { irqchip, inKernelPorts, deviceModelPorts } = this.scenario;
    if (irqchip) {
      this.vm.kvmCreateIrqchip();
      this.vm.kvmCreatePit2();
    }
    inKernelPorts.forEach((ports, index) => {
      this.asked(`inKernelPorts[${index}]`, ports, () => this.vm.registerPioDevice(ports.port, ports.len));
    });
    for (const ports of deviceModelPorts) this.vm.addDeviceModel(ports);
  }

  private ioeventfds(): EventFd[] {
    return ioeventfdsOf(this.scenario).map((ioeventfd) => this.ioeventfd(ioeventfd));
  }

  private doorbells(): EventFd[] {
    const { doorbells, memslots } = this.scenario;
    if (doorbells === undefined) return [];
    const { address, queues, len, datamatch, pio, waiter, slot, backing } = doorbells;
    const { stride } = doorbellLayout(doorbells);
    if (slot === "read-only") {
      const { first, bytes } = doorbellSlot(doorbells);
      this.asked("doorbells.slot", slot, () =>
        this.vm.kvmSetUserMemoryRegion({
          slot: memslots.length,
          flags: KVM_MEM_READONLY,
          guestPhysAddr: first,
          memorySize: bytes,
          userspaceAddr: this.vm.host.mmap(bytes, backing, first),
        }),
      );
    }
    return Array.from({ length: queues }, (_, queue) =>
      this.ioeventfd({ addr: address + queue * stride, len, datamatch, pio, waiter, field: "doorbells" }),
    );
  }

  private ioeventfd({ addr, len, datamatch, pio, waiter, field }: ScenarioIoeventfd): EventFd {
    const flags =
      (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH);
    const fd = this.vm.eventfd(waiter);
    try {
      this.vm.kvmIoeventfd({ addr, len, datamatch, flags, fd });
    } catch (error) {
      // Not every kernel and bus has ioeventfds of any length.
      if (len === 0 && error instanceof KvmError && error.errno === "EINVAL")
        throw this.refused(`${field}.len`, len, error);
      throw this.refused(field, { addr, len, datamatch, pio, waiter }, error);
    }
    return this.vm.eventfdCtxFdget(fd);
  }

  private findGuestMemory(): GuestMemory {
    const { memslots } = this.scenario;
    const index = memslots.findLastIndex(({ readonly }) => !readonly);
    if (index < 0) {
      const allowed = "a writable slot with room for the guest's page tables";
      throw new InputError(`${this.what}: memslots`, "all are read-only", allowed);
    }
    const { gpa, size } = memslots[index];
    return { index, first: gpa / PAGE, end: (gpa + size) / PAGE };
  }

  /** Asks the kernel for something it may refuse, and names the field when it does. */
  private asked<T>(field: string, value: unknown, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.refused(field, value, error);
    }
  }

  /** The kernel's refusal as a mistake in a field. @throws `error` if it is something else */
  private refused(field: string, value: unknown, error: unknown): InputError {
    if (!(error instanceof KvmError)) throw error;
    const allowed = `what the kernel accepts (${error.message})`;
    return new InputError(`${this.what}: ${field}`, notAllowed(value), allowed);
  }
}

function createVmOf(scenario: Scenario): Svm {
  const { cpu, kernel, patches, switches, exitEvicts, exitFootprint } = scenario;
  const { vcpus, paging, mmioCaching, l1tf, mitigations, host } = scenario;
  const geometry = { ...loadCpu(cpu).geometry, switches };
  const vm = createVm(kernel, geometry, {
    changes: patches.map((patch) => patchOf(patch).change),
    vcpus,
    paging,
    mmioCaching,
    l1tf,
    mitigations,
    host,
  });
  vm.exitEvicts = exitEvicts;
  if (exitFootprint !== undefined) vm.exitFootprint = new ExitHandlerFootprint(exitFootprint);
  return vm;
}
