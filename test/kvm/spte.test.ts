import { describe, expect, it } from "vitest";
import {
  isMmioSpte,
  isMmioSpteCurrent,
  leafSpte,
  mmioSpte,
  type Spte,
  tableSpte,
} from "../../src/kvm/spte.js";

function hex({ low, high }: Spte): string {
  return ((BigInt(high) << 32n) | BigInt(low)).toString(16);
}

/** Values of Linux 4.2 with EPT A/D bits off. */
describe("a shadow page table entry", () => {
  it("of memory is readable, writable, executable, write-back, and writable for host and MMU", () => {
    expect(hex(leafSpte(0x12_3456_789a, true, false))).toBe("123456789ac77");
  });

  it("of a read-only slot is readable and executable and may not become writable", () => {
    expect(hex(leafSpte(0x1234, false, false))).toBe("1234075");
  });

  it("of a 2-Mbyte page has the page-size bit", () => {
    expect(hex(leafSpte(0x1200, true, true))).toBe("1200cf7");
  });

  it("of a table allows everything", () => {
    expect(hex(tableSpte(0x1001))).toBe("1001007");
  });

  it("of MMIO is writable but not readable and carries the memslot generation", () => {
    expect(hex(mmioSpte(0xfebf0, -150))).toBe("fff00000febf0dae");
  });

  it("of MMIO is recognised, with its generation but for bit 0, which is not stored", () => {
    const { low, high } = mmioSpte(0xfebf0, -150);
    expect(isMmioSpte(low, high)).toBe(true);
    expect(isMmioSpteCurrent(low, high, -150)).toBe(true);
    expect(isMmioSpteCurrent(low, high, -148)).toBe(false);
    expect(isMmioSpteCurrent(low, high, -150 + 2 ** 20)).toBe(true);
    const odd = mmioSpte(0xfebf0, -149);
    expect(isMmioSpteCurrent(odd.low, odd.high, -149)).toBe(false);
  });

  it("of memory is no MMIO entry", () => {
    const { low, high } = leafSpte(0x1234, true, false);
    expect(isMmioSpte(low, high)).toBe(false);
  });
});
