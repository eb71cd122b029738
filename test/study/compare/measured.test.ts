/** Comparisons of small files as the tools print them; times are invented. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import { compareMeasured, isMeasured } from "../../../src/study/compare/measured.js";

/** Writes files into a new folder, by name, and returns their paths. */
function files(contents: Readonly<Record<string, string>>): string[] {
  const folder = mkdtempSync(join(tmpdir(), "exitlab-compare-"));
  return Object.entries(contents).map(([name, content]) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  });
}

const compare = (...contents: string[]) =>
  compareMeasured(files(Object.fromEntries(contents.map((content, index) => [`${index}.txt`, content]))));

/** The only row of a comparison, cell by cell. */
function onlyRow(...contents: string[]) {
  const { rows } = compare(...contents);
  expect(rows.length).toBe(1);
  return rows[0].cells;
}

/** Several runs of vmexit, one after another. */
const runs = (name: string, cycles: readonly number[]) =>
  cycles.map((value) => `enabling apic\n${name} ${value}\n`).join("");

const TEN = [1500, 1510, 1520, 1530, 1540, 1550, 1560, 1570, 1580, 1590];
const less = (by: number) => TEN.map((value) => value - by);

const perf = (...rows: readonly [reason: string, samples: number, averageUs: string, percent: string][]) => `
Analyze events for all VMs, all VCPUs:

             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time

${rows.map(([reason, samples, average, error]) => `${reason} ${samples} 1.00% 1.00% 0.50us 90.00us ${average}us ( +- ${error}% )\n`).join("")}
Total Samples:${rows.reduce((sum, [, samples]) => sum + samples, 0)}, Total events handled time:5000.00us.
`;

/** Exits of one reason that took so many microseconds, with so many digits of a time stamp behind the point. */
const ftrace = (reason: string, times: readonly number[], digits = 9) =>
  times
    .map((us, index) => {
      const at = (after: number) => `${index + 1}.${String(after).padStart(6, "0").padEnd(digits, "0")}`;
      return (
        ` CPU 0/KVM-1000 [000] .... ${at(0)}: kvm_exit: reason ${reason} rip 0x1 info 0 0\n` +
        ` CPU 0/KVM-1000 [000] .... ${at(us)}: kvm_entry: vcpu 0\n`
      );
    })
    .join("");

const csv = (...rows: string[]) =>
  `row,cycles,unit,machine,kernel,source,spread\n${rows.map((row) => `${row}\n`).join("")}`;

describe("a comparison of vmexit files", () => {
  it("of ten runs each tells what differs: wholly apart, 2 of 184756 choices are as far", () => {
    const [base, other] = onlyRow(runs("vmcall", TEN), runs("vmcall", less(150)));
    expect(base).toMatchObject({ samples: 10, min: 1500, median: 1545, mean: 1545, max: 1590, centre: 1545 });
    // Of ten, the second and the ninth.
    expect(base?.interval).toEqual({ low: 1510, high: 1580 });
    expect(base?.versusBase).toBeNull();
    expect(other?.versusBase).toMatchObject({
      relative: -150 / 1545,
      p: 2 / 184_756,
      test: "Mann-Whitney U",
      significant: true,
    });
    const { value, low, high } = other?.versusBase?.means ?? { value: 0, low: 0, high: 0 };
    expect(value).toBeCloseTo(-150, 9);
    // Both have a variance of 916.7: 2.101, as t of 18 degrees of freedom has it, times the root of 2 * 916.7 / 10.
    expect([low, high].map((end) => Number(end.toFixed(1)))).toEqual([-178.4, -121.6]);
  });

  it("of the same figures finds no difference", () => {
    const [, other] = onlyRow(runs("vmcall", TEN), runs("vmcall", [...TEN].reverse()));
    expect(other?.versusBase).toMatchObject({ relative: 0, p: 1, significant: false });
  });

  it("of a small shift does not call it a difference", () => {
    const [, other] = onlyRow(runs("vmcall", TEN), runs("vmcall", less(5)));
    expect(other?.versusBase?.relative).toBeCloseTo(-5 / 1545, 12);
    expect(other?.versusBase?.p).toBeGreaterThan(0.6);
    expect(other?.versusBase?.significant).toBe(false);
  });

  it("of one run each shows by how much they differ, and no p-value", () => {
    const [base, other] = onlyRow("vmcall 1000\n", "vmcall 900\n");
    expect(base).toEqual({
      samples: 1,
      mean: 1000,
      standardDeviation: null,
      min: 1000,
      median: 1000,
      max: 1000,
      interval: null,
      centre: 1000,
      versusBase: null,
    });
    const none = { p: null, test: null, significant: false, means: null };
    expect(other?.versusBase).toEqual({ relative: -0.1, ...none });
    expect(onlyRow("vmcall 1000\n", runs("vmcall", TEN))[1]?.versusBase).toEqual({
      relative: 0.545,
      ...none,
    });
  });

  it("of three runs each can call nothing a difference, and has no test: 2 of 20 choices are as far", () => {
    const three = runs("vmcall", [1000, 1001, 1002]);
    const [, other] = onlyRow(three, runs("vmcall", [500, 501, 502]));
    expect(other?.versusBase).toMatchObject({ p: null, test: null, significant: false });
    const four = (from: number) =>
      runs(
        "vmcall",
        [0, 1, 2, 3].map((more) => from + more),
      );
    expect(onlyRow(four(1000), four(500))[1]?.versusBase).toMatchObject({ p: 2 / 70, significant: true });
  });

  it("of runs that are all equal is not certain of them: each is off by up to half a cycle", () => {
    const [base, other, far] = onlyRow(
      runs("vmcall", [1000, 1000, 1000]),
      runs("vmcall", [1001, 1001, 1001]),
      runs("vmcall", [1100, 1100, 1100]),
    );
    expect(base?.standardDeviation).toBe(0);
    const { means } = other?.versusBase ?? {};
    // Errors of 0.5 each: t of 4 degrees of freedom, 2.776, times 0.7071.
    expect([means?.low, means?.high].map((end) => Number(end?.toFixed(2)))).toEqual([-0.96, 2.96]);
    expect(far?.versusBase?.means?.low).toBeGreaterThan(90);
    // Of six, an interval of the median that is no wider than nothing.
    expect(onlyRow(runs("vmcall", Array(6).fill(1000)), "vmcall 1000\n")[0]?.interval).toEqual({
      low: 999.5,
      high: 1000.5,
    });
  });

  it("has the rows of the base first, then those of other files, and gaps where a file has no such row", () => {
    const { rows } = compare("vmcall 10\ncpuid 20\n", "hypercall 7\ncpuid 30\n", "cpuid 40\nvmcall 5\n");
    const centres = rows.map(({ name, cells }) => [name, ...cells.map((cell) => cell?.centre ?? null)]);
    expect(centres).toEqual([
      ["vmcall", 10, null, 5],
      ["cpuid", 20, 30, 40],
      ["hypercall", null, 7, null],
    ]);
    const relative = rows.map(({ cells }) => cells.map((cell) => cell?.versusBase?.relative ?? null));
    expect(relative).toEqual([
      [null, null, -0.5],
      [null, 0.5, 1],
      [null, null, null],
    ]);
  });
});

describe("a comparison of perf kvm stat reports", () => {
  it("is of means, by Welch's test of what perf prints of their errors", () => {
    const [base, other] = onlyRow(
      perf(["EPT_MISCONFIG", 600, "3.00", "1.25"]),
      perf(["EPT_MISCONFIG", 400, "2.70", "1.00"]),
    );
    expect(base).toMatchObject({ samples: 600, mean: 3, centre: 3, min: 0.5, median: null, max: 90 });
    // +- 0.01% may be 0.005% or 0.015%, and that is multiplied by the root of many samples.
    expect(base?.standardDeviation).toBeNull();
    const { relative, p, test, significant, means } = other?.versusBase ?? {};
    expect(relative).toBeCloseTo(-0.1, 12);
    expect([test, significant]).toEqual(["Welch's t", true]);
    // t = 0.3 / sqrt(0.0375^2 + 0.027^2) = 6.49 without what perf rounds.
    expect(p).toBeGreaterThan(1e-11);
    expect(p).toBeLessThan(1e-8);
    expect(means?.value).toBeCloseTo(-0.3, 12);
    expect(means && means.low < -0.3 && means.high < 0).toBe(true);
  });

  it("does not call a difference what perf rounds: 0.00% is an error of up to half of its last digit", () => {
    const [base, hundredth, more] = onlyRow(
      perf(["HLT", 100_000, "1.00", "0.00"]),
      perf(["HLT", 100_000, "1.01", "0.00"]),
      perf(["HLT", 100_000, "1.03", "0.00"]),
    );
    expect(base?.interval?.low).toBeCloseTo(0.99, 3);
    expect(hundredth?.versusBase?.significant).toBe(false);
    expect(more?.versusBase?.significant).toBe(true);
  });

  it("has no p-value for an exit that happened once", () => {
    const [base, other] = onlyRow(perf(["HLT", 1, "80.00", "0.00"]), perf(["HLT", 50, "40.00", "1.00"]));
    expect(base).toMatchObject({ samples: 1, standardDeviation: null, interval: null });
    expect(other?.versusBase).toEqual({
      relative: -0.5,
      p: null,
      test: null,
      significant: false,
      means: null,
    });
  });
});

describe("a comparison of ftrace texts", () => {
  it("is of the single exits, by their median", () => {
    const { unit, rows } = compare(ftrace("CPUID", [4, 5, 6, 7, 8, 90]), ftrace("CPUID", [1, 2, 3, 3, 2, 1]));
    expect(unit).toBe("us");
    const [base, other] = rows[0].cells;
    expect(base).toMatchObject({ samples: 6, centre: 6.5, mean: 20, interval: { low: 4, high: 90 } });
    // Wholly apart: 2 of the 924 choices of six among twelve.
    expect(other?.versusBase).toMatchObject({ p: 2 / 924, test: "Mann-Whitney U", significant: true });
  });

  it("is of means where the time stamps are coarse: whole microseconds make a median of 2 or 3, and no more", () => {
    // 58 and 42 of a hundred take 2 us, the others 3: on average 2.42 and 2.58.
    const some = (threes: number) => Array.from({ length: 100 }, (_, index) => (index < threes ? 3 : 2));
    const [base, other] = onlyRow(ftrace("CPUID", some(42), 6), ftrace("CPUID", some(58), 6));
    expect([base?.median, other?.median]).toEqual([2, 3]);
    expect([base?.centre, other?.centre]).toEqual([2.42, 2.58]);
    expect(other?.versusBase).toMatchObject({ relative: expect.closeTo(0.16 / 2.42, 9), test: "Welch's t" });
    // However many samples: half a microsecond to either side.
    expect(base?.interval).toEqual({ low: 1.92, high: 2.92 });
    const fine = onlyRow(ftrace("CPUID", [60, 61, 62, 63, 64, 65], 6), ftrace("CPUID", [70], 6))[0];
    expect([fine?.centre, fine?.interval]).toEqual([62.5, { low: 60, high: 65 }]);
  });

  it("of exits that are all equal is certain of no more than their last digit", () => {
    const [, other] = onlyRow(ftrace("CPUID", [10, 10, 10], 6), ftrace("CPUID", [11, 11, 11], 6));
    expect(other?.versusBase).toMatchObject({ significant: false, test: "Welch's t" });
  });

  it("warns that all its samples are of one run, where those of vmexit are of as many", () => {
    const text = ftrace("CPUID", [1, 2]);
    expect(compare(text, text).notes).toEqual([expect.stringContaining("exits of one run")]);
    expect(compare(text, text).exitsOfOneRun).toBe(true);
    expect(compare(runs("cpuid", [1]), runs("cpuid", [2]))).toMatchObject({
      notes: [],
      exitsOfOneRun: false,
    });
  });

  it("warns that HLT is the guest's idle time", () => {
    const text = ftrace("HLT", [1, 2]);
    expect(compare(text, text).notes[1]).toBe(
      "HLT is the time for which the guest is idle: less of it is no better",
    );
  });

  it("says how many exits a trace lost", () => {
    const exit = (at: string) => ` CPU 0/KVM-1000 [000] .... ${at}: kvm_exit: reason HLT rip 0x1 info 0 0\n`;
    const text = ftrace("CPUID", [1, 2]);
    const lost = `${text}${exit("8.0")}CPU:0 [LOST 5 EVENTS]\n${exit("9.0")}`;
    expect(compare(text, lost).notes.slice(1)).toEqual([
      "of 1.txt are left out 1 exits amid lost events, and 1 without kvm_entry",
    ]);
  });

  it("with perf is of means in both, since a median is no match for one", () => {
    const [base, other] = onlyRow(
      perf(["CPUID", 100, "20.00", "2.00"]),
      ftrace("CPUID", [4, 5, 6, 7, 8, 90]),
    );
    expect([base?.centre, other?.centre]).toEqual([20, 20]);
    expect(other?.versusBase).toMatchObject({ relative: 0, p: 1, test: "Welch's t" });
  });

  it("with perf names both tools", () => {
    const { notes } = compare(perf(["CPUID", 100, "20.00", "2.00"]), ftrace("CPUID", [4]));
    expect(notes[1]).toBe(
      "the tools differ, and may do so in what they time: 0.txt is perf kvm stat, 1.txt is ftrace",
    );
  });

  it("says nothing relative to exits that took less than the last digit of their time stamps", () => {
    const [base, other] = onlyRow(ftrace("CPUID", [0, 0]), ftrace("CPUID", [1, 1]));
    expect([base?.centre, other?.centre, other?.versusBase]).toEqual([0, 1, null]);
  });
});

describe("a comparison of CSV files", () => {
  const old = csv("cpuid,1000,TSC cycles,mine,6.19,me,30", "vmcall,800,TSC cycles,mine,6.19,me,");

  it("shows by how much their values may be off, and has no p-value", () => {
    const { rows } = compare(old, csv("cpuid,900,TSC cycles,mine,6.19,me,20"));
    const [base, other] = rows[0].cells;
    expect(base).toMatchObject({
      samples: null,
      median: null,
      centre: 1000,
      interval: { low: 970, high: 1030 },
    });
    expect(other).toMatchObject({
      interval: { low: 880, high: 920 },
      versusBase: { relative: -0.1, p: null, test: null, significant: false, means: null },
    });
    expect(rows[1].cells[0]?.interval).toBeNull();
  });

  it("with vmexit is of means, and names both", () => {
    const { rows, notes } = compare(old, runs("cpuid", [700, 700, 1000]));
    expect(notes).toEqual([
      "the tools differ, and may do so in what they time: 0.txt is CSV, 1.txt is vmexit",
    ]);
    const [cell] = rows.map(({ cells }) => cells[1]);
    expect([cell?.centre, cell?.median, cell?.versusBase?.relative]).toEqual([800, 700, -0.2]);
  });
});

describe("a comparison", () => {
  it("is plain data: as JSON it is the same", () => {
    const compared = compare(runs("vmcall", TEN), runs("vmcall", less(10)), "cpuid 5\n");
    expect(JSON.parse(JSON.stringify(compared))).toEqual(compared);
    expect(compared).toMatchObject({ kind: "measured", unit: "TSC cycles" });
  });

  it("names its columns by the files, with as many folders as tell them apart, or as it is told", () => {
    const text = "vmcall 10\n";
    const named = (...paths: string[]) =>
      compareMeasured(files(Object.fromEntries(paths.map((path) => [path, text])))).columns;
    expect(named("x/old.txt", "y/new.txt")).toEqual(["old.txt", "new.txt"]);
    expect(named("a/run.txt", "b/run.txt")).toEqual(["a/run.txt", "b/run.txt"]);
    expect(named("a/x/run.txt", "b/x/run.txt", "b/x/two.txt")).toEqual([
      "a/x/run.txt",
      "b/x/run.txt",
      "b/x/two.txt",
    ]);
    expect(compareMeasured(files({ a: text, b: text }), ["before", "after"]).columns).toEqual([
      "before",
      "after",
    ]);
  });

  it("says which exitlab made it, and the command, unless the columns were named", () => {
    const [a, b] = files({ a: "vmcall 10\n", b: "vmcall 10\n" });
    const compared = compareMeasured([a, b]);
    expect(compared.command).toBe(`npx exitlab compare ${a} ${b}`);
    expect(compared.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(compareMeasured([a, b], ["x", "y"]).command).toBeNull();
  });

  it.each([
    ["one file", ["vmcall 10\n"], /files: .* allowed: two or more/],
    [
      "cycles and microseconds",
      ["vmcall 10\n", ftrace("CPUID", [3])],
      /1\.txt: is ftrace, in us; allowed: files in TSC cycles, as .*0\.txt \(vmexit\)/,
    ],
    [
      "a file of no kind that is known",
      ["vmcall 10\n", '{"cycles": 3}\n'],
      /1\.txt: is of no kind that is known; allowed: .*vmexit, CSV, perf kvm stat, ftrace/,
    ],
    [
      "what exitlab computed, though it looks like ftrace text",
      [ftrace("HLT", [3]), `# SIMULATED by exitlab, as KVM would trace it.\n${ftrace("HLT", [3])}`],
      /1\.txt: says that it is simulated; allowed: what was measured/,
    ],
    [
      "a file that was cut",
      ["vmcall 10\n", "vmcall 10\ncpuid 2"],
      /1\.txt: line 2: .*; allowed: whole lines/,
    ],
    [
      "a report that has a row twice",
      [perf(["UNKNOWN", 5, "1.00", "1.00"], ["UNKNOWN", 6, "2.00", "1.00"]), ftrace("HLT", [3])],
      /0\.txt: row UNKNOWN: is there twice; allowed: each row once/,
    ],
  ])("is refused for %s", (_, contents, message) => {
    expect(() => compare(...contents)).toThrow(InputError);
    expect(() => compare(...contents)).toThrow(message);
  });

  it("is refused for columns that cannot be told apart: a file twice, names twice, one name too few", () => {
    const [a, b] = files({ a: "vmcall 10\n", b: "vmcall 10\n" });
    expect(() => compareMeasured([a, a])).toThrow(InputError);
    expect(() => compareMeasured([a, b], ["x", "x"])).toThrow(
      'names of columns: ["x","x"] is not allowed; allowed: 2, each once',
    );
    expect(() => compareMeasured([a, b], ["x"])).toThrow(InputError);
  });
});

describe("a file", () => {
  it.each([
    ["what vmexit printed", "enabling apic\r\nmmio-no-eventfd:pci-mem 9000\r\n", true],
    ["a report of perf kvm stat", perf(["HLT", 2, "1.00", "1.00"]), true],
    ["ftrace text", ftrace("HLT", [1]), true],
    ["a CSV file of rows", csv(), true],
    ["results of a sweep", '{"key":"1f","seed":1,"row":{"cycles":3}}\n', false],
    ["prose", "Nothing was measured here.\n", false],
    ["empty", "", false],
  ])("is measured or not: %s", (_, content, measured) => {
    const [path] = files({ file: content });
    expect(isMeasured(path)).toBe(measured);
  });

  it("that exitlab computed is not taken for a measurement", () => {
    const [path] = files({ file: `# SIMULATED by exitlab\n${ftrace("HLT", [1])}` });
    expect(() => isMeasured(path)).toThrow(`${path}: says that it is simulated`);
  });

  it("that cannot be read is refused", () => {
    expect(() => isMeasured("/nowhere/run.txt")).toThrow(InputError);
  });
});
