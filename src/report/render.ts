/**
 * Figures to static pictures. plotly.js needs a browser's text metrics, so a headless Chromium without network draws them; one
 * browser serves all the figures of a run, because starting it costs more than any picture.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { findChromium, NoChromiumError } from "./chromium.js";
import type { Figure } from "./figure.js";
import { inTurn } from "./in-turn.js";
import { plotlyPath } from "./plotly.js";

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
  // Loaded here: it takes half a second, which importing the package should not cost.
  const { chromium } = await import("playwright-core");
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
    const [page, paper] = await Promise.all([plotlyPage(context), context.newPage()]);
    return { ...rendererOn(page, paper), close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

/** Where the page asks for plotly.js. Nothing is there: the browser has no network, and is answered from the file. */
const PLOTLY = "http://localhost:1/plotly.js";

async function plotlyPage(context: BrowserContext): Promise<Page> {
  // As the text of a script, ten megabytes would take the browser seconds more.
  await context.route(PLOTLY, (route) =>
    route.fulfill({ path: plotlyPath(), contentType: "text/javascript; charset=utf-8" }),
  );
  const page = await context.newPage();
  await page.addScriptTag({ url: PLOTLY });
  return page;
}

/** Figures are drawn on one page, and printed on another while the next is being drawn: each page has a process of its own. */
function rendererOn(page: Page, paper: Page): Renderer {
  const drawing = inTurn();
  const printing = inTurn();
  const drawn = new WeakMap<Figure, Promise<string>>();
  const svgOf = (figure: Figure) => {
    const svg = drawn.get(figure) ?? drawing(async () => svgText(await toImage(page, figure, "svg")));
    drawn.set(figure, svg);
    return svg;
  };
  return {
    async svg(figure) {
      return stableSvg(await svgOf(figure));
    },
    async png(figure) {
      const url = await drawing(() => toImage(page, figure, "png"));
      return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
    },
    async pdf(figure) {
      const { width, height } = figure.layout;
      const svg = await svgOf(figure);
      return printing(async () => {
        await paper.setContent(
          `<style>@page { margin: 0 } body { margin: 0 } svg { display: block }</style>${svg}`,
        );
        return await paper.pdf({
          width: `${width}px`,
          height: `${height}px`,
          printBackground: true,
          pageRanges: "1",
        });
      });
    },
  };
}

/** What a data URL of an SVG holds. */
function svgText(url: string): string {
  return decodeURIComponent(url.slice(url.indexOf(",") + 1));
}

/** A data URL of the picture. */
function toImage(page: Page, { data, layout }: Figure, format: "svg" | "png"): Promise<string> {
  const { width, height } = layout;
  // Without a uid of its own, plotly draws one at random for every trace and writes it into the picture.
  const named = data.map((trace, index) => ({ uid: `trace${index}`, ...trace }));
  const figure = JSON.stringify({ data: named, layout });
  const options = JSON.stringify({ format, width, height, scale: format === "png" ? 2 : 1 });
  // Text, because the function would run in the browser, whose names the package's types do not know.
  return page.evaluate(`Plotly.toImage(${figure}, ${options})`);
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
