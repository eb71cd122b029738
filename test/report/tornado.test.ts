import { describe, expect, it } from "vitest";
import { oneAtATime } from "../../src/cost/sensitivity.js";
import { plotlyText } from "../../src/report/figure.js";
import { plotTornado, type Tornado, tableTornado, tornadoTable } from "../../src/report/tornado.js";
import { HOSTILE, study } from "./fixture.js";

const cost = (
  name: string,
  low: number,
  value: number,
  high: number,
  tag: "measured" | "assumed" = "assumed",
) => ({
  name,
  primitives: [name],
  low,
  value,
  high,
  tag,
});

const COSTS = [
  cost("busProbe", 5, 7, 12),
  cost("exitRoundTrip", 500, 1500, 4000, "measured"),
  cost("walkReferenceL1", 4, 4, 5),
  cost("dispatchOut", 20, 100, 250),
  cost("decode", 100, 200, 300),
  cost("signal", 50, 50, 50),
];
/** Fast MMIO less port I/O, made up: more probes and walk, no dispatch. */
const TIMES = [10, 0.01, 24, -1, 0, 3];

function tornadoOf(most: number, changes: Partial<Tornado> = {}): Tornado {
  return {
    result: "fast MMIO - port I/O",
    unit: "TSC cycles per kick",
    swings: oneAtATime(COSTS, (cycles) => cycles.reduce((sum, c, index) => sum + c * TIMES[index], 0)),
    most,
    provenance: study.provenance,
    machine: "Intel lynnfield",
    ...changes,
  };
}

interface Bars {
  readonly y: string[];
  readonly x: number[];
  readonly base: number;
  readonly customdata: string[][];
}
const barsOf = (tornado: Tornado) => plotTornado(tornado).data as unknown as [Bars, Bars];

describe("a tornado", () => {
  // 10 * 7 + 0.01 * 1500 + 24 * 4 - 100 + 3 * 50
  const VALUE = 231;

  it("has the widest bar on top, and none of what does not move the result", () => {
    const [low] = barsOf(tornadoOf(10));
    expect(low.y).toEqual([
      "dispatchOut (assumed)",
      "busProbe (assumed)",
      "exitRoundTrip (measured)",
      "walkReferenceL1 (assumed)",
    ]);
  });

  it("draws each bar from the value to the result at either end of the cost's range", () => {
    const [low, high] = barsOf(tornadoOf(10));
    expect([low.base, high.base]).toEqual([VALUE, VALUE]);
    // Dispatch stands on the other side: the dearer it is, the better for fast MMIO.
    expect(low.x).toEqual([80, -20, -10, 0]);
    expect(high.x).toEqual([-150, 50, 25, 24]);
    expect(low.customdata[0]).toEqual(["20.0..250", "311"]);
    expect(high.customdata[0]).toEqual(["20.0..250", "81"]);
  });

  it("adds up what has no bar of its own, at the ends that make the result least and greatest, and says so", () => {
    const [low, high] = barsOf(tornadoOf(1));
    expect(low.y).toEqual(["dispatchOut (assumed)", "3 other costs"]);
    expect([low.x[1], high.x[1]]).toEqual([-20 - 10 + 0, 50 + 25 + 24]);
    const [note] = plotTornado(tornadoOf(1)).layout.annotations as { text: string }[];
    expect(note.text.replaceAll("<br>", " ")).toContain("The last bar adds up what 3 others do so");
    const [all] = plotTornado(tornadoOf(10)).layout.annotations as { text: string }[];
    expect(all.text).not.toContain("last bar");
  });

  it("adds up no single cost", () => {
    expect(barsOf(tornadoOf(3))[0].y).toHaveLength(4);
    expect(barsOf(tornadoOf(3))[0].y[3]).toBe("walkReferenceL1 (assumed)");
  });

  it("has a bar for a result that turns on the way from one end to the other", () => {
    const swings = oneAtATime([cost("hump", 0, 1, 2)], ([c]) => c * (2 - c));
    expect(tableTornado(tornadoOf(10, { swings }))[0]).toMatchObject({
      atLow: 0,
      atValue: 1,
      atHigh: 0,
      swing: 1,
    });
  });

  it("is none where no cost moves the result", () => {
    const swings = oneAtATime(COSTS, () => 1);
    expect(() => plotTornado(tornadoOf(10, { swings }))).toThrow("no cost moves the result within its range");
  });

  it("says that it is simulated, by what, and how its bars are made", () => {
    const { title, annotations } = plotTornado(tornadoOf(10)).layout;
    expect(title.text).toBe("SIMULATED: fast MMIO - port I/O, by what its costs may be");
    const [note] = annotations as { text: string }[];
    expect(note.text).toContain(
      "SIMULATED - exitlab 0.1.0, model 3f2a91c0, data b07c55d2, seed 1, fitted to",
    );
    expect(note.text.replaceAll("<br>", " ")).toContain(
      "A bar is one cost from the low to the high end of its range",
    );
  });

  it("is plain JSON without hostile markup", () => {
    const swings = oneAtATime([{ ...COSTS[0], name: HOSTILE }], ([c]) => c);
    const figure = plotTornado(tornadoOf(10, { swings, result: HOSTILE, unit: HOSTILE, machine: HOSTILE }));
    expect(JSON.parse(JSON.stringify(figure))).toEqual(figure);
    expect(JSON.stringify(figure)).toContain(JSON.stringify(plotlyText(HOSTILE)).slice(1, -1));
    expect(JSON.stringify(figure)).not.toMatch(/<\/?script|<b>&"/);
  });
});

describe("a tornado's table", () => {
  it("has a record for every cost that moves the result, whatever bars there are", () => {
    const rows = tableTornado(tornadoOf(1));
    expect(rows.map((row) => row.cost)).toEqual([
      "dispatchOut",
      "busProbe",
      "exitRoundTrip",
      "walkReferenceL1",
    ]);
    expect(rows[0]).toEqual({
      cost: "dispatchOut",
      tag: "assumed",
      low: 20,
      value: 100,
      high: 250,
      unit: "TSC cycles per kick",
      atLow: 311,
      atValue: 231,
      atHigh: 81,
      swing: 230,
    });
  });

  it("goes into a mail of 72 columns", () => {
    const text = tornadoTable(tornadoOf(2));
    expect(
      text.slice(text.indexOf("\n\n") + 2),
    ).toBe(`fast MMIO - port I/O [TSC cycles per kick]: 231 with every cost at its
value
SIMULATED cost  is          cycles  at low  at high
dispatchOut     assumed  20.0..250     311       81
busProbe        assumed  5.0..12.0     211      281
2 other costs                          221      280

A bar is one cost from the low to the high end of its range, the other
costs at their values. The last bar adds up what 2 others do so, each at
the end that makes the result less, and at the other

To repeat:
  npx exitlab study pci-testdev --cpu sandy-bridge-ep --exit-evicts l1 \\
    --accesses 1000 --seed 1
`);
    expect(text.split("\n").every((line) => line.length <= 72)).toBe(true);
  });

  it("writes a small result with three digits", () => {
    const swings = oneAtATime([cost("exit", 1000, 1500, 4000)], ([c]) => 500 / c);
    expect(tornadoTable(tornadoOf(10, { swings }))).toMatch(
      /^exit +assumed {2}1000\.\.4000 {5}0\.5 {4}0\.125$/m,
    );
  });

  it("has a name that does not fit in a list below, and does not cut it", () => {
    const swings = oneAtATime([cost("a".repeat(137), 1, 2, 3)], ([c]) => c);
    const text = tornadoTable(tornadoOf(10, { swings }));
    expect(text).toMatch(/\n\[1\] +assumed/);
    expect(text.replaceAll("\n", "")).toContain("a".repeat(137));
  });
});
