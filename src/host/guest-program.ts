/**
 * A program for a guest in 64-bit mode, as machine code: accesses one by one, whose results it stores, and loops of accesses
 * that it times itself, so that no cost of userspace is in their times. Each instruction gets its operands in registers just
 * before, and beside it only the results area is touched: there is no stack and no variable.
 *
 * The clock is RDTSC, which waits for no other instruction, between two LFENCEs: the first waits until all before it is done
 * (a store may still be on its way to memory), the second keeps back what follows. RDTSCP would make the first needless, but
 * not every processor has it. See the Intel SDM, volume 2, "RDTSC".
 *
 * To run one: the code and page tables (long-mode.ts) in the guest's memory, RIP at the code, and RFLAGS 2, so that strings
 * go upwards.
 */
import { InputError } from "../cost/input.js";
import { INSTRUCTION_FORMS, Instruction, type InstructionName } from "../kvm/instruction.js";
import type { U64 } from "../kvm/u64.js";
import type { Workload } from "../workload/workload.js";
import { PAGE } from "../x86/mmu.js";
import {
  encodeInstruction,
  littleEndian,
  moveImmediate,
  R8,
  R9,
  R10,
  R12,
  RAX,
  RCX,
  RDI,
  RDX,
  RSI,
} from "./instruction-code.js";

/** One instruction with its operands. */
export interface GuestAccess {
  readonly op: InstructionName;
  /** Linear address in bytes, or port. */
  readonly address: number;
  /** Bytes of the operand, as `encodeInstruction()` takes them. */
  readonly size: number;
  /** RAX before it, whatever the size; of 16 bytes XMM0. What a store writes, and what a short load leaves above its bytes. */
  readonly value: U64;
  /** Iterations of a repeated instruction; by default 1. */
  readonly count?: number;
}

/** An access in a loop. */
export interface LoopAccess extends GuestAccess {
  /** Bytes by which its address is higher in each round than in the one before, in all batches; by default 0. */
  readonly step?: number;
}

export interface TimedLoop {
  readonly batches: number;
  /** Rounds of a batch, from 1. */
  readonly rounds: number;
  /** What a round executes. Empty: what the loop itself and the clock take. */
  readonly body: readonly LoopAccess[];
}

/** Bytes of a result. */
const RESULT_BYTES = 16;
/** Bytes of a time. */
export const SAMPLE_BYTES = 8;

/** `mov %rax,(%rsi)`, `movups %xmm0,(%rsi)`. */
const STORE_RAX = [0x48, 0x89, 0x06];
const STORE_XMM0 = [0x0f, 0x11, 0x06];
/** `movq %rax,%xmm0`; `movq %rax,%xmm1`, `punpcklqdq %xmm1,%xmm0`. */
const XMM0_LOW = [0x66, 0x48, 0x0f, 0x6e, 0xc0];
const XMM0_HIGH = [0x66, 0x48, 0x0f, 0x6e, 0xc8, 0x66, 0x0f, 0x6c, 0xc1];
/** `lfence`, `rdtsc`, `lfence`, `shl $32,%rdx`, `or %rdx,%rax`: the time in RAX. */
const CLOCK = [0x0f, 0xae, 0xe8, 0x0f, 0x31, 0x0f, 0xae, 0xe8, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0];
/** `mov %rax,%r11`. */
const START = [0x49, 0x89, 0xc3];
/** `sub %r11,%rax`, `mov %rax,(%r9)`, `add $8,%r9`. */
const STORE_SAMPLE = [0x4c, 0x29, 0xd8, 0x49, 0x89, 0x01, 0x49, 0x83, 0xc1, SAMPLE_BYTES];
/** `inc %r12`: rounds of all batches. */
const COUNT_ROUND = [0x49, 0xff, 0xc4];
/** `imul $...,%r12,%rsi`, and after the 32-bit number `add %rsi,%rdi`. */
const ROUNDS_TIMES = [0x49, 0x69, 0xf4];
const ADD_TO_ADDRESS = [0x48, 0x01, 0xf7];
/** `dec %r8`, `dec %r10`, `jnz` by a 32-bit displacement. */
const DECREMENT_BATCHES = [0x49, 0xff, 0xc8];
const DECREMENT_ROUNDS = [0x49, 0xff, 0xca];
const JNZ = [0x0f, 0x85];

export class GuestProgram {
  private readonly code: number[] = [];
  private stored = 0;

  /**
   * @param results linear address of the results area, which is writable and, so that no store looks like a change of the
   *   code, in another page than the code
   */
  constructor(private readonly results: number) {}

  /** The code, to be loaded anywhere: it has no absolute address of its own. It ends without a stop. */
  get bytes(): Uint8Array {
    return Uint8Array.from(this.code);
  }

  /** Bytes of the results area that it writes. */
  get resultBytes(): number {
    return this.stored;
  }

  /**
   * Executes one instruction and stores RAX, or of 16 bytes XMM0, as the next RESULT_BYTES of the results; of RAX the upper
   * half is left as it is. Flags stay those of the instruction.
   *
   * @returns where in the results area, in bytes
   * @throws InputError for an instruction that `encodeInstruction()` does not have
   */
  access(access: GuestAccess): number {
    this.emitAccess(access);
    this.emit(moveImmediate(RSI, this.results + this.stored));
    this.emit(access.size === 16 ? STORE_XMM0 : STORE_RAX);
    return this.reserve(RESULT_BYTES);
  }

  /** Stores the TSC as it is then, 8 bytes. @returns where in the results area, in bytes */
  clock(): number {
    this.emit(CLOCK);
    this.emit(moveImmediate(RSI, this.results + this.stored));
    this.emit(STORE_RAX);
    return this.reserve(SAMPLE_BYTES);
  }

  /** Tells userspace something by an OUT of the byte 0. */
  out(port: number): void {
    this.emitAccess({ op: "out", address: port, size: 1, value: 0 });
  }

  /**
   * Executes `batches` times `rounds` rounds, and stores for each batch, in order, how far the TSC went, 8 bytes. What loads
   * read is dropped, and no access waits for the one before it unless the processor makes it.
   *
   * @returns where in the results area the first time is, in bytes
   * @throws InputError as `access()`, and RangeError for a loop without a round
   */
  timedLoop({ batches, rounds, body }: TimedLoop): number {
    if (!(batches >= 1 && rounds >= 1)) throw new RangeError("a loop has at least one batch and one round");
    this.emit(moveImmediate(R8, batches));
    this.emit(moveImmediate(R9, this.results + this.stored));
    this.emit(moveImmediate(R12, 0));
    const batch = this.code.length;
    this.emit(moveImmediate(R10, rounds));
    this.emit([...CLOCK, ...START]);
    const round = this.code.length;
    for (const access of body) this.emitAccess(access);
    this.emit(COUNT_ROUND);
    this.emitLoop(DECREMENT_ROUNDS, round);
    this.emit([...CLOCK, ...STORE_SAMPLE]);
    this.emitLoop(DECREMENT_BATCHES, batch);
    return this.reserve(SAMPLE_BYTES * batches);
  }

  private emitAccess({ op, address, size, value, count = 1, step = 0 }: LoopAccess): void {
    const { operation, repeated } = INSTRUCTION_FORMS[op];
    const instruction = encodeInstruction(op, size);
    if (operation === "memory") this.emitAddress(address, step);
    if (operation === "in" || operation === "out") this.emit(moveImmediate(RDX, address));
    if (repeated) this.emit(moveImmediate(RCX, count));
    if (size === 16) this.emitVector(BigInt(value));
    else this.emit(moveImmediate(RAX, value));
    this.emit(instruction);
  }

  private emitAddress(address: number, step: number): void {
    this.emit(moveImmediate(RDI, address));
    if (step === 0) return;
    if (step !== (step | 0)) throw new RangeError(`a step of ${step} bytes is not a whole number of 32 bits`);
    this.emit(ROUNDS_TIMES);
    this.emit(littleEndian(step, 4));
    this.emit(ADD_TO_ADDRESS);
  }

  private emitVector(value: bigint): void {
    this.emit(moveImmediate(RAX, BigInt.asUintN(64, value)));
    this.emit(XMM0_LOW);
    this.emit(moveImmediate(RAX, value >> 64n));
    this.emit(XMM0_HIGH);
  }

  /** Jumps back to `target`, an offset in the code, until the counter is 0. */
  private emitLoop(decrement: readonly number[], target: number): void {
    this.emit([...decrement, ...JNZ]);
    this.emit(littleEndian(target - (this.code.length + 4), 4));
  }

  private emit(bytes: Iterable<number>): void {
    for (const byte of bytes) this.code.push(byte);
  }

  private reserve(bytes: number): number {
    const offset = this.stored;
    this.stored += bytes;
    return offset;
  }
}

/**
 * The next instructions of a workload, each with its own address, as the body of a loop.
 * @throws InputError where the workload takes the page of an access away before: a guest cannot
 */
export function drawAccesses(workload: Workload, instructions: number): GuestAccess[] {
  const drawn = new Instruction();
  return Array.from({ length: instructions }, () => {
    workload.next(drawn);
    const { op, fresh } = workload.access;
    if (fresh) throw new InputError("fresh", `${op} asks for a fresh page`, "false in a guest program");
    const { page, offset, size, value, count } = drawn;
    return { op, address: page * PAGE + offset, size, value, count };
  });
}
