/** `figure.save()`: what each ending stands for. */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { plotBreakdown, tableBreakdown } from "../../src/report/breakdown.js";
import { findChromium, NoChromiumError } from "../../src/report/chromium.js";
import { toCsv } from "../../src/report/csv.js";
import { closeKeptRenderer } from "../../src/report/kept-renderer.js";
import { FIGURE_FORMATS, figureText } from "../../src/report/save.js";
import { study } from "./fixture.js";

const browser = findChromium();
const why = browser === null ? " (skipped: no Chromium found)" : "";
const figure = plotBreakdown(study);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "exitlab-save-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
  // One browser for as many tests as follow each other: starting it takes seconds.
  afterAll(closeKeptRenderer);
});

const at = (name: string) => join(folder, name);
const text = (name: string) => readFile(at(name), "utf8");

test("a figure is saved as a page, its numbers, all of it, and a mail", async () => {
  await figure.save(at("new/folder/a.html"), at("a.csv"), at("a.json"), at("a.txt"));
  expect(await text("new/folder/a.html")).toMatch(/^<!doctype html>[\s\S]*Plotly\.newPlot\(place/);
  expect(await text("a.csv")).toBe(toCsv(tableBreakdown(study)));
  expect(JSON.parse(await text("a.json"))).toEqual({
    data: JSON.parse(JSON.stringify(figure.data)),
    layout: JSON.parse(JSON.stringify(figure.layout)),
    table: tableBreakdown(study),
    provenance: study.provenance,
    machine: figure.machine,
  });
  const mail = await text("a.txt");
  expect(mail).toBe(figureText(figure));
  expect(mail).toMatch(/^SIMULATED, not hardware\n/);
  expect(mail).toMatch(/\nSIMULATED row +measured +simulated/);
  for (const line of mail.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
});

test("another ending is refused before anything is written", async () => {
  await expect(figure.save(at("a.csv"), at("a.gif"))).rejects.toThrow(
    /^save: ".*a\.gif" is not allowed; allowed: a file that ends in \.html, \.svg, \.png, \.pdf, \.csv, \.json, \.txt$/,
  );
  expect(await readdir(folder)).toEqual([]);
});

test("a file that cannot be written is named", async () => {
  await writeFile(at("file"), "");
  await expect(figure.save(at("file/a.csv"))).rejects.toThrow(
    /file\/a\.csv: .*; allowed: a file that can be written/,
  );
});

test("without Chromium a picture is refused after all other files are written", async () => {
  await closeKeptRenderer();
  vi.stubEnv("EXITLAB_CHROMIUM", at("none"));
  await expect(figure.save(at("a.svg"), at("a.csv"))).rejects.toBeInstanceOf(NoChromiumError);
  expect([existsSync(at("a.svg")), existsSync(at("a.csv"))]).toEqual([false, true]);
});

describe.skipIf(browser === null)(`pictures${why}`, () => {
  test("a PDF has one page of the figure's size", async () => {
    await figure.save(at("a.pdf"));
    const pdf = (await readFile(at("a.pdf"))).toString("latin1");
    expect(pdf).toMatch(/^%PDF/);
    expect(pdf.match(/\/Type *\/Page\b(?!s)/g)).toHaveLength(1);
    const [, width, height] = /\/MediaBox *\[ *0 +0 +([\d.]+) +([\d.]+) *\]/.exec(pdf) ?? [];
    // Points: three for four CSS pixels.
    expect(Math.abs(Number(width) - 0.75 * figure.layout.width)).toBeLessThan(1);
    expect(Math.abs(Number(height) - 0.75 * figure.layout.height)).toBeLessThan(1);
  });

  test("a PNG has two pixels per CSS pixel", async () => {
    await figure.save(at("a.png"));
    const png = await readFile(at("a.png"));
    expect(png.subarray(0, 8)).toEqual(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([
      2 * figure.layout.width,
      2 * figure.layout.height,
    ]);
  });

  test("an SVG has the same bytes every time", async () => {
    await figure.save(at("a.svg"), at("b.svg"));
    expect(await text("a.svg")).toMatch(/^<svg /);
    expect((await text("b.svg")) === (await text("a.svg"))).toBe(true);
  });

  test("a figure can be saved under every ending at once", async () => {
    await figure.save(...FIGURE_FORMATS.map((format) => at(`all${format}`)));
    expect((await readdir(folder)).sort()).toEqual(FIGURE_FORMATS.map((format) => `all${format}`).sort());
  });
});
