import { describe, expect, it } from "vitest";
import {
  BatchMeans,
  LEAST_INSTRUCTIONS,
  type PreciseCounts,
  type PrecisionOptions,
} from "../../../src/study/run/precision.js";
import { Random } from "../../../src/workload/random.js";

/** Runs until the figure is known well enough. `execute` lets the machine execute so many instructions. */
function runToPrecision(
  counts: Float64Array,
  execute: (instructions: number) => void,
  options: PrecisionOptions,
): PreciseCounts {
  const run = new BatchMeans(counts, options);
  for (let instructions = run.next(); instructions > 0; instructions = run.next()) {
    execute(instructions);
    run.observe();
  }
  return run.finish();
}

/** A machine whose only primitive, and figure, is given: how much of it so many next instructions count. */
type Figure = (instructions: number) => number;

/** Runs it until the figure is known to `relativeHalfWidth`. */
function measure(figure: Figure, relativeHalfWidth: number, maxInstructions = 1e8) {
  const counts = new Float64Array(1);
  const execute = (instructions: number) => {
    counts[0] += figure(instructions);
  };
  const options = { weights: Float64Array.of(1), relativeHalfWidth, maxInstructions };
  return runToPrecision(counts, execute, options).precision;
}

/** A figure that is given for each instruction, by its position in the run. */
function byPosition(at: (position: number) => number): Figure {
  let position = 0;
  return (instructions) => {
    let sum = 0;
    for (let i = 0; i < instructions; i++) sum += at(position++);
    return sum;
  };
}

function standardNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.fraction())) * Math.cos(2 * Math.PI * random.fraction());
}

/**
 * An autoregressive process around 10 with variance 1, whose steps take 256 instructions; after a transient that begins 20
 * higher and decays by a factor e in so many steps.
 */
function autoregressive(seed: number, correlation: number, transient = 0): Figure {
  const random = new Random(seed);
  let x = standardNormal(random);
  let step = 0;
  return (instructions) => {
    x = correlation * x + Math.sqrt(1 - correlation ** 2) * standardNormal(random);
    const bias = transient === 0 ? 0 : 20 * Math.exp(-step++ / transient);
    return instructions * (10 + x + bias);
  };
}

/** Events of a probability per instruction. */
function rare(seed: number, probability: number): Figure {
  const random = new Random(seed);
  const gap = () => Math.ceil(Math.log(1 - random.fraction()) / Math.log1p(-probability));
  let wait = gap();
  return (instructions) => {
    let events = 0;
    for (wait -= instructions; wait <= 0; wait += gap()) events++;
    return events;
  };
}

const SEEDS = Array.from({ length: 200 }, (_, index) => index + 1);

describe("the interval", () => {
  it.each([
    { correlation: 0, relativeHalfWidth: 0.004 },
    { correlation: 0.5, relativeHalfWidth: 0.006 },
    { correlation: 0.9, relativeHalfWidth: 0.02 },
    { correlation: 0.98, relativeHalfWidth: 0.06 },
  ])("covers the mean of an autoregressive process, $correlation", ({ correlation, relativeHalfWidth }) => {
    const runs = SEEDS.map((seed) => measure(autoregressive(seed, correlation), relativeHalfWidth));
    expect(runs.every(({ reached }) => reached)).toBe(true);
    for (const { mean, halfWidth } of runs) expect(halfWidth).toBeLessThanOrEqual(relativeHalfWidth * mean);
    const covered = runs.filter(({ mean, halfWidth }) => Math.abs(mean - 10) <= halfWidth);
    expect(covered.length / runs.length).toBeGreaterThan(0.9);
    expect(covered.length / runs.length).toBeLessThan(0.99);
  });

  it("covers it after a transient too, which is left out", () => {
    const runs = SEEDS.map((seed) => measure(autoregressive(seed, 0.5, 400), 0.01));
    const covered = runs.filter(({ mean, halfWidth }) => Math.abs(mean - 10) <= halfWidth);
    expect(covered.length / runs.length).toBeGreaterThan(0.9);
    const warmUps = runs.map(({ warmUp }) => warmUp / 256).sort((a, b) => a - b);
    expect(warmUps[0]).toBeGreaterThan(3 * 400); // a twentieth of the transient is left
    expect(warmUps[runs.length / 2]).toBeLessThan(10 * 400);
  });

  it("is as narrow as wanted only after a longer run, which varies less than a short one", () => {
    const [wide, narrow] = [0.02, 0.005].map((width) => measure(autoregressive(1, 0.9), width));
    expect(narrow.instructions).toBeGreaterThan(4 * wide.instructions);
  });

  // The last two fit into batches that grow in powers of two so closely that neighbours are equal for long.
  it.each([7, 100, 1000, 5000, 1023, 4095])(
    "covers the mean of one event every %d instructions",
    (period) => {
      for (const offset of [0, Math.floor(period / 3), period - 1]) {
        const events = byPosition((position) => ((position + offset) % period === 0 ? 1 : 0));
        const { mean, halfWidth, reached } = measure(events, 0.02);
        expect(reached).toBe(true);
        expect(Math.abs(mean - 1 / period)).toBeLessThanOrEqual(halfWidth);
        expect(halfWidth).toBeLessThanOrEqual(0.02 * mean);
      }
    },
  );

  it.each([1000, 4083, 16527])("covers the mean of a burst that is half of %d instructions", (period) => {
    const { mean, halfWidth, reached } = measure(
      byPosition((position) => (position % period < period / 2 ? 1 : 0)),
      0.02,
    );
    expect(reached).toBe(true);
    expect(Math.abs(mean - Math.ceil(period / 2) / period)).toBeLessThanOrEqual(halfWidth);
  });
});

describe("a figure that never varies", () => {
  const atOnce = { warmUp: 0, instructions: 240 * 2048, halfWidth: 0, reached: true };

  it("is known when the run is first judged, exactly", () => {
    expect(measure((instructions) => 3 * instructions, 0.01)).toEqual({ ...atOnce, mean: 3 });
  });

  it("may be 0", () => {
    expect(measure(() => 0, 0.01)).toEqual({ ...atOnce, mean: 0 });
  });

  it("may be a sum that has no exact binary form", () => {
    const counts = new Float64Array(2);
    const execute = (instructions: number) => {
      counts[0] += instructions;
      counts[1] += instructions / 2;
    };
    const options = { weights: Float64Array.of(0.1, 0.7), relativeHalfWidth: 0.01, maxInstructions: 1e8 };
    const { precision } = runToPrecision(counts, execute, options);
    expect(precision).toEqual({ ...atOnce, mean: expect.closeTo(0.45, 12) });
  });

  it("is known exactly after a transient, of which nothing counts", () => {
    const { warmUp, mean, halfWidth, reached } = measure(
      byPosition((position) => (position < 1000 ? 50 : 3)),
      0.01,
    );
    expect({ mean, halfWidth, reached }).toEqual({ mean: 3, halfWidth: 0, reached: true });
    expect(warmUp).toBeGreaterThanOrEqual(1000);
  });
});

describe("a rare event", () => {
  it("of probability 1e-5 is missed by hardly any run", () => {
    const runs = SEEDS.map((seed) => measure(rare(seed, 1e-5), 0.5));
    expect(runs.filter(({ mean }) => mean === 0).length).toBeLessThanOrEqual(6); // 1.1% of 200, and 2.5 deviations
  });

  it("of probability 1e-4 is counted until its interval is narrow, never missed", () => {
    const runs = SEEDS.map((seed) => measure(rare(seed, 1e-4), 0.1));
    for (const { mean, halfWidth } of runs) expect(halfWidth).toBeLessThanOrEqual(0.1 * mean);
    const covered = runs.filter(({ mean, halfWidth }) => halfWidth > 0 && Math.abs(mean - 1e-4) <= halfWidth);
    expect(covered.length / runs.length).toBeGreaterThan(0.88);
  });

  it("does not count as a transient because it happened early", () => {
    const { instructions } = measure(
      byPosition((position) => (position === 200_000 ? 1 : 0)),
      0.01,
    );
    expect(instructions).toBeGreaterThanOrEqual(LEAST_INSTRUCTIONS);
  });
});

describe("a run that may not be long enough", () => {
  it("tells what it found", () => {
    const runs = SEEDS.map((seed) => measure(autoregressive(seed, 0.5), 1e-4, 2_000_000));
    for (const { warmUp, instructions, mean, halfWidth, reached } of runs) {
      expect(reached).toBe(false);
      expect(halfWidth).toBeGreaterThan(1e-4 * mean);
      expect(warmUp + instructions).toBeLessThanOrEqual(2_000_000);
      expect(warmUp + instructions).toBeGreaterThan(1_900_000);
    }
    const covered = runs.filter(({ mean, halfWidth }) => Math.abs(mean - 10) <= halfWidth);
    expect(covered.length / runs.length).toBeGreaterThan(0.9);
    expect(covered.length / runs.length).toBeLessThan(0.99);
  });

  it("does not reach a width while its transient goes on", () => {
    expect(
      measure(
        byPosition((position) => 1e9 - position),
        0.5,
        5_000_000,
      ).reached,
    ).toBe(false);
  });

  it("does not believe that a warm-up has ended that takes more than half of it", () => {
    const falling = () => byPosition((position) => Math.max(3, 1_300_000 - position));
    expect(measure(falling(), 0.01, 2_000_000).reached).toBe(false);
    expect(measure(falling(), 0.01)).toMatchObject({ mean: 3, halfWidth: 0, reached: true });
  });

  it("does not reach a width that too few instructions would have", () => {
    const short = measure(() => 0, 0.01, LEAST_INSTRUCTIONS - 1);
    expect(short).toMatchObject({ mean: 0, halfWidth: 0, reached: false });
    expect(measure(() => 0, 0.01, LEAST_INSTRUCTIONS).reached).toBe(true);
  });

  it("counts everything when it is too short for an interval", () => {
    expect(
      measure(
        byPosition((position) => position),
        0.01,
        1001,
      ),
    ).toEqual({
      warmUp: 0,
      instructions: 1001,
      mean: 500,
      halfWidth: Number.POSITIVE_INFINITY,
      reached: false,
    });
  });
});

describe("the counts", () => {
  /** Counts instructions, and the sum of their positions in the run. */
  function positions(counts: Float64Array) {
    let position = 0;
    return (instructions: number) => {
      for (let i = 0; i < instructions; i++) {
        counts[0]++;
        counts[1] += position < 5000 ? 1e6 : position % 10;
        position++;
      }
    };
  }
  const options = { weights: Float64Array.of(0, 1), relativeHalfWidth: 0.01, maxInstructions: 1e8 };

  it("are those of the instructions after the warm-up, without what the ledger held before", () => {
    const counts = Float64Array.of(17, 4);
    const { precision, counts: counted } = runToPrecision(counts, positions(counts), options);
    const { warmUp, instructions, mean } = precision;
    expect(warmUp).toBeGreaterThanOrEqual(5000);
    expect(warmUp + instructions).toBe(counts[0] - 17);
    let sum = 0;
    for (let position = warmUp; position < warmUp + instructions; position++) sum += position % 10;
    expect([...counted]).toEqual([instructions, sum]);
    expect(mean).toBe(sum / instructions);
  });

  it("are the same when the machine is asked to execute from outside, such as between awaits", async () => {
    const outside = async (): Promise<PreciseCounts> => {
      const counts = new Float64Array(2);
      const execute = positions(counts);
      const run = new BatchMeans(counts, options);
      while (run.next() > 0) {
        execute(run.next());
        await Promise.resolve();
        run.observe();
      }
      return run.finish();
    };
    const counts = new Float64Array(2);
    expect(await outside()).toEqual(runToPrecision(counts, positions(counts), options));
  });

  it("are all there when there is nothing left to execute early", () => {
    const counts = Float64Array.of(17, 4);
    const execute = positions(counts);
    const run = new BatchMeans(counts, options);
    for (const instructions of [run.next(), run.next(), 30]) {
      execute(instructions);
      run.observe(instructions);
    }
    const { precision, counts: counted } = run.finish();
    expect(precision).toMatchObject({ warmUp: 0, instructions: 542, reached: false });
    expect([...counted]).toEqual([542, 542e6]);
  });
});
