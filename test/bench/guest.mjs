/**
 * The compiled package's side of the rows of a guest: the virtual machine of a scenario, and the loops over its
 * instructions. It is the same as in yardstick/kvm-guest.hpp, name by name.
 *
 * `src/study/run` has such a machine for any scenario. This one is on the benchmark's processor, and nothing watches it.
 */
import { createVm } from "../../dist/kvm/eras.js";
import { INSTRUCTION_FORMS } from "../../dist/kvm/instruction.js";
import { KVM_IOEVENTFD_FLAG_DATAMATCH, KVM_IOEVENTFD_FLAG_PIO } from "../../dist/kvm/ioeventfd.js";
import { accessesOf } from "../../dist/study/run/drawn-guest.js";
import { doorbellLayout, ioeventfdsOf, isMemoryOperation } from "../../dist/study/run/scenario.js";
import { GuestTables } from "../../dist/workload/guest-tables.js";
import { Workload } from "../../dist/workload/workload.js";
import { PAGE } from "../../dist/x86/mmu.js";
import { geometry } from "./processor-rows.mjs";
import { processorTime } from "./processor-time.mjs";

/**
 * @typedef {import("./guest-rows.mjs").GuestRow} GuestRow
 * @typedef {import("./guest-rows.mjs").Scenario} Scenario
 * @typedef {import("../../dist/workload/workload.js").Access} Access
 * @typedef {ReturnType<typeof createVm>} Vm
 *
 * @typedef {object} Eventfd an ioeventfd with an eventfd of its own
 * @property {number} addr
 * @property {number} len
 * @property {number | undefined} [datamatch]
 * @property {boolean} pio
 * @property {import("../../dist/kvm/ioeventfd.js").Waiter} waiter
 */

/**
 * The loops of the rows.
 *
 * @type {Readonly<Record<import("./guest-rows.mjs").GuestOperation, (vm: Vm, workload: Workload, instructions: number) => void>>}
 */
const LOOPS = {
  kick(vm, _, instructions) {
    for (let i = 0; i < instructions; i++) vm.execute();
  },

  fresh(vm, workload, instructions) {
    const { instruction } = vm.vcpu;
    for (let i = 0; i < instructions; i++) {
      workload.next(instruction);
      vm.discardPages(instruction.page, instruction.page + 1);
      vm.execute();
    }
  },

  mix(vm, workload, instructions) {
    const { instruction } = vm.vcpu;
    for (let i = 0; i < instructions; i++) {
      workload.next(instruction);
      vm.execute();
    }
  },
};

/**
 * @param {GuestRow} row
 * @param {number} iterations
 * @returns {import("./processor-rows.mjs").Measurement} its digest is the number of signals
 */
export function measureGuest({ operation, scenario }, iterations) {
  const guest = scenario(iterations);
  const { vm, workload, signals } = buildGuest(guest);
  workload.next(vm.vcpu.instruction);
  const loop = LOOPS[operation];
  loop(vm, workload, guest.warmup);
  const before = signals();
  vm.ledger.reset();

  const start = processorTime();
  loop(vm, workload, iterations);
  const nanoseconds = processorTime() - start;
  return { nanoseconds, digest: signals() - before, counts: vm.ledger.toRecord() };
}

/** @param {Scenario} scenario */
function buildGuest(scenario) {
  const vm = createVm(scenario.kernel, geometry);
  scenario.memslots.forEach(({ gpa, size, backing }, slot) => {
    const userspaceAddr = vm.host.mmap(size, backing, gpa);
    vm.kvmSetUserMemoryRegion({ slot, flags: 0, guestPhysAddr: gpa, memorySize: size, userspaceAddr });
  });
  const eventfds = eventfdsOf(scenario).map(({ addr, len, datamatch, pio, waiter }) => {
    const fd = vm.eventfd(waiter);
    const flags =
      (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH);
    vm.kvmIoeventfd({ addr, len, datamatch, flags, fd });
    return vm.eventfdCtxFdget(fd);
  });
  const tables = scenario.memslots[scenario.memslots.length - 1];
  const guestTables = new GuestTables(vm, tables.gpa / PAGE, (tables.gpa + tables.size) / PAGE);
  const accesses = accessesOf(scenario);
  for (const { op, address, footprint } of accesses) {
    if (!isMemoryOperation(INSTRUCTION_FORMS[op].operation)) continue;
    guestTables.mapIdentity(Math.floor(address / PAGE), Math.ceil((address + footprint) / PAGE), "2M");
  }
  return {
    vm,
    workload: new Workload(accesses, scenario.seed, 0),
    signals: () => eventfds.reduce((sum, { signals }) => sum + signals, 0),
  };
}

/**
 * All ioeventfds in the order of their registration.
 *
 * @param {Scenario} scenario
 * @returns {Eventfd[]}
 */
export function eventfdsOf(scenario) {
  const { doorbells } = scenario;
  const others = ioeventfdsOf(scenario);
  if (doorbells === undefined) return others;
  const { address, queues, len, datamatch, pio, waiter } = doorbells;
  const { stride } = doorbellLayout(doorbells);
  const own = Array.from({ length: queues }, (_, queue) => ({
    addr: address + queue * stride,
    len,
    datamatch,
    pio,
    waiter,
  }));
  return [...others, ...own];
}
