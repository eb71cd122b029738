import { describe, expect, it } from "vitest";
import { read, step } from "./reading.js";

/** Of valgrind 3.19, shortened. */
const REAL = `==4915== Lackey, an example Valgrind tool
==4915== Command: true
==4915== 
I  0401ab70,3
 S 1fff000698,8
I  0401b771,7
 L 04a17de0,8
 M 0421c7cc,4
==4915== 
==4915== Exit code:       0
`;

describe("a trace of lackey", () => {
  it("is fetches, loads, stores and read-modify-writes, with hexadecimal addresses and decimal sizes", () => {
    expect(read("lackey", REAL).steps).toEqual([
      step("fetch", 0x0401ab70, 3),
      step("store", 0x1fff000698, 8),
      step("fetch", 0x0401b771, 7),
      step("load", 0x04a17de0, 8),
      step("add", 0x0421c7cc, 4),
    ]);
  });

  it("has lines of valgrind itself, which are counted", () => {
    const { summary } = read("lackey", REAL);
    expect(summary).toEqual({ lines: 10, steps: 5, leftOut: { "valgrind's own": 5 }, notes: [] });
    const others =
      "--7-- warning: a message\n**7** a message of the program\n==00:00:00:01.234 7== \n\nI  1000,1\n";
    expect(read("lackey", others).summary.leftOut).toEqual({ "valgrind's own": 3, "blank line": 1 });
  });

  it("may have accesses of up to 4096 bytes, such as those of XSAVE", () => {
    expect(read("lackey", " S 1000,4096\n").steps).toEqual([step("store", 0x1000, 4096)]);
    expect(() => read("lackey", " S 1000,4097\n")).toThrow('trace: line 1: " S 1000,4097" is not allowed');
    expect(() => read("lackey", " S 1000,0\n")).toThrow("the size 1 to 4096");
  });

  it("leaves out addresses that are not of a process, such as those of the vsyscall page", () => {
    const text = "I  ffffffffff600000,7\n L 7ffffffffff8,8\n L 7ffffffffff9,8\n L 800000000000,1\n";
    const { steps, summary } = read("lackey", text);
    expect(steps).toEqual([step("load", 0x7ffffffffff8, 8)]);
    expect(summary.leftOut).toEqual({ "address above 0x7fffffffffff": 3 });
  });

  it.each([
    "hello, world",
    "helloI  1000,1",
    "I 1000,1",
    "I   1000,1",
    "  L 1000,1",
    " X 1000,1",
    " L 0x1000,1",
    " L 1000",
    " L 1000,",
    " L ,1",
    " L 1000,1 ",
    " L 1000,-1",
    " L 11112222333344445,1",
    " L",
    "==7= no",
    "==x== no",
  ])("refuses a line of another kind: %j", (line) => {
    expect(() => read("lackey", `I  1000,1\n${line}\n`)).toThrow(
      `trace: line 2: ${JSON.stringify(line)} is not allowed; allowed: "I  <address>,<size>"`,
    );
  });

  it("keeps a last line that may have been cut, if it is still one, and says so", () => {
    const note = "the last line has no line end: it may have been cut";
    const still = read("lackey", "I  1000,1\n L 20");
    expect(still.steps).toEqual([step("fetch", 0x1000, 1)]);
    expect(still.summary).toEqual({ lines: 2, steps: 1, leftOut: { "last line, cut": 1 }, notes: [note] });
    expect(read("lackey", "I  1000,1\n L 2000,1").steps[1]).toEqual(step("load", 0x2000, 1));
    expect(read("lackey", "I  1000,1\n L 2000,1").summary.notes).toEqual([note]);
  });
});
