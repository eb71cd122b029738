/** In which order rows get runs, and when they get no more. */
import { describe, expect, it } from "vitest";
import { SystemCallError } from "../../../src/host/system-call-error.js";
import type { Timed } from "../../../src/study/measure/turns.js";
import { takeTurns } from "../../../src/study/measure/turns.js";

const QUIET = { name: "quiet" };
const NOISY = { name: "noisy" };

const timed = (median: number): Timed => ({ interval: { median, low: median, high: median } });

/** Runs of a machine on which one row is always the same and the other differs by half from run to run. */
function machine(afterRun: () => void = () => {}) {
  let runs = 0;
  const order: string[] = [];
  const run = async ({ name }: { name: string }) => {
    order.push(name);
    runs++;
    const median = name === "quiet" ? 1000 : 1000 + 500 * (runs % 4);
    afterRun();
    return timed(median);
  };
  return { run, order };
}

const options = (changes = {}) => ({
  relativeHalfWidth: 0.01,
  limitSeconds: 1000,
  signal: new AbortController().signal,
  ...changes,
});

describe("rows that take turns", () => {
  it("get one run each, then the next, until each is tight or has had forty", async () => {
    const { run, order } = machine();
    const { runs } = await takeTurns([QUIET, NOISY], run, options());
    expect(order.slice(0, 4)).toEqual(["quiet", "noisy", "quiet", "noisy"]);
    expect(runs.get(QUIET)).toHaveLength(6);
    expect(runs.get(NOISY)).toHaveLength(40);
  });

  it("get what an interval takes when the time is over, and no more", async () => {
    const { runs } = await takeTurns([QUIET, NOISY], machine().run, options({ limitSeconds: 0 }));
    expect([...runs.values()].map(({ length }) => length)).toEqual([6, 6]);
  });

  it("say before each run which it is", async () => {
    const said: string[] = [];
    const onRun = (row: string, run: number) => said.push(`${row} ${run}`);
    await takeTurns([QUIET], machine().run, options({ onRun }));
    expect(said).toEqual(["quiet 1", "quiet 2", "quiet 3", "quiet 4", "quiet 5", "quiet 6"]);
  });

  it("keep what they have when they are interrupted, between runs or within one", async () => {
    const controller = new AbortController();
    let left = 5;
    const { run } = machine(() => {
      if (--left === 0) controller.abort();
    });
    const { runs: between } = await takeTurns([QUIET, NOISY], run, options({ signal: controller.signal }));
    expect([...between.values()].map(({ length }) => length)).toEqual([3, 2]);

    const within = new AbortController();
    const failing = async (row: { name: string }) => {
      if (row === QUIET) return timed(1);
      within.abort();
      throw new Error("interrupted");
    };
    const { runs } = await takeTurns([QUIET, NOISY], failing, options({ signal: within.signal }));
    expect([...runs.values()].map(({ length }) => length)).toEqual([1, 0]);
  });

  it("get no more where a run fails, which costs the others nothing", async () => {
    const { run } = machine();
    const failing = (row: { name: string }) =>
      row === NOISY ? Promise.reject(new Error("100 accesses made 99 signals")) : run(row);
    const { runs, failed } = await takeTurns([NOISY, QUIET], failing, options());
    expect([...runs.values()].map(({ length }) => length)).toEqual([0, 6]);
    expect([...failed]).toEqual([[NOISY, "100 accesses made 99 signals"]]);
  });

  it("fail together where the kernel refuses", async () => {
    const refused = () => Promise.reject(new SystemCallError(12, "KVM_CREATE_VM"));
    await expect(takeTurns([QUIET], refused, options())).rejects.toThrow("ENOMEM");
  });
});
