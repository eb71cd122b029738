/**
 * Guest instructions that the model executes, and what the hypervisor's emulator knows of each. The forms are those that
 * guests use on device memory, and one for each rule of the emulator that treats instructions apart.
 * Kernel counterpart: the opcode tables of arch/x86/kvm/emulate.c.
 */
import { type AccessKind, FETCH, READ, WRITE } from "../x86/access.js";

export type Operation =
  | "memory"
  | "fetch"
  | "event"
  | "out"
  | "in"
  | "vmcall"
  | "mov-cr3"
  | "cpuid"
  | "rdmsr"
  | "wrmsr";

/** `access` of a form that has no operand in memory. */
export const NO_ACCESS = -1;

export interface InstructionForm {
  readonly operation: Operation;
  /** The access that the processor looks up the operand for: a read-modify-write is a write. */
  readonly access: AccessKind | typeof NO_ACCESS;
  /** With the smallest operand, the address in RDI and the port in DX. */
  readonly encoding: readonly number[];
  /** Memory operand: read, written, or both (in this order). */
  readonly reads: boolean;
  readonly writes: boolean;
  /**
   * Guests use it to write page-table entries, so the emulator of the eras up to v4.2 executes it at once where others are
   * first tried again by the guest.
   */
  readonly pageTable: boolean;
  /** With a REP prefix: repeated, at rising addresses, until the count is 0. */
  readonly repeated: boolean;
  /** INS and OUTS, which the kernel always emulates. */
  readonly string: boolean;
}

const NOTHING = {
  access: NO_ACCESS,
  reads: false,
  writes: false,
  pageTable: false,
  repeated: false,
  string: false,
} as const;
const LOAD = { ...NOTHING, operation: "memory", access: READ, reads: true } as const;
const STORE = { ...NOTHING, operation: "memory", access: WRITE, writes: true } as const;
const READ_MODIFY_WRITE = { ...STORE, reads: true } as const;

export const INSTRUCTION_FORMS = {
  /** `mov %al,(%rdi)` and its wider forms. */
  store: { ...STORE, encoding: [0x88, 0x07], pageTable: true },
  /** `mov (%rdi),%al`. */
  load: { ...LOAD, encoding: [0x8a, 0x07] },
  movnti: { ...STORE, encoding: [0x0f, 0xc3, 0x07] },
  stos: { ...STORE, encoding: [0xaa] },
  "rep-stos": { ...STORE, encoding: [0xf3, 0xaa], repeated: true },
  /** `or %al,(%rdi)`: a read-modify-write that writes page-table entries. */
  or: { ...READ_MODIFY_WRITE, encoding: [0x08, 0x07], pageTable: true },
  /** `add %al,(%rdi)`: one that does not. */
  add: { ...READ_MODIFY_WRITE, encoding: [0x00, 0x07] },
  /** `movups`, 16 bytes. */
  "movups-store": { ...STORE, encoding: [0x0f, 0x11, 0x07] },
  "movups-load": { ...LOAD, encoding: [0x0f, 0x10, 0x07] },
  /** The fetch of an instruction at the address. */
  fetch: { ...NOTHING, operation: "fetch", access: FETCH, encoding: [0x90] },
  /** The delivery of an event to the guest, which writes at the address: the stack frame of its handler. */
  event: { ...NOTHING, operation: "event", access: WRITE, encoding: [0x90], writes: true },
  out: { ...NOTHING, operation: "out", encoding: [0xee] },
  in: { ...NOTHING, operation: "in", encoding: [0xec] },
  outs: { ...NOTHING, operation: "out", encoding: [0x6e], string: true },
  ins: { ...NOTHING, operation: "in", encoding: [0x6c], string: true },
  vmcall: { ...NOTHING, operation: "vmcall", encoding: [0x0f, 0x01, 0xc1] },
  /** `mov %rdi,%cr3`, of the root that is loaded already: what a switch of address spaces does to the caches. */
  "mov-cr3": { ...NOTHING, operation: "mov-cr3", encoding: [0x0f, 0x22, 0xdf] },
  cpuid: { ...NOTHING, operation: "cpuid", encoding: [0x0f, 0xa2] },
  /** Of a register that KVM intercepts and keeps itself, as IA32_TSC_ADJUST: no timer, no interrupt, no guest's own. */
  rdmsr: { ...NOTHING, operation: "rdmsr", encoding: [0x0f, 0x32] },
  wrmsr: { ...NOTHING, operation: "wrmsr", encoding: [0x0f, 0x30] },
} as const satisfies Readonly<Record<string, InstructionForm>>;

export type InstructionName = keyof typeof INSTRUCTION_FORMS;
export const INSTRUCTION_NAMES = Object.keys(INSTRUCTION_FORMS) as readonly InstructionName[];

/** One guest instruction, reused for each: an access allocates nothing. */
export class Instruction {
  form: InstructionForm = INSTRUCTION_FORMS.store;
  /** Linear address of the instruction, in bytes. */
  rip = 0x1000;
  /** Linear address of the memory operand: page number and byte offset in the page. */
  page = 0;
  offset = 0;
  /** Port of OUT, IN, OUTS, INS. */
  port = 0;
  /** Bytes of the operand: 1, 2, 4 or 8; 16 for movups. */
  size = 1;
  /** Value that a store or an OUT writes: the low 8 bytes of 16, above them zeros. */
  value = 0;
  /** Iterations that REP has left (RCX). */
  count = 1;
}
