import { describe, expect, it } from "vitest";
import {
  encodeInstruction,
  littleEndian,
  moveImmediate,
  R8,
  RAX,
  RDI,
} from "../../src/host/instruction-code.js";
import { INSTRUCTION_FORMS, type InstructionName } from "../../src/kvm/instruction.js";

const hex = (bytes: Iterable<number>) =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** As a disassembler shows them. */
const INSTRUCTIONS: readonly (readonly [op: InstructionName, size: number, code: string, text: string])[] = [
  ["store", 1, "88 07", "mov %al,(%rdi)"],
  ["store", 2, "66 89 07", "mov %ax,(%rdi)"],
  ["store", 4, "89 07", "mov %eax,(%rdi)"],
  ["store", 8, "48 89 07", "mov %rax,(%rdi)"],
  ["load", 1, "8a 07", "mov (%rdi),%al"],
  ["load", 2, "66 8b 07", "mov (%rdi),%ax"],
  ["load", 4, "8b 07", "mov (%rdi),%eax"],
  ["load", 8, "48 8b 07", "mov (%rdi),%rax"],
  ["movnti", 4, "0f c3 07", "movnti %eax,(%rdi)"],
  ["movnti", 8, "48 0f c3 07", "movnti %rax,(%rdi)"],
  ["stos", 1, "aa", "stos %al,%es:(%rdi)"],
  ["stos", 2, "66 ab", "stos %ax,%es:(%rdi)"],
  ["stos", 4, "ab", "stos %eax,%es:(%rdi)"],
  ["stos", 8, "48 ab", "stos %rax,%es:(%rdi)"],
  ["rep-stos", 1, "f3 aa", "rep stos %al,%es:(%rdi)"],
  ["rep-stos", 2, "66 f3 ab", "rep stos %ax,%es:(%rdi)"],
  ["rep-stos", 4, "f3 ab", "rep stos %eax,%es:(%rdi)"],
  ["rep-stos", 8, "f3 48 ab", "rep stos %rax,%es:(%rdi)"],
  ["or", 1, "08 07", "or %al,(%rdi)"],
  ["or", 2, "66 09 07", "or %ax,(%rdi)"],
  ["or", 4, "09 07", "or %eax,(%rdi)"],
  ["or", 8, "48 09 07", "or %rax,(%rdi)"],
  ["add", 1, "00 07", "add %al,(%rdi)"],
  ["add", 2, "66 01 07", "add %ax,(%rdi)"],
  ["add", 4, "01 07", "add %eax,(%rdi)"],
  ["add", 8, "48 01 07", "add %rax,(%rdi)"],
  ["movups-store", 16, "0f 11 07", "movups %xmm0,(%rdi)"],
  ["movups-load", 16, "0f 10 07", "movups (%rdi),%xmm0"],
  ["out", 1, "ee", "out %al,(%dx)"],
  ["out", 2, "66 ef", "out %ax,(%dx)"],
  ["out", 4, "ef", "out %eax,(%dx)"],
  ["in", 1, "ec", "in (%dx),%al"],
  ["in", 2, "66 ed", "in (%dx),%ax"],
  ["in", 4, "ed", "in (%dx),%eax"],
  ["cpuid", 1, "0f a2", "cpuid"],
];

describe("the machine code of an instruction", () => {
  it.each(INSTRUCTIONS)("%s of %i bytes is %s: %s", (op, size, code) => {
    expect(hex(encodeInstruction(op, size))).toBe(code);
  });

  it("is, of the smallest operand, what the model has", () => {
    const smallest = new Map(INSTRUCTIONS.toReversed().map(([op, size]) => [op, size]));
    for (const [op, size] of smallest) {
      expect([...encodeInstruction(op, size)]).toEqual(INSTRUCTION_FORMS[op].encoding);
    }
  });

  it.each([
    ["movnti", 2, "size: movnti of 2 bytes does not exist; allowed: 4, 8 bytes"],
    ["out", 8, "size: out of 8 bytes does not exist; allowed: 1, 2, 4 bytes"],
    ["movups-load", 8, "size: movups-load of 8 bytes does not exist; allowed: 16 bytes"],
    ["store", 3, "size: store of 3 bytes does not exist; allowed: 1, 2, 4, 8 bytes"],
    ["vmcall", 1, "op: vmcall is not one that a guest program has; allowed: store, load, movnti"],
    ["fetch", 1, "op: fetch is not one that a guest program has; allowed: store, load, movnti"],
  ] as const)("is refused for %s of %i bytes", (op, size, message) => {
    expect(() => encodeInstruction(op, size)).toThrow(message);
  });
});

describe("the move of a value to a register", () => {
  it("extends 32 bits with zeros", () => {
    expect(hex(moveImmediate(RDI, 0xfebf_0000))).toBe("bf 00 00 bf fe"); // mov $0xfebf0000,%edi
    expect(hex(moveImmediate(R8, 300))).toBe("41 b8 2c 01 00 00"); // mov $300,%r8d
  });

  it("takes 64 bits where they are needed", () => {
    expect(hex(moveImmediate(RAX, 2 ** 32))).toBe("48 b8 00 00 00 00 01 00 00 00");
    expect(hex(moveImmediate(R8, 0xffff_ffff_ffff_fffen))).toBe("49 b8 fe ff ff ff ff ff ff ff");
  });

  it("is refused for what a register cannot hold", () => {
    expect(() => moveImmediate(RAX, 2n ** 64n)).toThrow("value of a register: 18446744073709551616 is not");
    expect(() => moveImmediate(RAX, -1)).toThrow("value of a register: -1 is not");
  });
});

describe("the bytes of an integer", () => {
  it("begin with the lowest, and wrap around below zero", () => {
    expect(littleEndian(0x1234, 4)).toEqual([0x34, 0x12, 0, 0]);
    expect(littleEndian(-2, 4)).toEqual([0xfe, 0xff, 0xff, 0xff]);
  });
});
