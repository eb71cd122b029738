/**
 * What a vCPU is doing: the guest instruction under way and the exit to userspace it may need.
 */

/** Guest instructions that the model executes: a `mov` to or from memory, OUT, IN, VMCALL. */
export const STORE = 0;
export const LOAD = 1;
export const OUT = 2;
export const IN = 3;
export const VMCALL = 4;
export type Operation = typeof STORE | typeof LOAD | typeof OUT | typeof IN | typeof VMCALL;

/** Exits to userspace, by their UAPI numbers. */
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_MMIO = 6;

/** Bytes of the instruction encodings used: `mov %al,(%rdi)` and the like, `out %al,(%dx)`, `vmcall`. */
export const MOV_LENGTH = 2;
export const IO_LENGTH = 1;
export const VMCALL_LENGTH = 3;

/** One guest instruction, reused for each: an access allocates nothing. */
export class Instruction {
  operation: Operation = STORE;
  /** Linear address of a load or store: page number and byte offset in the page. */
  page = 0;
  offset = 0;
  /** Port of IN and OUT. */
  port = 0;
  /** Bytes: 1, 2, 4 or 8; the access stays inside its page. */
  size = 1;
  /** Value that a store or an OUT writes. */
  value = 0;
}
