import { describe, expect, it } from "vitest";
import { read, step } from "./reading.js";

/** The three layouts that versions of the view tool print. */
const V11 = `Output format:
<--record#-> <--instr#->: <Wrkld.Tid> <record details>
------------------------------------------------------------
           1           0: W0.T3256418 <marker: version 6>
           6           0: W0.T3256418 <marker: timestamp 13312410768080478>
           7           0: W0.T3256418 <marker: W0.T3256418 on core 7>
           8           1: W0.T3256418 ifetch       3 byte(s) @ 0x00007fc205a61940 48 89 e7             mov    %rsp, %rdi
           9           2: W0.T3256418 ifetch       8 byte(s) @ 0x0000000000401012 48 8d 34 25 00 20 40 lea    0x00402000, %rsi
           9           2: W0.T3256418                                             00
------------------------------------------------------------
          10           2: W1.T3256418 write        8 byte(s) @ 0x00007fff9a9e3528 by PC 0x00007fc205a61943
          11           3: W0.T3256418 read        16 byte(s) @ 0x00007fff9a9e3520 by PC 0x00007fc205a62600
          12           3: W0.T3256418 <thread W0.T3256418 exited>
View tool results:
              2 : total instructions
`;
const V10 = `Output format:
<--record#-> <--instr#->: <---tid---> <record details>
------------------------------------------------------------
       47452       37774:     2765542 <marker: timestamp 13334804716609227>
       47454       37775:     2765542 ifetch       1 byte(s) @ 0x000000000040257d 55                   push   %rbp
       47455       37775:     2765543 write        8 byte(s) @ 0x00007ffd90c13950 by PC 0x000000000040257d
`;
const V9 = `Output format:
<record#>: T<tid> <record details>
------------------------------------------------------------
   173369: T1774669 ifetch       3 byte(s) @ 0x0000000000402680 f3 48 a5             rep movsq
   173370: T1774669 read         8 byte(s) @ 0x00007f8881e37c70 by PC 0x0000000000402680
   173371: T1774669 write        8 byte(s) @ 0x00007f8881e37a70 by PC 0x0000000000402680
`;

/** A record with these details. */
function record(details: string): string {
  return `           8           1: W0.T7 ${details}\n`;
}

const FETCH = record("ifetch       3 byte(s) @ 0x0000000000401000 non-branch");

describe("a trace of the view tool", () => {
  it("is fetches, loads and stores by thread, a thread being one of a workload", () => {
    expect(read("drmemtrace", V11).steps).toEqual([
      step("fetch", 0x7fc205a61940, 3),
      step("fetch", 0x401012, 8),
      step("store", 0x7fff9a9e3528, 8, { thread: 1 }),
      step("load", 0x7fff9a9e3520, 16),
    ]);
  });

  it("has markers, rules, head and result lines, which are counted by kind", () => {
    expect(read("drmemtrace", V11).summary).toEqual({
      lines: 15,
      steps: 4,
      leftOut: {
        "head or result": 4,
        rule: 2,
        "marker: version": 1,
        "marker: timestamp": 1,
        "marker: on core": 1,
        "bytes of an instruction, continued": 1,
        "thread exited": 1,
      },
      notes: [],
    });
  });

  it("may be of DynamoRIO 10, without workloads", () => {
    const { steps, summary } = read("drmemtrace", V10);
    expect(steps).toEqual([step("fetch", 0x40257d, 1), step("store", 0x7ffd90c13950, 8, { thread: 1 })]);
    expect(summary.leftOut).toEqual({ "head or result": 2, rule: 1, "marker: timestamp": 1 });
  });

  it("may be of DynamoRIO 9, without instruction numbers", () => {
    const { steps, summary } = read("drmemtrace", V9);
    expect(steps).toEqual([
      step("fetch", 0x402680, 3),
      step("load", 0x7f8881e37c70, 8),
      step("store", 0x7f8881e37a70, 8),
    ]);
    expect(summary.leftOut).toEqual({ "head or result": 2, rule: 1 });
  });

  it.each([
    ["non-fetched", "non-fetched  3 byte(s) @ 0x0000000000402680 f3 48 a5             rep movsq"],
    ["non-fetched", "ifetch       3 byte(s) @ 0x0000000000402680 non-fetched instruction"],
    ["pref-r-L1", "pref-r-L1    1 byte(s) @ 0x00007fff9a9e3528 by PC 0x00007fc205a61943"],
    ["pref-HW", "pref-HW      1 byte(s) @ 0x00007fff9a9e3528 by PC 0x00007fc205a61943"],
    ["dflush", "dflush      64 byte(s) @ 0x00007fff9a9e3500 by PC 0x00007fc205a61943"],
    ["marker: kernel xfer from to handler", "<marker: kernel xfer from 0x4053c3 to handler>"],
    ["marker: hardware context return", "<marker: hardware context return"],
    ["marker: skipped memref", "<marker: skipped memref 0x7fff9a9e3528"],
    ["entry type", "<entry type 77>"],
    ["address above 0x7fffffffffff", "ifetch       2 byte(s) @ 0xffffffffb8495c36 66 90      data16 nop"],
  ])("leaves out %s", (kind, details) => {
    expect(read("drmemtrace", FETCH + record(details)).summary).toMatchObject({
      steps: 1,
      leftOut: { [kind]: 1 },
    });
  });

  it.each([
    "Adios world!",
    record("jump         3 byte(s) @ 0x0000000000401000").trimEnd(),
    record("read         8 byte(s) @ 0x0000000000401000").trimEnd(),
    record("read         8 byte(s) @ 401000 by PC 0x0000000000401000").trimEnd(),
    record("read         0 byte(s) @ 0x0000000000401000 by PC 0x0000000000401000").trimEnd(),
    record("write     4097 byte(s) @ 0x0000000000401000 by PC 0x0000000000401000").trimEnd(),
    record("write        8 byte(s) @ 0x0000000000401000 by PC 0x0000000000401000 and more").trimEnd(),
    "8 1: X7 ifetch       3 byte(s) @ 0x0000000000401000",
    "8 1 W0.T7 ifetch       3 byte(s) @ 0x0000000000401000",
    "8 1: W0.T ifetch       3 byte(s) @ 0x0000000000401000",
  ])("refuses a line of another kind: %j", (line) => {
    expect(() => read("drmemtrace", `${FETCH}${line}\n`)).toThrow(
      `trace: line 2: ${JSON.stringify(line)} is not allowed; allowed: a record of the view tool`,
    );
  });

  it("has at most as many threads as 16 bits can number", () => {
    const lines = Array.from({ length: 65537 }, (_, tid) => FETCH.replace("T7", `T${tid}`));
    expect(read("drmemtrace", lines.slice(0, 65536).join("")).steps.at(-1)).toMatchObject({ thread: 65535 });
    expect(() => read("drmemtrace", lines.join(""))).toThrow("allowed: at most 65536 threads");
  });
});
