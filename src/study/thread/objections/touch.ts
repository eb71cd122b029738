/** One instruction of the guest, beside what its workload draws. */
import { INSTRUCTION_FORMS } from "../../../kvm/instruction.js";
import { PAGE } from "../../../x86/mmu.js";
import type { Machine } from "../../run/machine.js";

/**
 * Executes a load or a store of the value 0. The guest's paging structures have to map the page.
 *
 * @param address linear and guest-physical, in bytes
 */
export function touch({ vm }: Machine, op: "load" | "store", address: number, size: number): void {
  const operand = { page: Math.floor(address / PAGE), offset: address % PAGE, size, value: 0, count: 1 };
  Object.assign(vm.vcpu.instruction, { form: INSTRUCTION_FORMS[op], ...operand });
  vm.execute();
}
