import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { coreVersion } from "../../../src/study/provenance.js";
import { run } from "../../../src/study/run/run.js";
import { mergeSweep } from "../../../src/study/sweep/merge.js";
import { planSweep } from "../../../src/study/sweep/plan.js";
import { pointsOf } from "../../../src/study/sweep/point.js";
import { readResults } from "../../../src/study/sweep/results.js";
import { reasonsToRun } from "../../../src/study/sweep/resume.js";
import type { Shard } from "../../../src/study/sweep/shard.js";
import { parseSweep } from "../../../src/study/sweep/spec.js";
import { runSweep, type SweepProgress } from "../../../src/study/sweep/sweep.js";
import { BASE, InThread, SWEEP, temporaryFolder } from "./fixture.js";

let out: string;
let executor: InThread;
beforeEach(() => {
  out = temporaryFolder();
  executor = new InThread();
});

/** A sweep of which one point in two cannot be: v3.9 has no ioeventfd of length 0. */
const HALF = { ...SWEEP, axes: { kernel: ["v4.2", "v3.9"] }, seeds: 1 };
const bytes = () => readFileSync(join(out, "results.jsonl"), "utf8");

describe("a sweep", () => {
  it("yields a row for each point, in the order of the specification, with what the scenario alone counts", async () => {
    const { rows, failed, ran } = await runSweep(SWEEP, { out, executor });
    expect([rows.length, failed.length, ran]).toEqual([8, 0, 8]);
    expect(rows[5].values).toEqual({ kernel: "v6.19", "workload[reads].weight": 0, seed: 2 });
    const [kick, reads] = BASE.workload;
    const alone = run({ ...BASE, kernel: "v6.19", seed: 2, workload: [kick, { ...reads, weight: 0 }] });
    expect(rows[5].counts).toEqual(alone.counts);
    expect(rows[5].signals).toEqual([50]);
  });

  it("runs nothing again, and writes the same bytes", async () => {
    await runSweep(SWEEP, { out, executor });
    const first = bytes();
    expect((await runSweep(SWEEP, { out, executor })).ran).toBe(0);
    expect(executor.executed).toHaveLength(8);
    expect(bytes()).toBe(first);
  });

  it("goes on where it was stopped, and ends with the bytes of one that was not", async () => {
    const controller = new AbortController();
    const onProgress = ({ done }: SweepProgress) => done === 3 && controller.abort(new Error("enough"));
    await expect(runSweep(SWEEP, { out, executor, onProgress, signal: controller.signal })).rejects.toThrow(
      "enough",
    );
    expect((await runSweep(SWEEP, { out, executor })).ran).toBe(5);
    const stopped = bytes();
    out = temporaryFolder();
    await runSweep(SWEEP, { out, executor });
    expect(stopped).toBe(bytes());
  });

  it("keeps a point that fails with its values and message, and goes on", async () => {
    const { rows, failed } = await runSweep(HALF, { out, executor });
    expect(rows.map(({ values }) => values)).toEqual([{ kernel: "v4.2", seed: 1 }]);
    expect(failed).toMatchObject([
      { values: { kernel: "v3.9", seed: 1 }, error: expect.stringContaining("doorbells") },
    ]);
    const { rows: stored } = readResults(join(out, "results.jsonl"));
    expect(stored).toMatchObject([{ status: "done" }, { status: "failed", error: failed[0].error }]);
  });

  it("tries a point that failed again, and no other", async () => {
    await runSweep(HALF, { out, executor });
    executor = new InThread();
    expect((await runSweep(HALF, { out, executor })).ran).toBe(1);
  });

  it("is refused under its name with its axes in another order, which is that of the rows", async () => {
    await runSweep(SWEEP, { out, executor });
    const { kernel, ...others } = SWEEP.axes;
    const turned = { ...SWEEP, axes: { ...others, kernel } };
    await expect(runSweep(turned, { out, executor })).rejects.toThrow(
      "has its axes in another order than before",
    );
  });

  it("takes a renamed access for the one that it is", async () => {
    const named = (name: string) => ({
      ...SWEEP,
      name,
      base: { ...BASE, workload: [{ op: "kick", name }] as const },
      axes: {},
    });
    const { rows } = await runSweep(named("one"), { out, executor });
    const renamed = await runSweep(named("two"), { out: temporaryFolder(), executor });
    expect(renamed.rows[0].key).toBe(rows[0].key);
  });

  it("answers an interrupt while it prepares very many points", async () => {
    const controller = new AbortController();
    const sweep = runSweep({ ...SWEEP, seeds: 50_000 }, { out, executor, signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 1);
    await expect(sweep).rejects.toThrow("enough");
    expect(executor.executed).toEqual([]);
  });

  it("stops at the first failure where that is wanted", async () => {
    const spec = { ...HALF, axes: { kernel: ["v3.9", "v4.2"] } };
    await expect(runSweep(spec, { out, executor, failFast: true })).rejects.toThrow(/^kernel=v3\.9 seed=1: /);
    expect(executor.executed).toHaveLength(1);
  });

  it("is refused where no point can be", async () => {
    const spec = { ...SWEEP, axes: { kernal: ["v4.2", "v6.19"] } };
    await expect(runSweep(spec, { out, executor })).rejects.toThrow(
      /sweep doorbells: has no point that can be run; .*kernal: is an unknown field \(did you mean kernel\?\)/,
    );
  });

  it("keeps a combination that is no scenario as a point that fails", async () => {
    const spec = { ...SWEEP, axes: { kernel: ["v4.2", "v4.3"] }, seeds: 1 };
    const { failed } = await runSweep(spec, { out, executor });
    expect(failed[0].error).toContain('kernel: "v4.3" is not allowed');
  });

  it("is refused where two points are one scenario", async () => {
    const spec = { ...SWEEP, axes: { "memslots[0].size": [0x40_0000, "0x400000"] }, seeds: 1 };
    await expect(runSweep(spec, { out, executor })).rejects.toThrow(
      "memslots[0].size=4194304 seed=1 and memslots[0].size=0x400000 seed=1 are the same scenario",
    );
  });

  it("is refused under its name once its specification has changed, and keeps its results", async () => {
    await runSweep(SWEEP, { out, executor });
    const before = bytes();
    const changed = { ...SWEEP, base: { ...BASE, accesses: 51 } };
    await expect(runSweep(changed, { out, executor })).rejects.toThrow(/accesses.*50.*51/);
    expect(bytes()).toBe(before);
  });

  it("says how far it is", async () => {
    const seen: SweepProgress[] = [];
    await runSweep(HALF, { out, executor, onProgress: (progress) => seen.push(progress) });
    expect(seen.map(({ total, done, failed, cached }) => [total, done, failed, cached])).toEqual([
      [2, 0, 0, 0],
      [2, 1, 0, 0],
      [2, 1, 1, 0],
    ]);
  });

  it("repairs a journal whose last line was cut, says so, and runs that point again", async () => {
    await runSweep(SWEEP, { out, executor });
    const before = bytes();
    const path = join(out, "journal.jsonl");
    writeFileSync(path, readFileSync(path, "utf8").slice(0, -20));
    const notes: string[] = [];
    const { ran } = await runSweep(SWEEP, { out, executor, onNote: (note) => notes.push(note) });
    expect([ran, notes.length, bytes()]).toEqual([1, 1, before]);
  });
});

describe("shards", () => {
  const shard = (index: number, of = 3): Shard => ({ index, of });

  it("run each point once between them, and merge to the bytes of one machine", async () => {
    await runSweep(SWEEP, { out, executor });
    const whole = bytes();
    out = temporaryFolder();
    executor = new InThread();
    for (const index of [3, 1, 2]) {
      expect((await runSweep(SWEEP, { out, executor, shard: shard(index) })).results).toBeNull();
    }
    expect(new Set(executor.executed).size).toBe(8);
    expect(executor.executed).toHaveLength(8);
    const { rows } = await mergeSweep(out);
    expect(rows).toHaveLength(8);
    expect(bytes()).toBe(whole);
  });

  it("know each other's results, and those of the whole", async () => {
    await runSweep(SWEEP, { out, executor, shard: shard(1) });
    const { length } = executor.executed;
    expect((await planSweep(SWEEP, { out })).cached).toBe(length);
    expect((await runSweep(SWEEP, { out, executor })).ran).toBe(8 - length);
    expect((await runSweep(SWEEP, { out, executor, shard: shard(2) })).ran).toBe(0);
  });

  it("do not merge before all are there", async () => {
    await runSweep(SWEEP, { out, executor, shard: shard(1) });
    await expect(mergeSweep(out)).rejects.toThrow(
      /\d of 8 points have no result under this version: kernel=/,
    );
  });

  it("are not mixed with another sweep's", async () => {
    await runSweep(SWEEP, { out, executor, shard: shard(1) });
    await expect(runSweep({ ...SWEEP, seeds: 3 }, { out, executor, shard: shard(2) })).rejects.toThrow(
      /sweep "doorbells": seeds/,
    );
  });

  it("merge from a folder that has journals", async () => {
    await expect(mergeSweep(out)).rejects.toThrow("holds no journal");
    await expect(mergeSweep(join(out, "nowhere"))).rejects.toThrow("holds no journal");
  });
});

describe("what is left of a sweep", () => {
  const before = { status: "done", ms: 1 } as const;

  it.each([
    ["nothing, after a result of it", {}, null],
    ["what was never run", { point: { kernel: "v6.19" }, key: "other" }, "new"],
    ["what another model ran", { model: "00000000", key: "other" }, "the model changed"],
    ["what other inputs gave", { key: "other" }, "its inputs changed"],
    ["what failed", { status: "failed", error: "no memory" } as const, "failed before"],
  ])("is %s", async (_, change, kind) => {
    const points = await pointsOf(parseSweep({ name: "one", base: BASE }));
    const [{ key, values }] = points;
    const entry = { key, model: coreVersion(), point: values, ...before, ...change };
    expect(reasonsToRun(points, [entry]).map((reason) => reason?.kind ?? null)).toEqual([kind]);
  });

  it("is said before it runs, by reason", async () => {
    await runSweep(HALF, { out, executor });
    const said: object[] = [];
    const onStart = (reasons: ReadonlyMap<string, number>) => said.push(Object.fromEntries(reasons));
    await runSweep(HALF, { out, executor, onStart });
    expect(said).toEqual([{ "failed before": 1 }]);
  });
});

describe("a plan", () => {
  it("says why each point is to run", async () => {
    const fresh = await planSweep(HALF, { out });
    expect(fresh.points.map(({ reason }) => reason)).toEqual(["new", "new"]);
    expect([fresh.cached, fresh.toRun]).toEqual([0, 2]);
    expect(fresh.seconds).toBeGreaterThan(0);

    await runSweep(HALF, { out, executor });
    const later = await planSweep(HALF, { out });
    expect(later.points.map(({ reason }) => reason)).toEqual([
      null,
      expect.stringMatching(/^failed before: .*doorbells/),
    ]);
    expect([later.cached, later.toRun]).toEqual([1, 1]);
  });

  it("runs nothing and writes nothing", async () => {
    await planSweep(SWEEP, { out: join(out, "none") });
    await expect(mergeSweep(join(out, "none"))).rejects.toThrow("holds no journal");
  });

  it("refuses a specification that has changed", async () => {
    await runSweep(SWEEP, { out, executor });
    await expect(planSweep({ ...SWEEP, seeds: 3 }, { out })).rejects.toThrow(/seeds/);
  });
});
