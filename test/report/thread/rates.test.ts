import { describe, expect, it } from "vitest";
import { plotRates, ratesTable, tableRates } from "../../../src/report/thread/rates.js";
import { threadRates } from "../../../src/study/thread/rates.js";
import { overtakes } from "./overtakes-fixture.js";

const rates = threadRates(overtakes);

describe("the figure of the rates", () => {
  it("is a table: per cent of a core, pairs down and rates across", () => {
    const { data, layout } = plotRates(rates);
    expect((layout.xaxis as { ticktext: unknown }).ticktext).toEqual(["10k", "100k", "1M"]);
    expect((data[0].text as string[][])[0]).toEqual([
      "-0.04% (-0.06..-0.02)",
      "-0.38% (-0.58..-0.19)",
      "-3.85% (-5.77..-1.92)",
    ]);
  });

  it("has a record for each pair and rate", () => {
    expect(tableRates(rates)).toHaveLength(6);
    expect(tableRates(rates)[0]).toMatchObject({
      pair: "rfc - bad-page",
      kicksPerSecond: 10_000,
      oneCoreA: "yes",
    });
  });
});

describe("the mail of the rates", () => {
  const text = ratesTable(rates);

  it("is at most 72 columns wide and names the clock", () => {
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(72);
    expect(text).toContain("haswell-ep-e5-2660v3 2600 MHz");
  });

  it("has shares of a core and million cycles per second", () => {
    expect(text).toMatch(/rfc - bad-page +-0\.06\.\.-0\.02 +-0\.58\.\.-0\.19 +-5\.77\.\.-1\.92/);
    expect(text).toMatch(/rfc - bad-page +-1\.5\.\.-0\.5 +-15\.0\.\.-5\.0 +-150\.\.-50\.0/);
  });
});
