import { describe, expect, it } from "vitest";
import { plainText } from "../../../src/report/figure.js";
import { columnsOf } from "../../../src/report/records.js";
import {
  overtakesTable,
  plotConditions,
  plotOvertakes,
  tableConditions,
  tableOvertakes,
} from "../../../src/report/thread/sweep.js";
import { overtakes } from "./overtakes-fixture.js";

const tracesNamed = (figure: ReturnType<typeof plotConditions>, name: string) =>
  figure.data.filter((trace) => trace.name === name);

describe("the records of the differences", () => {
  it("are one for each pair and setting, from the least difference to the greatest", () => {
    const records = tableOvertakes(overtakes);
    expect(columnsOf(records)).toContain("rangesWon");
    expect(records.map(({ pair, rank, difference }) => [pair, rank, difference])).toEqual([
      ["rfc - bad-page", 1, -100],
      ["rfc - bad-page", 2, -50],
      ["rfc - bad-page", 3, 100],
      ["fastpath - base-6.19", 1, -534],
      ["fastpath - base-6.19", 2, -534],
      ["fastpath - base-6.19", 3, -500],
    ]);
  });
});

describe("the figure of the differences", () => {
  const figure = plotOvertakes(overtakes);

  it("has a panel for each pair, headed by how many settings the first wins", () => {
    const notes = figure.layout.annotations as readonly { text: string }[];
    const headings = notes.map(({ text }) => plainText(text).replaceAll(/\s+/g, " ").trim());
    expect(headings).toContain("rfc - bad-page : less in 2 of 3, can be in 2");
    expect(headings).toContain("fastpath - base-6.19 : less in 3 of 3, can be in 3");
  });

  it("shows a dot for each setting and what the ranges allow, the names once in the legend", () => {
    expect(figure.data).toHaveLength(4);
    expect(figure.data.filter(({ showlegend }) => showlegend)).toHaveLength(2);
    expect(figure.data[1].y).toEqual([-100, -50, 100]);
    expect(figure.data[0].y).toEqual([-150, -50, null, -100, 0, null, 50, 150, null]);
  });
});

describe("the figure along an axis", () => {
  const figure = plotConditions(overtakes);

  it("marks the place where both cost the same, on an axis of square roots", () => {
    const [ring, ...others] = tracesNamed(figure, "both cost the same");
    expect(others).toEqual([]);
    expect(ring.x).toEqual([Math.sqrt(2)]);
    expect(ring.y).toEqual([0]);
  });

  it("has the values of the records that stand beside it", () => {
    const [first] = tracesNamed(figure, "walks as an exit leaves them");
    const records = tableConditions(overtakes, "faultsPerKick").filter(
      ({ pair }) => pair === "rfc - bad-page",
    );
    expect(first.y).toEqual(records.map(({ difference }) => difference));
    expect(records.map(({ faultsPerKick }) => faultsPerKick)).toEqual([0, 1, 4]);
  });

  it("refuses an axis without a line", () => {
    expect(() => plotConditions(overtakes, "vcpus")).toThrow(/axis: vcpus has no line in this sweep/);
  });
});

describe("the mail of the sweep", () => {
  const text = overtakesTable(overtakes);

  it("is at most 72 columns wide and says SIMULATED first", () => {
    expect(text).toMatch(/^SIMULATED/);
    for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(72);
  });

  it("has counts before cycles, seeds apart from costs, and the conditions as sentences", () => {
    expect(text.indexOf("walk refs")).toBeLessThan(text.indexOf("[TSC cycles per kick]"));
    expect(text).toMatch(/rfc - bad-page +-100 +-150\.\.-50\.0 +-102\.\.-98\.0 +75%/);
    expect(text).toContain("- rfc loses to bad-page above 2 faults per kick");
    expect(text).toMatch(/rfc - bad-page +3 +2 +0 +2 +1 +0\/0\n/);
  });
});
