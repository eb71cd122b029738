import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import {
  type LeafAccess,
  type Paging,
  type Spte,
  SpteFormat,
  spteLayout3_9,
  spteLayout4_2,
  spteLayout6_19,
  spteValue,
} from "../../src/kvm/spte.js";

const { geometry } = loadCpu("sandy-bridge-ep");
const WIDTH = geometry.physicalAddressBits;

const linux4_2 = (paging: Paging, accessedDirty = true, cpu = geometry) =>
  new SpteFormat(spteLayout4_2(paging, cpu), cpu, accessedDirty);
const linux6_19 = (paging: Paging, accessedDirty = true, cpu = geometry, l1tf = false) =>
  new SpteFormat(spteLayout6_19(paging, cpu), cpu, accessedDirty, l1tf);

const RW: LeafAccess = {
  writable: true,
  hostWritable: true,
  user: true,
  executable: true,
  speculative: false,
};
const RO: LeafAccess = { ...RW, writable: false, hostWritable: false };

function hex({ low, high }: Spte): string {
  return spteValue(low, high).toString(16);
}

describe("an SPTE of Linux 4.2 for EPT", () => {
  const format = linux4_2("ept");

  it("maps writable memory as 0xf77, or as 0xc77 without accessed and dirty flags", () => {
    expect(hex(format.leaf(0x12_3456_789a, 1, RW))).toBe("123456789af77");
    expect(hex(linux4_2("ept", false).leaf(0x1234, 1, RW))).toBe("1234c77");
  });

  it("maps a read-only slot as 0x175, or as 0x075, and it may not become writable", () => {
    const { low, high } = format.leaf(0x1234, 1, RO);
    expect(hex({ low, high })).toBe("1234175");
    expect(hex(linux4_2("ept", false).leaf(0x1234, 1, RO))).toBe("1234075");
    expect([format.isWritable(low), format.isWriteProtectedOnly(low, high)]).toEqual([false, false]);
  });

  it("maps a page that nobody touched yet without the accessed flag", () => {
    expect(hex(format.leaf(0x1234, 1, { ...RW, speculative: true }))).toBe("1234e77");
  });

  it("maps a large page with the page-size bit", () => {
    expect(hex(format.leaf(0x1200, 2, RW))).toBe("1200ff7");
    expect(format.isLeaf(2, 0x1200ff7)).toBe(true);
  });

  it("references a table with all rights", () => {
    expect(hex(format.table(0x1001))).toBe("1001107");
    expect(hex(linux4_2("ept", false).table(0x1001))).toBe("1001007");
    expect(format.isLeaf(2, 0x1001107)).toBe(false);
  });

  it("is 0 where nothing is mapped", () => {
    expect(hex(format.nonPresent)).toBe("0");
  });

  it("marks MMIO as writable but not readable, with the memslot generation", () => {
    expect(hex(format.mmio(0xfebf0, -150))).toBe("fff00000febf0dae");
    expect(format.truncated(-150)).toBe(0xfff6a);
  });

  it("of MMIO is recognised, is not present, and gives back its page and its generation but for bit 0", () => {
    for (const generation of [-150, -148, 0, 0x7fffe, 2 ** 20 + 2]) {
      const { low, high } = format.mmio(0xfebf0, generation);
      expect([format.isMmio(low, high), format.isPresent(low, high)]).toEqual([true, false]);
      expect(format.gfnOf(low, high)).toBe(0xfebf0);
      expect(format.generationOf(low, high)).toBe(format.truncated(generation));
    }
    const { low, high } = format.mmio(0xfebf0, -149);
    expect(format.generationOf(low, high)).toBe(0xfff6a);
  });

  it("loses write access to be noticed, and keeps that it may have it back", () => {
    const { low, high } = format.leaf(0x1234, 1, RW);
    const logged = format.writeProtected(low, high, false);
    expect(hex(logged)).toBe("1234f75");
    expect(format.isWriteProtectedOnly(logged.low, logged.high)).toBe(true);
    expect(hex(format.writable(logged.low, logged.high))).toBe("1234f77");
    const shadowed = format.writeProtected(low, high, true);
    expect(hex(shadowed)).toBe("1234775");
    expect(format.isWriteProtectedOnly(shadowed.low, shadowed.high)).toBe(false);
  });
});

describe("an SPTE of Linux 3.9", () => {
  it("marks MMIO with bits 56:49 for EPT, with all bits from the width to 62 otherwise, and holds no generation", () => {
    const format = new SpteFormat(spteLayout3_9("ept", geometry), geometry, true);
    for (const generation of [0, 2, -150]) {
      const { low, high } = format.mmio(0xfebf0, generation);
      expect(hex({ low, high })).toBe("1fe0000febf0006");
      expect([
        format.isMmio(low, high),
        format.generationOf(low, high),
        format.truncated(generation),
      ]).toEqual([true, 0, 0]);
    }
    expect(format.storesGeneration).toBe(false);
    const ordinary = new SpteFormat(spteLayout3_9("shadow", geometry), geometry, true);
    const reserved = (1n << 63n) - (1n << BigInt(WIDTH));
    expect(hex(ordinary.mmio(0xfebf0, 2))).toBe((reserved | 0xfebf0007n).toString(16));
  });
});

describe("an SPTE of Linux 6.19 for EPT", () => {
  const format = linux6_19("ept");

  it("maps writable memory as 0x8600000000000b77 and a read-only slot as 0x8000000000000975", () => {
    expect(hex(format.leaf(0, 1, RW))).toBe("8600000000000b77");
    expect(hex(format.leaf(0, 1, RO))).toBe("8000000000000975");
    expect(hex(format.leaf(0x12_3456_789a, 1, RO))).toBe("800123456789a975");
  });

  it("suppresses #VE where nothing is mapped", () => {
    expect(hex(format.nonPresent)).toBe("8000000000000000");
  });

  it("is tagged where the processor has no accessed and dirty flags", () => {
    expect(hex(linux6_19("ept", false).leaf(0, 1, RW))).toBe("8610000000000b77");
  });

  it("marks MMIO as 6 with bit 63 clear, generation bits 7:0 in 10:3 and 18:8 in 62:52", () => {
    expect(hex(format.mmio(0xfebf0, 0))).toBe("febf0006");
    expect(hex(format.mmio(0xfebf0, 0x7ffff))).toBe("7ff00000febf07fe");
    expect(hex(format.mmio(0xfebf0, 2))).toBe("febf0016");
    expect(hex(format.mmio(0xfebf0, 0x100))).toBe("100000febf0006");
  });

  it("of MMIO is recognised, with all 19 bits of its generation and its page", () => {
    for (const generation of [0, 1, 2, 0x100, 0x7fffe, 0x7ffff, 0x80002]) {
      const { low, high } = format.mmio(0xfebf0, generation);
      expect([format.isMmio(low, high), format.isPresent(low, high)]).toEqual([true, false]);
      expect([format.generationOf(low, high), format.gfnOf(low, high)]).toEqual([
        generation % 0x80000,
        0xfebf0,
      ]);
    }
  });

  it("of memory is no MMIO entry", () => {
    const { low, high } = format.leaf(0x1234, 1, RW);
    expect([format.isMmio(low, high), format.isPresent(low, high)]).toEqual([false, true]);
  });

  it("against L1TF has the five highest legal address bits set, and those of the page five places higher", () => {
    const guarded = linux6_19("ept", true, geometry, true);
    const top = ((1n << BigInt(WIDTH)) - (1n << BigInt(WIDTH - 5))) | 6n;
    expect(hex(guarded.mmio(0xfebf0, 0))).toBe((top | 0xfebf0000n).toString(16));
    const high = 0b10110n << BigInt(WIDTH - 5);
    const gfn = Number(high >> 12n) + 7;
    const spte = guarded.mmio(gfn, 0);
    expect(hex(spte)).toBe((top | (high << 5n) | 0x7000n).toString(16));
    expect(guarded.gfnOf(spte.low, spte.high)).toBe(gfn);
    expect(guarded.isMmio(spte.low, spte.high)).toBe(true);
  });
});

describe("an SPTE for nested page tables and for shadow paging", () => {
  it("has the bits of an ordinary entry", () => {
    expect(hex(linux4_2("npt").leaf(0x1234, 1, RW))).toBe("1234c67");
    expect(hex(linux4_2("shadow").leaf(0x1234, 1, { ...RO, user: false, executable: false }))).toBe(
      "8000000001234021",
    );
    expect(hex(linux4_2("npt").table(0x1001))).toBe("1001027");
    expect(hex(linux6_19("npt").leaf(0x1234, 1, RW))).toBe("1234e67");
  });

  it("marks MMIO in 4.2 with all address bits above the width, bits 63:62 and 0, and keeps write and user access", () => {
    const reserved = (1n << 52n) - (1n << BigInt(WIDTH));
    const spte = linux4_2("npt").mmio(0xfebf0, 0, 0b110);
    expect(hex(spte)).toBe((reserved | (3n << 62n) | 0xfebf0007n).toString(16));
    expect(linux4_2("npt").gfnOf(spte.low, spte.high)).toBe(0xfebf0);
    expect(linux4_2("npt").isPresent(spte.low, spte.high)).toBe(false);
  });

  it("marks MMIO in 6.19 with bits 51 and 0", () => {
    const format = linux6_19("npt");
    const spte = format.mmio(0xfebf0, 0, 0b110);
    expect(hex(spte)).toBe("80000febf0007");
    expect([format.gfnOf(spte.low, spte.high), format.isMmio(spte.low, spte.high)]).toEqual([0xfebf0, true]);
  });

  it("cannot mark MMIO where all 52 address bits are legal", () => {
    const wide = { ...geometry, physicalAddressBits: 52 };
    expect([linux6_19("npt").marksMmio, linux6_19("npt", true, wide).marksMmio]).toEqual([true, false]);
    expect(linux4_2("npt", true, wide).mmio(1, 0).low & 1).toBe(0);
  });
});
