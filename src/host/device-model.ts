/**
 * What userspace answers a guest's reads with: a pattern of the address, so that a value tells which bytes were read, and in
 * which order they were put together. The model's userspace and that of this machine's KVM answer alike.
 */

/** Byte that is read at a guest-physical address or port, 1 to 251. */
export function deviceByte(address: number): number {
  return (address % 251) + 1;
}

/** Little-endian value of so many bytes. */
export function deviceValue(address: number, bytes: number): bigint {
  let value = 0n;
  for (let at = bytes - 1; at >= 0; at--) value = value * 256n + BigInt(deviceByte(address + at));
  return value;
}
