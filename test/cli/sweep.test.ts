/** Sweeps by the command line: threads, signals, files, exit codes. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { parseShard } from "../../src/study/sweep/shard.js";
import { runSweep } from "../../src/study/sweep/sweep.js";
import { Random } from "../../src/workload/random.js";
import { BASE, InThread, SWEEP } from "../study/sweep/fixture.js";
import { exitlab as built, inProcess, MAIN } from "./exitlab.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "exitlab-"));
});

function write(name: string, content: object): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

const exitlab = (...args: string[]) => built(args, { cwd: folder });
/** For what needs no threads. */
const here = (...args: string[]) => inProcess(args, folder);
const results = (out: string) => readFileSync(join(folder, out, "results.jsonl"), "utf8");
const journal = (out: string) => join(folder, out, "journal.jsonl");
const linesIn = (path: string) => (existsSync(path) ? readFileSync(path, "utf8").split("\n").length - 1 : 0);

/** Starts a sweep and waits until its journal has so many lines, or it has ended. */
async function started(
  lines: number,
  out: string,
  ...args: string[]
): Promise<{ child: ChildProcess; ended: Promise<number | null> }> {
  const child = spawn(process.execPath, [MAIN, "sweep", ...args, "--out", out], {
    cwd: folder,
    stdio: "ignore",
  });
  let running = true;
  const ended = new Promise<number | null>((resolve) =>
    child.on("exit", (code) => {
      running = false;
      resolve(code);
    }),
  );
  while (running && linesIn(journal(out)) < lines) await sleep(5);
  return { child, ended };
}

describe("exitlab sweep", () => {
  it("writes its results, and says where", () => {
    const path = write("sweep.json", SWEEP);
    const { stdout, stderr, status } = exitlab("sweep", path);
    expect([status, stderr]).toEqual([0, "exitlab: 8 points: 8 done, 0 failed\n"]);
    expect(stdout).toMatch(/^SIMULATED, not hardware: exitlab \d.*, model [0-9a-f]{8}, data [0-9a-f]{8}\n/);
    expect(stdout).toContain(
      "\ndoorbells: 8 of 8 points done, 8 of them now\nresults: out/doorbells/results.jsonl\n",
    );
    expect(results("out/doorbells").split("\n")).toHaveLength(1 + 8 + 1);
    const again = JSON.parse(exitlab("sweep", path, "--json").stdout);
    expect(again).toMatchObject({ sweep: "doorbells", points: 8, done: 8, ran: 0, failed: [] });
  });

  it("gives the same bytes with one worker and with two, and in shards that are merged", () => {
    const path = write("sweep.json", SWEEP);
    exitlab("sweep", path, "--workers", "1", "--out", "one");
    exitlab("sweep", path, "--workers", "2", "--out", "two");
    for (const shard of ["2/3", "3/3", "1/3"]) exitlab("sweep", path, "--shard", shard, "--out", "three");
    const { stdout, status } = exitlab("merge", "three");
    expect(status).toBe(0);
    expect(stdout).toContain("doorbells: 8 of 8 points done, 0 of them now\nresults: three/results.jsonl\n");
    expect(results("two")).toBe(results("one"));
    expect(results("three")).toBe(results("one"));
  });

  it("goes on after points that fail, shows them, and ends with 2", () => {
    const path = write("sweep.json", { ...SWEEP, axes: { kernel: ["v3.9", "v4.2"] } });
    const { stdout, stderr, status } = exitlab("sweep", path);
    expect(status).toBe(2);
    expect(stdout).toContain("doorbells: 2 of 4 points done");
    expect(stderr).toMatch(
      /exitlab: failed: kernel=v3\.9 seed=1: scenario: doorbells\.len: 0 is not allowed/,
    );
    expect(results("out/doorbells")).toContain('"status":"failed"');
    const first = exitlab("sweep", path, "--fail-fast", "--out", "fast");
    expect([first.status, first.stdout]).toEqual([1, ""]);
    expect(first.stderr).toMatch(/exitlab: kernel=v3\.9 seed=[12]: scenario: doorbells/);
  });

  it.each([
    ["no JSON", "{", [], /sweep\.json: .*JSON/],
    [
      "an unknown field",
      JSON.stringify({ ...SWEEP, seed: 1 }),
      [],
      /sweep: seed: is an unknown field \(did you mean seeds\?\); allowed: name, base/,
    ],
    ["no shard", JSON.stringify(SWEEP), ["--shard", "4/3"], /shard: "4\/3" is not allowed; allowed: i\/N/],
    ["no workers", JSON.stringify(SWEEP), ["--workers", "0"], /workers: 0 is not allowed/],
    ["half a worker", JSON.stringify(SWEEP), ["--workers", "0.5"], /--workers: "0\.5" is not allowed/],
  ])("refuses %s with 1", async (_, content, args, message) => {
    const path = join(folder, "sweep.json");
    writeFileSync(path, content);
    const { stdout, stderr, status } = await here("sweep", path, ...args);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(message);
    expect(existsSync(join(folder, "out"))).toBe(false);
  });

  it("stops at Ctrl-C with 130, in the middle of its points, and keeps those that are finished", async () => {
    // Points that nobody waits for the end of.
    const path = write("sweep.json", { name: "long", base: { ...BASE, accesses: 1e9 }, seeds: 4 });
    const { child, ended } = await started(1, "out", path);
    await sleep(500);
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(linesIn(journal("out"))).toBe(1);
  });

  it("of 2000 points, killed ten times and taken up again, ends with the bytes of one that was not", async () => {
    // Small caches are soon made.
    const base = { ...SWEEP.base, cpu: "ivy-bridge-i7-3770k" };
    const axes = { "workload[reads].weight": [0, 1] };
    const path = write("sweep.json", { ...SWEEP, base, axes, seeds: 1000 });
    expect(exitlab("sweep", path, "--out", "whole").status).toBe(0);
    const random = new Random(Date.now() % 2 ** 32);
    let killed = 0;
    for (let kill = 0; kill < 10; kill++) {
      const { child, ended } = await started(linesIn(journal("killed")) + random.below(190), "killed", path);
      if (child.kill("SIGKILL")) killed++;
      await ended;
    }
    expect(killed).toBe(10);
    const before = linesIn(journal("killed"));
    expect(before).toBeLessThan(2001);
    expect(exitlab("sweep", path, "--out", "killed").status).toBe(0);
    expect(results("killed")).toBe(results("whole"));
    // No point twice: what was finished was not done again.
    const keys = readFileSync(journal("killed"), "utf8").match(/"key":"[0-9a-f]{64}"/g);
    expect([keys?.length, new Set(keys).size]).toEqual([2000, 2000]);
  }, 300_000);

  it("repairs a last line that was cut, and refuses a damaged one before it by its number", async () => {
    const path = write("sweep.json", SWEEP);
    exitlab("sweep", path, "--out", "cut");
    const whole = results("cut");
    const text = readFileSync(journal("cut"), "utf8");
    writeFileSync(journal("cut"), text.slice(0, -30));
    const cut = exitlab("sweep", path, "--out", "cut");
    expect([cut.status, cut.stdout]).toEqual([
      0,
      expect.stringContaining("8 of 8 points done, 1 of them now"),
    ]);
    expect(cut.stderr).toContain("journal.jsonl");
    expect(results("cut")).toBe(whole);

    const lines = text.split("\n");
    lines[3] = lines[3].replace('"done"', '"dome"');
    writeFileSync(journal("cut"), lines.join("\n"));
    const { stderr, status } = await here("sweep", path, "--out", "cut");
    expect(status).toBe(1);
    expect(stderr).toContain("journal.jsonl: line 4");
    expect(readFileSync(journal("cut"), "utf8")).toBe(lines.join("\n"));
  });
});

describe("exitlab plan", () => {
  it("shows each point with its reason, and the time it may take", async () => {
    const path = write("sweep.json", SWEEP);
    const { stdout, status } = exitlab("plan", path);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^kernel=v4\.2 workload\[reads\]\.weight=0 seed=1: new\n/);
    expect(stdout).toMatch(
      /doorbells: 8 points, 0 with a result, 8 to run\nabout [\d.]+ (s|min|h) on \d+ cores, by a pilot\n$/,
    );
    await runSweep(SWEEP, { executor: new InThread(), out: join(folder, "out/doorbells") });
    expect((await here("plan", path)).stdout).toMatch(/doorbells: 8 points, 8 with a result, 0 to run\n$/);
    expect(JSON.parse((await here("plan", path, "--json")).stdout)).toMatchObject({ cached: 8, toRun: 0 });
  });
});

describe("exitlab merge", () => {
  it("refuses what is not complete", async () => {
    const shard = parseShard("1/3");
    await runSweep(SWEEP, { executor: new InThread(), shard, out: join(folder, "part") });
    const { stderr, status } = await here("merge", "part");
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /exitlab: part: \d of 8 points have no result under this version: .*; allowed: journals that hold/,
    );
  });
});

describe("exitlab scenario", () => {
  it("lists every field with what it may be and its default", () => {
    const { stdout, status } = exitlab("scenario");
    expect(status).toBe(0);
    expect(stdout).toContain("vcpus\n    number of vCPUs, a whole number from 1 to 255; default 1\n");
    expect(stdout).toContain("memslots[].gpa\n    guest-physical address in bytes, a multiple of 4096");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(75);
  });
});

describe("every command", () => {
  it.each([
    "study",
    "run",
    "export",
    "scenario",
    "cpus",
    "calibrate",
    "plan",
    "sweep",
    "merge",
    "compare",
    "worker",
    "conform",
  ])("%s has help with an example", async (verb) => {
    const { stdout, status } = await here(verb, "--help");
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}exitlab /);
  });

  it("and exit codes that the help explains", () => {
    expect(exitlab("--help").stdout).toMatch(/Exit codes:\n {2}0 {4}done\n {2}1 {4}bad input/);
  });
});
