/** The structure of every figure's picture, and that no text of others becomes part of it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findChromium } from "../../src/report/chromium.js";
import { type OpenRenderer, openRenderer } from "../../src/report/render.js";
import { EVERY_FIGURE } from "./every-figure.js";
import { HOSTILE } from "./fixture.js";
import { outlineOf } from "./outline.js";

const why = findChromium() === null ? " (skipped: no Chromium found)" : "";

describe.skipIf(why !== "")(`the picture of${why}`, () => {
  let renderer: OpenRenderer;
  beforeAll(async () => {
    renderer = await openRenderer();
  }, 60_000);
  afterAll(() => renderer?.close());

  test.each(Object.entries(EVERY_FIGURE))("%s has its structure", async (name, { figure }) => {
    await expect(outlineOf(await renderer.svg(figure()))).toMatchFileSnapshot(`golden/outlines/${name}.txt`);
  });

  test.each(Object.entries(EVERY_FIGURE))("%s shows markup in a name as text", async (_name, { hostile }) => {
    const svg = await renderer.svg(hostile());
    expect(svg).not.toMatch(/<\/?script|<b>/);
    expect(textOf(svg)).toContain(HOSTILE.slice(0, 8));
  });
});

/** What a reader sees of it. */
function textOf(svg: string): string {
  return svg
    .replaceAll(/<[^>]*>/g, "")
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}

test("an outline has elements with their class, colours and text, and equal neighbours once", () => {
  const svg =
    '<svg class="main"><defs><clipPath id="a"><rect/></clipPath></defs><g class="empty"></g>' +
    '<g class="trace bars"><path d="M0,0" style="fill: red; opacity: 1"/><path d="M1,1" style="fill: red"/></g>' +
    '<text x="3" fill="blue">a &lt; b</text></svg>';
  expect(outlineOf(svg)).toBe(
    ["svg .main", "  g .trace.bars", "    path, fill red x 2", '  text, fill blue "a &lt; b"', ""].join("\n"),
  );
});
