import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/cost/input.js";
import { parseVmexit } from "../../src/cost/vmexit-output.js";

const parse = (text: string) => parseVmexit(text, "run.txt");

/** Printed around the results by the shell, QEMU, the firmware, the start of the test, run_tests.sh and `time`. */
const NOISE = [
  "timeout -k 1s --foreground 90s /usr/bin/qemu-system-x86_64 -nodefaults -device pci-testdev -kernel x86/vmexit.flat -smp 2",
  "qemu-system-x86_64 -enable-kvm -cpu host -kernel x86/vmexit.flat",
  "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.vmx [bit 5]",
  "SeaBIOS (version 1.16.2-debian-1.16.2-1)",
  "\u001b[2J\u001b[1;1HBooting from ROM..",
  "enabling apic",
  "smp: waiting for 1 APs",
  "setup: CPU 1 online",
  "paging enabled",
  "cr0 = 80010011",
  "cr3 = 61e000",
  "cr4 = 20",
  "PM timer port is 608",
  "pci-testdev at 0x10 membar febff000 iobar c000",
  "x2apic_self_ipi_sti_nop (skipped)",
  "  ipi self_ipi_sti_nop 1203",
  "  eoi self_ipi_sti_nop 71",
  "PASS vmexit_vmcall ",
  "FAIL vmexit_ipi (timeout; duration=90s)",
  "SKIP vmexit_tscdeadline (0 tests)",
  "SUMMARY: 7 tests",
  "qemu-system-x86_64: terminating on signal 15 from pid 3097 (timeout)",
  "EXIT: STATUS=1",
  "real\t0m5.123s",
  "",
];

describe("the output of vmexit.flat", () => {
  it("is one row per test, with the place where it stands", () => {
    const text = [
      "enabling apic",
      "paging enabled",
      "cr0 = 80010011",
      "pci-testdev at 0x10 membar febff000 iobar c000",
      "vmcall 1559",
      "inl_from_qemu 20574",
      "ipi (skipped)",
      "ipi+halt (skipped)",
      "mmio-wildcard-eventfd:pci-mem 3609",
      "portio-no-eventfd:pci-io 5287",
      "",
    ].join("\n");
    expect(parse(text)).toEqual([
      { row: "vmcall", cycles: 1559, line: 5 },
      { row: "inl_from_qemu", cycles: 20574, line: 6 },
      { row: "mmio-wildcard-eventfd", cycles: 3609, line: 9 },
      { row: "portio-no-eventfd", cycles: 5287, line: 10 },
    ]);
  });

  it("of several runs gives a row several times, and of an unknown test too", () => {
    expect(parse("cpuid 1098\ncpuid 1110\nrdpru 87\n").map(({ row, cycles }) => [row, cycles])).toEqual([
      ["cpuid", 1098],
      ["cpuid", 1110],
      ["rdpru", 87],
    ]);
  });

  it("may have the line ends of a serial line", () => {
    expect(parse("enabling apic\r\nvmcall 1559\r\n")).toEqual([{ row: "vmcall", cycles: 1559, line: 2 }]);
  });

  it.each(NOISE)("may hold %j", (line) => {
    expect(parse(`${line}\nvmcall 1559\n${line}\n`)).toEqual([{ row: "vmcall", cycles: 1559, line: 2 }]);
  });

  it.each([
    ["a result that is no number", "vmcall fast"],
    ["a number that is cut", "vmcall 15x9"],
    ["a name alone", "vmcall"],
    ["a name of pci-testdev whose result never came", "mmio-no-eventfd:"],
    ["what QEMU said in its place", "mmio-no-eventfd:qemu-system-x86_64: terminating on signal 15"],
    ["two results in a line", "vmcall 1559 1560"],
    ["two results without the line end between", "vmcall 1559cpuid 1098"],
    ["a negative result, as of a TSC that goes back", "cpuid -12"],
    ["a result of nothing", "cpuid 0"],
    ["a result that no int holds", "cpuid 2147483648"],
    ["a fraction", "cpuid 10.5"],
    ["a test whose interrupts came twice", "22222self_ipi_sti_nop 9120"],
    ["a region that pci-testdev does not have", "mmio-no-eventfd:pci-rom 12"],
    ["a broken result of an unknown test", "rdpru 8x7"],
  ])("with %s is refused by line, text and what may stand there", (_, line) => {
    expect(() => parse(`paging enabled\n${line}\nvmcall 1559\n`)).toThrow(
      new InputError(
        "run.txt: line 2",
        `${JSON.stringify(line)} is not allowed`,
        "NAME CYCLES, cycles a whole number from 1 to 2147483647, or NAME (skipped)",
      ),
    );
  });

  it("whose last line has no end is refused: 155 may have been 1559", () => {
    expect(() => parse("cpuid 1098\nvmcall 155")).toThrow(
      'run.txt: line 2: "vmcall 155" is not allowed without a line end; allowed: whole lines',
    );
  });

  it.each(["", "\n", "enabling apic\npaging enabled\n", "vmcall (skipped)\n"])(
    "without a result is refused: %j",
    (text) => {
      expect(() => parse(text)).toThrow("run.txt: has no result; allowed: what vmexit.flat prints");
    },
  );
});

interface Printed {
  readonly text: string;
  /** Undefined for noise. */
  readonly row?: { readonly row: string; readonly cycles: number };
}

const name = fc.oneof(
  fc.constantFrom("cpuid", "vmcall", "inl_from_kernel", "ipi+halt", "ple-round-robin", "mmio-no-eventfd"),
  fc.stringMatching(/^[a-z][a-z0-9_+-]{0,15}$/),
);
const result = fc
  .record({
    row: name,
    region: fc.constantFrom("", ":pci-mem", ":pci-io"),
    cycles: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  })
  .map(({ row, region, cycles }): Printed => ({ text: `${row}${region} ${cycles}`, row: { row, cycles } }));
const output = fc.array(
  fc.oneof(
    result,
    fc.constantFrom(...NOISE).map((text): Printed => ({ text })),
  ),
  {
    maxLength: 12,
  },
);

/** The rows of these lines, or undefined if there are none. */
function rowsOf(lines: readonly Printed[]) {
  const rows = lines.flatMap(({ row }, index) => (row === undefined ? [] : [{ ...row, line: index + 1 }]));
  return rows.length === 0 ? undefined : rows;
}

const print = (lines: readonly Printed[]) => lines.map(({ text }) => `${text}\n`).join("");

/** What is parsed, or undefined for an InputError. */
function outcome(text: string) {
  try {
    return parse(text);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return undefined;
  }
}

const RUNS = { numRuns: 200, seed: 1 };

describe("any output", () => {
  it("is read as it was printed", () => {
    fc.assert(
      fc.property(output, (lines) => {
        expect(outcome(print(lines))).toEqual(rowsOf(lines));
      }),
      RUNS,
    );
  });

  it("that is cut behind a line gives the rows before, and within a line none", () => {
    fc.assert(
      fc.property(output, fc.nat(), (lines, at) => {
        const text = print(lines);
        const cut = text.slice(0, at % (text.length + 1));
        const whole = lines.slice(0, cut.split("\n").length - 1);
        const atLine = cut === "" || cut.endsWith("\n");
        expect(outcome(cut)).toEqual(atLine ? rowsOf(whole) : undefined);
      }),
      RUNS,
    );
  });

  it("with damage is refused, or has only rows that still stand there", () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom("\n", " ", "-", "9", ":", "\0", "\r"),
    );
    fc.assert(
      fc.property(output, fc.nat(), fc.nat(6), piece, (lines, at, length, put) => {
        const text = print(lines);
        const start = at % (text.length + 1);
        const damaged = text.slice(0, start) + put + text.slice(start + length);
        const standing = damaged.split(/\r?\n/);
        for (const { row, cycles, line } of outcome(damaged) ?? []) {
          const words = standing[line - 1].trim().split(/ +/);
          expect([words[0].replace(/:pci-(mem|io)$/, ""), words[1]]).toEqual([row, String(cycles)]);
        }
      }),
      RUNS,
    );
  });

  it("that is garbage throws nothing but an InputError", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", maxLength: 200 }), (text) => {
        const rows = outcome(`${text}\n`);
        expect(rows === undefined || rows.length > 0).toBe(true);
      }),
      RUNS,
    );
  });
});
