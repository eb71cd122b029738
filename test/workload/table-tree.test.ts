import { describe, expect, it } from "vitest";
import { TableTree } from "../../src/workload/table-tree.js";

/** Tables from 100 on, and what was written: "table[index] = target, flags". */
function tree(levels: number, indexBits = 9) {
  const written: string[] = [];
  let next = 100;
  const made = new TableTree({
    levels,
    indexBits,
    allocate: () => next++,
    tableFlags: (level) => 10 * level,
    write: (table, index, target, flags) => written.push(`${table}[${index}] = ${target}, ${flags}`),
  });
  return { made, written };
}

describe("a tree of tables", () => {
  it("makes the tables that a page needs, from the root down, and then its entry", () => {
    const { made, written } = tree(4);
    made.map(2 ** 27 + 2 * 2 ** 18 + 3 * 2 ** 9 + 4, 1, 7, 1);
    expect(made.root).toBe(100);
    expect(written).toEqual(["100[1] = 101, 40", "101[2] = 102, 30", "102[3] = 103, 20", "103[4] = 7, 1"]);
  });

  it("makes no table twice", () => {
    const { made, written } = tree(3);
    made.map(0, 1, 7, 1);
    made.map(1, 1, 8, 1);
    expect(written.slice(2)).toEqual(["102[0] = 7, 1", "102[1] = 8, 1"]);
  });

  it("maps a larger page higher up", () => {
    const { made, written } = tree(3);
    made.map(5 * 2 ** 9, 2, 7, 1);
    expect(written).toEqual(["100[0] = 101, 30", "101[5] = 7, 1"]);
  });

  it("has tables of 1024 entries in 32-bit paging", () => {
    const { made, written } = tree(2, 10);
    made.map(2 ** 20 - 1, 1, 7, 1);
    expect(written).toEqual(["100[1023] = 101, 20", "101[1023] = 7, 1"]);
  });
});
