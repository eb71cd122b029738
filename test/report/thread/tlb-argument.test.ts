import { describe, expect, it } from "vitest";
import { figureText } from "../../../src/report/save.js";
import {
  plotTlbArgument,
  tableTlbArgument,
  tableTlbBreakEven,
  tlbArgumentTable,
  tlbBreakEvenParts,
} from "../../../src/report/thread/tlb-argument.js";
import { tlbArgument } from "./tlb-fixture.js";

describe("the mail on the TLB argument", () => {
  const text = tlbArgumentTable(tlbArgument);

  it("begins with the break-even", () => {
    const first = text.replaceAll(/\s+/g, " ");
    expect(first).toContain(
      "Break-even first. The RFC wins if the walk that it saves is worth more than a violation takes more",
    );
    expect(first).toContain("(-200..300 cycles, nobody published it), plus one VMREAD (10..80)");
    expect(first).toContain(
      "plus 129 (28..230) for each ordinary fault per kick, which looks at a bus of 16 ioeventfds",
    );
    const [second] = tlbBreakEvenParts(tlbArgument);
    expect(second.split("\n").slice(2)).toEqual([
      "SIMULATED processor   best case      saved  at most  violation  faults",
      "strict, hot           unread, 4K/4K  -24.0     -8.5      -69.0   never",
      "strict, footprint     unread, 4K/4K  -24.0     -9.5      -69.0   never",
      "strict, cold          unread, 4K/4K    0.0      0.0      -45.0   never",
      "plausible, hot        read, 4K/4K      4.0      4.0      -41.0   never",
      "plausible, footprint  read, 4K/4K      4.0      4.0      -41.0   never",
      "plausible, cold       unread, 4K/4K    0.0      0.0      -45.0   never",
      "bound, hot            read, 4K/4K     21.0     25.0      -24.0   never",
      "bound, footprint      read, 4K/4K     21.0     25.0      -24.0   never",
      "bound, cold           unread, 4K/4K    0.0      0.0      -45.0   never",
    ]);
  });

  it("shows references by the guest's entries and the EPT's, with pio and the base", () => {
    const lines = text.split("\n");
    const heading = lines.indexOf("References of a kick's walk, guest's entries + EPT's, alone");
    expect(lines.slice(heading + 1, heading + 10)).toEqual([
      "SIMULATED kick, guest/EPT        hot  footprint  cold",
      "pio                              0+0        0+0   0+0",
      "base-4.2, 4K/4K                  1+1        1+1  4+10",
      "strict, never touched, 4K/4K     4+4        4+4  4+10",
      "strict, populated, 4K/4K         4+4        4+4  4+10",
      "plausible, never touched, 4K/4K  1+1        1+1  4+10",
      "plausible, populated, 4K/4K      1+0        1+0  4+10",
      "bound, never touched, 4K/4K      1+1        1+1  4+10",
      "bound, populated, 4K/4K          0+0        0+0  4+10",
    ]);
  });

  it("fits a mailing list", () => {
    for (const line of text.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,72}$/);
  });
});

describe("the figure of the TLB argument", () => {
  const { data } = plotTlbArgument(tlbArgument);

  it("stacks references of both kinds, in a column for each walk state", () => {
    const bars = data.filter(({ type }) => type === "bar");
    expect(bars.map(({ name, xaxis }) => `${String(name)} ${String(xaxis)}`)).toEqual([
      "guest's entries x",
      "EPT's entries x",
      "guest's entries x2",
      "EPT's entries x2",
      "guest's entries x3",
      "EPT's entries x3",
    ]);
    expect([bars[0].x, bars[1].x]).toEqual([
      [0, 1, 4, 4, 1, 1, 1, 0],
      [0, 1, 4, 4, 1, 0, 1, 0],
    ]);
  });

  it("shows each difference as a mark with its range, alone and beside neighbours", () => {
    const [alone, beside] = data.filter(({ xaxis, type }) => xaxis === "x4" && type === "scatter");
    const [strict] = tlbArgument.cases;
    const { x, error_x } = alone as { x: number[]; error_x: { array: number[]; arrayminus: number[] } };
    expect(x[0]).toBe(strict.difference.value);
    expect(x[0] - error_x.arrayminus[0]).toBeCloseTo(strict.difference.low, 9);
    expect(x[0] + error_x.array[0]).toBeCloseTo(strict.difference.high, 9);
    expect((beside.x as number[])[0]).toBeGreaterThan(x[0]);
  });

  it("refuses sizes that the study has not", () => {
    expect(() => plotTlbArgument(tlbArgument, { guestPages: "1G" })).toThrow(
      'sizes: "1G under 4K" is not allowed; allowed: 4K under 4K',
    );
  });

  it("has its numbers as records", () => {
    const records = tableTlbArgument(tlbArgument);
    expect(records).toHaveLength(36);
    expect(records[0]).toMatchObject({
      assumption: "strict",
      page: "never touched",
      rfcGuest: 4,
      rfcEpt: 4,
      pioGuest: 0,
    });
    expect(figureText(plotTlbArgument(tlbArgument))).toContain("plausible");
  });

  it("has the break-even as records, a case of which is the best one", () => {
    const bound = tableTlbBreakEven(tlbArgument).find(
      ({ assumption, walkState }) => assumption === "bound" && walkState === "hot",
    );
    expect(bound).toMatchObject({
      page: "populated",
      neighbourhood: "alone",
      saved: 21,
      violationExtraAt: -24,
      vmreadAt: 21,
    });
  });
});
