/** Everything that needs a Chromium, and what happens without one. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { plotBreakdown } from "../../src/report/breakdown.js";
import { findChromium, NoChromiumError } from "../../src/report/chromium.js";
import { display, displayTable, displayText, figureBundle } from "../../src/report/display.js";
import { exportStudy } from "../../src/report/export.js";
import { plotFastMmio } from "../../src/report/fast-mmio.js";
import { closeKeptRenderer } from "../../src/report/kept-renderer.js";
import { plotLifeOfFault } from "../../src/report/life-of-a-fault.js";
import { plotLoadLatency } from "../../src/report/load-latency.js";
import { plotNestedWalks } from "../../src/report/nested-walks.js";
import { figurePage } from "../../src/report/page.js";
import { plotReferenceCounts } from "../../src/report/reference-counts.js";
import { withRenderer } from "../../src/report/render.js";
import { plotWalk } from "../../src/report/walk.js";
import { HOSTILE, hostileStudy, study } from "./fixture.js";
import { coldWalk, lifeOfFault, loadLatency, nestedWalks, referenceCounts } from "./walks-fixture.js";

const browser = findChromium();
const why = browser === null ? " (skipped: no Chromium found)" : "";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "exitlab-report-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await closeKeptRenderer();
  await rm(folder, { recursive: true });
});

/** A browser to look at pages with, apart from the one that draws. */
function launchViewer(): Promise<Browser> {
  return chromium.launch({
    executablePath: browser ?? "",
    args: ["--disable-gpu"],
    chromiumSandbox: process.getuid?.() !== 0,
  });
}

interface Text {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Runs in the browser: where the texts of the figure are, in pixels from its corner. */
const TEXTS = `(() => {
  const corner = document.querySelector("#figure .main-svg").getBoundingClientRect();
  return [...document.querySelectorAll("#figure .main-svg text")].flatMap((element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    if (right === left) return [];
    const [x, y] = [corner.left, corner.top];
    return { text: element.textContent, left: left - x, top: top - y, right: right - x, bottom: bottom - y };
  });
})()`;

/** Boxes of text are a little larger than its ink. */
const SLACK = 2;

function overlap(one: Text, other: Text): boolean {
  return (
    one.left + SLACK < other.right &&
    other.left + SLACK < one.right &&
    one.top + SLACK < other.bottom &&
    other.top + SLACK < one.bottom
  );
}

const noChromium = () => vi.stubEnv("EXITLAB_CHROMIUM", join(folder, "none"));

describe.skipIf(browser === null)(`with Chromium${why}`, () => {
  test("the same figure gives the same SVG, byte by byte, from another browser too", async () => {
    const draw = () =>
      withRenderer(async (renderer) => [
        await renderer.svg(plotBreakdown(study)),
        await renderer.svg(plotFastMmio(study)),
        await renderer.svg(plotBreakdown(study)),
      ]);
    const [first, second] = [await draw(), await draw()];
    // Not toEqual: nobody reads the difference of two pictures of 50 kB.
    expect(second.map((svg, i) => svg === first[i])).toEqual([true, true, true]);
    expect(first[2] === first[0]).toBe(true);
    expect(first[0]).toMatch(/^<svg /);
    expect(first[0]).toContain("SIMULATED - exitlab 0.1.0");
  });

  test("a PNG has two pixels per CSS pixel", async () => {
    const figure = plotBreakdown(study);
    const png = Buffer.from(await withRenderer((renderer) => renderer.png(figure)));
    expect(png.subarray(0, 8)).toEqual(Buffer.from("\x89PNG\r\n\x1a\n", "latin1"));
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([
      2 * figure.layout.width,
      2 * figure.layout.height,
    ]);
  });

  test("no text of a figure lies on another or beyond the figure's edge", async () => {
    const plotly = await readFile(createRequire(import.meta.url).resolve("plotly.js-dist"), "utf8");
    const viewer = await launchViewer();
    try {
      const page = await viewer.newPage({ viewport: { width: 1200, height: 1200 } });
      for (const figure of [
        plotBreakdown(study),
        plotFastMmio(study),
        plotWalk(coldWalk),
        plotReferenceCounts(referenceCounts),
        plotLoadLatency(loadLatency),
        plotNestedWalks(nestedWalks),
        plotLifeOfFault(lifeOfFault),
      ]) {
        const file = join(folder, "figure.html");
        await writeFile(file, figurePage(figure, plotly, ""));
        await page.goto(pathToFileURL(file).href);
        await page.locator("#figure .main-svg").first().waitFor();
        const texts = (await page.evaluate(TEXTS)) as Text[];
        const { width, height, title } = figure.layout;
        const outside = ({ left, top, right, bottom }: Text) =>
          left < 0 || top < 0 || right > width || bottom > height;
        const problems = texts.flatMap((one, index) => [
          ...(outside(one) ? [`${one.text} beyond the edge`] : []),
          ...texts
            .slice(index + 1)
            .flatMap((other) => (overlap(one, other) ? `${one.text} | ${other.text}` : [])),
        ]);
        expect(texts.map(({ text }) => text)).toContain(title.text);
        expect([title.text, problems]).toEqual([title.text, []]);
      }
    } finally {
      await viewer.close();
    }
  });

  test("the browser is closed when drawing fails", async () => {
    let renderer: Parameters<Parameters<typeof withRenderer>[0]>[0] | undefined;
    const failing = withRenderer(async (given) => {
      renderer = given;
      throw new Error("drawing failed");
    });
    await expect(failing).rejects.toThrow("drawing failed");
    await expect(renderer?.svg(plotBreakdown(study))).rejects.toThrow(/closed/);
  });

  test("exports every file, and hostile names stay text in all of them", async () => {
    const { files, notes } = await exportStudy(
      { ...hostileStudy, rows: hostileStudy.rows.slice(0, 2) },
      folder,
    );
    expect(files.map((file) => basename(file)).sort()).toEqual([
      "breakdown.html",
      "breakdown.png",
      "breakdown.svg",
      "costs.csv",
      "fast-mmio.csv",
      "fast-mmio.html",
      "fast-mmio.png",
      "fast-mmio.svg",
      "rows.csv",
      "study.json",
      "table.txt",
    ]);
    expect(notes).toEqual([]);
    expect(await readFile(join(folder, "breakdown.svg"), "utf8")).not.toMatch(/<script|<b>/);
    expect(await readFile(join(folder, "rows.csv"), "utf8")).toContain(`"${HOSTILE.replace('"', '""')}0"`);
  });

  test.each([
    ["plain names", study],
    ["hostile names", hostileStudy],
  ])(
    "an exported page opens from a disk without network, with no error, and answers the mouse: %s",
    async (_, given) => {
      noChromium();
      const { files } = await exportStudy(given, folder);
      const viewer = await launchViewer();
      try {
        const page = await (await viewer.newContext({ offline: true })).newPage();
        const problems: string[] = [];
        page.on("console", (message) => problems.push(message.text()));
        page.on("pageerror", (error) => problems.push(String(error)));
        page.on("dialog", (dialog) => problems.push(dialog.message()));
        page.on("request", (request) => {
          if (!/^(file|data|blob):/.test(request.url())) problems.push(request.url());
        });
        for (const file of files.filter((name) => name.endsWith(".html"))) {
          await page.goto(pathToFileURL(file).href);
          expect(await page.title()).toMatch(/^SIMULATED/);
          await page.locator("#figure .main-svg").first().waitFor();
          const target = page.locator("#figure .points path, #figure .point path").first();
          const box = await target.boundingBox();
          await page.mouse.move((box?.x ?? 0) + 3, (box?.y ?? 0) + 5);
          await page.locator(".hoverlayer .hovertext").first().waitFor();
        }
        expect(problems).toEqual([]);
      } finally {
        await viewer.close();
      }
    },
  );

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
    const viewer = await launchViewer();
    try {
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
    } finally {
      await viewer.close();
    }
  });
});

describe("without Chromium", () => {
  test("a renderer says so in one line of its own type", async () => {
    noChromium();
    const failing = withRenderer(async () => undefined);
    await expect(failing).rejects.toBeInstanceOf(NoChromiumError);
    await expect(failing).rejects.toThrow(/^no Chromium .*EXITLAB_CHROMIUM$/);
  });

  test("what cannot be written costs no other file", async () => {
    noChromium();
    const rows = study.rows.map((row) => ({ ...row, name: "K\u00f6nig" }));
    const { files, notes } = await exportStudy({ ...study, rows }, folder);
    expect(files).toHaveLength(6);
    expect(notes[0]).toMatch(/^table\.txt: line \d+ has a character that is not printable ASCII/);
  });

  test("an export writes all the rest and notes the pictures in one line", async () => {
    noChromium();
    const { files, notes } = await exportStudy(study, join(folder, "made", "for", "it"));
    expect(files.map((file) => basename(file))).toEqual([
      "study.json",
      "table.txt",
      "rows.csv",
      "fast-mmio.csv",
      "costs.csv",
      "breakdown.html",
      "fast-mmio.html",
    ]);
    expect(notes).toEqual([
      expect.stringMatching(/^breakdown.svg, breakdown.png, fast-mmio.svg, fast-mmio.png: no Chromium/),
    ]);
    expect(JSON.parse(await readFile(files[0], "utf8"))).toEqual(study);
  });

  test("a notebook output has a line of text in place of the picture, and the script", async () => {
    noChromium();
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
  noChromium();
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
    noChromium();
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
