import { describe, expect, it } from "vitest";
import { INSTRUCTION_FORMS, Instruction } from "../../src/kvm/instruction.js";
import { Random } from "../../src/workload/random.js";
import { type Access, Workload } from "../../src/workload/workload.js";

function access(change: Partial<Access>): Access {
  const defaults = { op: "load", address: 0, size: 4, value: 0, count: 1, footprint: 4, stride: 4 } as const;
  return { ...defaults, pattern: "sequential", weight: 1, ...change };
}

/** Addresses of the next instructions. */
function addresses(workload: Workload, n: number): number[] {
  const instruction = new Instruction();
  return Array.from({ length: n }, () => {
    workload.next(instruction);
    return instruction.page * 4096 + instruction.offset;
  });
}

describe("the random numbers", () => {
  it("repeat for a seed and differ between seeds", () => {
    const numbers = (seed: number) => {
      const random = new Random(seed);
      return Array.from({ length: 8 }, () => random.next());
    };
    expect(numbers(1)).toEqual(numbers(1));
    expect(numbers(1)).not.toEqual(numbers(2));
    expect(numbers(0).every((n) => n >= 0 && n < 2 ** 32 && Number.isInteger(n))).toBe(true);
  });

  it("fall evenly below a limit", () => {
    const random = new Random(1);
    const counts = new Array(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500); // five standard deviations
  });
});

describe("a workload", () => {
  it("goes through a footprint in order and starts again", () => {
    const workload = new Workload([access({ address: 0x1ff8, footprint: 16, stride: 4 })], 1);
    expect(addresses(workload, 6)).toEqual([0x1ff8, 0x1ffc, 0x2000, 0x2004, 0x1ff8, 0x1ffc]);
  });

  it("leaves out the last place where the access would leave the footprint", () => {
    const workload = new Workload([access({ size: 8, footprint: 20, stride: 8 })], 1);
    expect(addresses(workload, 3)).toEqual([0, 8, 0]);
  });

  it("visits all places of a uniform pattern and no other", () => {
    const workload = new Workload(
      [access({ address: 64, footprint: 64, stride: 16, pattern: "uniform" })],
      1,
    );
    expect([...new Set(addresses(workload, 1000))].sort((a, b) => a - b)).toEqual([64, 80, 96, 112]);
  });

  it("draws its accesses by weight and fills in the whole instruction", () => {
    const accesses = [
      access({ op: "out", address: 0x80, size: 1, value: 9, weight: 3 }),
      access({ op: "store" }),
    ];
    const workload = new Workload(accesses, 1);
    const instruction = new Instruction();
    let outs = 0;
    for (let i = 0; i < 10_000; i++) {
      workload.next(instruction);
      if (instruction.form === INSTRUCTION_FORMS.out) {
        outs++;
        expect([instruction.port, instruction.size, instruction.value]).toEqual([0x80, 1, 9]);
      } else {
        expect(instruction.form).toBe(INSTRUCTION_FORMS.store);
      }
    }
    expect(Math.abs(outs - 7500)).toBeLessThan(220); // five standard deviations
  });
});
