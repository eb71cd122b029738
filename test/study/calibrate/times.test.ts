/** Times from the files of each tool: which kind a file is of, what it says, and by how much that may be off. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import { printFtrace } from "../../../src/kvm/ftrace.js";
import { Trace } from "../../../src/kvm/trace.js";
import { readTimes } from "../../../src/study/calibrate/times.js";

/** MHz, so a microsecond is 2000 cycles. */
const TSC = 2000;

function file(content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-times-")), "file");
  writeFileSync(path, content);
  return path;
}

const times = (content: string) =>
  readTimes(file(content), TSC).map(({ source, name, cycles, spread, events }) => {
    const off = spread === null ? null : Number(spread.toFixed(3));
    return [source, name, Number(cycles.toFixed(3)), off, events];
  });

const VMEXIT = "enabling apic\ncpuid 1000\nmmio-no-eventfd:pci-mem 9000\ncpuid 1020\ncpuid 1010\n";

const PERF = `
Analyze events for all VMs, all VCPUs:

             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time

       EPT_MISCONFIG        600    60.00%    36.00%      1.50us     20.25us      3.00us ( +-   1.25% )
               CPUID         10     1.00%     1.00%      1.00us      1.00us      1.00us ( +-   0.00% )
                 HLT          1     0.10%    56.02%   2801.00us   2801.00us   2801.00us ( +-   0.00% )

Total Samples:611, Total events handled time:5000.00us.
`;

/** Exits of 1.5 and 2.5 us, the first with an event in between, and two of one microsecond. */
const FTRACE = `# tracer: nop
 CPU 0/KVM-1000 [000] .... 1.000000000: kvm_exit: reason EPT_MISCONFIG rip 0x1 info 0 0
 CPU 0/KVM-1000 [000] .... 1.000001000: kvm_mmio: mmio write len 4 gpa 0xfebf0000 val 0x1
 CPU 0/KVM-1000 [000] .... 1.000001500: kvm_entry: vcpu 0
 CPU 0/KVM-1000 [000] .... 1.000010000: kvm_exit: reason EPT_MISCONFIG rip 0x1 info 0 0
 CPU 0/KVM-1000 [000] .... 1.000012500: kvm_entry: vcpu 0
 CPU 0/KVM-1000 [000] .... 1.000020: kvm_exit: reason CPUID rip 0x1 info 0 0
 CPU 0/KVM-1000 [000] .... 1.000021: kvm_entry: vcpu 0
 CPU 0/KVM-1000 [000] .... 1.000030: kvm_exit: reason CPUID rip 0x1 info 0 0
 CPU 0/KVM-1000 [000] .... 1.000031: kvm_entry: vcpu 0
`;

const CSV = `cycles,unit,machine,kernel,source,spread,row
1.5,us,mine,6.19,me,0.25,cpuid
3,us,mine,6.19,me,,vmcall
`;

describe("the times in a file", () => {
  it("are refused where exitlab computed them: its ftrace text looks like a kernel's and says that it is none", () => {
    const path = file(printFtrace(new Trace(1), { kernel: "v6.19" }) + FTRACE);
    expect(() => readTimes(path, TSC)).toThrow(InputError);
    expect(() => readTimes(path, TSC)).toThrow(
      `${path}: says that it is simulated; allowed: what was measured`,
    );
  });

  it("of vmexit are of as many runs as there are, in any order of rows", () => {
    const rows = Array.from({ length: 3000 }, (_, run) => `cpuid ${1000 + (run % 2)}\nvmcall ${1 + run}\n`);
    expect(times(rows.join("")).map(([, name, cycles]) => [name, cycles])).toEqual([
      ["cpuid", 1000.5],
      ["vmcall", 1500.5],
    ]);
  });

  it("of vmexit are means of its runs, off by twice the standard error; one run does not say", () => {
    expect(times(VMEXIT)).toEqual([
      // Deviations of 10, 10 and 0: sqrt((100 + 100) / 2 / 3), twice.
      ["vmexit", "cpuid", 1010, 11.547, null],
      ["vmexit", "mmio-no-eventfd", 9000, null, null],
    ]);
  });

  it("of perf are microseconds of the host's TSC, off by twice the error it prints and half of its last digit", () => {
    expect(times(PERF)).toEqual([
      ["perf kvm stat", "EPT_MISCONFIG", 6000, 160, null],
      ["perf kvm stat", "CPUID", 2000, 10, null],
      ["perf kvm stat", "HLT", 5602000, null, null],
    ]);
  });

  it("of ftrace tell how many events they hold, and are off by what the digits of its stamps leave at least", () => {
    expect(times(FTRACE)).toEqual([
      ["ftrace", "EPT_MISCONFIG", 4000, 2000, 1.5],
      // A microsecond over the root of two exits.
      ["ftrace", "CPUID", 2000, 1414.214, 1],
    ]);
  });

  it("of a CSV file are in the units of its rows, whatever the order of its columns", () => {
    const csv = CSV.replace("spread,row", "spread,row,tsc_mhz").replaceAll(/(cpuid|vmcall)$/gm, "$1,2000");
    expect(times(csv)).toEqual([
      ["CSV", "cpuid", 3000, 500, null],
      ["CSV", "vmcall", 6000, null, null],
    ]);
  });

  it.each([
    ["vmexit that was cut", VMEXIT.slice(0, -3), /file: line 5: .*; allowed: /],
    ["perf that was cut", PERF.slice(0, PERF.indexOf("Total")), /file: line 4: begins a table without end/],
    ["perf without its head", PERF.slice(PERF.indexOf("EPT_M")), /file: line 5: .*; allowed: a table/],
    ["ftrace that was cut", FTRACE.slice(0, -12), /file: line 10: .*; allowed: /],
    ["a CSV file without unit", CSV.replace(",unit", ""), /Invalid Record Length/],
    ["something else", "Samples of nothing\n", /file: has no result; allowed: what vmexit.flat prints/],
    ["nothing", "", /file: has no result/],
  ])("%s are refused with the place and what was expected", (_, text, message) => {
    expect(() => readTimes(file(text), TSC)).toThrow(InputError);
    expect(() => readTimes(file(text), TSC)).toThrow(message);
  });

  it("are refused for a file that cannot be read, by its name", () => {
    expect(() => readTimes("/nowhere/vmexit.txt", TSC)).toThrow(InputError);
    expect(() => readTimes("/nowhere/vmexit.txt", TSC)).toThrow(
      /^\/nowhere\/vmexit.txt: ENOENT.*; allowed: a file that can be read$/,
    );
  });

  it("are read or refused, and never misread by another error, from any text that was cut or overwritten", () => {
    const texts = fc.constantFrom(VMEXIT, PERF, FTRACE, CSV);
    const path = file("");
    fc.assert(
      fc.property(texts, fc.nat(), fc.nat(40), fc.string({ unit: "grapheme" }), (text, at, length, other) => {
        const start = at % (text.length + 1);
        writeFileSync(path, text.slice(0, start) + other + text.slice(start + length));
        try {
          for (const { cycles, spread } of readTimes(path, TSC)) {
            expect(Number.isFinite(cycles) && (spread === null || spread >= 0)).toBe(true);
          }
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
        }
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
