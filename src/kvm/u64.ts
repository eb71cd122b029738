/**
 * Unsigned 64-bit integers, such as the addresses and values of KVM_IOEVENTFD: a number up to 2^53 - 1 and a bigint above.
 * Every integer has one form, so equal ones are `===`, and `<` compares exactly. What fits a number never becomes a bigint.
 */
export type U64 = number | bigint;

/** The largest integer that is a number; of all others some are not one. */
const MAX_NUMBER = 2 ** 53 - 1;

/** An integer in its one form. `what` names it in the error. @throws RangeError unless it is a whole number below 2^64 */
export function u64(value: U64, what: string): U64 {
  const whole = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!whole || value < 0 || value > 0xffff_ffff_ffff_ffffn) {
    throw new RangeError(
      `${what}: ${value} is not a whole number from 0 to 2^64 - 1, above 2^53 - 1 written as a bigint`,
    );
  }
  return value <= MAX_NUMBER ? Number(value) : value;
}

/** A number that fits 32 bits. `what` names it in the error. @throws RangeError */
export function u32(value: number, what: string): number {
  if (value === value >>> 0) return value;
  throw new RangeError(`${what}: ${value} is not a whole number from 0 to 2^32 - 1`);
}

/** A sum as the processor makes it: it wraps around at 2^64. */
export function addU64(value: U64, addend: number): U64 {
  if (typeof value === "number") {
    const sum = value + addend;
    if (sum >= 0 && sum <= MAX_NUMBER) return sum;
  }
  return wrappedSum(value, addend);
}

/** A function of its own, for it is rarely called: addU64() stays short enough for engines to take it into its callers. */
function wrappedSum(value: U64, addend: number): U64 {
  return u64(BigInt.asUintN(64, BigInt(value) + BigInt(addend)), "sum");
}

/** What a device reads of a value: its lowest bytes. */
export function lowBytes(value: U64, bytes: number): U64 {
  if (typeof value === "bigint") return u64(BigInt.asUintN(8 * Math.min(bytes, 8), value), "value");
  switch (bytes) {
    case 1:
      return value & 0xff;
    case 2:
      return value & 0xffff;
    case 4:
      return value >>> 0;
    default:
      return bytes < 7 ? value % 2 ** (8 * bytes) : value;
  }
}

export function hexU64(value: U64): string {
  return `0x${value.toString(16)}`;
}
