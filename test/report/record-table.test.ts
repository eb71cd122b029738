import { expect, test } from "vitest";
import { recordTables } from "../../src/report/record-table.js";
import { measured } from "../../src/report/text-table.js";

test("the first key names the records where it can", () => {
  expect(
    recordTables([
      { kernel: "v4.2", cycles: 2055.25, open: true },
      { kernel: "v6.19", cycles: 1999, open: false },
    ]),
  ).toEqual([
    [
      "SIMULATED kernel   cycles  open",
      "v4.2              2055.25  true",
      "v6.19                1999  false",
    ].join("\n"),
  ]);
});

test("else they are numbered, so that a table that wraps says whose its further columns are", () => {
  const wide = { a: "x".repeat(30), b: "y".repeat(30), c: "z".repeat(30) };
  const tables = recordTables([wide, { ...wide, c: "other" }]);
  expect(tables.map((table) => table.split("\n").map((line) => line.split(" ")[0]))).toEqual([
    ["SIMULATED", "1", "2"],
    ["SIMULATED", "1", "2"],
    ["SIMULATED", "1", "2"],
  ]);
});

test("what was measured says so", () => {
  expect(recordTables([{ row: "vmcall" }], measured)).toEqual(["MEASURED row\nvmcall"]);
});
