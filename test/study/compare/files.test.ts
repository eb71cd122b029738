/** Sweeps, scenarios, series of patches and files: what columns they make, and that their commands make them again. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import { compareFiles } from "../../../src/study/compare/files.js";
import type { Compared, SimulatedComparison } from "../../../src/study/compare/result.js";
import { comparePatches, compareScenarios } from "../../../src/study/compare/scenarios.js";
import { compareSweep } from "../../../src/study/compare/sweep-columns.js";
import { priceRun } from "../../../src/study/price.js";
import { run } from "../../../src/study/run/run.js";
import type { ScenarioInput } from "../../../src/study/run/scenario.js";
import { runSweep, type SweepResult } from "../../../src/study/sweep/sweep.js";
import { BASE, InThread, SWEEP, temporaryFolder } from "../sweep/fixture.js";

const place = (name: string) => join(mkdtempSync(join(tmpdir(), "exitlab-compare-")), name);

function file(name: string, content: unknown): string {
  const path = place(name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content, null, 2));
  return path;
}

const swept = (input: object = {}): Promise<SweepResult> =>
  runSweep({ ...SWEEP, ...input }, { executor: new InThread(), out: temporaryFolder() });

/** A NPT machine, where the patch's fast MMIO bus takes the kicks. */
const AMD: ScenarioInput = { ...BASE, cpu: "zen-3-ryzen-9-5900x", kernel: "v6.19", paging: "npt" };

/** The words of the last command that a provenance names, as a shell takes them apart. */
function wordsOf({ provenance: { command } }: SimulatedComparison): string[] {
  const last = command?.split("npx exitlab compare ").at(-1);
  return spawnSync("sh", ["-c", `printf '%s\\0' ${last}`], { encoding: "utf8" })
    .stdout.split("\0")
    .slice(0, -1);
}

function simulated(compared: Compared): SimulatedComparison {
  if (compared.kind !== "simulated") throw new Error("it was measured");
  return compared;
}

async function inputError(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("a sweep along one of its fields", async () => {
  const result = await swept();

  it("has a column for each value in its order, and a row for what the others have in common", () => {
    const { columns, rows, seeds, notes } = compareSweep(result, { by: "kernel" });
    expect(columns).toEqual(["v4.2", "v6.19"]);
    expect(rows.map(({ name }) => name)).toEqual(["workload[reads].weight=0", "workload[reads].weight=1"]);
    expect(seeds).toEqual({ low: 2, high: 2 });
    expect(notes).toEqual([]);
  });

  it("has the base that is named, by the value itself too", () => {
    expect(compareSweep(result, { by: "kernel", base: "v6.19" }).columns).toEqual(["v6.19", "v4.2"]);
    expect(compareSweep(result, { by: "workload[reads].weight", base: 1 }).columns).toEqual([
      "workload[reads].weight=1",
      "workload[reads].weight=0",
    ]);
  });

  it("is the mean of the counts of its runs", () => {
    const { rows } = compareSweep(result, { by: "kernel", of: "exitEptMisconfig" });
    const runs = result.rows.filter(
      ({ values }) => values.kernel === "v4.2" && values["workload[reads].weight"] === 1,
    );
    const mean =
      runs.reduce((total, { counts, accesses }) => total + counts.exitEptMisconfig / accesses, 0) / 2;
    expect(runs).toHaveLength(2);
    expect(rows[1].cells[0]?.mean).toBeCloseTo(mean, 12);
  });

  it("is the same from its file and from its folder", async () => {
    const inMemory = compareSweep(result, { by: "kernel" });
    const { results, journal } = result;
    for (const path of [results ?? "", join(journal, "..")]) {
      const fromFile = simulated(await compareFiles([path], { by: "kernel" }));
      expect({ ...fromFile, provenance: null }).toEqual({ ...inMemory, provenance: null });
      expect(wordsOf(fromFile)).toEqual([path, "--by", "kernel"]);
    }
  });

  it("is made again by its command, after the sweep", () => {
    const compared = compareSweep(result, { by: "kernel" });
    expect(compared.provenance.command).toMatch(
      /^npx exitlab sweep '\{ "name": "doorbells", .* --out \S+ && npx exitlab compare \S+ --by kernel$/,
    );
    const byDefault = { ...result, results: "out/doorbells/results.jsonl" };
    expect(compareSweep(byDefault, { by: "kernel" }).provenance.command).toMatch(
      /\}' && npx exitlab compare out\/doorbells --by kernel$/,
    );
    expect(compareSweep({ ...result, results: null }, { by: "kernel" }).provenance.command).toBeNull();
  });

  it("takes fields that are zipped together for one", async () => {
    const { axes: _, ...spec } = SWEEP;
    const zip = [{ kernel: ["v4.2", "v6.19"], mitigations: ["off", "auto"] }];
    const { columns, rows, notes } = compareSweep(await swept({ ...spec, axes: {}, zip }), { by: "kernel" });
    expect(columns).toEqual(["kernel=v4.2 mitigations=off", "kernel=v6.19 mitigations=auto"]);
    expect(rows.map(({ name }) => name)).toEqual(["all"]);
    expect(notes).toEqual([]);
  });

  it("leaves failed points out and says so", async () => {
    const axes = { kernel: ["v4.2", "v6.19"], mitigations: ["off", "auto"] };
    const { rows, notes } = compareSweep(await swept({ axes }), { by: "kernel" });
    expect(rows.map(({ cells }) => cells.map((cell) => cell !== null))).toEqual([
      [true, true],
      [false, true],
    ]);
    expect(notes).toEqual(["2 points that failed are left out"]);
  });

  it("refuses a field that does not vary", async () => {
    expect(await inputError(Promise.resolve().then(() => compareSweep(result, { by: "kernels" })))).toBe(
      'by: "kernels" is not allowed (did you mean kernel?); allowed: fields that vary: kernel, workload[reads].weight',
    );
    const one = await swept({ axes: { kernel: ["v4.2"] } });
    expect(await inputError(Promise.resolve().then(() => compareSweep(one, { by: "kernel" })))).toMatch(
      /^by: kernel has 1 value/,
    );
  });
});

describe("scenarios", () => {
  const sides = [
    { name: "before", scenario: BASE },
    { name: "it's after", scenario: { ...BASE, kernel: "v6.19" } },
  ] as const;

  it("run with ten seeds from their own on, unless so many are given", async () => {
    expect((await compareScenarios(sides)).seeds).toEqual({ low: 10, high: 10 });
    const { provenance, columns, rows, seeds } = await compareScenarios(
      sides.map(({ name, scenario }) => ({ name, scenario: { ...scenario, seed: 5 } })),
      { seeds: 2 },
    );
    expect([columns, seeds, provenance.seed]).toEqual([["before", "it's after"], { low: 2, high: 2 }, 5]);
    const counted = [5, 6].map((seed) => run({ ...BASE, seed }).counts.exitEptMisconfig / BASE.accesses);
    const [least, greatest] = [Math.min(...counted), Math.max(...counted)];
    const { rows: exits } = await compareScenarios(
      sides.map(({ name, scenario }) => ({ name, scenario: { ...scenario, seed: 5 } })),
      { seeds: 2, of: "exitEptMisconfig" },
    );
    expect(exits[0].cells[0]?.ofSeeds).toEqual({ low: least, high: greatest });
    expect(rows.map(({ name }) => name)).toEqual(["all"]);
  });

  it("are made again by their command, to the byte", async () => {
    const compared = await compareScenarios(sides, {
      seeds: 2,
      of: "ioBusLookup",
      per: "signal",
      base: "it's after",
    });
    const [one, other, ...options] = wordsOf(compared);
    expect(options).toEqual([
      "--seeds",
      "2",
      "--of",
      "ioBusLookup",
      "--per",
      "signal",
      "--base",
      "it's after",
    ]);
    const again = await compareFiles([one, other], {
      seeds: 2,
      of: "ioBusLookup",
      per: "signal",
      base: "it's after",
    });
    expect(JSON.stringify(again)).toBe(JSON.stringify(compared));
  });

  it("are refused by the name of their column", async () => {
    const broken = { ...BASE, kernel: "v2.6" } as unknown as ScenarioInput;
    expect(await inputError(compareScenarios([sides[0], { name: "broken", scenario: broken }]))).toMatch(
      /^broken: kernel: "v2.6" is not allowed/,
    );
    expect(await inputError(compareScenarios(sides, { seeds: 0 }))).toMatch(/^seeds: 0 is not allowed/);
  });
});

describe("series of patches over one scenario", () => {
  const series = [[], ["svm-fast-mmio"]] as const;

  it("are a column each: the fast MMIO bus spares a nested page fault the emulation", async () => {
    const compared = await comparePatches(AMD, series, { seeds: 2, of: "emulateInstruction" });
    expect(compared.columns).toEqual(["none", "svm-fast-mmio"]);
    expect(compared.notes).toEqual([]);
    expect(compared.provenance.conditions.kernels).toEqual(["v6.19", "v6.19 + svm-fast-mmio"]);
    expect(compared.rows[0].cells[1]?.versusBase?.verdict).toBe("less");
  });

  it("are made again by their command, to the byte", async () => {
    const compared = await comparePatches(AMD, series, { seeds: 2 });
    const [scenario, ...options] = wordsOf(compared);
    expect(options).toEqual(["--patches", "none", "svm-fast-mmio", "--seeds", "2"]);
    const again = await compareFiles([scenario], { patches: series, seeds: 2 });
    expect(JSON.stringify(again)).toBe(JSON.stringify(compared));
  });
});

describe("files", () => {
  const before = file("before.json", BASE);
  const after = file("after.json", { ...BASE, kernel: "v6.19" });
  const counted = run(BASE);
  const runJson = () => file("run.json", { ...counted, price: priceRun(counted) });
  const vmexit = file("vmexit.txt", "vmcall 1700\nvmcall 1710\n");

  it("of scenarios are run, and named by the files", async () => {
    const { columns, notes, rows } = simulated(await compareFiles([before, after], { seeds: 2 }));
    expect(columns).toEqual(["before.json", "after.json"]);
    expect(notes).toEqual(["after.json differs from before.json in kernel (v6.19, not v4.2)"]);
    expect(rows[0].cells[1]?.versusBase).not.toBeNull();
  });

  it("of runs hold one seed", async () => {
    const { seeds, rows, notes } = simulated(await compareFiles([runJson(), runJson()]));
    expect([seeds, notes]).toEqual([{ low: 1, high: 1 }, []]);
    expect(rows[0].cells[1]?.versusBase).toMatchObject({ relative: 0, verdict: "same" });
  });

  it("of runs are priced by the data files, and it is said where they had costs of a calibration", async () => {
    const price = priceRun(counted);
    const conditions = { ...price.conditions, stretch: 1 };
    const calibrated = file("calibrated.json", { ...counted, price: { ...price, conditions } });
    const { notes } = simulated(await compareFiles([runJson(), calibrated]));
    expect(notes).toEqual([
      expect.stringMatching(/calibrated\.json had costs of a calibration; here the data/),
    ]);
  });

  it("of sweeps are matched row by row", async () => {
    const [one, other] = [await swept(), await swept({ base: { ...BASE, mitigations: "off", vcpus: 2 } })];
    const { rows, notes } = simulated(await compareFiles([one.results ?? "", other.results ?? ""]));
    expect(rows.map(({ cells }) => cells[1]?.versusBase !== null)).toEqual([true, true, true, true]);
    expect(notes).toEqual([expect.stringMatching(/differs from .* in vcpus \(2, not 1\)$/)]);
  });

  it("that another version counted are compared, and it is said", async () => {
    const { results } = await swept();
    const [head, ...rows] = readFileSync(results ?? "", "utf8").split("\n");
    const old = JSON.stringify({ ...JSON.parse(head), core: "0badcafe" });
    const path = file("results.jsonl", [old, ...rows].join("\n"));
    const { notes } = simulated(await compareFiles([path, results ?? ""]));
    expect(notes).toEqual([
      expect.stringMatching(/was counted by another model, 0badcafe, not [0-9a-f]{8}$/),
    ]);
  });

  it("of measurements are compared as such", async () => {
    const other = file("other.txt", "vmcall 1800\n");
    expect(await compareFiles([vmexit, other])).toMatchObject({
      kind: "measured",
      columns: ["vmexit.txt", "other.txt"],
    });
  });

  it.each([
    [
      "measured beside simulated",
      () => [before, vmexit],
      {},
      /vmexit\.txt: is measured, and .*before\.json is not/,
    ],
    [
      "options of simulated ones",
      () => [vmexit, vmexit],
      { by: "kernel" },
      /^--by: is for what is simulated/,
    ],
    [
      "one alone",
      () => [before],
      {},
      /before\.json: is alone; allowed: a second file; or by, .* or patches,/,
    ],
    [
      "a field of a scenario",
      () => [before],
      { by: "kernel" },
      /^by: "kernel" is not allowed; allowed: the results of one/,
    ],
    ["patches over two", () => [before, after], { patches: [[]] }, /^patches: .* allowed: one scenario$/],
    [
      "seeds of results",
      () => [runJson(), runJson()],
      { seeds: 3 },
      /^seeds: 3 is not allowed; allowed: nothing/,
    ],
    [
      "a sweep without results",
      () => [file("sweep.json", SWEEP)],
      {},
      /sweep\.json: is a sweep without results/,
    ],
    [
      "an unknown patch",
      () => [before],
      { patches: [[], ["no"]] },
      /^scenario: patches\[0\]: "no" is not allowed/,
    ],
    ["unknown JSON", () => [file("a.json", "{}"), before], {}, /a\.json: is of no kind that is known/],
    ["unknown text", () => [file("a.txt", "hello\n"), before], {}, /a\.txt: is of no kind that is known/],
    ["an empty one", () => [file("a.txt", ""), before], {}, /a\.txt: is of no kind that is known/],
    [
      "one that is not there",
      () => [place("none.json"), before],
      {},
      /none\.json: ENOENT.*a file that can be read$/,
    ],
    ["a folder without results", () => [temporaryFolder()], { by: "kernel" }, /results\.jsonl: ENOENT/],
    [
      "counts that are none",
      () => [file("r.json", { ...run(BASE), accesses: -1 }), before],
      {},
      /r\.json: accesses: -1/,
    ],
  ])("refuse %s", async (_, files, options, message) => {
    expect(await inputError(compareFiles(files(), options))).toMatch(message);
  });
});
