/** The model against outcomes of independent implementations: no row may differ. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { conform } from "../../src/study/conformance/table.js";

const TABLES = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".jsonl"));

function rowsOf(table: string): string[] {
  return readFileSync(join(import.meta.dirname, table), "utf8")
    .trimEnd()
    .split("\n");
}

/** A table of these rows, in a file of its own. */
function table(rows: readonly string[], name = "table.jsonl"): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-")), name);
  const text = `${rows.join("\n")}\n`;
  writeFileSync(path, name.endsWith(".gz") ? gzipSync(text) : text);
  return path;
}

describe("the model", () => {
  it.each(TABLES)("agrees with every row of %s", async (name) => {
    const { passed, failed, skipped, failures } = await conform(join(import.meta.dirname, name));
    expect(failures).toEqual([]);
    expect(failed).toBe(0);
    expect(passed + skipped).toBe(rowsOf(name).length);
    expect(passed).toBeGreaterThan(40);
  });
});

describe("a table", () => {
  it("is read the same when it is gzipped", async () => {
    const rows = rowsOf("ept.jsonl");
    expect(await conform(table(rows, "ept.jsonl.gz"))).toEqual(await conform(table(rows)));
  });

  /** The rows of a table with one field changed. */
  function changed(name: string, select: (row: Row) => boolean, change: (row: Row) => void): string[] {
    return rowsOf(name)
      .map((text) => JSON.parse(text) as Row)
      .filter(select)
      .map((row) => {
        change(row);
        return JSON.stringify(row);
      });
  }

  it.each<[string, string, (row: Row) => boolean, (row: Row) => void]>([
    ["a host address", "ept", ({ r }) => r[0] === "ok", ({ r }) => (r[1] = "1000")],
    ["a qualification", "ept", ({ r }) => r[0] === "v", ({ r }) => (r[1] = Number(r[1]) ^ 8)],
    ["an address", "ept", ({ r }) => r[0] === "m", ({ r }) => (r[1] = "0")],
    ["an error code", "guest", ({ r }) => r[0] === "pf", ({ r }) => (r[1] = Number(r[1]) ^ 1)],
    ["an outcome", "guest", ({ r }) => r[0] === "gp", (row) => (row.r = ["pf", 0])],
    ["references", "nested", ({ n }) => n !== undefined, (row) => (row.n = Number(row.n) + 1)],
    ["a flag that is set", "ept", ({ ad }) => ad !== undefined, ({ ad = [] }) => (ad[1] = "7")],
    ["an EPT pointer's validity", "eptp", () => true, (row) => (row.r = (1 - Number(row.r)) as never)],
    ["a PTE", "kut_access", ({ pte }) => pte !== undefined, ({ pte = [] }) => (pte[1] = "7")],
    ["hits", "tlb", ({ hits }) => hits !== undefined, (row) => (row.hits = Number(row.hits) + 1)],
    ["a trace", "tlb", ({ trace }) => trace !== undefined, (row) => (row.fnv = "0".repeat(16))],
    [
      "a signalled descriptor",
      "ioeventfd",
      (row) => signalled(row) >= 0,
      (row) => (row.r[signalled(row)] = 4095),
    ],
    ["an error", "ioeventfd", ({ r }) => r.includes(-17), ({ r }) => (r[r.indexOf(-17)] = -22)],
    [
      "a write that nobody takes",
      "ioeventfd",
      ({ r }) => r.includes(-95),
      ({ r }) => (r[r.indexOf(-95)] = 0),
    ],
    ["the older kernel", "ioeventfd", ({ r42 }) => r42 !== undefined, (row) => delete row.r42],
    ["the newer kernel", "ioeventfd", ({ r42 }) => r42 !== undefined, (row) => (row.r = row.r42 as number[])],
  ])("that has %s wrong fails in every such row", async (_, name, select, change) => {
    const rows = changed(`${name}.jsonl`, (row) => row.amb === undefined && select(row), change);
    const { passed, failed, failures } = await conform(table(rows));
    expect([passed, failed]).toEqual([0, rows.length]);
    expect(failed).toBeGreaterThan(0);
    expect(failures[0].line).toBe(1);
    expect(failures[0].expected).not.toBe(failures[0].got);
  });

  it("that lists no flags for a row where some are set fails", async () => {
    const select = ({ r, ad, amb }: Row) => r[0] === "ok" && ad !== undefined && amb === undefined;
    const rows = changed("ept.jsonl", select, (row) => delete row.ad);
    expect(await conform(table(rows))).toMatchObject({ passed: 0, failed: rows.length });
  });

  it.each([
    ["is no JSON", "{", "Expected property name"],
    ["is no object", "[1]", "not an object"],
    ["lacks a field", '{"gpa":"1000","eptp":"1e","a":"r","m":[],"r":["m","0"]}', "row: w: is missing"],
    ["has an unknown field", '{"w":46,"ad":0,"p5":0,"eptp":"1e","r":0,"q":1}', "row: q: is an unknown field"],
    [
      "has a number for an address",
      '{"gpa":1,"eptp":"1e","w":46,"a":"r","m":[],"r":["m","0"]}',
      "gpa: 1 is not allowed",
    ],
    [
      "has an EPT pointer that VM entry refuses",
      '{"gpa":"0","eptp":"1","w":46,"a":"r","m":[],"r":["m","0"]}',
      "EPT pointer 0x1 is not valid",
    ],
    [
      "has an unknown operation",
      '{"ops":[["x","1000"]],"r":[0]}',
      'row: ops[0]: ["x","1000"] is not allowed',
    ],
    [
      "has an operation without its data",
      '{"ops":[["w",0,"1000",4]],"r":[0]}',
      'allowed: ["a", addr, len, flags',
    ],
    ["writes to a bus that is not there", '{"ops":[["w",3,"0",4,"0"]],"r":[0]}', "row: ops[0]: "],
    [
      "has too few results",
      '{"ops":[["f","1000"],["u",0]],"r":[-95]}',
      "row: r: a list of 1 is not allowed; allowed: 2",
    ],
    ["has text for a result", '{"ops":[["u",0]],"r":["0"]}', 'row: r[0]: "0" is not allowed'],
    [
      "has too many results of v4.2.8",
      '{"ops":[],"r":[],"r42":[0]}',
      "row: r42: a list of 1 is not allowed; allowed: 0",
    ],
  ])("with a row that %s fails there and says why", async (_, row, reason) => {
    const { passed, failed, failures } = await conform(table([rowsOf("eptp.jsonl")[0], row]));
    expect([passed, failed, failures[0].line]).toEqual([1, 1, 2]);
    expect(failures[0].got).toContain(reason);
  });

  it("skips and counts rows whose outcome depends on the implementation", async () => {
    const rows = rowsOf("nested.jsonl").map((text) => JSON.stringify({ ...JSON.parse(text), amb: 2 }));
    expect(await conform(table(rows))).toMatchObject({ passed: 0, failed: 0, skipped: rows.length });
  });

  it.each([
    ["of no known kind", ['{"i":0}'], "has the fields i, of no kind of table"],
    ["without a row", [""], "has no row"],
  ])("%s is refused", async (_, rows, message) => {
    await expect(conform(table(rows))).rejects.toThrow(message);
  });

  it("that is not there, or not gzipped as its name says, is refused by name", async () => {
    await expect(conform("/nowhere.jsonl")).rejects.toThrow("/nowhere.jsonl: ENOENT");
    const path = table(["x"]);
    const renamed = `${path}.gz`;
    writeFileSync(renamed, "not gzipped at all");
    await expect(conform(renamed)).rejects.toThrow(`${renamed}: incorrect header check`);
  });
});

/** Index of the first operation of a row that signals an eventfd other than the last, or -1. */
function signalled({ ops = [], r }: Row): number {
  return ops.findIndex(
    ([name], i) => "wecf".includes(String(name)) && Number(r[i]) >= 0 && Number(r[i]) < 4095,
  );
}

interface Row {
  r: (string | number)[];
  ad?: string[];
  n?: number;
  amb?: number;
  pte?: string[];
  hits?: number;
  trace?: number;
  fnv?: string;
  ops?: unknown[][];
  r42?: number[];
}
