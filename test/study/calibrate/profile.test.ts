/** A calibration as a file: written whole or not at all, read back by `run --costs`, refused by field where it is malformed. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readCostProfile } from "../../../src/cost/cost-profile.js";
import { InputError } from "../../../src/cost/input.js";
import { calibrate, type HostCalibration, saveCostProfile } from "../../../src/study/calibrate/calibrate.js";
import { priceRun } from "../../../src/study/price.js";
import { run } from "../../../src/study/run/run.js";
import { SyntheticHost } from "./synthetic-host.js";

const MACHINE = { cpu: "haswell-ep-e5-2660v3", kernel: "v4.2", mitigations: "off" } as const;

function place(): string {
  return join(mkdtempSync(join(tmpdir(), "exitlab-profile-")), "profile.json");
}

function file(content: string): string {
  const path = place();
  writeFileSync(path, content);
  return path;
}

let calibration: HostCalibration;
beforeAll(async () => {
  const host = new SyntheticHost(MACHINE, 5);
  calibration = await calibrate([file(host.vmexit()), file(host.perf())], {
    ...MACHINE,
    scenario: host.scenario,
  });
});

function saved(): string {
  const path = place();
  saveCostProfile(calibration, path);
  return path;
}

describe("a cost profile", () => {
  it("is read back as the costs of the calibration, without those of its tracer", () => {
    const { cpu, kernel, ranges } = readCostProfile(saved());
    expect([cpu, kernel]).toEqual([MACHINE.cpu, MACHINE.kernel]);
    const kept = calibration.costs.filter(({ name }) => name !== "perfRecording");
    expect(kept).toHaveLength(calibration.costs.length - 1);
    expect(ranges).toEqual(
      Object.fromEntries(kept.map(({ name, fitted, tag, source }) => [name, { ...fitted, tag, source }])),
    );
  });

  it("prices a run within the calibrated range of what it holds", () => {
    const profile = readCostProfile(saved());
    const result = run({
      ...MACHINE,
      memslots: [{ gpa: 0, size: 2 ** 22 }],
      workload: [{ op: "cpuid" }],
      accesses: 100,
    });
    const { perAccess } = priceRun(result, { profile });
    expect(perAccess.high - perAccess.low).toBeLessThan(
      priceRun(result).perAccess.high - priceRun(result).perAccess.low,
    );
    const measured = calibration.times.find(({ name }) => name === "cpuid")?.measured ?? 0;
    expect(perAccess.low).toBeLessThan(measured);
    expect(perAccess.high).toBeGreaterThan(measured);
  });

  it("holds for its reader what it was made of", () => {
    const written = JSON.parse(readFileSync(saved(), "utf8"));
    const { costs, ...rest } = JSON.parse(JSON.stringify(calibration));
    expect(written).toMatchObject(rest);
  });

  it("replaces an older one, and leaves nothing else behind", () => {
    const path = file("old");
    saveCostProfile(calibration, path);
    expect(readCostProfile(path).cpu).toBe(MACHINE.cpu);
    expect(readdirSync(dirname(path))).toEqual(["profile.json"]);
  });

  it("is not written at all where it cannot be whole", () => {
    const path = place();
    mkdirSync(path);
    expect(() => saveCostProfile(calibration, path)).toThrow(InputError);
    expect(readdirSync(dirname(path))).toEqual(["profile.json"]);
    const nowhere = join(path, "nowhere", "profile.json");
    expect(() => saveCostProfile(calibration, nowhere)).toThrow(
      /ENOENT.*; allowed: a file that can be written/,
    );
    expect(readdirSync(path)).toEqual([]);
  });
});

describe("a malformed cost profile", () => {
  const cost = {
    name: "vmread",
    value: 40,
    unit: "TSC cycles",
    range: [30, 50],
    tag: "derived",
    source: "me",
  };
  const whole = { ...MACHINE, tscMhz: 2600, stretch: 1, costs: [cost] };
  const withCost = (change: object) => ({ ...whole, costs: [cost, { ...cost, ...change }] });

  it.each([
    [{ ...whole, cpu: undefined }, "cpu: is missing"],
    [{ ...whole, kernel: "v5.0" }, 'kernel: "v5.0" is not allowed; allowed: one of v3.9'],
    [{ ...whole, mitigations: "some" }, 'mitigations: "some" is not allowed; allowed: one of off, auto'],
    [{ ...whole, tscMhz: 0 }, "tscMhz: 0 is not allowed"],
    [{ ...whole, stretch: 0.5 }, "stretch: 0.5 is not allowed"],
    [{ ...whole, costs: {} }, "costs: {} is not allowed; allowed: a list of costs"],
    [withCost({ name: "" }), 'costs[1].name: "" is not allowed'],
    [withCost({ value: "40" }), 'costs[1].value: "40" is not allowed'],
    [withCost({ value: null }), "costs[1].value: null is not allowed"],
    [withCost({ unit: "ns" }), 'costs[1].unit: "ns" is not allowed'],
    [withCost({ range: 30 }), "costs[1].range: 30 is not allowed; allowed: [low, high] in cycles"],
    [withCost({ range: [30] }), "costs[1].range"],
    [withCost({ range: [50, 30] }), "a value within its range, [low, high]"],
    [withCost({ value: 60 }), "costs[1]: "],
    [withCost({ tag: "guessed" }), 'costs[1].tag: "guessed" is not allowed; allowed: one of'],
    [withCost({ source: undefined }), "costs[1].source: is missing"],
    [[], "[] is not allowed"],
  ])("is refused by its field: %j", (content, message) => {
    const path = file(JSON.stringify(content));
    expect(() => readCostProfile(path)).toThrow(InputError);
    expect(() => readCostProfile(path)).toThrow(message);
    expect(() => readCostProfile(path)).toThrow(path);
  });

  it("is refused where it is no JSON, or not there", () => {
    expect(() => readCostProfile(file("{"))).toThrow(
      /profile.json: .*JSON.*; allowed: a file that exitlab calibrate wrote/,
    );
    expect(() => readCostProfile("/nowhere.json")).toThrow(/^\/nowhere.json: ENOENT/);
  });

  it("is refused for a cost that is not known, and one that is there twice", () => {
    const unknown = readCostProfile(file(JSON.stringify(withCost({ name: "vmwrite" }))));
    const result = run({
      ...MACHINE,
      memslots: [{ gpa: 0, size: 4096 }],
      workload: [{ op: "cpuid" }],
      accesses: 1,
    });
    expect(() => priceRun(result, { profile: unknown })).toThrow('costs: "vmwrite" is not allowed');
    expect(() => readCostProfile(file(JSON.stringify(withCost({}))))).toThrow(
      'costs[1].name: "vmread" is not allowed; allowed: each cost once',
    );
  });
});
