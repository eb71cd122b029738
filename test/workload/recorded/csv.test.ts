import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { read, step } from "./reading.js";

describe("a CSV file of accesses", () => {
  it("has an operation, an address in decimal or hexadecimal and a size in decimal", () => {
    const text = "op,address,size\nfetch,0x401000,3\nload,4096,8\nstore,0x7FFE12345678,16\nmodify,0x2000,4\n";
    expect(read("csv", text)).toEqual({
      steps: [
        step("fetch", 0x401000, 3),
        step("load", 4096, 8),
        step("store", 0x7ffe12345678, 16),
        step("add", 0x2000, 4),
      ],
      summary: { lines: 5, steps: 4, leftOut: { header: 1 }, notes: [] },
    });
  });

  it("may have threads, numbered as they appear, and its columns in any order", () => {
    const text = "size,thread,op,address\n1,31215,load,1\n2,7,load,2\n3,31215,load,3\n";
    expect(read("csv", text).steps).toEqual([
      step("load", 1, 1),
      step("load", 2, 2, { thread: 1 }),
      step("load", 3, 3),
    ]);
  });

  it("may quote any cell, begin with a byte order mark, have blank lines and end without a line end", () => {
    const text = '\ufeff"op","address",size\r\n"load",0x10,"8"\r\n\r\nstore,"32",8';
    const { steps, summary } = read("csv", text);
    expect(steps).toEqual([step("load", 16, 8), step("store", 32, 8)]);
    expect(summary).toEqual({ lines: 4, steps: 2, leftOut: { header: 1, "blank line": 1 }, notes: [] });
  });

  it("leaves out addresses that are not of a process", () => {
    const text =
      "op,address,size\nload,0xffffffffff600000,8\nload,140737488355328,1\nload,140737488355327,1\n";
    const { steps, summary } = read("csv", text);
    expect(steps).toEqual([step("load", 0x7fffffffffff, 1)]);
    expect(summary.leftOut).toEqual({ header: 1, "address above 0x7fffffffffff": 2 });
  });

  it.each([
    ["op,address\n", "line 1, column size: is missing; allowed: op, address, size and perhaps thread"],
    ["op,address,size,pc\n", "line 1, column pc: is an unknown column; allowed: op, address, size"],
    ["op,address,size,op\n", "line 1, column op: is there twice"],
    [
      "op,address,size\nload,0x10,8\nread,0x10,8\n",
      'line 3, column op: "read" is not allowed; allowed: load, store, fetch, modify',
    ],
    [
      "op,address,size\nload,10h,8\n",
      'line 2, column address: "10h" is not allowed; allowed: a whole number of bytes',
    ],
    ["op,address,size\nload,,8\n", 'line 2, column address: "" is not allowed'],
    ["op,address,size\nload,-1,8\n", 'line 2, column address: "-1" is not allowed'],
    [
      "op,address,size\nload,0x10,0\n",
      'line 2, column size: "0" is not allowed; allowed: bytes, a whole number from 1 to 4096',
    ],
    ["op,address,size\nload,0x10,0x8\n", 'line 2, column size: "0x8" is not allowed'],
    ["op,address,size\nload, 0x10,8\n", 'line 2, column address: " 0x10" is not allowed'],
    ['op,address,size\n"lo""ad",0x10,8\n', 'line 2, column op: "lo\\"ad" is not allowed'],
    ["op,address,size,thread\nload,0x10,8,4294967296\n", "line 2, column thread"],
    ["op,address,size\nload,0x10\n", "line 2: has 2 cells; allowed: 3, as the header has"],
    ["op,address,size\nload,0x10,8,\n", "line 2: has 4 cells"],
    ['op,address,size\n"load,0x10,8\n', "line 2: Quote Not Closed"],
  ])("says where a mistake is: %j", (text, message) => {
    expect(() => read("csv", text)).toThrow(`trace: ${message}`);
  });

  it("means the same with and without quotes", () => {
    const cell = {
      op: fc.constantFrom("load", "store", "fetch", "modify", "add", "", " load"),
      address: fc.oneof(
        fc.maxSafeNat().map(String),
        fc.maxSafeNat().map((value) => `0x${value.toString(16)}`),
        fc.constantFrom("", "0x", "-1", "1.5", "1e3", "0X10", "99999999999999999999999"),
      ),
      size: fc.oneof(fc.nat(5000).map(String), fc.constantFrom("", "0x8", "8.0")),
    };
    const outcome = (text: string) => {
      try {
        return read("csv", text);
      } catch (error) {
        return (error as Error).message;
      }
    };
    fc.assert(
      fc.property(fc.array(fc.record(cell), { minLength: 1, maxLength: 4 }), (rows) => {
        const cells = rows.map(({ op, address, size }) => [op, address, size]);
        const text = (quote: string) =>
          [["op", "address", "size"], ...cells]
            .map((row) => row.map((value) => quote + value + quote).join(","))
            .join("\n");
        expect(outcome(text('"'))).toEqual(outcome(text("")));
      }),
    );
  });
});
