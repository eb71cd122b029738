/**
 * What the guest does: a mix of instructions, each drawn by its weight, with a pattern for its addresses.
 */
import { IN, type Instruction, LOAD, type Operation, OUT, STORE, VMCALL } from "../kvm/vcpu.js";
import { PAGE } from "../x86/mmu.js";
import { Random } from "./random.js";

export const OPERATIONS = ["store", "load", "out", "in", "vmcall"] as const;
export const PATTERNS = ["sequential", "uniform"] as const;

const OPERATION_CODES: Readonly<Record<(typeof OPERATIONS)[number], Operation>> = {
  store: STORE,
  load: LOAD,
  out: OUT,
  in: IN,
  vmcall: VMCALL,
};

export interface Access {
  readonly op: (typeof OPERATIONS)[number];
  /** Linear address in bytes (the guest maps it to the same guest-physical address), or port. */
  readonly address: number;
  /** Bytes of the access: 1, 2, 4 or 8, a divisor of the address. */
  readonly size: number;
  /** What a store or an OUT writes. */
  readonly value: number;
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
    instruction.operation = OPERATION_CODES[access.op];
    instruction.size = access.size;
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
    const { footprint, stride, pattern, size } = this.accesses[index];
    const places = Math.floor((footprint - size) / stride) + 1;
    if (places === 1) return 0;
    if (pattern === "uniform") return this.random.below(places) * stride;
    const position = this.positions[index];
    this.positions[index] = (position + 1) % places;
    return position * stride;
  }
}
