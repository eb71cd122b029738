/**
 * Machine code of the instructions that the model executes, for a processor in 64-bit mode. The model names the smallest
 * form of each; wider ones follow from it as the Intel SDM says in volume 2, "Instruction format" and the entries of the
 * instructions: bit 0 of the opcode chooses the wide form, the prefix 66H makes it 16 bits, REX.W 64.
 */
import { InputError } from "../cost/input.js";
import { INSTRUCTION_FORMS, type InstructionName } from "../kvm/instruction.js";
import { type U64, u64 } from "../kvm/u64.js";

/** Numbers of registers, as instructions have them. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;
export const R12 = 12;

const OPERAND_SIZE = 0x66;
const REX_W = 0x48;
const REX_B = 0x41;

const ALL = [1, 2, 4, 8];

/**
 * Bytes of the operand, that of `encoding` first. Absent is what takes more than these registers: an address to fetch from,
 * a handler of events, a device's buffer, a root, the number of an MSR, or another hypercall instruction on each vendor's
 * processors.
 */
const SIZES: Readonly<Partial<Record<InstructionName, readonly number[]>>> = {
  store: ALL,
  load: ALL,
  movnti: [4, 8],
  stos: ALL,
  "rep-stos": ALL,
  or: ALL,
  add: ALL,
  "movups-store": [16],
  "movups-load": [16],
  out: [1, 2, 4],
  in: [1, 2, 4],
  // Has no operand; as in the model, that is the smallest.
  cpuid: [1],
};

/**
 * Machine code of one instruction. Its operands are in registers: the address in RDI, the port in DX, the value in RAX (of
 * movups, in XMM0), the count in RCX.
 *
 * @param size bytes of the operand
 * @throws InputError where there is no such instruction
 */
export function encodeInstruction(op: InstructionName, size: number): Uint8Array {
  const sizes = SIZES[op];
  if (sizes === undefined) {
    throw new InputError("op", `${op} is not one that a guest program has`, Object.keys(SIZES).join(", "));
  }
  if (!sizes.includes(size)) {
    throw new InputError("size", `${op} of ${size} bytes does not exist`, `${sizes.join(", ")} bytes`);
  }
  const { encoding, repeated } = INSTRUCTION_FORMS[op];
  const opcode = Uint8Array.from(repeated ? encoding.slice(1) : encoding);
  if (size > sizes[0] && sizes[0] === 1) opcode[0] |= 1;
  // REX stands next to the opcode, or it counts for nothing.
  const prefixes = [
    ...(size === 2 ? [OPERAND_SIZE] : []),
    ...(repeated ? encoding.slice(0, 1) : []),
    ...(size === 8 ? [REX_W] : []),
  ];
  return Uint8Array.from([...prefixes, ...opcode]);
}

/** `mov $value,%register` of 64 bits: by the shorter form, which extends 32 bits with zeros, where that holds the value. */
export function moveImmediate(register: number, value: U64): number[] {
  const whole = u64(value, "value of a register");
  const isWide = whole > 0xffff_ffff;
  const rex = (isWide ? REX_W : 0) | (register > 7 ? REX_B : 0);
  return [...(rex === 0 ? [] : [rex]), 0xb8 | (register & 7), ...littleEndian(whole, isWide ? 8 : 4)];
}

/** The lowest bytes of an integer, of a negative one those of its two's complement, lowest first. */
export function littleEndian(value: U64, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, byte) => Number((BigInt(value) >> BigInt(8 * byte)) & 0xffn));
}
