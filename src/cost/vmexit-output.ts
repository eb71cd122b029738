/**
 * What `vmexit.flat` of kvm-unit-tests prints: a line "NAME CYCLES" per test, the mean TSC cycles of one round. Names and
 * formats are those of x86/vmexit.c since 2012. A test of pci-testdev prints "mmio-no-eventfd:pci-mem 8796": what stands
 * behind the colon says which region of the device it is, and is no part of the row's name here.
 *
 * QEMU, the firmware and the start of the test print lines too. They are told from results like this:
 * - "NAME CYCLES" is a result, whatever the name: lower-case letters, digits and _ + - behind a letter. Cycles are what %d
 *   prints of a number above 0.
 * - "NAME (skipped)" is a test that does not run on this machine, "  ipi NAME CYCLES" and "  eoi NAME CYCLES" are parts of
 *   the result above. They are left out.
 * - Else a line whose first word names a test of vmexit.c is a broken result: cut, or run into what was printed next. Digits
 *   may stand before the name: a test prints them when its interrupt did not come exactly once.
 * - So is a line of two words, a possible name and one with a digit: a broken result of a test that is not known here.
 * - Other lines cannot be results, and are left out.
 * - A last line without an end is refused, whatever it says.
 */
import { InputError, notAllowed } from "./input.js";
import { shortLine, wholeLines } from "./whole-lines.js";

export interface VmexitRow {
  /** Name of the test. */
  readonly row: string;
  /** TSC cycles. */
  readonly cycles: number;
  /** Where it stands, counted from 1. */
  readonly line: number;
}

const NAME = "[a-z][a-z0-9_+-]*";
const RESULT = new RegExp(`^ *(${NAME})(?::pci-mem|:pci-io)? +([1-9][0-9]*) *$`);
const NO_ROW = new RegExp(`^ *(?:${NAME} \\(skipped\\)|(?:ipi|eoi) ${NAME} [0-9]+) *$`);
const NAME_AND_DIGIT = new RegExp(`^ *${NAME} +[^\\s0-9]*[0-9]\\S* *$`);

/** The first word of a line, up to a colon and without digits before it. */
const FIRST_WORD = /^\s*\d*([^\s:]*)/;
const TESTS = [
  /^(cpuid|vmcall|ipi|ipi[_+]halt|tscdeadline|tscdeadline_immed|ple[_-]round[_-]robin)$/,
  /^(mov_(from|to)_cr8|mov_dr|(inl_from|outl_to)_\w+|(x2apic_)?self_ipi_\w+|(wr|rd)_\w+|toggle_\w+)$/,
  /^(pci-mem|pci-io|(mmio|portio)-(no|wildcard|datamatch)-eventfd)$/,
];

/** What fits an int. */
const INT_MAX = 2 ** 31 - 1;

/**
 * The results in the order of the text, so a row several times if the text holds several runs.
 *
 * @param what names the text in mistakes, such as its file
 * @throws InputError for a broken result, with its line, and for a text without results
 */
export function parseVmexit(text: string, what: string): VmexitRow[] {
  const rows: VmexitRow[] = [];
  wholeLines(text, what).forEach((line, index) => {
    const [, row, digits] = RESULT.exec(line) ?? [];
    if (row !== undefined && Number(digits) <= INT_MAX) {
      rows.push({ row, cycles: Number(digits), line: index + 1 });
    } else if (row !== undefined || isBroken(line)) {
      throw new InputError(
        `${what}: line ${index + 1}`,
        notAllowed(shortLine(line)),
        `NAME CYCLES, cycles a whole number from 1 to ${INT_MAX}, or NAME (skipped)`,
      );
    }
  });
  if (rows.length === 0)
    throw new InputError(what, "has no result", "what vmexit.flat prints, a line NAME CYCLES per test");
  return rows;
}

function isBroken(line: string): boolean {
  if (NO_ROW.test(line)) return false;
  const word = FIRST_WORD.exec(line)?.[1] ?? "";
  return TESTS.some((names) => names.test(word)) || NAME_AND_DIGIT.test(line);
}
