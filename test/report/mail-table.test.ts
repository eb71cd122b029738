import fc from "fast-check";
import { expect, test } from "vitest";
import { costTable } from "../../src/report/costs.js";
import { mailTable } from "../../src/report/mail-table.js";
import type { PciTestdevStudy } from "../../src/study/result.js";
import { study } from "./fixture.js";

test("writes the study as a mail", async () => {
  await expect(mailTable(study)).toMatchFileSnapshot("golden/mail-table.txt");
});

test("writes the costs as a table for a mail", async () => {
  await expect(costTable(study)).toMatchFileSnapshot("golden/cost-table.txt");
});

test("says SIMULATED first and inside of every table, under its heading with the unit", () => {
  const text = `${mailTable(study)}\n${costTable(study)}`;
  expect(text.split("\n")[0]).toMatch(/^SIMULATED/);
  const lines = text.split("\n");
  const tables = lines.flatMap((line, i) => (/^SIMULATED (row|if it is|cost) /.test(line) ? [i] : []));
  expect(tables).toHaveLength(7);
  for (const i of tables) expect(lines[i - 1]).toMatch(/\[TSC cycles/);
});

test("has no line that git takes for the end of a commit message", () => {
  expect(mailTable(study)).not.toMatch(/^(---|diff -|Index: )/m);
});

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,29}$/);
const cycles = fc.double({ min: -1e9, max: 1e9, noNaN: true });
const interval = fc.tuple(cycles, cycles, cycles).map((values) => {
  const [low, value, high] = values.toSorted((a, b) => a - b);
  return { low, value, high };
});

/** The fixture with other names and numbers everywhere. */
const studies: fc.Arbitrary<PciTestdevStudy> = fc
  .record({
    names: fc.array(name, { minLength: 3, maxLength: 3 }),
    intervals: fc.array(interval, { minLength: 6, maxLength: 6 }),
  })
  .map(({ names, intervals }) => ({
    ...study,
    rows: study.rows.map((row) => ({
      ...row,
      name: names[0],
      measured: intervals[0].value,
      simulated: intervals[1].value,
      residual: intervals[2].value / 1e6,
      breakdown: { ...row.breakdown, walk: intervals[3].low },
    })),
    costs: study.costs.map((cost) => ({
      ...cost,
      name: names[1],
      prior: intervals[4],
      fitted: intervals[5],
    })),
    comparison: study.comparison.map((row) => ({ ...row, name: names[1], after: intervals[0] })),
    inseparable: [names, names],
    predictions: study.predictions.map((prediction) => ({
      ...prediction,
      cpu: names[2],
      exitEvicts: names[0],
      portIo: intervals[0],
      fastMmio: intervals[1],
      difference: intervals[2],
      walk: intervals[3],
    })),
  }));

test("stays in 75 columns of ASCII whatever the names and the numbers", () => {
  fc.assert(
    fc.property(studies, (random) => {
      for (const line of (mailTable(random) + costTable(random)).split("\n")) {
        expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
        expect(line).not.toMatch(/ $/);
        expect(line).not.toMatch(/(^|[ .+])-0(\.0+)?($|[ %]|\.\.)/);
      }
    }),
  );
});

test("writes a name that is not ASCII with escapes", () => {
  const renamed = { ...study, rows: study.rows.map((row) => ({ ...row, name: "K\u00f6nig" })) };
  expect(mailTable(renamed)).toContain("\nK\\u{f6}nig ");
});
