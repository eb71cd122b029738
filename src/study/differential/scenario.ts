/**
 * A differential scenario: what userspace asks of KVM and what the guest executes, step by step, so that two kernels can be
 * asked for the same. It is data, JSON-serialisable, and knows nothing of how a kernel answers.
 *
 * The guest's code, results and page tables are in slot 0, which no step takes away. Linear addresses are guest-physical ones.
 */
import { INSTRUCTION_FORMS, type InstructionName } from "../../kvm/instruction.js";
import {
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
} from "../../kvm/ioeventfd.js";
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from "../../kvm/memslots.js";
import { PAGE } from "../../x86/mmu.js";

/** Slot 0, at 0: so many bytes. */
export const RAM_BYTES = 0x4_0000;
/** The guest's pages that scenarios are about: the first address, and how many are mapped. */
export const ARENA = 0x1000_0000;
export const ARENA_PAGES = 8;
/** Memory of userspace that slots can have behind them: how many, and bytes of each. */
export const MEMORIES = 3;
export const MEMORY_BYTES = 2 * PAGE;
export const EVENTFDS = 3;
/** Ports that scenarios are about begin here. */
export const PORT = 0xc000;
/** Ports by which the guest tells that an instruction has ended, and that it waits for userspace. */
export const SYNC_PORT = 0x510;
export const STOP_PORT = 0x511;

/** The instructions that the guest executes. */
export const GUEST_OPS = [
  "store",
  "load",
  "movnti",
  "stos",
  "rep-stos",
  "or",
  "add",
  "movups-store",
  "movups-load",
  "out",
  "in",
] as const satisfies readonly InstructionName[];
export type GuestOp = (typeof GUEST_OPS)[number];

/** KVM_SET_USER_MEMORY_REGION. Addresses and sizes in bytes. */
export interface SetMemory {
  readonly does: "set-memory";
  readonly slot: number;
  readonly flags: number;
  readonly gpa: number;
  readonly size: number;
  /** The memory behind the slot, and where in it the slot begins. */
  readonly memory: number;
  readonly offset: number;
}

/** KVM_IOEVENTFD. */
export interface AskIoeventfd {
  readonly does: "ioeventfd";
  /** Guest-physical address or port, 64 bits in hexadecimal: "0x10000000". */
  readonly addr: string;
  readonly len: number;
  readonly flags: number;
  readonly datamatch: number;
  /** Number of an eventfd, or a descriptor that is closed, or one of another file. */
  readonly fd: number | "closed" | "no eventfd";
}

/** KVM_GET_DIRTY_LOG. */
export interface GetDirtyLog {
  readonly does: "get-dirty-log";
  readonly slot: number;
}

/** madvise(MADV_DONTNEED) of a memory, which then is filled with zeros: KVM has to let go of what maps it. */
export interface DiscardMemory {
  readonly does: "discard";
  readonly memory: number;
}

/** One guest instruction. */
export interface GuestStep {
  readonly does: "access";
  readonly op: GuestOp;
  /** Linear address in bytes, or port. */
  readonly address: number;
  readonly size: number;
  /** RAX, or the low half of XMM0, before it: below 2^53. */
  readonly value: number;
  /** Iterations of a repeated one. */
  readonly count: number;
}

export type Step = SetMemory | AskIoeventfd | GetDirtyLog | DiscardMemory | GuestStep;
export type Scenario = readonly Step[];

/** Whether the operand of an instruction is at a port. */
export function isPortOp(op: GuestOp): boolean {
  const { operation } = INSTRUCTION_FORMS[op];
  return operation === "in" || operation === "out";
}

export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** A step in a line, such as "load 4 bytes at 0x10000000". */
export function stepText(step: Step): string {
  switch (step.does) {
    case "set-memory":
      return setMemoryText(step);
    case "ioeventfd":
      return ioeventfdText(step);
    case "get-dirty-log":
      return `KVM_GET_DIRTY_LOG of slot ${step.slot}`;
    case "discard":
      return `MADV_DONTNEED of memory ${step.memory}`;
    default:
      return accessText(step);
  }
}

function setMemoryText({ slot, flags, gpa, size, memory, offset }: SetMemory): string {
  const where = `slot ${slot}, ${size} bytes at ${hex(gpa)}`;
  return `memory ${memory}+${hex(offset)} is ${where}${flagsText(flags, MEMORY_FLAGS)}`;
}

function ioeventfdText({ addr, len, flags, datamatch, fd }: AskIoeventfd): string {
  const file = typeof fd === "number" ? `eventfd ${fd}` : `a descriptor (${fd})`;
  const match = (flags & KVM_IOEVENTFD_FLAG_DATAMATCH) === 0 ? "" : ` of ${hex(datamatch)}`;
  return `${file} for ${len} bytes${match} at ${addr}${flagsText(flags, IOEVENTFD_FLAGS)}`;
}

function accessText({ op, address, size, value, count }: GuestStep): string {
  const { writes, operation } = INSTRUCTION_FORMS[op];
  const what = writes || operation === "out" ? ` of ${hex(value)}` : "";
  const times = op === "rep-stos" ? `, ${count} times` : "";
  return `${op} ${size} byte${size === 1 ? "" : "s"}${what} at ${hex(address)}${times}`;
}

const MEMORY_FLAGS = [
  ["LOG_DIRTY_PAGES", KVM_MEM_LOG_DIRTY_PAGES],
  ["READONLY", KVM_MEM_READONLY],
] as const;
const IOEVENTFD_FLAGS = [
  ["DATAMATCH", KVM_IOEVENTFD_FLAG_DATAMATCH],
  ["PIO", KVM_IOEVENTFD_FLAG_PIO],
  ["DEASSIGN", KVM_IOEVENTFD_FLAG_DEASSIGN],
] as const;

/** Flags by name, and those that have none as a number. */
function flagsText(flags: number, names: readonly (readonly [name: string, flag: number])[]): string {
  const known = names.filter(([, flag]) => (flags & flag) !== 0);
  const rest = known.reduce((left, [, flag]) => (left & ~flag) >>> 0, flags);
  const words = [...known.map(([name]) => name), ...(rest === 0 ? [] : [hex(rest)])];
  return words.length === 0 ? "" : `, ${words.join(" ")}`;
}
