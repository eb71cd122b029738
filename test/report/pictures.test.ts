/** Everything that needs a Chromium, and what happens without one. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { plotBreakdown } from "../../src/report/breakdown.js";
import { findChromium, NoChromiumError } from "../../src/report/chromium.js";
import { display, displayTable, displayText, figureBundle } from "../../src/report/display.js";
import { plotFastMmio } from "../../src/report/fast-mmio.js";
import { closeKeptRenderer, withKeptRenderer } from "../../src/report/kept-renderer.js";
import { plotlyPath } from "../../src/report/plotly.js";
import { type Renderer, withRenderer } from "../../src/report/render.js";
import { EVERY_FIGURE } from "./every-figure.js";
import { HOSTILE, hostileStudy, study } from "./fixture.js";
import { textProblems, textsOf } from "./texts.js";

const browser = findChromium();
const why = browser === null ? " (skipped: no Chromium found)" : "";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "exitlab-report-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
  // One browser for as many tests as follow each other: starting it takes seconds.
  afterAll(closeKeptRenderer);
});

/** No browser is found from now on, and none is left of the tests before. */
async function noChromium(): Promise<void> {
  await closeKeptRenderer();
  vi.stubEnv("EXITLAB_CHROMIUM", join(folder, "none"));
}

describe.skipIf(browser === null)(`with Chromium${why}`, () => {
  /** A browser to look at pages with, apart from the one that draws. */
  let viewer: Browser;
  beforeAll(async () => {
    viewer = await chromium.launch({
      executablePath: browser ?? "",
      args: ["--disable-gpu"],
      chromiumSandbox: process.getuid?.() !== 0,
    });
  });
  afterAll(() => viewer.close());

  test("the same figure gives the same SVG, byte by byte, from another browser, which is closed when drawing fails", async () => {
    const first = String((await figureBundle(plotBreakdown(study)))["image/svg+xml"]);
    expect(first).toMatch(/^<svg /);
    expect(first).toContain("SIMULATED - exitlab 0.1.0");
    let other: Renderer | undefined;
    const failing = withRenderer(async (renderer) => {
      other = renderer;
      // Not toBe: nobody reads the difference of two pictures of 50 kB.
      for (const figure of [plotBreakdown(study), plotFastMmio(study), plotBreakdown(study)])
        expect((await renderer.svg(figure)) === first).toBe(figure.title === plotBreakdown(study).title);
      throw new Error("drawing failed");
    });
    await expect(failing).rejects.toThrow("drawing failed");
    await expect(other?.svg(plotBreakdown(study))).rejects.toThrow(/closed/);
  });

  test("drawing that fails takes the browser along, and what others draw meanwhile comes from another", async () => {
    const drawing = [plotBreakdown(study), plotFastMmio(study)].map((figure) =>
      withKeptRenderer((renderer) => renderer.svg(figure)),
    );
    const failing = withKeptRenderer(async () => {
      throw new Error("drawing failed");
    });
    await expect(failing).rejects.toThrow("drawing failed");
    expect((await Promise.all(drawing)).map((svg) => svg.slice(0, 5))).toEqual(["<svg ", "<svg "]);
  });

  test("no text of a figure lies on another or beyond the figure's edge", async () => {
    const page = await viewer.newPage({ viewport: { width: 1200, height: 1200 } });
    await page.route("http://localhost:1/", (route) => route.fulfill({ path: plotlyPath() }));
    await page.setContent('<div id="figure"></div>');
    // Ten megabytes: sent as text they would take the browser some seconds more.
    await page.addScriptTag({ url: "http://localhost:1/" });
    for (const [name, { figure }] of Object.entries(EVERY_FIGURE)) {
      const { data, layout, title } = figure();
      await page.evaluate(`Plotly.newPlot("figure", ${JSON.stringify(data)}, ${JSON.stringify(layout)})`);
      const texts = await textsOf(page.locator("#figure"));
      expect(texts.map(({ text }) => text)).toContain(title);
      expect([name, textProblems(texts, layout)]).toEqual([name, []]);
    }
  });

  test("a notebook output is a static picture, plotly JSON and SVG, small and the same every time", async () => {
    const bundle = await figureBundle(plotFastMmio(study));
    const again = await figureBundle(plotFastMmio(study));
    expect(JSON.stringify(again) === JSON.stringify(bundle)).toBe(true);
    expect(Object.keys(bundle).sort()).toEqual([
      "application/vnd.plotly.v1+json",
      "image/svg+xml",
      "text/html",
      "text/plain",
    ]);
    expect(bundle["text/html"]).toMatch(
      /^<div data-exitlab-figure="[0-9a-f]{12}"><img [^>]*src="data:image\/svg\+xml;base64,/,
    );
    expect(JSON.stringify(bundle).length).toBeLessThan(200_000);
  });

  test("a notebook output upgrades itself where the server offers plotly.js, and stays a picture where not", async () => {
    const html = String((await figureBundle(plotBreakdown(hostileStudy)))["text/html"]);
    const plotly = await readFile(createRequire(import.meta.url).resolve("plotly.js-dist"), "utf8");
    const page = await viewer.newPage();
    let offered = true;
    await page.route("http://localhost:1/**", (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === "/")
        return route.fulfill({
          contentType: "text/html",
          body: `<body data-base-url="/lab/">${html}${html}`,
        });
      return offered && pathname === "/lab/static/exitlab/plotly.js"
        ? route.fulfill({ contentType: "text/javascript", body: plotly })
        : route.fulfill({ status: 404 });
    });
    await page.goto("http://localhost:1/");
    await page.locator(".main-svg").nth(5).waitFor();
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.locator(".js-plotly-plot").count()).toBe(2);
    offered = false;
    const told = page.waitForEvent("console", (message) => message.text().includes("static figure stays"));
    await page.goto("http://localhost:1/");
    await told;
    expect(await page.locator("img").count()).toBe(2);
  });
});

describe("without Chromium", () => {
  test("a renderer says so in one line of its own type", async () => {
    await noChromium();
    const failing = withRenderer(async () => undefined);
    await expect(failing).rejects.toBeInstanceOf(NoChromiumError);
    await expect(failing).rejects.toThrow(/^no Chromium .*EXITLAB_CHROMIUM$/);
  });

  test("a notebook output has a line of text in place of the picture, and the script", async () => {
    await noChromium();
    const bundle = await figureBundle(plotBreakdown(study));
    expect(bundle["text/html"]).toMatch(/<p>SIMULATED: [^<]*\(no Chromium [^<]*\)<\/p>/);
    expect(bundle["text/html"]).toContain("static/exitlab/plotly.js");
    expect(bundle).not.toHaveProperty("image/svg+xml");
  });
});

test("EXITLAB_CHROMIUM decides alone which browser is taken", async () => {
  const named = join(folder, "my-chromium");
  await writeFile(named, "", { mode: 0o755 });
  vi.stubEnv("EXITLAB_CHROMIUM", named);
  expect(findChromium()).toBe(named);
  await noChromium();
  expect(findChromium()).toBeNull();
});

test("a Chromium on PATH is found, one that cannot run is not", async () => {
  vi.stubEnv("EXITLAB_CHROMIUM", "");
  vi.stubEnv("PATH", folder);
  expect(findChromium()).toBeNull();
  await writeFile(join(folder, "chromium"), "", { mode: 0o644 });
  await writeFile(join(folder, "google-chrome"), "", { mode: 0o755 });
  expect(findChromium()).toBe(join(folder, "google-chrome"));
});

describe("display", () => {
  test("says where it works, outside a tslab kernel", async () => {
    await expect(display(plotBreakdown(study))).rejects.toThrow("display works in a tslab notebook only");
    expect(() => displayText("x")).toThrow("display works in a tslab notebook only");
  });

  test("publishes one bundle through the tslab that is loaded", async () => {
    await noChromium();
    const jupyter = createRequire(import.meta.url)("tslab/dist/jupyter");
    const write = vi.fn();
    jupyter.lastWriteDisplayData = write;
    try {
      await display(plotBreakdown(study));
      displayTable([{ name: HOSTILE, n: 1 }]);
      displayText(HOSTILE);
    } finally {
      jupyter.lastWriteDisplayData = null;
    }
    const [figure, table, text] = write.mock.calls.map(([content, update]) => {
      expect(content).toMatchObject({ metadata: {}, transient: {} });
      expect(update).toBe(false);
      return content.data;
    });
    expect(figure).toEqual(await figureBundle(plotBreakdown(study)));
    expect(table["text/html"]).toMatch(/^<table>/);
    expect(text["text/html"]).toMatch(/^<pre>&lt;b&gt;/);
    expect(`${table["text/html"]}${text["text/html"]}`).not.toMatch(/<b>|<script/);
    expect(text["text/plain"]).toBe(HOSTILE);
  });
});
