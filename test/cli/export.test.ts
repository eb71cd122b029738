/** `exitlab export`: a sweep, a run and a scenario as folders. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { LINES } from "../../src/report/theme.js";
import type { SweepInput } from "../../src/study/sweep/spec.js";
import { runSweep } from "../../src/study/sweep/sweep.js";
import { BASE, InThread, SWEEP } from "../study/sweep/fixture.js";
import { inProcess, MAIN } from "./exitlab.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "exitlab-"));
});

const exitlab = (...args: string[]) => inProcess(args, folder);
/** Runs a sweep into a folder, as `exitlab sweep` does with threads. */
const sweep = (input: SweepInput, out: string) =>
  runSweep(input, { executor: new InThread(), out: join(folder, out) });
const read = (...path: string[]) => readFileSync(join(folder, ...path), "utf8");
const json = (...path: string[]) => JSON.parse(read(...path));

function write(name: string, content: unknown): string {
  writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  return name;
}

/** Runs the commands that a report says make it again, each with the command line of this package. */
function repeat(command: string): void {
  const exported = `exitlab() { ${[process.execPath, MAIN].map((word) => `'${word}'`).join(" ")} "$@"; }`;
  const { status, stderr } = spawnSync(
    "sh",
    ["-c", `${exported}\n${command.replaceAll("npx exitlab", "exitlab")}`],
    {
      encoding: "utf8",
      cwd: folder,
    },
  );
  expect([status, stderr.replace(/^exitlab: \d+ points.*\n/, "")]).toEqual([0, ""]);
}

describe("exitlab export of a sweep", () => {
  it("has cycles over a field, a line for each value of the others, and a table of all rows", async () => {
    await sweep(SWEEP, "out/doorbells");
    const { stdout, stderr, status } = await exitlab(
      "export",
      "out/doorbells",
      "--out",
      "report",
      "--formats",
      "csv,json",
    );
    expect([status, stderr]).toEqual([0, ""]);
    expect(readdirSync(join(folder, "report")).sort()).toEqual([
      "cycles.csv",
      "cycles.json",
      "index.html",
      "mail.txt",
      "provenance.json",
      "rows.csv",
      "rows.json",
      "scenario.json",
    ]);
    expect(stdout).toContain(read("report", "mail.txt"));
    expect(json("report", "scenario.json")).toMatchObject({ name: "doorbells", base: BASE, seeds: [1, 2] });
    const { data } = json("report", "cycles.json");
    expect(data.map(({ name, x }: { name: string; x: unknown }) => [name, x])).toEqual([
      ["workload[reads].weight=0", ["v4.2", "v6.19"]],
      ["workload[reads].weight=1", ["v4.2", "v6.19"]],
    ]);
    const { rows } = json("report", "rows.json");
    expect(rows).toHaveLength(8);
    for (const { cycles } of rows) {
      expect(cycles.low).toBeLessThan(cycles.value);
      expect(cycles.value).toBeLessThan(cycles.high);
    }
    // Each bar spans what the costs allow of the mean; the seeds stand apart.
    const atFirst = rows.slice(0, 2).map(({ cycles }: { cycles: { low: number; value: number } }) => cycles);
    expect(json("report", "cycles.json").table[0]).toMatchObject({
      line: "workload[reads].weight=0",
      kernel: "v4.2",
      least: Math.min(atFirst[0].value, atFirst[1].value),
      low: (atFirst[0].low + atFirst[1].low) / 2,
    });
    const [header, first] = read("report", "rows.csv").split("\n");
    expect(header).toMatch(
      /^kernel,workload\[reads\]\.weight,seed,cyclesLow,cycles,cyclesHigh,instructions,/,
    );
    expect(first).toMatch(/^v4\.2,0,1,/);
  });

  it("takes another field for the axis, and its file in place of its folder", async () => {
    await sweep(SWEEP, "mine");
    const field = "workload[reads].weight";
    const { status } = await exitlab(
      "export",
      "mine/results.jsonl",
      "--out",
      "report",
      "--formats",
      "json",
      "--x",
      field,
    );
    expect(status).toBe(0);
    const { data } = json("report", "cycles.json");
    expect(data.map(({ name, x }: { name: string; x: unknown }) => [name, x])).toEqual([
      ["kernel=v4.2", [0, 1]],
      ["kernel=v6.19", [0, 1]],
    ]);
    const { stderr } = await exitlab("export", "mine", "--out", "report", "--x", "vcpus");
    expect(stderr).toContain(
      'x: "vcpus" is not allowed: it does not vary in the sweep; allowed: kernel, workload[reads].weight',
    );
  });

  it("is made again by one command line", async () => {
    await sweep(SWEEP, "mine");
    await exitlab("export", "mine", "--out", "report", "--formats", "csv");
    repeat(`${json("report", "provenance.json").command} --formats csv`);
    for (const name of readdirSync(join(folder, "report")))
      expect([name, read("out", "doorbells", "report", name)]).toEqual([name, read("report", name)]);
  });

  it("has a mark for fields whose values go together, and several figures where there are many lines", async () => {
    const { base, name } = SWEEP;
    const zip = [
      { "workload[reads].weight": [0, 1, 2, 3, 4, 5, 6], accesses: [50, 60, 70, 80, 90, 100, 110] },
    ];
    await sweep({ name, base, zip, seeds: 1 }, "out/doorbells");
    await exitlab("export", "out/doorbells", "--out", "zipped", "--formats", "json");
    const [line] = json("zipped", "cycles.json").data;
    expect([line.name, line.x[1]]).toEqual(["doorbells", "workload[reads].weight=1 accesses=60"]);

    const weights = Array.from({ length: LINES.length + 1 }, (_, weight) => weight);
    const axes = { accesses: weights.map((weight) => 50 + weight), "workload[reads].weight": weights };
    await sweep({ name: "wide", base, axes, seeds: 1 }, "out/wide");
    await exitlab("export", "out/wide", "--out", "wide", "--formats", "json");
    const figures = ["cycles.json", "cycles-2.json"].map((file) => json("wide", file));
    expect(figures.map(({ data }) => data.length)).toEqual([LINES.length, 1]);
    expect(figures[0].layout.title.text).toContain(`lines 1 to ${LINES.length} of ${weights.length}`);
  });

  it("names the points that failed", async () => {
    await sweep({ ...SWEEP, axes: { kernel: ["v3.9", "v4.2"] } }, "out/doorbells");
    const { stdout, status } = await exitlab(
      "export",
      "out/doorbells",
      "--out",
      "report",
      "--formats",
      "csv",
    );
    expect(status).toBe(0);
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(
      "Failed: kernel=v3.9 seed=1 (scenario: doorbells.len: 0 is not",
    );
    expect(json("report", "rows.json").failed).toHaveLength(2);
  });

  it("refuses results of another version of the simulation", async () => {
    await sweep(SWEEP, "out/doorbells");
    const old = read("out", "doorbells", "results.jsonl")
      .replace(/"core":"[0-9a-f]{8}"/, '"core":"01234567"')
      .replaceAll(/"key":"[0-9a-f]{4}/g, '"key":"0000');
    const { stderr, status } = await exitlab("export", write("old.jsonl", old), "--out", "report");
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /old\.jsonl: has no result for kernel=v4\.2 .* under this version of the simulation; they are of version 01234567, and this is/,
    );
  });
});

describe("exitlab export of a run", () => {
  it("is that of the JSON that run printed, and of the scenario itself", async () => {
    const scenario = write("scenario.json", BASE);
    write("run.json", (await exitlab("run", scenario, "--json")).stdout);
    const ofRun = await exitlab("export", "run.json", "--out", "of-run", "--formats", "csv");
    const ofScenario = await exitlab("export", scenario, "--out", "of-scenario", "--formats", "csv");
    expect([ofRun.stderr, ofRun.status, ofScenario.stderr, ofScenario.status]).toEqual(["", 0, "", 0]);
    const files = readdirSync(join(folder, "of-run")).sort();
    expect(files).toEqual([
      "costs.csv",
      "counts.csv",
      "exit-reasons.csv",
      "exits.csv",
      "incidents.csv",
      "index.html",
      "mail.txt",
      "price.csv",
      "provenance.json",
      "rows.json",
      "scenario.json",
    ]);
    expect(json("of-run", "scenario.json")).toMatchObject({ cpu: "sandy-bridge-ep", accesses: 50 });
    const commandless = (text: string) => text.replace(/To repeat:[\s\S]*/, "");
    expect(commandless(read("of-run", "mail.txt"))).toBe(commandless(read("of-scenario", "mail.txt")));
    for (const name of ["costs.csv", "counts.csv", "exit-reasons.csv", "exits.csv", "price.csv"])
      expect([name, read("of-run", name)]).toEqual([name, read("of-scenario", name)]);
    // Who reads it has not the file.
    expect(json("of-scenario", "provenance.json").command).toMatch(
      /^npx exitlab export '\{ "cpu": .* \}' --out of-scenario$/,
    );
  });

  it("is made again by one command line", async () => {
    const scenario = JSON.stringify({ ...BASE, name: "it's" });
    write("run.json", (await exitlab("run", scenario, "--json")).stdout);
    await exitlab("export", "run.json", "--out", "report", "--formats", "csv");
    const before = readdirSync(join(folder, "report")).map((name) => [name, read("report", name)]);
    const { command } = json("report", "provenance.json");
    write("run.json", "");
    repeat(`${command} --formats csv`);
    expect(readdirSync(join(folder, "report")).map((name) => [name, read("report", name)])).toEqual(before);
    expect(command).toMatch(
      /^npx exitlab run '\{ .* \}' --json > run\.json && npx exitlab export run\.json --out report$/,
    );
  });

  it.each([
    [
      "a list",
      [1, 2],
      "x.json: is no result and no scenario; allowed: results.jsonl of a sweep or its folder, the JSON of",
    ],
    ["a sweep that was not run", SWEEP, "x.json: is no result and no scenario"],
    [
      "a scenario with a mistake",
      { ...BASE, acesses: 1 },
      "x.json: acesses: is an unknown field (did you mean accesses?)",
    ],
    ["half a run", { scenario: BASE, accesses: 50, counts: {}, signals: [] }, "x.json: pmu: is missing"],
    ["text", "hello", "x.json: "],
  ])("refuses %s", async (_, content, message) => {
    const { stdout, stderr, status } = await exitlab("export", write("x.json", content), "--out", "report");
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toContain(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("refuses a folder without results, an axis for a run, and to write nowhere", async () => {
    expect((await exitlab("export", ".", "--out", "report")).stderr).toMatch(
      /results\.jsonl: ENOENT.*; allowed: a result file of a sweep/,
    );
    expect(
      (await exitlab("export", write("scenario.json", BASE), "--out", "report", "--x", "vcpus")).stderr,
    ).toContain("--x: is for sweeps");
    expect((await exitlab("export", "scenario.json")).stderr).toContain(
      "required option '--out <folder>' not specified",
    );
  });
});
