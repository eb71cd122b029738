/** What a reader sees who opens the shipped notebooks in the classic Notebook, as stored: nothing is executed here. */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findChromium } from "../../src/report/chromium.js";
import { type Jupyter, prepareJupyter } from "../../src/setup/jupyter.mjs";
import { textProblems, textsOf } from "../report/texts.js";
import { type ClassicNotebook, startClassicNotebook } from "./classic-notebook.js";
import { jupyter } from "./jupyter.js";

const notebooks = path.resolve(import.meta.dirname, "../../notebooks");
const shipped = readdirSync(notebooks).filter((name) => name.endsWith(".ipynb"));

const executablePath = findChromium();
const missing = [
  ...(jupyter?.application === "notebook" ? [] : ["no classic Notebook found"]),
  ...(executablePath === null ? ["no Chromium found"] : []),
];
const why = missing.length === 0 ? "" : ` (skipped: ${missing.join(", ")})`;

describe.skipIf(missing.length > 0)(`in the classic Notebook${why}`, { timeout: 120_000 }, () => {
  let folder: string;
  let notebook: ClassicNotebook;
  let browser: Browser;
  beforeAll(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), "exitlab-viewer-"));
    const [copies, data, home] = ["notebooks", "data", "home"].map((name) => path.join(folder, name));
    for (const made of [copies, data, home]) mkdirSync(made);
    for (const name of shipped) copyFileSync(path.join(notebooks, name), path.join(copies, name));
    prepareJupyter(jupyter as Jupyter);
    notebook = await startClassicNotebook(jupyter as Jupyter, copies, data);
    browser = await chromium.launch({
      executablePath: executablePath ?? "",
      // What Chromium and its libraries write into the user's home goes there instead.
      env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
      // No host is found but the Notebook's.
      args: ["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
      chromiumSandbox: process.getuid?.() !== 0,
    });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await notebook?.stop();
    rmSync(folder, { recursive: true, maxRetries: 3 });
  });

  let context: BrowserContext;
  let requests: string[];
  let errors: string[];
  beforeEach(async () => {
    context = await browser.newContext({ viewport: SCREEN });
    context.setDefaultTimeout(100_000);
    [requests, errors] = [[], []];
    context.on("request", (request) => {
      if (!request.url().startsWith("data:")) requests.push(request.url());
    });
    context.on("console", (message) => {
      if (message.type() === "error") errors.push(`${message.text()} ${message.location().url}`);
    });
    context.on("weberror", (error) => errors.push(String(error.error())));
  });
  afterEach(() => context.close());

  async function open(name: string): Promise<Page> {
    const page = await context.newPage();
    // A session is a kernel, which takes seconds to start. Outputs do not wait for it. Not by playwright's routes, which hold
    // every request up: of a font that is held up Chromium says now and then that "about:blank" could not be loaded.
    const devtools = await context.newCDPSession(page);
    await devtools.send("Fetch.enable", { patterns: [{ urlPattern: "*/api/sessions*" }] });
    await page.goto(notebook.url(name));
    await page.waitForFunction("window.Jupyter?.notebook?._fully_loaded");
    return page;
  }

  const plotlyRequests = () => requests.filter((url) => url.includes("plotly"));
  const foreignRequests = () => requests.filter((url) => !url.startsWith(notebook.origin));
  /** Without those of the Notebook itself, which misses ipywidgets. */
  const ourErrors = () => errors.filter((text) => !text.includes("/nbextensions/widgets/"));

  it("there are figures to look at", () => {
    expect(shipped.flatMap(sizesOfFigures)).not.toEqual([]);
  });

  it.each(shipped)("%s shows pictures and runs no script before it is trusted", async (name) => {
    const page = await open(name);
    const pictures = await page.locator(".output img").all();
    const seen = await Promise.all(pictures.map((picture) => picture.evaluate(pictureSize)));
    expect(seen).toEqual(sizesOfFigures(name));
    expect(await Promise.all(pictures.map(hiddenBy))).toEqual(pictures.map(() => null));
    expect(await page.locator(".js-plotly-plot, .output script").count()).toBe(0);
    expect(await page.evaluate("typeof window.exitlabPlotly")).toBe("undefined");
    expect([plotlyRequests(), foreignRequests(), ourErrors()]).toEqual([[], [], []]);
  });

  it.each(shipped)("%s shows live figures that answer the mouse when it is trusted", async (name) => {
    notebook.trust([name]);
    const sizes = sizesOfFigures(name);
    const page = await open(name);
    await page.waitForFunction(
      `document.querySelectorAll("[data-exitlab-figure], .output img").length === 0`,
    );
    const figures = await page.locator(".output .js-plotly-plot .svg-container").all();
    expect(figures).toHaveLength(sizes.length);
    // plotly.js offers to send a chart to its maker's service.
    expect(await page.locator('.modebar-btn[data-title*="hare"]').count()).toBe(0);
    for (const [index, figure] of figures.entries()) {
      const shot = (what: string) =>
        screenshot(figure, `${path.basename(name, ".ipynb")}-${index + 1}${what}.png`);
      await page.mouse.move(0, 0);
      await shot("");
      const texts = await textsOf(figure);
      expect(texts.length).toBeGreaterThan(0);
      expect([index, textProblems(texts, sizes[index])]).toEqual([index, []]);
      expect([index, await hiddenBy(figure)]).toEqual([index, null]);
      expect(await hover(page, figure)).toMatch(/\d/);
      await shot("-hovered");
    }
    expect(plotlyRequests()).toEqual(
      sizes.length === 0 ? [] : [`${notebook.origin}/static/exitlab/plotly.js`],
    );
    expect([foreignRequests(), ourErrors()]).toEqual([[], []]);
  });
});

/** For a person to look at, in the folder that EXITLAB_SCREENSHOTS names. */
async function screenshot(figure: Locator, name: string): Promise<void> {
  const folder = process.env.EXITLAB_SCREENSHOTS;
  if (folder !== undefined) await figure.screenshot({ path: path.join(folder, name) });
}

/** CSS pixels: as wide as a laptop's, and so high that the highest figure is seen whole. */
const SCREEN = { width: 1280, height: 1600 };

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Of the figures in the outputs, in order, CSS pixels. */
function sizesOfFigures(name: string): Size[] {
  const { cells } = JSON.parse(readFileSync(path.join(notebooks, name), "utf8")) as { cells: Cell[] };
  const figures = cells.flatMap(({ outputs = [] }) =>
    outputs.flatMap(({ data }) => data?.["application/vnd.plotly.v1+json"] ?? []),
  );
  return figures.map(({ layout: { width, height } }) => ({ width, height }));
}

interface Cell {
  readonly outputs?: readonly {
    readonly data?: { readonly "application/vnd.plotly.v1+json"?: { readonly layout: Size } };
  }[];
}

/** What is used of the browser's elements, whose names these sources do not know. */
interface Shown {
  readonly className: string;
  readonly parentElement: Shown | null;
  readonly clientLeft: number;
  readonly clientWidth: number;
  getBoundingClientRect(): Size & { readonly left: number; readonly right: number; readonly top: number };
}

interface Picture {
  readonly complete: boolean;
  readonly naturalWidth: number;
  readonly clientWidth: number;
  readonly clientHeight: number;
}

interface Mark extends Shown {
  matches(selector: string): boolean;
  scrollIntoView(options: { readonly block: "center" }): void;
  getTotalLength(): number;
  getPointAtLength(length: number): { matrixTransform(matrix: unknown): Point };
  getScreenCTM(): unknown;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

declare function getComputedStyle(element: Shown): { readonly overflowX: string };

/** How large a picture is drawn, or null when it is not. */
function pictureSize({ complete, naturalWidth, clientWidth, clientHeight }: Picture): Size | null {
  return complete && naturalWidth > 0 ? { width: clientWidth, height: clientHeight } : null;
}

/** The class of what cuts the element off on the right or on the left, or null. What scrolls up and down hides nothing for good. */
function hiddenBy(element: Locator): Promise<string | null> {
  return element.evaluate((shown: Shown) => {
    const box = shown.getBoundingClientRect();
    for (let area = shown.parentElement; area !== null; area = area.parentElement) {
      const left = area.getBoundingClientRect().left + area.clientLeft;
      const cut = box.left < left || box.right > left + area.clientWidth;
      if (cut && getComputedStyle(area).overflowX !== "visible") return area.className;
    }
    return null;
  });
}

/** Bars, points, and lines without points. */
const MARKS = ".point path, path.point, .js-line, .hm image";

/** Brings a mark into view and tells where to point at it, or null when there is nothing to see of it. */
function placeOf(mark: Mark): Point | null {
  mark.scrollIntoView({ block: "center" });
  const { left, top, width, height } = mark.getBoundingClientRect();
  if (width + height === 0) return null;
  if (!mark.matches(".js-line")) return { x: left + width / 2, y: top + height / 2 };
  const middle = mark.getPointAtLength(mark.getTotalLength() / 2).matrixTransform(mark.getScreenCTM());
  return { x: middle.x, y: middle.y };
}

/** Points at marks of the figure until one answers, and gives what it says. */
async function hover(page: Page, figure: Locator): Promise<string> {
  for (const mark of await figure.locator(MARKS).all()) {
    const place = await mark.evaluate(placeOf);
    if (place === null) continue;
    await page.mouse.move(place.x, place.y);
    const label = await figure
      .locator(".hovertext")
      .first()
      .textContent({ timeout: 1500 })
      .catch(() => null);
    if (label) return label;
  }
  return "no mark answers";
}
