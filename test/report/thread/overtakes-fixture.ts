/** A made-up study of two pairs: one that overtakes the other at 2 faults per kick, and one that never does. */
import type { Overtakes, PairInSetting, PairResult } from "../../../src/study/thread/overtakes.js";
import type { Condition } from "../../../src/study/thread/pair-on-line.js";
import { USUAL_SETTING } from "../../../src/study/thread/setting.js";
import { unfitted } from "../fixture.js";

const interval = (value: number, range: number) => ({ low: value - range, value, high: value + range });
const counts = { references: 2, exits: 1, userspaceExits: 0, busLookups: 1 };

const inSetting = (value: number, range: number, faultsPerKick = 0): PairInSetting => ({
  setting: { ...USUAL_SETTING, faultsPerKick },
  counts: { a: { ...counts, references: 5 }, b: counts },
  incidents: { a: 0, b: 0 },
  cycles: { a: interval(1300 + value, 300), b: interval(1300, 300) },
  difference: interval(value, range),
  seeds: { low: value - 2, high: value + 2 },
  rangesWon: value < 0 ? 0.75 : 0.25,
});

function condition(a: string, b: string, values: readonly number[], zero: number | null): Condition {
  return {
    a,
    b,
    axis: "faultsPerKick",
    cpu: USUAL_SETTING.cpu,
    walkState: "footprint",
    points: [0, 1, 4].map((at, index) => ({
      at,
      difference: interval(values[index], 50),
      seeds: { low: values[index] - 1, high: values[index] + 1 },
    })),
    overtakings:
      zero === null ? [] : [{ at: zero, rising: true, seeds: { low: 1.9, high: 2.2 }, seedsWithIt: 10 }],
    open: zero === null ? null : { low: 0.5, high: 3 },
    words: zero === null ? `${a} costs less than ${b}` : `${a} loses to ${b} above ${zero} faults per kick`,
  };
}

function pair(a: string, b: string, values: readonly number[], zero: number | null): PairResult {
  const settings = values.map((value, index) => inSetting(value, 50, [0, 1, 4][index]));
  return {
    a,
    b,
    settings,
    wins: values.filter((value) => value < 0).length,
    ties: 0,
    canWin: values.filter((value) => value < 50).length,
    alwaysWins: values.filter((value) => value < -50).length,
    words: `${a} against ${b}`,
    conditions: [condition(a, b, values, zero)],
    usual: settings[0],
    breakEvens: [],
  };
}

/** @param prefix of the names of all designs */
export const overtakesOf = (prefix = ""): Overtakes => ({
  provenance: unfitted,
  size: "short",
  points: 6,
  seeds: 10,
  accesses: 1000,
  furtherRuns: 40,
  pairs: [
    pair(`${prefix}rfc`, `${prefix}bad-page`, [-100, -50, 100], 2),
    pair(`${prefix}fastpath`, `${prefix}base-6.19`, [-534, -534, -500], null),
  ],
});

export const overtakes = overtakesOf();
