/**
 * Runs a scenario: builds the virtual machine, lets the guest execute, and returns what was counted.
 */
import { loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { createVm } from "../kvm/eras.js";
import { KvmError } from "../kvm/errno.js";
import type { Vmx } from "../kvm/vmx.js";
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

/** Runs a scenario; `what` names it in errors. @throws InputError for a scenario that cannot be */
export function run(input: ScenarioInput, what = "scenario"): Run {
  const scenario = parseScenario(input, what);
  const { geometry } = loadCpu(scenario.cpu);
  const vm = createVm(scenario.kernel, { ...geometry, switches: scenario.switches });
  vm.exitEvicts = scenario.exitEvicts;

  scenario.memslots.forEach((slot, index) => {
    asked(`${what}: memslots[${index}]`, slot, () => vm.setUserMemoryRegion(slot));
  });
  const eventfds = scenario.ioeventfds.map((args, index) =>
    asked(`${what}: ioeventfds[${index}]`, args, () => vm.assignIoeventfd(args)),
  );
  scenario.inKernelPorts.forEach((ports, index) => {
    asked(`${what}: inKernelPorts[${index}]`, ports, () => vm.registerPioDevice(ports.port, ports.len));
  });
  for (const ports of scenario.deviceModelPorts) vm.addDeviceModel(ports);

  const accesses = scenario.workload.map((access) => ({
    ...access,
    footprint: access.footprint ?? access.size,
    stride: access.stride ?? access.size,
  }));
  mapGuest(vm, scenario, accesses, what);
  const workload = new Workload(accesses, scenario.seed);
  execute(vm, workload, scenario.warmup);
  vm.ledger.reset();
  const before = eventfds.map(({ signals }) => signals);
  execute(vm, workload, scenario.accesses);
  const counts = vm.ledger.toRecord();
  return {
    scenario,
    counts,
    pmu: pmuView(counts),
    signals: eventfds.map(({ signals }, index) => signals - before[index]),
  };
}

function execute(vm: Vmx, workload: Workload, instructions: number): void {
  for (let i = 0; i < instructions; i++) {
    workload.next(vm.instruction);
    vm.execute();
  }
}

/** Maps every page that the workload touches; the tables lie at the end of the last writable slot. */
function mapGuest(
  vm: Vmx,
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
    .filter(({ op }) => op === "store" || op === "load")
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
