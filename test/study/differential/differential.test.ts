/** Random scenarios on two models: equal ones agree on all of them, and of others the difference is found and shrunk. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INSTRUCTION_FORMS } from "../../../src/kvm/instruction.js";
import { definePatch } from "../../../src/patches/define-patch.js";
import { PATCHES } from "../../../src/patches/index.js";
import { scenarioArbitrary } from "../../../src/study/differential/arbitrary.js";
import { Coverage } from "../../../src/study/differential/coverage.js";
import { differential } from "../../../src/study/differential/differential.js";
import { runOnModel } from "../../../src/study/differential/model-driver.js";
import type { ModelSetting } from "../../../src/study/differential/model-vm.js";
import { ARENA, ARENA_PAGES, type Scenario, stepText } from "../../../src/study/differential/scenario.js";
import { PAGE } from "../../../src/x86/mmu.js";

const EPT = { kernel: "v6.19", paging: "ept", mmioCaching: true } as const satisfies ModelSetting;
const NPT = { ...EPT, paging: "npt" } as const satisfies ModelSetting;
const SHADOW = { ...EPT, paging: "shadow" } as const satisfies ModelSetting;

function compare(one: ModelSetting, other: ModelSetting, scenarios: number, path?: string) {
  return differential({ scenarios, seed: 1, path }, one, (scenario) => runOnModel(scenario, other));
}

/** The shrunk scenario: each step, and what came of the last. */
async function foundBetween(one: ModelSetting, other: ModelSetting) {
  const { difference } = await compare(one, other, 2000);
  if (difference === null) throw new Error("no difference was found");
  const { scenario, events, path } = difference;
  return { scenario, steps: scenario.map(stepText), last: events[events.length - 1], path };
}

describe("models agree", () => {
  it.each([
    ["of nested page tables and of shadow paging", NPT, SHADOW],
    [
      "with MMIO caching and without, which is how fast an access is known for MMIO",
      NPT,
      { ...NPT, mmioCaching: false },
    ],
    [
      "of SVM and of VMX without MMIO caching, where the fast bus is not asked",
      NPT,
      { ...EPT, mmioCaching: false },
    ],
    ["of Linux 4.2.8", { ...NPT, kernel: "v4.2.8" }, { ...SHADOW, kernel: "v4.2.8" }],
  ] as const)("%s", async (_, one, other) => {
    const { difference, scenarios, steps } = await compare(one, other, 500);
    expect(difference).toBeNull();
    expect(scenarios).toBe(500);
    expect(steps).toBeGreaterThan(5000);
  });
});

describe("a difference is found and shrunk to a few steps", () => {
  it("of a kernel that signals on reads", async () => {
    const signalsOnReads = definePatch("signals on reads", {
      kvmIoBusRead(bus, addr, len) {
        return this.kvmIoBusWrite(bus, addr, len, 0);
      },
    });
    const { scenario, last } = await foundBetween(NPT, { ...NPT, changes: [signalsOnReads.change] });
    expect(scenario.length).toBeLessThanOrEqual(3);
    const reader = scenario[scenario.length - 1];
    expect(reader.does === "access" && /load|in|or|add/.test(reader.op)).toBe(true);
    expect(last.model.join()).toContain("userspace answers");
    expect(last.other.join()).not.toContain("userspace answers");
  });

  it("of a bus that does not find ranges of length 0: Linux 4.2 before its fixes", async () => {
    const { steps, last } = await foundBetween({ ...SHADOW, kernel: "v4.2" }, SHADOW);
    expect(steps).toHaveLength(2);
    expect(steps[0]).toMatch(/^eventfd \d for 0 bytes at 0x/);
    expect(last.model.join()).toMatch(/^userspace gets/);
    expect(last.other.join()).toMatch(/^signal of eventfd/);
  });

  it("of the fast MMIO bus, which takes reads for writes", async () => {
    const { steps, last } = await foundBetween(NPT, { ...NPT, changes: [PATCHES["svm-fast-mmio"].change] });
    expect(steps.length).toBeLessThanOrEqual(4);
    expect(last.model.join("; ")).toMatch(/userspace answers/);
    expect(last.other.join("; ")).not.toMatch(/userspace answers/);
  });

  it("that no step shows, but what the memories hold in the end", async () => {
    const other = (scenario: Scenario) => {
      const outcome = runOnModel(scenario, NPT);
      outcome.memories[1][5] ^= 0xff;
      return outcome;
    };
    const { difference } = await differential({ scenarios: 1, seed: 1 }, NPT, other);
    expect(difference?.memory).toMatchObject({ memory: 1, offset: 5 });
  });

  it("and is found again by its path", async () => {
    const { scenario, path } = await foundBetween({ ...SHADOW, kernel: "v4.2" }, SHADOW);
    const again = await compare({ ...SHADOW, kernel: "v4.2" }, SHADOW, 1, path);
    expect(again.difference?.scenario).toEqual(scenario);
  });
});

it("an error is no difference: it is thrown as it is, and nothing is shrunk", async () => {
  let calls = 0;
  const breaks = () => {
    calls++;
    throw new RangeError("broken");
  };
  await expect(differential({ scenarios: 100, seed: 1 }, NPT, breaks)).rejects.toThrow(RangeError);
  expect(calls).toBe(1);
});

describe("random scenarios", () => {
  const scenarios: readonly Scenario[] = fc.sample(scenarioArbitrary, { numRuns: 600, seed: 2 });
  const accesses = scenarios.flat().filter((step) => step.does === "access");

  it("access pages that the guest has, and ports", () => {
    for (const { op, address, size, count } of accesses) {
      const { operation } = INSTRUCTION_FORMS[op];
      if (operation !== "memory") continue;
      expect(address).toBeGreaterThanOrEqual(ARENA);
      expect(address + size * Math.max(count, 1)).toBeLessThanOrEqual(ARENA + ARENA_PAGES * PAGE);
    }
  });

  it("have values that a number holds, and no read-modify-write of 8 bytes over two pages", () => {
    for (const { op, address, size, value } of accesses) {
      expect(Number.isSafeInteger(value)).toBe(true);
      if ((op === "or" || op === "add") && size === 8) expect(address % 8).toBe(0);
    }
  });

  it("are JSON", () => {
    expect(JSON.parse(JSON.stringify(scenarios))).toEqual(scenarios);
  });

  it.each([EPT, NPT, SHADOW])("with $paging meet every feature, and every path that there is", (setting) => {
    const coverage = new Coverage(setting);
    for (const scenario of scenarios) runOnModel(scenario, setting, coverage);
    const { features, paths, unreachable } = coverage.covered;
    const never = Object.entries(features).flatMap(([group, counts]) =>
      Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [`${group}: ${name}`] : [])),
    );
    expect(never).toEqual([]);
    const notTaken = Object.entries(paths).flatMap(([name, count]) => (count === 0 ? [name] : []));
    expect(notTaken).toEqual(unreachable.map(({ path }) => path));
  });
});
