/**
 * Figures to static pictures. plotly.js needs a browser's text metrics, so a headless Chromium without network draws them; one
 * browser serves all the figures of a run, because starting it costs more than any picture.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BrowserContext, Page } from "playwright-core";
import { findChromium, NoChromiumError } from "./chromium.js";
import type { Figure, FigureLayout } from "./figure.js";
import { inTurn } from "./in-turn.js";
import { plotlyPath } from "./plotly.js";

const require = createRequire(import.meta.url);

/** Draws figures until its `withRenderer` ends. */
export interface Renderer {
  /** The figure as SVG text, the same bytes for the same figure. */
  svg(figure: Figure): Promise<string>;
  /** The figure as PNG, two pixels per CSS pixel. */
  png(figure: Figure): Promise<Uint8Array>;
  /** The figure as PDF of one page of its size. */
  pdf(figure: Figure): Promise<Uint8Array>;
}

const ARGUMENTS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A renderer with its browser, for whoever decides when that ends. */
export interface OpenRenderer extends Renderer {
  close(): Promise<void>;
}

/**
 * Starts the browser, lets `use` draw with it, and closes it however that ends.
 *
 * @throws NoChromiumError when there is no Chromium; callers go on without pictures.
 */
export async function withRenderer<Result>(use: (renderer: Renderer) => Promise<Result>): Promise<Result> {
  const renderer = await openRenderer();
  try {
    return await use(renderer);
  } finally {
    await renderer.close();
  }
}

/**
 * Starts the browser; the caller closes it.
 *
 * @throws NoChromiumError when there is no Chromium.
 */
export async function openRenderer(): Promise<OpenRenderer> {
  const executablePath = findChromium();
  if (executablePath === null) throw new NoChromiumError();
  // Loaded here: it takes half a second, which importing the package should not cost. An import would take longer, as it searches
  // megabytes of source for what they export.
  const { chromium } = require("playwright-core") as typeof import("playwright-core");
  // Chromium and its libraries leave files in the user's home; this one is theirs alone and goes with them.
  const home = await mkdtemp(join(tmpdir(), "exitlab-chromium-"));
  const removeHome = () => rm(home, { recursive: true, force: true, maxRetries: 3 });
  const launched = chromium.launch({
    executablePath,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
    args: ARGUMENTS,
    // Chromium refuses its sandbox to root.
    chromiumSandbox: process.getuid?.() !== 0,
    // An interrupt stops a cell; playwright would stop the kernel.
    handleSIGINT: false,
    // Whoever starts it may compute for as long as it takes, and see only then that it is there.
    timeout: 0,
  });
  const close = () => launched.then((browser) => browser.close()).finally(removeHome);
  try {
    const context = await (await launched).newContext({ offline: true });
    context.setDefaultTimeout(0);
    const [page, canvas, paper] = await Promise.all([
      plotlyPage(context, home),
      context.newPage(),
      context.newPage(),
    ]);
    return { ...rendererOn(page, canvas, paper), close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

/** The browser reads ten megabytes of script from their file itself: sent to it, they would take a second more. */
async function plotlyPage(context: BrowserContext, folder: string): Promise<Page> {
  const file = join(folder, "plotly.html");
  await writeFile(file, `<meta charset="utf-8"><script src="${pathToFileURL(plotlyPath())}"></script>`);
  const page = await context.newPage();
  await page.goto(pathToFileURL(file).href);
  return page;
}

/** Figures are drawn on one page, and copied on two others while the next is being drawn: each page has a process of its own. */
function rendererOn(page: Page, canvas: Page, paper: Page): Renderer {
  const drawing = inTurn();
  const painting = inTurn();
  const printing = inTurn();
  const drawn = new WeakMap<Figure, Promise<string>>();
  const svgOf = (figure: Figure) => {
    const svg = drawn.get(figure) ?? drawing(() => draw(page, figure));
    drawn.set(figure, svg);
    return svg;
  };
  return {
    async svg(figure) {
      return stableSvg(await svgOf(figure));
    },
    async png(figure) {
      const svg = await svgOf(figure);
      return painting(() => paint(canvas, svg, figure.layout));
    },
    async pdf(figure) {
      const svg = await svgOf(figure);
      return printing(() => print(paper, svg, figure.layout));
    },
  };
}

/** The figure as SVG. */
function draw(page: Page, { data, layout }: Figure): Promise<string> {
  const { width, height } = layout;
  // Without a uid of its own, plotly draws one at random for every trace and writes it into the picture.
  const named = data.map((trace, index) => ({ uid: `trace${index}`, ...trace }));
  const figure = JSON.stringify({ data: named, layout });
  const options = JSON.stringify({ format: "svg", width, height, imageDataOnly: true });
  // Text, because the function would run in the browser, whose names the package's types do not know.
  return page.evaluate(`Plotly.toImage(${figure}, ${options})`);
}

/** Of the picture as of any other: plotly would draw it anew. */
async function paint(canvas: Page, svg: string, { width, height }: FigureLayout): Promise<Uint8Array> {
  const url = await canvas.evaluate<string>(`(async () => {
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([${JSON.stringify(svg)}], { type: "image/svg+xml" }));
    await image.decode();
    URL.revokeObjectURL(image.src);
    const canvas = document.createElement("canvas");
    canvas.width = ${2 * width};
    canvas.height = ${2 * height};
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/png");
  })()`);
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

async function print(paper: Page, svg: string, { width, height }: FigureLayout): Promise<Uint8Array> {
  await paper.setContent(
    `<style>@page { margin: 0 } body { margin: 0 } svg { display: block }</style>${svg}`,
  );
  return await paper.pdf({
    width: `${width}px`,
    height: `${height}px`,
    printBackground: true,
    pageRanges: "1",
  });
}

/**
 * The same picture in the same bytes. Plotly gives every picture a random id (a prefix, six hex digits, and what they name),
 * and a page's first picture has some attributes in another order than the next.
 */
function stableSvg(svg: string): string {
  const drawn = /id="defs-([0-9a-f]{6})"/.exec(svg);
  const named = drawn === null ? svg : svg.replace(new RegExp(`(?<=[a-z]-?)${drawn[1]}`, "g"), "exitlab");
  return named.replace(/<(\w+)((?: [\w:-]+="[^"]*")+)/g, (_, tag: string, attributes: string) => {
    const sorted = attributes.match(/[\w:-]+="[^"]*"/g)?.sort() ?? [];
    return `<${[tag, ...sorted].join(" ")}`;
  });
}
