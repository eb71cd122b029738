/**
 * The rows of `npm run bench`, no time asked: each does what its name says, and the C++ program counts the same. Simulator
 * and loops are the compiled ones, as `npm test` leaves them in dist/.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseScenario } from "../../dist/study/run/scenario.js";
import { designOf } from "../../dist/study/thread/designs.js";
import { scenarioOf, USUAL_SETTING } from "../../dist/study/thread/setting.js";
import { lengthRow } from "./long.mjs";
import { didText, measureRow, type Row, runSide, type Sample, UntrueRow } from "./measure.mjs";
import { memoryRow } from "./memory.mjs";
import { checkedRow, recordedRow } from "./observed.mjs";
import { MODEL_ROWS, modelRow, rowNames } from "./rows.mjs";
import { startRow } from "./start.mjs";
import { sweepRow } from "./sweep.mjs";
import { COMPILERS, compiler, compileYardstick } from "./yardstick.mjs";

const FEW = 20_000;
/** So many that they do not fit L3, which then evicts from L1 and L2. */
const MANY = 1_000_000;

/** What each side did, once. */
async function did(row: Row): Promise<Sample["did"][]> {
  const all: Sample["did"][] = [];
  for (const side of row.sides) all.push((await runSide(row, side)).did);
  return all;
}

let folder: string;
const programs: string[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "exitlab-bench-"));
  if (compiler !== null) programs.push(compileYardstick(compiler, folder));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a row of the model", () => {
  const cases = MODEL_ROWS.map((row) => ({ row, iterations: row.name === "mixed accesses" ? MANY : FEW }));

  const inCpp =
    compiler === null ? `needs one of ${COMPILERS.join(", ")} on PATH to do so in C++` : "in C++, too";

  it.each(cases)(
    `does what its name says, ${inCpp}: $row.name, $iterations times`,
    async ({ row, iterations }) => {
      const [first, ...others] = (await did(modelRow(row, programs, iterations))).map(didText);
      for (const other of others) expect(other).toBe(first);
    },
  );
});

describe.skipIf(compiler === null)("the yardstick", () => {
  const setting = { ...USUAL_SETTING, walkState: "hot", accesses: 3000, warmup: 0, seed: 77 } as const;
  const busy = { ...setting, readShare: 0.5, faultsPerKick: 4, busSize: 64, perPage: 4 } as const;
  const cases = [
    { design: "pio", operation: "mix", around: { ...busy, readShare: 0 } },
    { design: "base-4.2", operation: "mix", around: busy },
    { design: "base-4.2", operation: "fresh", around: busy },
    { design: "datamatch", operation: "mix", around: busy },
  ] as const;

  it.each(cases)(
    "also counts the same from a guest's first instruction on: $design, $operation",
    async ({ design, operation, around }) => {
      const scenario = () => parseScenario(scenarioOf(designOf(design), around));
      const row = { name: design, operation, iterations: around.accesses, scenario, isTrue: () => true };
      const [cpp, typescript] = (await did(modelRow(row, programs))).map(didText);
      expect(cpp).toBe(typescript);
    },
  );
});

describe("a row of the benchmark", () => {
  it.each([
    checkedRow("fast MMIO kick", FEW),
    checkedRow("mixed guest", FEW),
    recordedRow("fast MMIO kick", FEW),
    recordedRow("mixed guest", FEW),
    sweepRow(1000),
    startRow(),
  ])("does the same on all sides: $name", async (row) => {
    const [first, ...others] = await did(row);
    for (const other of others) expect(other).toEqual(first);
  });

  it.each([lengthRow(FEW), memoryRow(FEW)])("does not grow: $name", async (row) => {
    await expect(did(row)).resolves.toHaveLength(row.sides.length);
  });

  it("has a name of its own", () => {
    expect(new Set(rowNames()).size).toBe(rowNames().length);
  });
});

describe("the measurement of a row", () => {
  const turns: string[] = [];
  const side = (name: string, times: readonly number[], count: number) => {
    let run = 0;
    return {
      name,
      run: async () => {
        turns.push(name);
        await null;
        return { time: times[run++], did: { count } };
      },
    };
  };
  const row: Row = {
    name: "test",
    unit: "ns",
    of: "access",
    runs: 3,
    // The first run of each is no sample.
    sides: [side("one", [9, 1, 2, 4], 1), side("two", [9, 3, 2, 20], 1)],
    alike: true,
    isTrue: ({ count }) => count > 0,
  };

  it("takes turns, run by run, and has the median of the runs and of their ratios", async () => {
    const { sides } = await measureRow(row);
    expect(turns).toEqual(["one", "two", "one", "two", "one", "two", "one", "two"]);
    expect(sides[0]).toMatchObject({ time: { median: 2, low: 1, high: 4 }, ratio: null });
    expect(sides[1]).toMatchObject({
      time: { median: 3, low: 2, high: 20 },
      ratio: { median: 3, low: 1, high: 5 },
    });
  });

  it("refuses a row that is not what it did, and sides that differ", async () => {
    const untrue = { ...row, sides: [side("none", [1, 1, 1, 1], 0)] };
    await expect(measureRow(untrue)).rejects.toThrow(UntrueRow);
    const unlike = { ...row, sides: [side("one", [1, 1, 1, 1], 1), side("more", [1, 1, 1, 1], 2)] };
    await expect(measureRow(unlike)).rejects.toThrow("test differs: one count 1; more count 2");
  });
});
