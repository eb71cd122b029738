import { describe, expect, it } from "vitest";
import { CATEGORIES } from "../../src/cost/primitive-costs.js";
import { plotlyText } from "../../src/report/figure.js";
import { plotPrices, tablePrices } from "../../src/report/price-breakdown.js";
import { joinConditions } from "../../src/study/conditions.js";
import { HOSTILE } from "./fixture.js";
import { prices } from "./price-fixture.js";

const { "Linux 4.2": before, "Linux 6.19": after } = prices;

interface Bars {
  readonly type: string;
  readonly name: string;
  readonly mode: string;
  readonly x: readonly number[];
  readonly y: readonly string[];
  readonly error_x: { readonly array: readonly number[]; readonly arrayminus: readonly number[] };
  readonly customdata: readonly string[];
  readonly text: readonly string[];
}

const traces = plotPrices(prices).data as unknown as Bars[];
const bars = traces.filter(({ type }) => type === "bar");
const [total, words] = traces.slice(-2);

describe("the figure of prices", () => {
  it("has a bar for each run, whose categories add up to its total", () => {
    for (const { y } of bars) expect(y).toEqual(["Linux 4.2", "Linux 6.19"]);
    [before, after].forEach(({ perAccess }, index) => {
      expect(bars.reduce((sum, { x }) => sum + x[index], 0)).toBeCloseTo(perAccess.value, 9);
      expect(total.x[index]).toBe(perAccess.value);
    });
    expect(bars.map(({ name }) => name)).toEqual(
      CATEGORIES.filter(
        (category) => before.byCategory[category].value + after.byCategory[category].value > 0,
      ),
    );
  });

  it("has the range of the whole as a bar over it, with its ends in words", () => {
    [before, after].forEach(({ perAccess: { low, value, high } }, index) => {
      expect(value - total.error_x.arrayminus[index]).toBeCloseTo(low, 9);
      expect(value + total.error_x.array[index]).toBeCloseTo(high, 9);
      const text = `${Math.round(value)} (${Math.round(low)}..${Math.round(high)})`;
      expect([total.customdata[index], words.text[index].trim()]).toEqual([text, text]);
      expect(words.x[index]).toBe(high);
    });
    const exit = bars.find(({ name }) => name === "exit");
    expect(exit?.customdata[0]).toMatch(/^ \(\d+(\.\d)?\.\.\d+\)$/);
  });

  it("says under which conditions its runs were, all of them", () => {
    const { provenance, machine } = plotPrices(prices);
    expect(provenance?.conditions).toMatchObject({
      cpus: ["haswell-ep-e5-2660v3"],
      kernels: ["v4.2", "v6.19"],
      mitigations: ["off"],
    });
    expect(machine).toMatch(/^Intel Xeon E5-2660 v3/);
    expect(provenance).toMatchObject({ model: before.provenance.model, command: null });
    expect(plotPrices({ kicks: after }).provenance).toEqual(after.provenance);
  });

  it("has the table beside it: categories, total, and the ends of the total", () => {
    const figure = plotPrices(prices);
    expect(figure.table).toEqual(tablePrices(prices));
    const [row] = figure.table;
    expect(Object.keys(row)).toEqual(["name", ...CATEGORIES, "total", "low", "high"]);
    expect(row).toMatchObject({
      name: "Linux 4.2",
      exit: before.byCategory.exit.value,
      total: before.perAccess.value,
      low: before.perAccess.low,
      high: before.perAccess.high,
    });
  });

  it("keeps hostile names from being markup, and is plain JSON", () => {
    const figure = plotPrices({ [HOSTILE]: before });
    expect(JSON.parse(JSON.stringify(figure))).toEqual(figure);
    const text = JSON.stringify(figure);
    expect(text).toContain(JSON.stringify(plotlyText(HOSTILE)).slice(1, -1));
    expect(text).not.toMatch(/<\/?script|<b>&"/);
  });

  it("needs a run", () => {
    expect(() => plotPrices({})).toThrow("prices: has no run; allowed: at least one, by its name");
  });
});

it("conditions are joined value by value, each once and in order", () => {
  const one = { cpus: ["a"], kernels: ["v3.9"], mitigations: ["off"], switches: { s: ["true"] } };
  const other = {
    cpus: ["a"],
    kernels: ["v4.2", "v3.9"],
    mitigations: [],
    switches: { s: ["false"], t: ["1"] },
  };
  expect(joinConditions([one, other])).toEqual({
    cpus: ["a"],
    kernels: ["v3.9", "v4.2"],
    mitigations: ["off"],
    switches: { s: ["true", "false"], t: ["1"] },
  });
});
