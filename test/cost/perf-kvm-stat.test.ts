import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/cost/input.js";
import { parsePerfKvmStat } from "../../src/cost/perf-kvm-stat.js";

const parse = (text: string) => parsePerfKvmStat(text, "report.txt");

/** In the format of perf, with round figures. */
const REPORT = `

Analyze events for all VMs, all VCPUs:

             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time 

       EPT_MISCONFIG        600    60.00%    36.00%      1.50us     20.25us      3.00us ( +-   1.25% )
  EXTERNAL_INTERRUPT        399    39.90%     7.98%      0.50us     12.00us      1.00us ( +-   0.50% )
                 HLT          1     0.10%    56.02%   2801.00us   2801.00us   2801.00us ( +-   0.00% )

Total Samples:1000, Total events handled time:5000.00us.

`;
const ROWS = [
  {
    reason: "EPT_MISCONFIG",
    samples: 600,
    minUs: 1.5,
    maxUs: 20.25,
    averageUs: 3,
    relativeError: 0.0125,
    line: 7,
  },
  {
    reason: "EXTERNAL_INTERRUPT",
    samples: 399,
    minUs: 0.5,
    maxUs: 12,
    averageUs: 1,
    relativeError: 0.005,
    line: 8,
  },
  { reason: "HLT", samples: 1, minUs: 2801, maxUs: 2801, averageUs: 2801, relativeError: null, line: 9 },
];

const MMIO = `
Analyze events for all VMs, all VCPUs:

         MMIO Access    Samples  Samples%     Time%    Min Time    Max Time         Avg time 

        0xfee000b0:W         50    62.50%    40.00%      1.00us      3.00us      2.00us ( +-   4.00% )
        0xfebf0800:R         30    37.50%    60.00%      4.00us      6.00us      5.00us ( +-   3.00% )

Total Samples:80, Total events handled time:250.00us.
`;

describe("a report of perf kvm stat", () => {
  it("is a row per reason; one sample has no error, though perf prints 0", () => {
    expect(parse(REPORT)).toEqual(ROWS);
  });

  it("may come without units, without the line above the columns, and without the last line end", () => {
    expect(parse(REPORT.replaceAll("us", ""))).toEqual(ROWS);
    const table = REPORT.slice(REPORT.indexOf("             VM-EXIT"));
    expect(parse(table.trimEnd())).toEqual(ROWS.map((row) => ({ ...row, line: row.line - 4 })));
  });

  it("may name exceptions of SVM with two words", () => {
    expect(parse(REPORT.replace("                 HLT", "             PF excp"))[2].reason).toBe("PF excp");
  });

  it("may be one of several events, of which the exits are read", () => {
    expect(parse(REPORT + MMIO)).toEqual(ROWS);
    expect(parse(MMIO + REPORT).map(({ reason }) => reason)).toEqual(ROWS.map(({ reason }) => reason));
  });

  it.each([
    [
      "of MMIO only",
      MMIO,
      "report.txt: has only tables of MMIO Access in line 4; allowed: a table of VM-EXIT",
    ],
    [
      "of port I/O only",
      MMIO.replace("   MMIO Access", "IO Port Access"),
      "has only tables of IO Port Access in line 4",
    ],
    ["of nothing", "", "report.txt: has no table; allowed: a table of VM-EXIT"],
    [
      "without exits",
      REPORT.replace(/^.*\( .*\n/gm, "").replace("1000", "0"),
      'line 8: "Total Samples:0, Total events handled time:5000.00us." is not allowed; allowed: a table with samples',
    ],
    [
      "with two tables of exits",
      REPORT + REPORT,
      "line 17: begins a second table of VM-EXIT; allowed: one report",
    ],
    [
      "with another sum of samples",
      REPORT.replace("399 ", "398 "),
      'line 11: "Total Samples:1000, Total events handled time:5000.00us." is not allowed; allowed: the sum of the samples above, 999',
    ],
    [
      "without its last line",
      REPORT.slice(0, REPORT.indexOf("Total")),
      "line 5: begins a table without end; allowed: Total Samples:N",
    ],
    [
      "that is cut in its last line",
      REPORT.slice(0, REPORT.indexOf("00us.")),
      'line 11: "Total Samples:1000, Total events handled time:5000." is not allowed',
    ],
    ["with rows left out", REPORT.replace(/^ +EXTERNAL.*$/m, "[..]"), 'line 8: "[..]" is not allowed'],
    ["with a figure that is no number", REPORT.replace("3.00us", "3.0ous"), "line 7"],
    ["with a unit other than us", REPORT.replace("3.00us", "3.00ms"), "line 7"],
    [
      "with an average beyond the longest time",
      REPORT.replace(" 3.00us", "30.00us"),
      "allowed: an average time from the shortest to the longest",
    ],
    ["with the columns of an older perf", REPORT.replace("    Min Time    Max Time", ""), "line 5: "],
    [
      "without the line of the columns",
      REPORT.replace(/^ +VM-EXIT.*$/m, ""),
      "allowed: a table that begins with VM-EXIT Samples Samples% Time% Min Time Max Time Avg time",
    ],
  ])("%s is refused", (_, text, message) => {
    expect(() => parse(text)).toThrow(InputError);
    expect(() => parse(text)).toThrow(message);
  });
});

interface Row {
  readonly reason: string;
  readonly samples: number;
  /** Hundredths of a microsecond, in their order. */
  readonly times: readonly number[];
  /** Hundredths of a percent. */
  readonly error: number;
}

const row: fc.Arbitrary<Row> = fc.record({
  reason: fc.oneof(
    fc.constantFrom("EPT_MISCONFIG", "HLT", "npf", "PF excp", "UNKNOWN"),
    fc.stringMatching(/^[A-Za-z_]{1,24}$/),
  ),
  samples: fc.integer({ min: 1, max: 1e9 }),
  times: fc
    .array(fc.nat(1e9), { minLength: 3, maxLength: 3 })
    .map((times) => times.toSorted((one, other) => one - other)),
  error: fc.nat(100_000),
});
const report = fc.array(row, { minLength: 1, maxLength: 6 });

const hundredths = (value: number) => (value / 100).toFixed(2);

function print(rows: readonly Row[], event = "VM-EXIT"): string {
  const total = rows.reduce((sum, { samples }) => sum + samples, 0);
  const columns = ["Samples", "Samples%", "Time%", "Min Time", "Max Time", "Avg time"];
  const lines = rows.map(({ reason, samples, times: [min, average, max], error }) => {
    const times = [min, max, average].map((time) => `${hundredths(time).padStart(9)}us`).join(" ");
    const share = ((samples / total) * 100).toFixed(2).padStart(8);
    return `${reason.padStart(20)} ${String(samples).padStart(10)} ${share}% ${share}% ${times} ( +-${hundredths(error).padStart(7)}% )`;
  });
  return [
    "\n\nAnalyze events for all VMs, VCPU 3:\n",
    `${event.padStart(20)} ${columns.map((column) => column.padStart(10)).join(" ")}\n`,
    ...lines,
    `\nTotal Samples:${total}, Total events handled time:${hundredths(total)}us.\n\n`,
  ].join("\n");
}

function figures({ reason, samples, times: [min, average, max], error }: Row) {
  const relativeError = samples > 1 ? error / 1e4 : null;
  return { reason, samples, minUs: min / 100, maxUs: max / 100, averageUs: average / 100, relativeError };
}

/** What is parsed, rounded as perf prints it, or undefined for an InputError. */
function outcome(text: string) {
  try {
    return parse(text).map(({ line, relativeError, ...row }) => ({
      ...row,
      relativeError: relativeError === null ? null : Math.round(relativeError * 1e4) / 1e4,
    }));
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return undefined;
  }
}

const RUNS = { numRuns: 200, seed: 1 };

describe("any report", () => {
  it("is read as it was printed", () => {
    fc.assert(
      fc.property(report, (rows) => {
        expect(outcome(print(rows))).toEqual(rows.map(figures));
      }),
      RUNS,
    );
  });

  it("that is cut before the end of its table is refused, and after it complete", () => {
    fc.assert(
      fc.property(report, fc.nat(), (rows, at) => {
        const text = print(rows);
        const end = text.lastIndexOf("us.") + "us.".length;
        const length = at % (text.length + 1);
        expect(outcome(text.slice(0, length))).toEqual(length < end ? undefined : rows.map(figures));
      }),
      RUNS,
    );
  });

  it("that is cut in the table of another event behind it is refused too", () => {
    fc.assert(
      fc.property(report, report, fc.nat(), (exits, ports, at) => {
        const text = print(exits) + print(ports, "IO Port Access");
        const begin = text.lastIndexOf("Avg time") + "Avg time".length;
        const end = text.lastIndexOf("us.") + "us.".length;
        expect(outcome(text.slice(0, begin + (at % (end - begin))))).toBeUndefined();
        expect(outcome(text)).toEqual(exits.map(figures));
      }),
      RUNS,
    );
  });

  it("with damage is refused, or has the samples that its last line says", () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom("\n", " ", "%", "9", ".", "us", "\0"),
    );
    fc.assert(
      fc.property(report, fc.nat(), fc.nat(40), piece, (rows, at, length, put) => {
        const text = print(rows);
        const start = at % (text.length + 1);
        const damaged = text.slice(0, start) + put + text.slice(start + length);
        const read = outcome(damaged);
        const total = /Total Samples:(\d+)/.exec(damaged)?.[1];
        const sum = read?.reduce((samples, row) => samples + row.samples, 0);
        expect(read === undefined || sum === Number(total)).toBe(true);
      }),
      RUNS,
    );
  });

  it("that is garbage throws nothing but an InputError", () => {
    const head = print([{ reason: "HLT", samples: 1, times: [1, 1, 1], error: 0 }]).split("HLT")[0];
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", maxLength: 200 }), (text) => {
        expect(outcome(text)).toBeUndefined();
        expect(outcome(head + text)).toBeUndefined();
      }),
      RUNS,
    );
  });
});
