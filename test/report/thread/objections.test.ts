/** The objections as figures and texts: the numbers of the studies, and nothing that a mail cannot carry. */
import { describe, expect, test } from "vitest";
import { MAIL_WIDTH, mailText } from "../../../src/report/text-table.js";
import {
  bypassParts,
  plotBypass,
  tableBypass,
  tableBypassed,
} from "../../../src/report/thread/objections/bypass.js";
import {
  faultTaxParts,
  plotFaultTax,
  tableFaultTax,
} from "../../../src/report/thread/objections/fault-tax.js";
import { plotReads, readsParts, tableReads } from "../../../src/report/thread/objections/reads.js";
import {
  plotSlotPrice,
  slotPriceParts,
  tableSlotPrice,
} from "../../../src/report/thread/objections/slot-price.js";
import { READ_SHARES } from "../../../src/study/thread/objections/reads.js";
import { bypass, faultTax, reads, slotPrice } from "./objections-fixture.js";

interface Trace {
  readonly name: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly error_x?: { readonly array: readonly number[]; readonly arrayminus: readonly number[] };
  readonly error_y?: { readonly array: readonly number[]; readonly arrayminus: readonly number[] };
}
const tracesOf = ({ data }: { readonly data: unknown }) => data as readonly Trace[];
const traceOf = (figure: { readonly data: unknown }, name: string) =>
  tracesOf(figure).find((trace) => trace.name === name) as Trace;

describe("reads", () => {
  const figure = plotReads(reads);

  test("designs whose reads signal alike share a line, the others one at zero", () => {
    const lines = tracesOf(figure).filter(({ x }) => x.length === READ_SHARES.length);
    const [none, all] = [...lines].sort((one, other) => Math.max(...one.y) - Math.max(...other.y));
    expect(none.name).toBe("pio, rfc, page read before, bad-page, repaired");
    expect(none.y).toEqual(READ_SHARES.map(() => 0));
    expect(all.name).toBe("base-4.2, rfc, page never read, write-mostly, base-6.19");
    expect(all.y).toEqual(reads.curves[1].points.map(({ unexplained }) => unexplained));
  });

  test("each design has its kick and its read, with the ends of the ranges", () => {
    const kick = traceOf(figure, "kick");
    const of = reads.curves.map(({ points }) => points[points.length - 1].perKick.cycles);
    expect(kick.x).toEqual(of.map(({ value }) => value));
    expect(kick.error_x?.array).toEqual(of.map(({ value, high }) => high - value));
    expect(kick.error_x?.arrayminus).toEqual(of.map(({ value, low }) => value - low));
    expect(traceOf(figure, "read: signals, loads nothing").x).toHaveLength(4);
    expect(traceOf(figure, "read: loads from the slot").x).toHaveLength(3);
    expect(traceOf(figure, "read: goes to userspace").x).toHaveLength(1);
  });

  test("the table has every design at every share", () => {
    const table = tableReads(reads);
    expect(table).toEqual(figure.table);
    expect(table).toHaveLength(reads.curves.length * READ_SHARES.length);
    expect(table[0]).toMatchObject({ design: "pio", readShare: 0, reads: 0, read: "" });
  });

  test("the text has the shares of the reads by what they end as", () => {
    const [table] = readsParts(reads);
    expect(table).toMatch(/^rfc, page never read +1\.00 +0\.00 +0\.00 /m);
    expect(table).toMatch(/^rfc, page read before +0\.00 +0\.00 +1\.00 /m);
    expect(table).toMatch(/^pio +0\.00 +1\.00 +0\.00 /m);
  });
});

describe("the tax of faults", () => {
  const figure = plotFaultTax(faultTax);

  test("shows each design at each size of the bus", () => {
    const rfc = faultTax.taxes.filter(({ design }) => design === "rfc").map(({ difference }) => difference);
    expect(traceOf(figure, "rfc").y).toEqual(rfc.map(({ value }) => value));
    expect(traceOf(figure, "rfc").error_y?.array).toEqual(rfc.map(({ value, high }) => high - value));
    expect(traceOf(figure, "bad-page").y).toEqual([0, 0, 0, 0]);
  });

  test("goes from kicks alone to faults alone, as a mean over both", () => {
    const [{ points, perKick, perFault }] = faultTax.rates;
    const { y } = traceOf(figure, "rfc, page never read");
    expect(y).toHaveLength(points.length + 1);
    expect(y[0]).toBe(perKick.value);
    expect(y[points.length]).toBe(perFault.value);
    const { kicks, faults, perKick: mixed } = points[2];
    expect(y[2]).toBeCloseTo((mixed.value * kicks) / (kicks + faults), 9);
  });

  test("the table has both, with the same keys", () => {
    const table = tableFaultTax(faultTax);
    expect(table.filter(({ of }) => of === "fault")).toHaveLength(12);
    expect(table.filter(({ of }) => of === "kick")).toHaveLength(20);
    expect(figure.table).toEqual(table);
  });

  test("the text says where there is no gain, and where it is gone", () => {
    const text = faultTaxParts(faultTax).join("\n\n");
    expect(text).toMatch(/^rfc +1000 +1 +9 +0 +38\.0\.\.330 +4\.5%$/m);
    expect(text).toMatch(/^page never read .* no gain /m);
    expect(text).toMatch(/^no walk, cheap violation +-\d+\.\.-\d+ +\d\.\d\d +\d\.\d\d$/m);
  });
});

describe("the bypass", () => {
  const figure = plotBypass(bypass);

  test("has a line per design and ioeventfd, with both instructions and what a store becomes", () => {
    const { x, y } = traceOf(figure, "store");
    const stores = bypass.rows.filter(({ op }) => op === "store");
    expect(x).toEqual(stores.map(({ cycles }) => cycles.value));
    expect(y).toEqual(stores.map((_, at) => at - 0.17));
    expect(traceOf(figure, "stos").x).toHaveLength(x.length);
    const notes = (figure.layout.annotations as { text: string }[]).map(({ text }) => text);
    expect(notes.filter((text) => text === "skipped, signals")).toHaveLength(3);
    expect(figure.table).toEqual(tableBypass(bypass));
  });

  test("the second table lists what happens more or less often", () => {
    expect(tableBypassed(bypass)).toContainEqual({
      design: "rfc",
      base: "base-4.2",
      baseEventfd: "2 bytes",
      kind: "event",
      name: "kvm_page_fault",
      before: 1,
      now: 0,
    });
  });

  test("the text has what is less and what is more", () => {
    const text = bypassParts(bypass).join("\n\n").replaceAll("\n", " ");
    expect(text).toMatch(
      /rfc with an ioeventfd of any length against base-4\.2 with one of 2 bytes: -\d+\.\.-\d+ cycles; less: /,
    );
    expect(text).toContain("-1 emulateInstruction");
    expect(text).toContain("more: +1 vmread, +1 skipEmulatedInstruction.");
  });
});

describe("the price of the slot", () => {
  const figure = plotSlotPrice(slotPrice);

  test("has pages above and kicks below", () => {
    expect(traceOf(figure, "per page").x).toHaveLength(12);
    expect(traceOf(figure, "per kick").x).toHaveLength(12);
    expect(traceOf(figure, "per kick").x.slice(0, 6)).toEqual(
      slotPrice.kicks.map(({ cycles }) => cycles.value),
    );
    expect(figure.table).toEqual(tableSlotPrice(slotPrice));
  });

  test("the text has waits, look-ups, memory and where the generation wraps", () => {
    const text = slotPriceParts(slotPrice).join("\n\n");
    expect(text).toMatch(/^delete, v4\.2 +2 +1 /m);
    expect(text).toMatch(/^bad-page +3 +1 +130\.\.1100 +65536$/m);
    expect(text.replaceAll("\n", " ")).toContain(
      "on v4.2 update 72 of a new machine; on v6.19 none of the first 1000",
    );
  });
});

test.each([
  ["reads", readsParts(reads)],
  ["fault tax", faultTaxParts(faultTax)],
  ["bypass", bypassParts(bypass)],
  ["slot price", slotPriceParts(slotPrice)],
])("the text of %s fits a mail", (_, parts) => {
  for (const part of parts) {
    expect(mailText(part)).toBe(part);
    for (const line of part.split("\n")) expect(line.length).toBeLessThanOrEqual(MAIL_WIDTH);
  }
});
