/** A guest that cannot go on, as a mistake in what it was told to do. */
import { InputError } from "../../cost/input.js";
import { KvmError } from "../../kvm/errno.js";
import { GuestStopped } from "../../kvm/guest-stopped.js";
import type { Instruction } from "../../kvm/instruction.js";
import { PatchError } from "../../patches/define-patch.js";
import { PAGE } from "../../x86/mmu.js";
import { hasAddress, hex } from "./scenario.js";

/** Whether the guest, the simulated kernel or a patch of it cannot go on: an answer, where all else is a fault of the program. */
export function isOfTheModel(error: unknown): error is GuestStopped | KvmError | PatchError {
  return error instanceof GuestStopped || error instanceof KvmError || error instanceof PatchError;
}

/**
 * @param field of what the guest was told to do
 * @throws `error` if it is a mistake that is named already, as a patch's is, or one of the program
 */
export function stopped(error: unknown, field: string): InputError {
  if (!isOfTheModel(error) || error instanceof PatchError) throw error;
  return new InputError(field, error.message, "what the guest can do to its end");
}

/** An instruction with its operand, such as "fetch at 0xfebf0000". */
export function operandOf(op: string, { form, page, offset, port }: Instruction): string {
  const { operation } = form;
  if (!hasAddress(operation)) return op;
  return `${op} at ${hex(operation === "in" || operation === "out" ? port : page * PAGE + offset)}`;
}
