/** A report as a folder: its files, with and without a Chromium, and its pages as a browser without a network shows them. */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { plotBreakdown } from "../../src/report/breakdown.js";
import { findChromium } from "../../src/report/chromium.js";
import { tableCosts } from "../../src/report/costs.js";
import { exportReport, type Report } from "../../src/report/export.js";
import { plotFastMmio } from "../../src/report/fast-mmio.js";
import { closeKeptRenderer } from "../../src/report/kept-renderer.js";
import { mailTable } from "../../src/report/mail-table.js";
import type { PciTestdevStudy } from "../../src/study/result.js";
import { HOSTILE, hostileStudy, study } from "./fixture.js";

const browser = findChromium();
const why = browser === null ? " (skipped: no Chromium found)" : "";

function reportOf(made: PciTestdevStudy, title: string): Report {
  return {
    title,
    provenance: made.provenance,
    scenario: { name: title },
    rows: made,
    text: mailTable(made),
    figures: { breakdown: plotBreakdown(made), "fast-mmio": plotFastMmio(made) },
    tables: { costs: tableCosts(made) },
  };
}

const plain = reportOf(study, "A made-up study");
const hostile = reportOf(
  { ...hostileStudy, provenance: { ...hostileStudy.provenance, command: HOSTILE } },
  HOSTILE,
);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "exitlab-export-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
  // One browser for as many tests as follow each other: starting it takes seconds.
  afterAll(closeKeptRenderer);
});

const names = (files: readonly string[]) => files.map((file) => basename(file));
/** No browser is found from now on, and none is left of the tests before. */
async function noChromium(): Promise<void> {
  await closeKeptRenderer();
  vi.stubEnv("EXITLAB_CHROMIUM", join(folder, "none"));
}

describe("without Chromium", () => {
  test("all files but the pictures are written, and one line says which are missing", async () => {
    await noChromium();
    const { files, notes } = await exportReport(plain, join(folder, "made", "for", "it"));
    expect(names(files)).toEqual([
      "mail.txt",
      "scenario.json",
      "rows.json",
      "provenance.json",
      "costs.csv",
      "breakdown.html",
      "breakdown.csv",
      "fast-mmio.html",
      "fast-mmio.csv",
      "index.html",
    ]);
    expect(notes).toEqual([
      expect.stringMatching(
        /^breakdown\.svg, breakdown\.png, breakdown\.pdf, fast-mmio\.svg, fast-mmio\.png, fast-mmio\.pdf: no Chromium/,
      ),
    ]);
    expect((await readdir(dirname(files[0]))).sort()).toEqual(names(files).sort());
    expect(await readFile(files[0], "utf8")).toBe(plain.text);
    expect(JSON.parse(await readFile(files[1], "utf8"))).toEqual(plain.scenario);
    expect(JSON.parse(await readFile(files[2], "utf8"))).toEqual(study);
    expect(JSON.parse(await readFile(files[3], "utf8"))).toEqual(study.provenance);
  });

  test("what cannot be written costs no other file", async () => {
    await noChromium();
    const { files, notes } = await exportReport({ ...plain, tables: { none: [] } }, folder);
    expect(names(files)).toContain("index.html");
    expect(notes[0]).toMatch(/^none\.csv: no rows/);
  });

  test("the page has a figure's title in place of its picture", async () => {
    await noChromium();
    await exportReport(plain, folder);
    const page = await readFile(join(folder, "index.html"), "utf8");
    expect(page).not.toContain("<img");
    expect(page).toContain('<a href="breakdown.html">SIMULATED: what an access costs');
  });
});

test("formats are those that were asked for", async () => {
  const { files, notes } = await exportReport(plain, folder, [".csv", ".txt"]);
  expect(names(files).filter((name) => name.startsWith("breakdown"))).toEqual([
    "breakdown.csv",
    "breakdown.txt",
  ]);
  expect(notes).toEqual([]);
  const text = await readFile(join(folder, "breakdown.txt"), "utf8");
  expect(text).toMatch(/^SIMULATED, not hardware\n/);
});

test("a format that is not known is refused before anything is written", async () => {
  const place = join(folder, "absent");
  await expect(exportReport(plain, place, [".svg", ".gif"])).rejects.toThrow(
    'formats: ".gif" is not allowed; allowed: some of .html, .svg, .png, .pdf, .csv, .json, .txt',
  );
  expect(existsSync(place)).toBe(false);
});

test("the page says what made the report, under which conditions, and how to repeat it", async () => {
  await exportReport(plain, folder, []);
  const page = await readFile(join(folder, "index.html"), "utf8");
  expect(page).toContain("<strong>SIMULATED, not hardware.</strong>");
  expect(page).toContain("exitlab 0.1.0, model 3f2a91c0, data b07c55d2, seed 1");
  expect(page).toContain("lynnfield-i7-860, sandy-bridge-ep");
  expect(page).toContain("Linux 3.9, 4.2, mitigations off");
  expect(page).toContain("violationDrops mappings");
  expect(page).toContain(`<code>${study.provenance.command}</code>`);
});

test("hostile names stay text in the page and in the tables", async () => {
  await exportReport(hostile, folder, [".csv"]);
  const page = await readFile(join(folder, "index.html"), "utf8");
  expect(page).not.toMatch(/<script|<b>/);
  expect(page).toContain("<title>&lt;b&gt;");
  const table = await readFile(join(folder, "breakdown.csv"), "utf8");
  expect(table).toContain(`"${HOSTILE.replace('"', '""')}0"`);
});

describe.skipIf(browser === null)(`in a browser without a network${why}`, () => {
  let viewer: Browser;
  beforeAll(async () => {
    viewer = await chromium.launch({
      executablePath: browser ?? "",
      args: ["--disable-gpu"],
      chromiumSandbox: process.getuid?.() !== 0,
    });
  });
  afterAll(() => viewer.close());

  /** A page, and what went wrong on it. */
  async function opened(): Promise<{ readonly page: Page; readonly problems: string[] }> {
    const page = await (await viewer.newContext({ offline: true })).newPage();
    const problems: string[] = [];
    page.on("console", (message) => problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("dialog", (dialog) => problems.push(dialog.message()));
    page.on("request", (request) => {
      if (!/^(file|data|blob):/.test(request.url())) problems.push(request.url());
    });
    return { page, problems };
  }

  test.each([
    ["plain names", plain],
    ["hostile names", hostile],
  ])("the page shows every picture, and each link leads to a file that is there: %s", async (_, given) => {
    const { files, notes } = await exportReport(given, folder);
    expect(notes).toEqual([]);
    expect(await readFile(join(folder, "breakdown.svg"), "utf8")).not.toMatch(/<script|<b>/);
    const { page, problems } = await opened();
    await page.goto(pathToFileURL(join(folder, "index.html")).href);
    const widths = await page
      .locator("img")
      .evaluateAll((images: { naturalWidth: number }[]) => images.map(({ naturalWidth }) => naturalWidth));
    expect(widths).toHaveLength(2);
    for (const width of widths) expect(width).toBeGreaterThan(0);
    const links = await page
      .locator("a")
      .evaluateAll((all: { href: string }[]) => all.map(({ href }) => href));
    const linked = links.map((link) => fileURLToPath(link));
    for (const path of linked) expect([path, existsSync(path)]).toEqual([path, true]);
    expect(names(linked)).toEqual(expect.arrayContaining(names(files)));
    expect(problems).toEqual([]);
  });

  test.each([
    ["plain names", plain],
    ["hostile names", hostile],
  ])("the page of a figure opens from a disk and answers the mouse: %s", async (_, given) => {
    await exportReport(given, folder, [".html"]);
    const { page, problems } = await opened();
    for (const name of Object.keys(given.figures)) {
      await page.goto(pathToFileURL(join(folder, `${name}.html`)).href);
      expect(await page.title()).toMatch(/^SIMULATED/);
      await page.locator("#figure .main-svg").first().waitFor();
      const target = page.locator("#figure .points path, #figure .point path").first();
      const box = await target.boundingBox();
      await page.mouse.move((box?.x ?? 0) + 3, (box?.y ?? 0) + 5);
      await page.locator(".hoverlayer .hovertext").first().waitFor();
    }
    expect(problems).toEqual([]);
  });
});
