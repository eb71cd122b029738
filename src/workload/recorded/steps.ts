/** What a recording gives: pieces of steps, each one access of the guest, and counts of what gave none. */
import { INSTRUCTION_NAMES, type InstructionName } from "../../kvm/instruction.js";

/** Steps that one line can give: an access whose answer was waited for, and another. */
export const STEPS_PER_LINE = 2;

/** A piece of a recording: parallel arrays, of which the first `length` entries count; reused for the next piece. */
export class Steps {
  length = 0;
  /** Index in `INSTRUCTION_NAMES`. */
  readonly op: Uint8Array;
  /** In bytes, or a port. */
  readonly address: Float64Array;
  /** In bytes. */
  readonly size: Uint16Array;
  /** What is written, 0 where the recording does not say it. Above 2^53 it is rounded. */
  readonly value: Float64Array;
  /** Iterations of string I/O, else 1. */
  readonly count: Uint32Array;
  /** Thread or vCPU, from 0 on. */
  readonly thread: Uint16Array;
  /** 1: the page is to be taken from the guest before the access, so that it faults again. */
  readonly fresh: Uint8Array;

  constructor(readonly capacity: number) {
    this.op = new Uint8Array(capacity);
    this.address = new Float64Array(capacity);
    this.size = new Uint16Array(capacity);
    this.value = new Float64Array(capacity);
    this.count = new Uint32Array(capacity);
    this.thread = new Uint16Array(capacity);
    this.fresh = new Uint8Array(capacity);
  }

  /** Whether the steps of another line may not find room. */
  get full(): boolean {
    return this.length > this.capacity - STEPS_PER_LINE;
  }

  add(op: number, address: number, size: number, thread: number, value = 0, count = 1, fresh = 0): void {
    const at = this.length++;
    this.op[at] = op;
    this.address[at] = address;
    this.size[at] = size;
    this.thread[at] = thread;
    this.value[at] = value;
    this.count[at] = count;
    this.fresh[at] = fresh;
  }
}

/** A step's `op`. */
function opOf(name: InstructionName): number {
  return INSTRUCTION_NAMES.indexOf(name);
}

export const FETCH = opOf("fetch");
export const LOAD = opOf("load");
export const STORE = opOf("store");
/** A read-modify-write. */
export const MODIFY = opOf("add");
export const IN = opOf("in");
export const OUT = opOf("out");
export const INS = opOf("ins");
export const OUTS = opOf("outs");
export const VMCALL = opOf("vmcall");

/** Bytes of the largest access: XSAVE with all that it may save. */
export const MAX_SIZE = 4096;

/** Linear addresses below it are those of a process: the lower half, with tables of four levels. */
export const LINEAR_LIMIT = 2 ** 47;
/** How accesses above it are counted. */
export const ABOVE_LINEAR = "address above 0x7fffffffffff";

/** Counts of what gave no step, by kind. */
export class LeftOut {
  private readonly counts = new Map<string, number>();

  add(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  toObject(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counts);
  }
}

/** What a reader of a format adds to. */
export class Output {
  readonly leftOut = new LeftOut();
  /** What a reader of the results has to know. */
  readonly notes = new Set<string>();

  constructor(readonly steps: Steps) {}

  /** An access of a process. */
  access(op: number, address: number, size: number, thread: number): void {
    if (address + size > LINEAR_LIMIT) this.leftOut.add(ABOVE_LINEAR);
    else this.steps.add(op, address, size, thread);
  }
}
