/**
 * The rows of `npm run bench`, no time taken: each does what its name says, and the C++ program counts the same. Simulator
 * and loops are the compiled ones, as `npm test` leaves them in dist/.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MIXED, ROWS } from "./rows.mjs";
import { measureSimulated } from "./simulated.mjs";
import { measureSweep, SWEEP } from "./sweep.mjs";
import { COMPILERS, compiler, compileYardstick, measureYardstick } from "./yardstick.mjs";

const FEW = 50_000;
/** So many that they do not fit L3, which then evicts from L1 and L2. */
const MANY = 1_000_000;

describe("a row of the benchmark", () => {
  it.each(ROWS)("does what its name says: $name", (row) => {
    expect(measureSimulated(row, FEW).counts).toSatisfy((counts) => row.isTrue(counts, FEW));
  });
});

describe("the benchmark's sweep", () => {
  it("runs all its points, with one worker and with two, to the same bytes", async () => {
    const [one, two] = [await measureSweep(1, 1000), await measureSweep(2, 1000)];
    expect([one.points, two.points]).toEqual([SWEEP.seeds, SWEEP.seeds]);
    expect(two.results).toBe(one.results);
  });
});

describe.skipIf(compiler === null)(`the yardstick (needs one of ${COMPILERS.join(", ")} on PATH)`, () => {
  let folder: string;
  let program: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "exitlab-bench-"));
    program = compileYardstick(compiler as string, folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const cases = [...ROWS.map((row) => ({ row, iterations: FEW })), { row: MIXED, iterations: MANY }];

  it.each(cases)("counts and returns the same: $row.name, $iterations times", ({ row, iterations }) => {
    const { counts, digest } = measureSimulated(row, iterations);
    expect(measureYardstick(program, row, iterations)).toMatchObject({ counts, digest });
  });
});
