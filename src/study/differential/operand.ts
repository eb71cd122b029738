/**
 * The bytes of the operand of one guest instruction: what it has read so far, and what it writes. Little-endian; a repeated
 * instruction writes the same at each iteration.
 */
import { INSTRUCTION_FORMS } from "../../kvm/instruction.js";
import type { GuestStep } from "./scenario.js";

export class Operand {
  /** What was read. Until then what the register held, and for ever where nothing is read. */
  private readonly read: Uint8Array;

  constructor(private readonly step: GuestStep) {
    this.read = bytesOf(BigInt(step.value), step.size);
  }

  setRead(address: number, byte: number): void {
    this.read[address - this.step.address] = byte;
  }

  /** Value that was read, without sign. */
  get loaded(): bigint {
    return numberOf(this.read);
  }

  /** Value that is written. */
  get written(): bigint {
    const { op, value, size } = this.step;
    const register = BigInt.asUintN(8 * size, BigInt(value));
    if (op === "or") return this.loaded | register;
    if (op === "add") return BigInt.asUintN(8 * size, this.loaded + register);
    return register;
  }

  /** Value that is written at an address of the operand, in so many bytes. */
  writtenAt(address: number, bytes: number): bigint {
    const { step } = this;
    const all = bytesOf(this.written, step.size);
    return numberOf(
      Uint8Array.from({ length: bytes }, (_, at) => all[(address + at - step.address) % step.size]),
    );
  }
}

/** Whether the instruction leaves in a register what it reads. */
export function isLoad(step: GuestStep): boolean {
  const { reads, operation } = INSTRUCTION_FORMS[step.op];
  return (reads || operation === "in") && !isReadModifyWrite(step);
}

/** Whether the instruction reads its operand and writes what comes of it. */
export function isReadModifyWrite({ op }: GuestStep): boolean {
  const { reads, writes } = INSTRUCTION_FORMS[op];
  return reads && writes;
}

function bytesOf(value: bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn));
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);
}
