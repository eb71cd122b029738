/**
 * What a guest's vCPU does: a mix of instructions, each drawn by its weight, with a pattern for its addresses.
 *
 * The draws of the mix and those of each access have random streams of their own on each vCPU, so that a change of one
 * access leaves alone what the others do. What lies in memory is the same for all vCPUs: which places are popular, and where
 * the pointers of a chase lead.
 */
import {
  INSTRUCTION_FORMS,
  type Instruction,
  type InstructionForm,
  type InstructionName,
} from "../kvm/instruction.js";
import { PAGE } from "../x86/mmu.js";
import { type Pattern, patternOf } from "./pattern.js";
import { Random } from "./random.js";

export const PATTERNS = ["sequential", "uniform", "zipf", "pointer-chase", "phases"] as const;

/** Linear address of the first instruction; each entry of the mix is one, a cache line apart. */
const CODE = 0x40_0000;
const CODE_BYTES = 64;

/** Ports are numbers of 16 bits. */
const LAST_PORT = 0xffff;

/** Streams of an entry of the mix: one that all vCPUs share, and one of each. */
const STREAMS = 2 ** 16;

export interface Access {
  readonly op: InstructionName;
  /** Linear address in bytes (the guest maps it to the same guest-physical address), or port. */
  readonly address: number;
  /** Bytes of the access: 1, 2, 4, 8 or, of movups, 16. */
  readonly size: number;
  /** What a store or an OUT writes. */
  readonly value: number;
  /** Iterations of a repeated instruction. */
  readonly count: number;
  /** Bytes from `address` on that the accesses cover; equal to `size` for one address. */
  readonly footprint: number;
  /** Bytes between neighbouring addresses. */
  readonly stride: number;
  readonly pattern: (typeof PATTERNS)[number];
  /** Share of the instructions, relative to the weights of the others; 0: never. */
  readonly weight: number;
  /** Instructions in a row each time it is drawn; `weight` stays its share of the instructions. */
  readonly burst: number;
  /** zipf: exponent, above 0. Place k, from 1 in the order of popularity, is drawn in proportion to k^-skew. */
  readonly skew: number;
  /** phases: bytes, at least those of one access, of the working set that accesses stay in, uniformly. */
  readonly workingSet: number;
  /** phases: accesses before another working set of the footprint is drawn. */
  readonly phase: number;
  /** Only this vCPU executes it; undefined: every. */
  readonly vcpu?: number | undefined;
  /** The page is taken from the guest before each access, so that it faults anew. */
  readonly fresh: boolean;
}

export class Workload {
  private readonly entries: readonly Entry[];
  private readonly random: Random;
  private readonly total: number;
  private entry: Entry;
  /** Instructions that the burst has left. */
  private left = 0;

  /**
   * What one vCPU executes: the accesses without `vcpu`, and its own.
   * @throws RangeError for a vCPU without an access of positive weight, and for a pointer chase of too many places
   */
  constructor(accesses: readonly Access[], seed: number, vcpu: number) {
    const randomOf = (entry: number, stream: number) => new Random(seed, entry * STREAMS + stream);
    let sum = 0;
    this.entries = accesses.flatMap((access, index) => {
      if (access.weight === 0 || (access.vcpu ?? vcpu) !== vcpu) return [];
      sum += access.weight / access.burst;
      const pattern = patternOf(access, randomOf(index + 1, 0), randomOf(index + 1, vcpu + 1));
      return new Entry(access, index, pattern, sum);
    });
    if (this.entries.length === 0) throw new RangeError(`vCPU ${vcpu}: no access of positive weight`);
    this.random = randomOf(0, vcpu + 1);
    this.total = sum;
    this.entry = this.entries[0];
  }

  /** The access that `next()` drew last. */
  get access(): Access {
    return this.entry.access;
  }

  /** Fills in the next guest instruction. */
  next(instruction: Instruction): void {
    if (this.left === 0) this.draw();
    this.left--;
    this.entry.fill(instruction);
  }

  private draw(): void {
    const { entries } = this;
    if (entries.length > 1) {
      const target = this.random.fraction() * this.total;
      let index = 0;
      while (target >= entries[index].cumulative) index++;
      this.entry = entries[index];
    }
    this.left = this.entry.burst;
  }
}

/** An access of the mix as `next()` needs it. */
class Entry {
  readonly burst: number;
  private readonly form: InstructionForm;
  private readonly rip: number;
  private readonly address: number;
  private readonly stride: number;
  private readonly size: number;
  private readonly count: number;
  private readonly value: number;

  /** @param cumulative chance of being drawn, together with that of all entries before it */
  constructor(
    readonly access: Access,
    index: number,
    private readonly pattern: Pattern,
    readonly cumulative: number,
  ) {
    this.burst = access.burst;
    this.form = INSTRUCTION_FORMS[access.op];
    this.rip = CODE + CODE_BYTES * index;
    this.address = access.address;
    this.stride = access.stride;
    this.size = access.size;
    this.count = access.count;
    this.value = access.value;
  }

  fill(instruction: Instruction): void {
    const address = this.address + this.pattern.next() * this.stride;
    const page = Math.floor(address / PAGE);
    instruction.form = this.form;
    instruction.rip = this.rip;
    instruction.size = this.size;
    instruction.count = this.count;
    instruction.value = this.value;
    // As integers of 32 bits, which the difference of two larger numbers is none for an engine.
    instruction.port = address & LAST_PORT;
    instruction.page = page;
    instruction.offset = (address - page * PAGE) | 0;
  }
}
