import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import { readResults, writeResults } from "../../../src/study/sweep/results.js";

const HEAD = { sweep: "doorbells", core: "0badcafe" };
const ROWS = [
  { key: "b", point: { kernel: "v4.2" }, result: { accesses: 10 } },
  { key: "a", point: { kernel: "v3.9" }, error: "größer als erlaubt" },
];

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "results-"));
  path = join(folder, "results.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true }));

function inputError(work: () => unknown): InputError {
  try {
    work();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("a result file", () => {
  it("is the head and a line for each row, in the order given", () => {
    writeResults(path, HEAD, ROWS);
    const lines = readFileSync(path, "utf8").split("\n");
    expect(lines).toEqual([...[HEAD, ...ROWS].map((line) => JSON.stringify(line)), ""]);
    expect(readResults(path)).toEqual({ head: HEAD, rows: ROWS });
  });

  it("may hold no row", () => {
    writeResults(path, HEAD, []);
    expect(readResults(path)).toEqual({ head: HEAD, rows: [] });
  });

  it("is the same bytes for the same rows, in a folder that is made", () => {
    const other = join(folder, "a/b/results.jsonl");
    writeResults(path, HEAD, ROWS);
    writeResults(other, HEAD, structuredClone(ROWS));
    expect(readFileSync(other).equals(readFileSync(path))).toBe(true);
  });

  it("replaces an earlier one, and leaves nothing else in its folder", () => {
    writeResults(path, HEAD, [...ROWS, ...ROWS]);
    writeResults(path, HEAD, ROWS);
    expect(readResults(path).rows).toEqual(ROWS);
    expect(readdirSync(folder)).toEqual(["results.jsonl"]);
  });

  it("is not there, not even in part, when a row cannot be written", () => {
    const rows = [...ROWS, { key: "c", result: 1n }];
    expect(() => writeResults(path, HEAD, rows)).toThrow(TypeError);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("stays as it was when a row cannot be written, and when it cannot take its place", () => {
    writeResults(path, HEAD, ROWS);
    expect(() => writeResults(path, HEAD, [{ result: 1n }])).toThrow(TypeError);
    expect(readResults(path).rows).toEqual(ROWS);
    const taken = join(folder, "taken");
    mkdirSync(taken);
    expect(() => writeResults(taken, HEAD, ROWS)).toThrow(/EISDIR/);
    expect(readdirSync(folder).sort()).toEqual(["results.jsonl", "taken"]);
  });

  it.each([
    ["a line that is no JSON", '{"sweep":"a"}\n{"key":\n{"key":"b"}\n', "line 2", /JSON/],
    ["a last line without an end", '{"sweep":"a"}\n{"key":"a"}', "line 2", /^is cut off$/],
    ["an empty line", '{"sweep":"a"}\n\n', "line 2", /JSON/],
  ])("is refused for %s", (_, text, line, found) => {
    writeFileSync(path, text);
    const error = inputError(() => readResults(path));
    expect([error.field, error.found]).toEqual([`${path}: ${line}`, expect.stringMatching(found)]);
  });

  it("is refused if it is empty or not there", () => {
    expect(inputError(() => readResults(path)).found).toMatch(/^ENOENT/);
    writeFileSync(path, "");
    expect(inputError(() => readResults(path)).found).toBe("is empty");
  });
});
