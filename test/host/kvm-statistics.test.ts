/** KVM's binary statistics, in the layout of Documentation/virt/kvm/api.rst, "KVM_GET_STATS_FD". */
import { expect, it } from "vitest";
import { parseStatistics } from "../../src/host/kvm-statistics.js";

const CUMULATIVE = 0;
const INSTANT = 1;
const LOG_HIST = 4;
const NAME_BYTES = 48;

/** A descriptor's content: header, identifier, descriptions, data. */
function content(
  statistics: readonly { name: string; type: number; values: readonly number[] }[],
): Uint8Array {
  const id = 24;
  const descriptions = id + NAME_BYTES;
  const entry = 16 + NAME_BYTES;
  const data = descriptions + entry * statistics.length;
  const values = statistics.flatMap((of) => of.values);
  const bytes = new Uint8Array(data + 8 * values.length);
  const view = new DataView(bytes.buffer);
  [0, NAME_BYTES, statistics.length, id, descriptions, data].forEach((field, index) => {
    view.setUint32(4 * index, field, true);
  });
  bytes.set(new TextEncoder().encode("kvm-1234/vcpu-0"), id);
  let offset = 0;
  statistics.forEach(({ name, type, values: of }, index) => {
    const at = descriptions + entry * index;
    view.setUint32(at, type, true);
    view.setUint16(at + 6, of.length, true);
    view.setUint32(at + 8, offset, true);
    bytes.set(new TextEncoder().encode(name), at + 16);
    for (const value of of) {
      view.setBigUint64(data + offset, BigInt(value), true);
      offset += 8;
    }
  });
  return bytes;
}

it("are read by name: those that only grow, and hold one value", () => {
  const bytes = content([
    { name: "pf_fixed", type: CUMULATIVE, values: [7] },
    { name: "halt_wait_hist", type: LOG_HIST, values: [1, 2, 3] },
    { name: "blocking", type: INSTANT, values: [1] },
    { name: "exits", type: CUMULATIVE, values: [5_000_000_000] },
  ]);
  expect(parseStatistics(bytes)).toEqual({ pf_fixed: 7, exits: 5_000_000_000 });
});
