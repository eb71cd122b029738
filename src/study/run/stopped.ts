/** A guest that cannot go on, as a mistake in what it was told to do. */
import { InputError } from "../../cost/input.js";
import { KvmError } from "../../kvm/errno.js";
import type { Instruction } from "../../kvm/instruction.js";
import { PAGE } from "../../x86/mmu.js";
import { hasAddress, hex } from "./scenario.js";

/**
 * KVM has stopped the vCPU, the guest makes no progress, or it has a page fault that it cannot handle.
 *
 * @param field of what the guest was told to do
 * @throws `error` if it is a mistake that is named already, or one of the program
 */
export function stopped(error: unknown, field: string): InputError {
  const ofTheModel = error instanceof KvmError || (error instanceof Error && error.name === "Error");
  if (!ofTheModel) throw error;
  return new InputError(field, error.message, "what the guest can do to its end");
}

/** An instruction with its operand, such as "fetch at 0xfebf0000". */
export function operandOf(op: string, { form, page, offset, port }: Instruction): string {
  const { operation } = form;
  if (!hasAddress(operation)) return op;
  return `${op} at ${hex(operation === "in" || operation === "out" ? port : page * PAGE + offset)}`;
}
