/** The frequency of the guest's TSC, from what KVM says and from readings of a made-up guest. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { guestTsc, type TscReading } from "../../src/host/tsc.js";

const STEADY = { tscFlags: ["constant_tsc", "nonstop_tsc"], clocksource: "tsc" };

/** A counter of so many MHz, read at `ms` within 1 ms. */
function reading(ms: number, mhz: number, startedAt = 5_000_000_000n): TscReading {
  const ns = BigInt(ms) * 1_000_000n;
  const tsc = startedAt + (ns * BigInt(1000 * mhz)) / 1_000_000n;
  return { before: ns - 500_000n, tsc, after: ns + 500_000n };
}

describe("the guest's TSC", () => {
  it("runs as KVM says, where two readings 1 s apart agree: 2.1 GHz, within 0.1% of the clock and 0.05% of its slew", () => {
    const { mhz, measured, doubts } = guestTsc(2_100_000, [reading(100, 2100), reading(1100, 2100)], STEADY);
    expect(mhz).toBe(2100);
    expect(measured?.[0]).toBeCloseTo((2100 / 1.001) * 0.9995, 6);
    expect(measured?.[1]).toBeCloseTo((2100 / 0.999) * 1.0005, 6);
    expect(doubts).toEqual([]);
  });

  it("runs as measured, where KVM says something else", () => {
    const { mhz, doubts } = guestTsc(2_000_000, [reading(100, 2100), reading(1100, 2100)], STEADY);
    expect(mhz).toBeCloseTo(2100, 0);
    expect(doubts).toEqual([
      "KVM says 2000.000 MHz, and by CLOCK_MONOTONIC the guest's TSC runs at 2096.853 to 2103.153 MHz.",
    ]);
  });

  it("runs as measured, where KVM says nothing", () => {
    const { mhz, doubts } = guestTsc(0, [reading(100, 2400), reading(1100, 2400)], STEADY);
    expect(mhz).toBeCloseTo(2400, 0);
    expect(doubts).toEqual(["KVM does not say at which frequency the guest's TSC runs."]);
  });

  it("is not checked by readings that are 10 ms apart, nor by one", () => {
    for (const readings of [[reading(100, 2100), reading(110, 2100)], [reading(100, 2100)], []]) {
      const { mhz, measured, doubts } = guestTsc(2_100_000, readings, STEADY);
      expect([mhz, measured]).toEqual([2100, null]);
      expect(doubts).toEqual([
        "The guest's TSC was not checked against CLOCK_MONOTONIC: readings too close to each other.",
      ]);
    }
  });

  it("is unknown where KVM says nothing and nothing was read", () => {
    expect(guestTsc(0, [], STEADY).mhz).toBeNull();
  });

  it.each([
    ["stops for a second", [reading(100, 2100), reading(1100, 2100), reading(2100, 2100, 2_900_000_000n)]],
    ["goes back", [reading(100, 2100), reading(1100, 2100, 0n)]],
  ])("that %s does not run steadily", (_, readings) => {
    const { measured, doubts } = guestTsc(2_100_000, readings, STEADY);
    expect(measured).toBeNull();
    expect(doubts).toEqual(["The guest's TSC does not run steadily against CLOCK_MONOTONIC."]);
  });

  it("is in doubt without constant_tsc and nonstop_tsc, and where the kernel does not trust it", () => {
    const { doubts } = guestTsc(2_100_000, [reading(0, 2100), reading(1000, 2100)], {
      tscFlags: [],
      clocksource: "hpet",
    });
    expect(doubts).toEqual([
      "The processor has no constant_tsc: its TSC may run at the changing clock of the core.",
      "The processor has no nonstop_tsc: its TSC may stand still while a core is idle.",
      "The kernel takes its time from hpet, not from the TSC.",
    ]);
  });

  it("lies within what is measured, wherever between its two times a counter was read", () => {
    const gaps = fc.array(fc.integer({ min: 50e6, max: 1e9 }), { minLength: 2, maxLength: 6 });
    const late = fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 6000 }), gaps, late, (mhz, gaps, late) => {
        let before = 0;
        const readings = gaps.map((gap, n) => {
          before += gap;
          const tsc = BigInt(Math.round(((before + late[n]) * mhz) / 1e3));
          return { before: BigInt(before), tsc, after: BigInt(before + 100_000) };
        });
        const [low, high] = guestTsc(1000 * mhz, readings, STEADY).measured ?? [];
        expect(low).toBeLessThanOrEqual(mhz);
        expect(high).toBeGreaterThanOrEqual(mhz);
      }),
      { seed: 9 },
    );
  });
});
