/**
 * Runs a scenario: builds the virtual machine, lets the guest execute, and returns what was counted.
 */

import { loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { createVm } from "../kvm/eras.js";
import { KvmError } from "../kvm/errno.js";
import { KVM_EXIT_IO } from "../kvm/vcpu.js";
import type { Vmx } from "../kvm/vmx.js";
import { GuestTables } from "../workload/guest-tables.js";
import { Workload } from "../workload/workload.js";
import { PAGE } from "../x86/mmu.js";
import { parseScenario, type Scenario, type ScenarioInput } from "./scenario.js";

export interface Run {
  readonly scenario: Scenario;
  /** How often each primitive happened in the counted instructions. */
  readonly counts: Readonly<Record<string, number>>;
  /** How often each ioeventfd was signalled by them, in the order of the scenario. */
  readonly signals: readonly number[];
}

/** @throws InputError for a scenario that cannot be */
export function run(input: ScenarioInput): Run {
  const scenario = parseScenario(input);
  const vm = createVm(scenario.kernel, loadCpu(scenario.cpu).geometry);
  vm.exitEvicts = scenario.exitEvicts;

  scenario.memslots.forEach((slot, index) => {
    refused(`memslots[${index}]`, slot, () => vm.setUserMemoryRegion(slot));
  });
  const eventfds = scenario.ioeventfds.map((args, index) =>
    refused(`ioeventfds[${index}]`, args, () => vm.assignIoeventfd(args)),
  );
  for (const { port, len } of scenario.inKernelPorts) vm.registerPioDevice(port, len);
  for (const { port, len } of scenario.deviceModelPorts)
    vm.addDeviceModel({ exit: KVM_EXIT_IO, addr: port, len });
  mapGuest(vm, scenario);

  const accesses = scenario.workload.map((access) => ({
    ...access,
    footprint: access.footprint ?? access.size,
    stride: access.stride ?? access.size,
  }));
  const workload = new Workload(accesses, scenario.seed);
  execute(vm, workload, scenario.warmup);
  vm.ledger.reset();
  const before = eventfds.map(({ signals }) => signals);
  execute(vm, workload, scenario.accesses);
  return {
    scenario,
    counts: vm.ledger.toRecord(),
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
function mapGuest(vm: Vmx, scenario: Scenario): void {
  const index = scenario.memslots.findLastIndex(({ readonly }) => !readonly);
  if (index < 0) {
    throw new InputError(
      "scenario: memslots",
      "all are read-only",
      "a writable slot, for the guest's page tables",
    );
  }
  const slot = scenario.memslots[index];
  const tables = new GuestTables(vm, (slot.gpa + slot.size) / PAGE);
  const touched = scenario.workload
    .filter(({ op }) => op === "store" || op === "load")
    .map(({ address, footprint, size }) => ({ first: address, end: address + (footprint ?? size) }));
  for (const { first, end } of touched) {
    const large = scenario.guestPages === "2M";
    refused(`memslots[${index}]`, slot, () =>
      tables.mapIdentity(Math.floor(first / PAGE), Math.ceil(end / PAGE), large),
    );
  }
  const firstTable = tables.firstGfn * PAGE;
  for (const { first, end } of touched) {
    if (first < slot.gpa + slot.size && end > firstTable) {
      throw new InputError(
        "scenario: workload",
        `addresses ${first} to ${end - 1} run into the guest's page tables`,
        `addresses below ${firstTable} or from ${slot.gpa + slot.size}, the end of the last writable slot, on`,
      );
    }
  }
}

/** Runs what the kernel may refuse, and names the field when it does. */
function refused<T>(field: string, value: unknown, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof KvmError)) throw error;
    throw new InputError(
      `scenario: ${field}`,
      notAllowed(value),
      `what the kernel accepts (${error.message})`,
    );
  }
}
