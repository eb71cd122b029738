/**
 * A row of the benchmark and how it is measured: its sides take turns, run by run, so that what else the machine does meets
 * all of them. Each run times itself, without its set-up; tinybench takes the samples and has the statistics.
 */
import { Bench } from "tinybench";

/**
 * @typedef {Readonly<Record<string, number>>} Did what a run did, by name: counts, and digests of what it returned
 *
 * @typedef {object} Sample
 * @property {number} time in the row's unit
 * @property {Did} did
 *
 * @typedef {object} Side
 * @property {string} name
 * @property {() => Sample | Promise<Sample>} run
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {"ns" | "ms" | "s"} unit
 * @property {string} of what takes that time, such as "access"
 * @property {number} runs of each side, odd, so that the median is a run
 * @property {readonly Side[]} sides the first is what the others are held against
 * @property {boolean} alike whether all sides must have done the same
 * @property {(did: Did) => boolean} isTrue whether a run did what the row's name says
 * @property {readonly [low: number, high: number]} [bounds] of the ratio, as the issue demands them
 *
 * @typedef {object} Figures
 * @property {number} median
 * @property {number} low
 * @property {number} high
 * @property {readonly number[]} samples in rising order
 *
 * @typedef {object} MeasuredSide
 * @property {string} name
 * @property {Figures} time
 * @property {Figures | null} ratio to the first side: of each run's two, because they met the same machine; null of the first
 * @property {Did} did
 *
 * @typedef {object} MeasuredRow
 * @property {string} name
 * @property {"ns" | "ms" | "s"} unit
 * @property {string} of
 * @property {readonly [low: number, high: number]} [bounds]
 * @property {readonly MeasuredSide[]} sides
 */

/** A row that is not what its name says, or whose sides differ. */
export class UntrueRow extends Error {}

/**
 * One run of a side.
 *
 * @param {Row} row
 * @param {Side} side
 * @throws {UntrueRow} when it did not do what the row's name says
 */
export async function runSide({ name, isTrue }, side) {
  const sample = await side.run();
  if (!isTrue(sample.did))
    throw new UntrueRow(`${name}, ${side.name}, is not what it did: ${didText(sample.did)}`);
  return sample;
}

/**
 * @param {Row} row
 * @returns {Promise<MeasuredRow>}
 * @throws {UntrueRow}
 */
export async function measureRow(row) {
  const { name, unit, of, runs, sides, alike, bounds } = row;
  // "bench" has all tasks under way at once. The first run of each gives node the time to compile it and is no sample.
  const bench = new Bench({
    concurrency: "bench",
    iterations: runs,
    time: 0,
    warmupIterations: 1,
    warmupTime: 0,
    retainSamples: true,
    throws: true,
  });
  /** @type {Sample[]} */
  const last = [];
  /** @type {Promise<unknown>} */
  let turn = Promise.resolve();
  /** @param {string} task @param {() => Promise<number>} run */
  const add = (task, run) =>
    bench.add(task, async () => {
      const mine = turn.then(run);
      turn = mine.catch(() => {});
      return { overriddenDuration: await mine };
    });
  sides.forEach((side, index) => {
    add(side.name, async () => {
      last[index] = await runSide(row, side);
      if (alike) checkAlike(row, last, index);
      return last[index].time;
    });
  });
  sides.slice(1).forEach((side, index) => {
    add(ratioOf(side), async () => last[index + 1].time / last[0].time);
  });
  await bench.run();
  return {
    name,
    unit,
    of,
    ...(bounds && { bounds }),
    sides: sides.map((side, index) => ({
      name: side.name,
      time: figuresOf(bench, side.name),
      ratio: index === 0 ? null : figuresOf(bench, ratioOf(side)),
      did: last[index].did,
    })),
  };
}

/** @param {Side} side */
const ratioOf = ({ name }) => `${name}, ratio`;

/**
 * @param {Row} row
 * @param {readonly Sample[]} last
 * @param {number} index
 */
function checkAlike({ name, sides }, last, index) {
  const [first, own] = [didText(last[0].did), didText(last[index].did)];
  if (own !== first)
    throw new UntrueRow(`${name} differs: ${sides[0].name} ${first}; ${sides[index].name} ${own}`);
}

/**
 * @param {Bench} bench
 * @param {string} task
 * @returns {Figures}
 */
function figuresOf(bench, task) {
  const result = bench.getTask(task)?.result;
  if (result?.state !== "completed") throw new Error(`${task}: ${result?.state}`);
  const { p50, min, max, samples = [] } = result.latency;
  return { median: p50, low: min, high: max, samples };
}

/** What was not nothing. @param {Did} did */
export function didText(did) {
  const done = Object.entries(did).filter(([, value]) => value !== 0);
  return done.map(([name, value]) => `${name} ${value}`).join(", ") || "nothing";
}
