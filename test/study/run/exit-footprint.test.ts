/** The footprint of exits as a field of a scenario. */
import { describe, expect, it } from "vitest";
import { exitFootprints } from "../../../src/cost/exit-footprint.js";
import { run } from "../../../src/study/run/run.js";
import { parseScenario, type ScenarioInput, scenarioFields } from "../../../src/study/run/scenario.js";

const kicks = {
  cpu: "sandy-bridge-ep",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x400000" }],
  doorbells: { address: "0xfebf0000" },
  workload: [{ op: "kick" }],
  accesses: 1000,
} as const satisfies ScenarioInput;

const with_ = (change: object): ScenarioInput => ({ ...kicks, ...change });

describe("a scenario's exitFootprint", () => {
  it("decides what the next kick's walk finds near", () => {
    const levels = (change: object) => {
      const { counts } = run(with_(change));
      return ["L1", "L2", "L3"].map((level) => counts[`guestWalkRef${level}`] + counts[`eptWalkRef${level}`]);
    };
    expect(levels({})).toEqual([2000, 0, 0]);
    expect(levels({ exitFootprint: exitFootprints("light").value })).toEqual([2000, 0, 0]);
    expect(levels({ exitFootprint: { lines: 512, pages: 16 } })).toEqual([0, 2000, 0]);
    expect(levels({ exitFootprint: { lines: 8192, pages: 128 } })).toEqual([0, 0, 2000]);
  });

  it("of nothing changes nothing", () => {
    const { scenario: _, ...none } = run(kicks);
    const { scenario: __, ...nothing } = run(with_({ exitFootprint: { lines: 0, pages: 0 } }));
    expect(nothing).toEqual(none);
  });

  it("gives the same counts again", () => {
    const ram = {
      op: "load",
      address: "0x10000",
      size: 8,
      footprint: "0x100000",
      pattern: "uniform",
      weight: 4,
    };
    const scenario = with_({
      workload: [{ op: "kick" }, ram],
      exitFootprint: exitFootprints("emulated").high,
    });
    expect(run(scenario)).toEqual(run(scenario));
  });

  it("is absent by default, and has no part of userspace unless it says so", () => {
    expect(parseScenario(kicks).exitFootprint).toBeUndefined();
    expect(parseScenario(with_({ exitFootprint: { lines: 4, pages: 2 } })).exitFootprint).toEqual({
      lines: 4,
      pages: 2,
      userspaceLines: 0,
      userspacePages: 0,
    });
  });

  it("is described field by field", () => {
    const fields = new Map(scenarioFields().map(({ field, ...rest }) => [field, rest]));
    expect(fields.get("exitFootprint")).toMatchObject({
      default: "",
      allowed: expect.stringMatching(/in place of exitEvicts/),
    });
    expect(fields.get("exitFootprint.lines")).toMatchObject({
      default: "required",
      allowed: expect.stringMatching(/cache lines of host memory .* from 0 to 32768/),
    });
    expect(fields.get("exitFootprint.pages")?.default).toBe("required");
    expect(fields.get("exitFootprint.userspaceLines")?.default).toBe("0");
    expect(fields.get("exitFootprint.userspacePages")).toMatchObject({
      default: "0",
      allowed: expect.stringMatching(/from 0 to 512/),
    });
  });

  it.each([
    [
      "beside another exitEvicts",
      { exitEvicts: "l1", exitFootprint: { lines: 4, pages: 2 } },
      'scenario: exitEvicts: "l1" is not allowed; allowed: "nothing" beside an exitFootprint',
    ],
    [
      "of more lines than its pages have",
      { exitFootprint: { lines: 129, pages: 2 } },
      "scenario: exitFootprint.lines: 129 is not allowed; allowed: 1 to 64 lines on each of 2 pages, 2 to 128",
    ],
    [
      "of pages without a line",
      { exitFootprint: { lines: 4, pages: 2, userspaceLines: 1, userspacePages: 3 } },
      "exitFootprint.userspaceLines: 1 is not allowed; allowed: 1 to 64 lines on each of 3 pages, 3 to 192",
    ],
    [
      "of half a line",
      { exitFootprint: { lines: 0.5, pages: 0 } },
      "exitFootprint.lines: 0.5 is not allowed; allowed: distinct cache lines",
    ],
    [
      "of too many pages",
      { exitFootprint: { lines: 600, pages: 513 } },
      "exitFootprint.pages: 513 is not allowed",
    ],
    ["without pages", { exitFootprint: { lines: 4 } }, "exitFootprint.pages: is missing; allowed: 4K pages"],
  ])("%s is refused", (_, change, message) => {
    expect(() => parseScenario(with_(change))).toThrow(message);
  });
});
