/**
 * Runs a scenario: builds the virtual machine, lets the guest execute, and returns what was counted.
 */
import { loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { createVm } from "../kvm/eras.js";
import { KvmError } from "../kvm/errno.js";
import type { ExitCounts } from "../kvm/exit-counts.js";
import { INSTRUCTION_FORMS } from "../kvm/instruction.js";
import { KVM_IOEVENTFD_FLAG_DATAMATCH, KVM_IOEVENTFD_FLAG_PIO } from "../kvm/ioeventfd.js";
import { KVM_MEM_READONLY } from "../kvm/memslots.js";
import type { Svm } from "../kvm/svm.js";
import type { Trace } from "../kvm/trace.js";
import { GuestTables } from "../workload/guest-tables.js";
import { type Access, Workload } from "../workload/workload.js";
import { PAGE } from "../x86/mmu.js";
import { pmuView } from "../x86/pmu.js";
import { hex, parseScenario, type Scenario, type ScenarioInput } from "./scenario.js";

export interface Run {
  readonly scenario: Scenario;
  /** How often each primitive happened in the counted instructions. */
  readonly counts: Readonly<Record<string, number>>;
  /** The same as a processor's performance-monitoring unit would show it, by perf's event names. */
  readonly pmu: Readonly<Record<string, number>>;
  /** How often each ioeventfd was signalled by them, in the order of the scenario. */
  readonly signals: readonly number[];
}

/** What to note of the counted instructions beside their counts. */
export interface Observers {
  readonly trace?: Trace;
  readonly exitCounts?: ExitCounts;
}

/** Runs a scenario; `what` names it in errors. @throws InputError for a scenario that cannot be */
export function run(input: ScenarioInput, what = "scenario", observers: Observers = {}): Run {
  const scenario = parseScenario(input, what);
  const vm = machineOf(scenario, what);
  const eventfds = scenario.ioeventfds.map((args, index) => {
    const fd = vm.eventfd(args.waiter);
    asked(`${what}: ioeventfds[${index}]`, args, () =>
      vm.kvmIoeventfd({ ...args, flags: flagsOf(args), fd }),
    );
    return vm.eventfdCtxFdget(fd);
  });
  const accesses = scenario.workload.map((access) => ({
    ...access,
    footprint: access.footprint ?? access.size * access.count,
    stride: access.stride ?? access.size,
  }));
  mapGuest(vm, scenario, accesses, what);
  // Each vCPU draws from the same mix, with a seed of its own.
  const workloads = vm.vcpus.map(({ id }) => new Workload(accesses, (scenario.seed + id) >>> 0));
  execute(vm, workloads, scenario.warmup);
  vm.ledger.reset();
  const before = eventfds.map(({ signals }) => signals);
  vm.trace = observers.trace ?? null;
  vm.exitCounts = observers.exitCounts ?? null;
  execute(vm, workloads, scenario.accesses);
  const counts = vm.ledger.toRecord();
  return {
    scenario,
    counts,
    pmu: pmuView(counts),
    signals: eventfds.map(({ signals }, index) => signals - before[index]),
  };
}

/** The virtual machine of a scenario, without its ioeventfds. */
function machineOf(scenario: Scenario, what: string): Svm {
  const { cpu, kernel, switches, exitEvicts, memslots, inKernelPorts, deviceModelPorts, irqchip } = scenario;
  const { vcpus, paging, mmioCaching, l1tf, host } = scenario;
  const geometry = { ...loadCpu(cpu).geometry, switches };
  const vm = createVm(kernel, geometry, { vcpus, paging, mmioCaching, l1tf, host });
  vm.exitEvicts = exitEvicts;
  memslots.forEach(({ gpa, size, readonly, backing }, slot) => {
    asked(`${what}: memslots[${slot}]`, memslots[slot], () =>
      vm.kvmSetUserMemoryRegion({
        slot,
        flags: readonly ? KVM_MEM_READONLY : 0,
        guestPhysAddr: gpa,
        memorySize: size,
        userspaceAddr: vm.host.mmap(size, backing, gpa),
      }),
    );
  });
  if (irqchip) {
    vm.kvmCreateIrqchip();
    vm.kvmCreatePit2();
  }
  inKernelPorts.forEach((ports, index) => {
    asked(`${what}: inKernelPorts[${index}]`, ports, () => vm.registerPioDevice(ports.port, ports.len));
  });
  for (const ports of deviceModelPorts) vm.addDeviceModel(ports);
  return vm;
}

function flagsOf({ pio, datamatch }: Scenario["ioeventfds"][number]): number {
  return (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH);
}

/** Lets each vCPU execute this many instructions. */
function execute(vm: Svm, workloads: readonly Workload[], instructions: number): void {
  if (workloads.length === 1) {
    const [workload] = workloads;
    const { instruction } = vm.vcpu;
    for (let i = 0; i < instructions; i++) {
      workload.next(instruction);
      vm.execute();
    }
    return;
  }
  for (let i = 0; i < instructions; i++) {
    for (const { id, instruction } of vm.vcpus) workloads[id].next(instruction);
    vm.executeTogether();
  }
}

/** Maps every page that the workload touches; the tables lie at the end of the last writable slot. */
function mapGuest(
  vm: Svm,
  { memslots, guestPages }: Scenario,
  accesses: readonly Access[],
  what: string,
): void {
  const index = memslots.findLastIndex(({ readonly }) => !readonly);
  const allowed = "a writable slot with room for the guest's page tables at its end";
  if (index < 0) throw new InputError(`${what}: memslots`, "all are read-only", allowed);
  const { gpa, size } = memslots[index];
  const end = gpa + size;

  const touched = accesses
    .filter(({ op }) => ["memory", "fetch", "event"].includes(INSTRUCTION_FORMS[op].operation))
    .map(({ address, footprint }) => ({ first: address, end: address + footprint }));
  const tables = new GuestTables(vm, gpa / PAGE, end / PAGE);
  try {
    for (const range of touched) {
      tables.mapIdentity(Math.floor(range.first / PAGE), Math.ceil(range.end / PAGE), guestPages === "2M");
    }
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    throw new InputError(`${what}: memslots[${index}].size`, notAllowed(size), allowed);
  }

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

/** Asks the kernel for something it may refuse, and names the field when it does. */
function asked<T>(field: string, value: unknown, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    throw new InputError(field, notAllowed(value), `what the kernel accepts (${error.message})`);
  }
}
