/**
 * What the guest does: a mix of instructions, each drawn by its weight, with a pattern for its addresses.
 */
import { INSTRUCTION_FORMS, type Instruction, type InstructionName } from "../kvm/instruction.js";
import { PAGE } from "../x86/mmu.js";
import { Random } from "./random.js";

export const PATTERNS = ["sequential", "uniform"] as const;

/** Linear address of the first instruction; each entry of the mix is one, a cache line apart. */
const CODE = 0x40_0000;
const CODE_BYTES = 64;

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
  /** Share of the instructions, relative to the weights of the others. */
  readonly weight: number;
}

export class Workload {
  private readonly random: Random;
  private readonly positions: number[];
  private readonly cumulative: number[];

  constructor(
    private readonly accesses: readonly Access[],
    seed: number,
  ) {
    this.random = new Random(seed);
    this.positions = accesses.map(() => 0);
    let sum = 0;
    this.cumulative = accesses.map(({ weight }) => {
      sum += weight;
      return sum;
    });
  }

  /** Fills in the next guest instruction. */
  next(instruction: Instruction): void {
    const index = this.draw();
    const access = this.accesses[index];
    const address = access.address + this.offset(index);
    instruction.form = INSTRUCTION_FORMS[access.op];
    instruction.rip = CODE + CODE_BYTES * index;
    instruction.size = access.size;
    instruction.count = access.count;
    instruction.value = access.value;
    instruction.port = address;
    instruction.page = Math.floor(address / PAGE);
    instruction.offset = address % PAGE;
  }

  private draw(): number {
    if (this.accesses.length === 1) return 0;
    const target = this.random.fraction() * this.cumulative[this.cumulative.length - 1];
    return this.cumulative.findIndex((sum) => target < sum);
  }

  private offset(index: number): number {
    const { footprint, stride, pattern, size, count } = this.accesses[index];
    const places = Math.floor((footprint - size * count) / stride) + 1;
    if (places === 1) return 0;
    if (pattern === "uniform") return this.random.below(places) * stride;
    const position = this.positions[index];
    this.positions[index] = (position + 1) % places;
    return position * stride;
  }
}
