import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KVM_FAST_MMIO_BUS } from "../../../src/kvm/io-bus.js";
import { definePatch } from "../../../src/patches/define-patch.js";
import { wrapCommand } from "../../../src/report/mail.js";
import { sweepReport } from "../../../src/report/sweep-report.js";
import { comparePatches } from "../../../src/study/compare/scenarios.js";
import { compareSweep } from "../../../src/study/compare/sweep-columns.js";
import { nameOf, pointsOf } from "../../../src/study/sweep/point.js";
import { executeQueued } from "../../../src/study/sweep/redis-processor.js";
import { parseSweep } from "../../../src/study/sweep/spec.js";
import { runSweep } from "../../../src/study/sweep/sweep.js";
import { InThread, temporaryFolder } from "./fixture.js";

// Compiled, as the threads run it.
const { LocalExecutor }: typeof import("../../../src/study/sweep/local.js") = createRequire(import.meta.url)(
  "../../../dist/study/sweep/local.js",
);

const BASE = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x400000" }],
  doorbells: { address: "0xfebf0000", slot: "read-only" },
  workload: [{ op: "kick" }],
  accesses: 50,
} as const;

const mine = definePatch("mine", { extra: 1 }, ({ extra }) => ({
  vmxHandleEptViolation(gpa, qualification) {
    for (let asked = 0; asked < extra; asked++) this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa + 1, 0);
    return this.original.vmxHandleEptViolation(gpa, qualification);
  },
}));
const again = { ...mine, name: "mine again" };

const sweepOf = (axes: Readonly<Record<string, readonly unknown[]>>, base: object = {}) =>
  parseSweep({ name: "patches", base: { ...BASE, ...base }, axes });

let folder: string;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("patches as an axis", () => {
  it("are points that are called by the patches' names", async () => {
    const points = await pointsOf(sweepOf({ patches: [[], [mine], ["rfc", mine], [mine, "rfc"]] }));
    expect(points.map(({ values }) => nameOf(values))).toEqual([
      "patches=none seed=1",
      "patches=mine seed=1",
      "patches=rfc+mine seed=1",
      "patches=mine+rfc seed=1",
    ]);
    expect(new Set(points.map(({ key }) => key)).size).toBe(4);
  });

  it("have the source in their key", async () => {
    const keyOf = async (patch: object) => (await pointsOf(sweepOf({}, { patches: [patch] })))[0].key;
    expect(await keyOf({ ...mine })).toBe(await keyOf(mine));
    expect(await keyOf({ ...mine, source: mine.source.replace("gpa + 1", "gpa + 2") })).not.toBe(
      await keyOf(mine),
    );
    expect(await keyOf({ ...mine, constants: { extra: 2 } })).not.toBe(await keyOf(mine));
  });

  it("may be swept in a constant, by the name of the patch", async () => {
    const points = await pointsOf(
      sweepOf({ "patches[mine].constants.extra": [1, 2] }, { patches: ["rfc", mine] }),
    );
    expect(points.map(({ values }) => nameOf(values))).toEqual([
      "patches[mine].constants.extra=1 seed=1",
      "patches[mine].constants.extra=2 seed=1",
    ]);
    expect(points.map(({ scenario }) => scenario?.patches[1])).toMatchObject([
      { constants: { extra: 1 } },
      { constants: { extra: 2 } },
    ]);
  });

  it("are refused with the whole sweep when one reads what it is not given", () => {
    const limit = 3;
    const outer = definePatch("outer", {
      handleEptMisconfig() {
        return limit;
      },
    });
    expect(() => sweepOf({ patches: [[], [mine, outer]] })).toThrow(
      'sweep: axes.patches[1][1]: "outer" reads limit in line 2 of handleEptMisconfig()',
    );
    expect(() => sweepOf({}, { patches: [outer] })).toThrow('sweep: base.patches[0]: "outer" reads limit');
  });

  it("are called by their names at one place of a series, too", async () => {
    const axes = { "patches[0]": ["rfc", mine] };
    const points = await pointsOf(sweepOf(axes, { patches: ["rfc"] }));
    expect(points.map(({ values }) => nameOf(values))).toEqual([
      "patches[0]=rfc seed=1",
      "patches[0]=mine seed=1",
    ]);
    const exclude = [{ "patches[0]": "svm-fast-mmio" }];
    expect(() => parseSweep({ name: "patches", base: { ...BASE, patches: ["rfc"] }, axes, exclude })).toThrow(
      "exclude[0].patches[0]: svm-fast-mmio is not allowed; allowed: one of rfc, mine",
    );
  });

  it("have names of their own", async () => {
    const other = { ...mine, constants: { extra: 2 } };
    await expect(pointsOf(sweepOf({ patches: [[mine], [other]] }))).rejects.toThrow(
      "patches=mine seed=1 is more than one scenario; allowed: a name of its own for each patch",
    );
  });

  it("may be left out in combinations", async () => {
    const points = await pointsOf(
      parseSweep({
        name: "patches",
        base: BASE,
        axes: { patches: [[], [mine]], kernel: ["v4.2", "v6.19"] },
        exclude: [{ patches: [mine], kernel: "v6.19" }],
      }),
    );
    expect(points.map(({ values }) => nameOf(values))).toEqual([
      "patches=none kernel=v4.2 seed=1",
      "patches=none kernel=v6.19 seed=1",
      "patches=mine kernel=v4.2 seed=1",
    ]);
  });
});

describe("a sweep with a patch's source", () => {
  const input = { name: "pool", base: BASE, axes: { patches: [[], ["rfc"], [mine], [again, mine]] } };

  it("counts in the pool's threads what it counts here", async () => {
    const here = await runSweep(input, { out: `${folder}/here`, executor: new InThread() });
    const pool = await runSweep(input, { out: `${folder}/pool`, executor: new LocalExecutor(2) });
    expect(pool.failed).toEqual([]);
    expect(pool.rows).toEqual(here.rows);
    expect(here.rows.map(({ counts }) => counts.ioBusLookup)).toEqual([50, 50, 100, 150]);
  });

  it("goes on where it was, and compares and reports patches by their names", async () => {
    const result = await runSweep(input, { out: `${folder}/here`, executor: new InThread() });
    expect(result.ran).toBe(0);
    const compared = compareSweep(result, { by: "patches", base: "none" });
    expect(compared.columns).toEqual(["none", "rfc", "mine", "mine again+mine"]);
    expect(compared.provenance.conditions.kernels).toEqual([
      "v4.2",
      "v4.2 + rfc",
      "v4.2 + mine",
      "v4.2 + mine again + mine",
    ]);
    const { text, figures } = sweepReport(result);
    expect(text).toContain("mine again+mine");
    expect(JSON.stringify(figures.cycles)).toContain("mine again+mine");
    expect(text.split("To repeat:")[0]).not.toContain("kvmIoBusWrite");
  });

  it("fails at the points whose patch throws, in a line with the patch's name", async () => {
    const broken = definePatch("broken", {
      vmxHandleEptViolation() {
        throw new Error("no\nsuch gpa");
      },
    });
    const { rows, failed } = await runSweep(
      { name: "broken", base: BASE, axes: { patches: [[], [broken]] } },
      { out: `${folder}/broken`, executor: new LocalExecutor(1) },
    );
    expect(rows).toHaveLength(1);
    expect(failed.map(({ error }) => error)).toEqual([
      'patch "broken", vmxHandleEptViolation(): no such gpa',
    ]);
  });

  it("can be stopped while a patch loops for ever", async () => {
    const endless = definePatch("endless", {
      vmxHandleEptViolation() {
        for (;;);
      },
    });
    const controller = new AbortController();
    const sweeping = runSweep(
      { name: "endless", base: BASE, axes: { patches: [[], [endless]] } },
      {
        out: `${folder}/endless`,
        executor: new LocalExecutor(2),
        signal: controller.signal,
        onProgress: ({ done }) => done === 1 && controller.abort(new Error("enough")),
      },
    );
    await expect(sweeping).rejects.toThrow("enough");
  });

  it("is repeated by a command that a shell takes from a mail", async () => {
    const { provenance } = await comparePatches(BASE, [[], [mine, "rfc"]], { seeds: 1 });
    const mail = wrapCommand(String(provenance.command), 72);
    for (const line of mail.split("\n")) expect(line.length).toBeLessThanOrEqual(72);
    const words = execFileSync("sh", ["-c", `for word in ${mail.trim()}; do printf '%s\\0' "$word"; done`], {
      encoding: "utf8",
    }).split("\0");
    const series = JSON.parse(words[words.indexOf("--patches") + 2]);
    expect(series).toEqual([parseSweep({ name: "x", base: { patches: [mine] } }).base.patches, "rfc"].flat());
  });
});

describe("a worker", () => {
  const queued = async (patches: readonly unknown[], allowPatchSource: boolean) => {
    const [{ key, scenario }] = await pointsOf(sweepOf({}, { patches }));
    return executeQueued({ key, data: { scenario } }, allowPatchSource);
  };

  it("runs the patches of the package", async () => {
    expect(await queued(["rfc"], false)).toMatchObject({ status: "done" });
  });

  it("does not look at a patch that comes with its source", async () => {
    expect(await queued(["rfc", mine], false)).toMatchObject({
      status: "failed",
      error: expect.stringMatching(
        /^scenario: patches: "mine" comes with its source, which the worker on \S+ does not run; allowed: patches that it has in its files; started with --allow-patch-source it runs any$/,
      ),
    });
    const scenario = { ...BASE, patches: [{ name: "x", source: "() => process.exit(3)" }] };
    expect(await executeQueued({ key: "forged", data: { scenario } }, false)).toMatchObject({
      status: "failed",
    });
  });

  it("runs it when it was started for that", async () => {
    expect(await queued(["rfc", mine], true)).toMatchObject({ status: "done" });
  });
});
