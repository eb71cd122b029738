/** Every figure reads in a grey print and to eyes that lack a kind of cone: no colour stands alone. */
import { describe, expect, it, test } from "vitest";
import { CATEGORIES } from "../../src/cost/primitive-costs.js";
import {
  CATEGORY_FILLS,
  DIVERGING,
  ENTRY_FILLS,
  type Fill,
  INK,
  LINES,
  SERIES,
  SHADES,
  SPTE_FILLS,
} from "../../src/report/theme.js";
import { distance, KINDS_OF_EYES, lightness } from "./colors.js";
import { EVERY_FIGURE } from "./every-figure.js";

/** CIE L*: what is apart by this is told apart side by side, over some distance and in a bad print too. */
const APART = 10;
/** CIE 1976: of two colours that also differ otherwise. */
const DISTANCE = 15;

const pairsOf = <Item>(items: readonly Item[]) =>
  items.flatMap((one, index) => items.slice(index + 1).map((other) => [one, other] as const));

const colorsOf = (looks: readonly { readonly color: string }[]) => looks.map(({ color }) => color);

const PALETTES = {
  lines: colorsOf(LINES),
  categories: colorsOf(CATEGORIES.map((category) => CATEGORY_FILLS[category])),
  series: colorsOf(Object.values(SERIES)),
  entries: colorsOf(Object.values(ENTRY_FILLS)),
  SPTEs: colorsOf(Object.values(SPTE_FILLS)),
  "less and more": [DIVERGING[0][1], DIVERGING[2][1]],
};

describe("without colour", () => {
  it("two lines of LINES, eight and more, have neither a dash nor a symbol in common", () => {
    expect(LINES.length).toBeGreaterThanOrEqual(8);
    expect(new Set(LINES.map(({ dash }) => dash)).size).toBe(LINES.length);
    expect(new Set(LINES.map(({ symbol }) => symbol)).size).toBe(LINES.length);
  });

  it("two series of points have no symbol in common", () => {
    for (const all of [SERIES, ENTRY_FILLS]) {
      const symbols = Object.values(all).map(({ symbol }) => symbol);
      expect(new Set(symbols).size).toBe(symbols.length);
    }
  });

  // Any two may be neighbours in a stack, as what is between them may be nothing.
  it.each([
    ["categories", CATEGORIES.map((category) => CATEGORY_FILLS[category])],
    ["states of an SPTE", Object.values(SPTE_FILLS)],
  ])("two %s differ in pattern or in lightness", (_, fills: readonly Fill[]) => {
    for (const [one, other] of pairsOf(fills)) {
      const apart = Math.abs(lightness(one.color) - lightness(other.color));
      expect([one, other, one.shape !== other.shape || apart >= APART]).toEqual([one, other, true]);
    }
  });

  it("what is less and what is more than nothing are equally dark, and a number stands on both", () => {
    const [less, nothing, more] = DIVERGING.map(([, color]) => lightness(color));
    expect(nothing).toBe(100);
    expect(Math.abs(less - more)).toBeLessThan(2);
    for (const shade of [...DIVERGING, ...SHADES].map(([, color]) => color))
      expect(lightness(shade) - lightness(INK)).toBeGreaterThan(50);
  });
});

describe.each(KINDS_OF_EYES)("with %s", (eyes) => {
  it.each(Object.entries(PALETTES))("the colours of %s keep a distance", (_, colors) => {
    for (const [one, other] of pairsOf(colors))
      expect([one, other, distance(one, other, eyes) >= DISTANCE]).toEqual([one, other, true]);
  });
});

test("the colours of the simulation of eyes are those that it is known for", () => {
  // Grey stays grey; to deuteranopes red and green come close.
  for (const eyes of KINDS_OF_EYES) expect(distance("#808080", "#808080", eyes)).toBe(0);
  expect(lightness("#000000")).toBeCloseTo(0, 9);
  expect(lightness("#777777")).toBeCloseTo(50, 0);
  expect(distance("#c08000", "#80a000", "deuteranopia")).toBeLessThan(DISTANCE);
});

interface Look {
  readonly type: string;
  readonly mode?: string;
  readonly name: string;
  readonly showlegend?: boolean;
  readonly line?: { readonly dash?: string; readonly width?: number };
  readonly marker?: {
    readonly color: string;
    readonly symbol?: string;
    readonly pattern?: { readonly shape: string };
  };
}

test.each(Object.entries(EVERY_FIGURE))(
  "%s: what its legend names can be told apart without colour",
  (_, { figure }) => {
    const named = (figure().data as unknown as Look[]).filter(
      ({ mode, showlegend }) => mode !== "text" && showlegend !== false,
    );
    for (const [one, other] of pairsOf(named)) {
      const [look, otherLook] = [one, other].map(({ type, mode, line, marker }) =>
        JSON.stringify([type, mode, line?.width, line?.dash, marker?.symbol, marker?.pattern?.shape]),
      );
      const shades = [one, other].map(({ marker }) => (marker === undefined ? 0 : lightness(marker.color)));
      const differs = look !== otherLook || Math.abs(shades[0] - shades[1]) >= APART;
      expect([one.name, other.name, differs]).toEqual([one.name, other.name, true]);
    }
  },
);
