/** `exitlab calibrate`, and `exitlab run` with the profile that it writes. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { calibrationTable } from "../../src/report/calibration.js";
import { calibrate } from "../../src/study/calibrate/calibrate.js";
import { SyntheticHost } from "../study/calibrate/synthetic-host.js";
import { exitlab, inProcess } from "./exitlab.js";

const MACHINE = { cpu: "haswell-ep-e5-2660v3", kernel: "v4.2", mitigations: "off" } as const;
const HOST = ["--cpu", MACHINE.cpu, "--kernel", MACHINE.kernel];

function place(name: string): string {
  return join(mkdtempSync(join(tmpdir(), "exitlab-calibrate-")), name);
}

function file(content: string, name = "times.txt"): string {
  const path = place(name);
  writeFileSync(path, content);
  return path;
}

const host = new SyntheticHost(MACHINE, 11);
const vmexit = file(host.vmexit());
const perf = file(host.perf());
const scenario = file(JSON.stringify(host.scenario), "scenario.json");

/** From the heading on: sources that run uncompiled may have another digest than the build. */
const tables = (text: string) => text.slice(text.indexOf("\n\n"));

describe("exitlab calibrate", () => {
  it("prints times, costs and what stays unknown, of files of several tools", async () => {
    const { stdout, stderr, status } = exitlab([
      "calibrate",
      vmexit,
      perf,
      ...HOST,
      "--mitigations",
      MACHINE.mitigations,
      "--scenario",
      scenario,
    ]);
    expect([stderr, status]).toEqual(["", 0]);
    const expected = await calibrate([vmexit, perf], { ...MACHINE, scenario: host.scenario });
    expect(tables(stdout)).toBe(tables(calibrationTable(expected)));
    for (const line of stdout.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
  });

  it("prints all of it as JSON", async () => {
    const { stdout, status } = await inProcess(["calibrate", vmexit, ...HOST, "--tsc-mhz", "2500", "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ...MACHINE, tscMhz: 2500, stretch: 1, rank: 14 });
  });

  it("writes a profile that run prices a scenario of this processor and kernel with", async () => {
    const profile = place("profile.json");
    const { stderr, status } = await inProcess(["calibrate", vmexit, ...HOST, "-o", profile]);
    expect([stderr, status]).toEqual(["", 0]);
    expect(readdirSync(dirname(profile))).toEqual(["profile.json"]);
    const run = (path: string) => inProcess(["run", path, "--costs", profile, "--json"]);
    const priced = await run(scenario);
    expect([priced.stderr, priced.status]).toEqual(["", 0]);
    const { items } = JSON.parse(priced.stdout).price;
    const sources = items.filter(({ tag }: { tag: string }) => tag === "derived");
    expect(sources.map(({ source }: { source: string }) => source)).toContain(
      "fitted to times of vmexit, by exitlab calibrate",
    );
    expect((await inProcess(["run", scenario, "--costs", profile])).status).toBe(0);
    const other = await run(file(JSON.stringify({ ...host.scenario, kernel: "v4.2.8" }), "scenario.json"));
    expect([other.stdout, other.status]).toEqual(["", 1]);
    expect(other.stderr).toContain('cost profile: kernel: "v4.2" is not allowed; allowed: "v4.2.8"');
  });

  it.each([
    ["a result that was cut", "cpuid 1600\nvmcall 15", /times\.txt: line 2: .*; allowed: /],
    ["an unknown format", "<html>\n", /times\.txt: has no result; allowed: what vmexit\.flat prints/],
    ["rows that are all unknown", "my_test 100\n", /have nothing to learn from: my_test \(no row of vmexit/],
  ])("refuses %s in one line, and leaves an older profile as it was", async (_, text, message) => {
    const profile = file("older", "profile.json");
    const { stdout, stderr, status } = await inProcess(["calibrate", file(text), ...HOST, "-o", profile]);
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(readFileSync(profile, "utf8")).toBe("older");
    expect(readdirSync(dirname(profile))).toEqual(["profile.json"]);
  });

  it.each([
    [[vmexit, vmexit, ...HOST], /files: .*; allowed: each file once/],
    [["/nowhere.txt", ...HOST], /\/nowhere\.txt: ENOENT.*; allowed: a file that can be read/],
    [[vmexit, ...HOST, "--tsc-mhz", "0"], /--tsc-mhz: "0" is not allowed; allowed: a number of more than 0/],
    [[vmexit, ...HOST, "--mitigations", "auto"], /mitigations: "auto" is not allowed/],
    [
      [perf, "--cpu", "zen-2-epyc-7742", "--kernel", "v4.2", "--scenario", scenario],
      /scenario: cpu: "haswell/,
    ],
    [[vmexit, "--cpu", MACHINE.cpu], /required option '--kernel <version>' not specified/],
    [[vmexit, "--cpu", "486", "--kernel", "v4.2"], /Allowed choices are broadwell/],
    [HOST, /missing required argument 'file'/],
  ])("refuses %j", async (args, message) => {
    const { stdout, stderr, status } = await inProcess(["calibrate", ...args]);
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toMatch(message);
  });

  it("refuses to write the profile over the times, or where it cannot", async () => {
    const before = readFileSync(vmexit, "utf8");
    const over = await inProcess(["calibrate", vmexit, ...HOST, "-o", vmexit]);
    expect([over.stdout, over.status]).toEqual(["", 1]);
    expect(over.stderr).toMatch(
      /--output: .* is not allowed; allowed: another file than those that are read/,
    );
    expect(readFileSync(vmexit, "utf8")).toBe(before);
    const nowhere = join(dirname(vmexit), "nowhere", "profile.json");
    const { stdout, stderr, status } = await inProcess(["calibrate", vmexit, ...HOST, "-o", nowhere]);
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toMatch(/ENOENT.*; allowed: a file that can be written/);
    expect(existsSync(dirname(nowhere))).toBe(false);
  });
});
