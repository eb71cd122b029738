/** Haswell's time-stamp counter counts 2600 million cycles in a second. */
import { describe, expect, it } from "vitest";
import { threadRates } from "../../../src/study/thread/rates.js";
import { overtakes } from "../../report/thread/overtakes-fixture.js";

const [rfc] = threadRates(overtakes).rows;
const cellAt = (rate: number) => {
  const cell = rfc.cells.find((other) => other.rate === rate);
  if (cell === undefined) throw new Error(`no rate ${rate}`);
  return cell;
};

describe("a difference at a rate", () => {
  it("is cycles per kick times kicks per second, and its share of a core that of the time-stamp counter's", () => {
    expect(rfc.differencePerKick).toEqual({ low: -150, value: -100, high: -50 });
    expect(cellAt(10_000).cyclesPerSecond).toEqual({ low: -1.5e6, value: -1e6, high: -5e5 });
    expect(cellAt(1_000_000).difference.value).toBeCloseTo(-100 / 2600, 9);
  });
});

describe("a rate", () => {
  it("can be had while kicks take less than a core has", () => {
    // 900 to 1500 cycles, a million times: 35% to 58% of a core.
    expect(cellAt(1_000_000).share.low).toBeCloseTo(900 / 2600, 9);
    expect(cellAt(1_000_000).reach).toBe("yes");
  });

  it("cannot be had with any costs, or hangs on them, where kicks take more", () => {
    const [pair] = overtakes.pairs;
    const reachOf = (low: number, high: number) => {
      const cycles = { ...pair.usual.cycles, a: { low, value: high, high } };
      const slow = { ...overtakes, pairs: [{ ...pair, usual: { ...pair.usual, cycles } }] };
      return threadRates(slow).rows[0].cells.map(({ reach }) => reach);
    };
    expect(reachOf(2000, 3000)).toEqual(["yes", "yes", "at some costs"]);
    expect(reachOf(3000, 30_000)).toEqual(["yes", "at some costs", "no"]);
  });

  it("takes no less than nothing, though all costs at their low ends may add up to that", () => {
    const [pair] = overtakes.pairs;
    const cycles = { ...pair.usual.cycles, a: { low: -100, value: 100, high: 200 } };
    const { rows } = threadRates({ ...overtakes, pairs: [{ ...pair, usual: { ...pair.usual, cycles } }] });
    expect(rows[0].cells[0].share.low).toBe(0);
  });
});
