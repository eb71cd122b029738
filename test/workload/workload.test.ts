import { describe, expect, it } from "vitest";
import { INSTRUCTION_FORMS, Instruction } from "../../src/kvm/instruction.js";
import { type Access, PATTERNS, Workload } from "../../src/workload/workload.js";
import { access } from "./access.js";

/** What a vCPU does next: the index of the access, by the instruction's address, and the address that it accesses. */
function steps(accesses: readonly Access[], count: number, { seed = 1, vcpu = 0 } = {}) {
  const workload = new Workload(accesses, seed, vcpu);
  const instruction = new Instruction();
  return Array.from({ length: count }, () => {
    workload.next(instruction);
    const index = (instruction.rip - 0x40_0000) / 64;
    return { index, address: instruction.page * 4096 + instruction.offset };
  });
}

const addresses = (...of: Parameters<typeof steps>) => steps(...of).map(({ address }) => address);
const indices = (...of: Parameters<typeof steps>) => steps(...of).map(({ index }) => index);

const UNIFORM = access({ pattern: "uniform", footprint: 2 ** 30 });

describe("a workload", () => {
  it("goes through a footprint in order and starts again", () => {
    const over = access({ address: 0x1ff8, footprint: 16 });
    expect(addresses([over], 6)).toEqual([0x1ff8, 0x1ffc, 0x2000, 0x2004, 0x1ff8, 0x1ffc]);
  });

  it("counts all iterations of a repeated instruction as its bytes", () => {
    const repeated = access({ op: "rep-stos", size: 1, count: 4, footprint: 8, stride: 2 });
    expect(addresses([repeated], 4)).toEqual([0, 2, 4, 0]);
  });

  it("visits all places of a uniform pattern and no other", () => {
    const visited = new Set(
      addresses([access({ ...UNIFORM, address: 64, footprint: 64, stride: 16 })], 1000),
    );
    expect([...visited].sort((a, b) => a - b)).toEqual([64, 80, 96, 112]);
  });

  it("draws its accesses by weight and fills in the whole instruction", () => {
    const out = access({ op: "out", address: 0x80, size: 1, value: 9, weight: 3 });
    const workload = new Workload([out, access({ op: "store" })], 1, 0);
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

  it("says which access it drew last", () => {
    const mix = [access({}), access({ op: "store" })];
    const workload = new Workload(mix, 1, 0);
    const instruction = new Instruction();
    for (let i = 0; i < 20; i++) {
      workload.next(instruction);
      expect(instruction.form).toBe(INSTRUCTION_FORMS[workload.access.op]);
    }
  });

  it("never draws an access of weight 0", () => {
    const mix = [access({ weight: 0 }), access({}), access({ weight: 0 }), access({})];
    expect(new Set(indices(mix, 1000))).toEqual(new Set([1, 3]));
  });

  it("draws a burst in a row, and counts its weight in instructions", () => {
    const mix = [access({ weight: 3, burst: 10 }), access({ weight: 1 })];
    const drawn = indices(mix, 100_000);
    const share = drawn.filter((index) => index === 0).length;
    expect(Math.abs(share - 75_000)).toBeLessThan(2000); // five standard deviations
    const bursts = drawn.join("").split(/1+/).slice(1, -1);
    expect(bursts.every((burst) => burst.length % 10 === 0)).toBe(true);
  });

  it("gives a vCPU the accesses of all and its own, each the instruction that it is in the whole mix", () => {
    const mix = [access({ vcpu: 1 }), access({}), access({ vcpu: 0 })];
    expect(new Set(indices(mix, 100, { vcpu: 0 }))).toEqual(new Set([1, 2]));
    expect(new Set(indices(mix, 100, { vcpu: 1 }))).toEqual(new Set([0, 1]));
    expect(new Set(indices(mix, 100, { vcpu: 2 }))).toEqual(new Set([1]));
  });

  it("has something to do for its vCPU", () => {
    const mix = [access({ vcpu: 0 }), access({ weight: 0 })];
    expect(() => new Workload(mix, 1, 3)).toThrow(new RangeError("vCPU 3: no access of positive weight"));
  });
});

describe("the random numbers of a workload", () => {
  it.each(PATTERNS)("repeat for a seed, with the pattern %s", (pattern) => {
    const mix = [access({ pattern, footprint: 4096, workingSet: 64 }), access({})];
    expect(steps(mix, 1000)).toEqual(steps(mix, 1000));
  });

  it.each(PATTERNS)("leave alone what the others do, where one access becomes %s", (pattern) => {
    const others = (first: Partial<Access>) => {
      const mix = [access({ ...UNIFORM, ...first }), UNIFORM, { ...UNIFORM, pattern: "zipf" as const }];
      return steps(mix, 1000).map(({ index, address }) => (index === 0 ? "first" : `${index} ${address}`));
    };
    expect(others({ pattern, footprint: 4096 })).toEqual(others({}));
  });

  it("differ between seeds, vCPUs and accesses, so that no two runs share any", () => {
    const runs = [1, 2, 3].flatMap((seed) =>
      [0, 1, 2].flatMap((vcpu) => {
        const all = steps([UNIFORM, UNIFORM], 200, { seed, vcpu });
        return [0, 1].map((own) => all.filter(({ index }) => index === own).map(({ address }) => address));
      }),
    );
    // Of 1800 draws from 2^28 places 0.006 are expected to meet.
    expect(new Set(runs.flat()).size).toBe(1800);
  });

  it("draw the mix of each seed and vCPU apart", () => {
    const mixes = [1, 2].flatMap((seed) =>
      [0, 1].map((vcpu) => indices([access({}), access({})], 1000, { seed, vcpu })),
    );
    for (const [number, mix] of mixes.entries()) {
      for (const other of mixes.slice(0, number)) {
        const agreed = mix.filter((index, i) => index === other[i]).length;
        expect(Math.abs(agreed - 500)).toBeLessThan(80); // five standard deviations
      }
    }
  });

  it("make the same places popular for all vCPUs, and others for another seed", () => {
    const favourite = (seed: number, vcpu: number) => {
      const counts = new Map<number, number>();
      for (const address of addresses([{ ...UNIFORM, pattern: "zipf" }], 1000, { seed, vcpu })) {
        counts.set(address, (counts.get(address) ?? 0) + 1);
      }
      return [...counts].reduce((most, next) => (next[1] > most[1] ? next : most))[0];
    };
    expect(favourite(1, 1)).toBe(favourite(1, 0));
    expect(favourite(2, 0)).not.toBe(favourite(1, 0));
  });
});
