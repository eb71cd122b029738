/**
 * The browser between two figures. Starting one for each would take seconds; this one stays while figures are being drawn and
 * goes when none was for a while: in a notebook, where a person reads between two cells, for longer than in a program, which
 * would not end before.
 */
import { type OpenRenderer, openRenderer, type Renderer } from "./render.js";
import { tslabOutput } from "./tslab.js";

/** Milliseconds. */
const IDLE = { notebook: 20_000, program: 1000 } as const;

let kept: Promise<OpenRenderer> | null = null;
let users = 0;
let idle: NodeJS.Timeout | undefined;

/** Starts the browser for figures that are still being made, so that it is there when they are. */
export function startKeptRenderer(): void {
  kept ??= openRenderer();
  // Whoever draws is told.
  kept.catch(() => undefined);
}

/**
 * Lets `use` draw with the browser that is there, or with a new one. Several may draw at once; where one fails, the others draw
 * again.
 *
 * @throws NoChromiumError when there is no Chromium.
 */
export async function withKeptRenderer<Result>(
  use: (renderer: Renderer) => Promise<Result>,
): Promise<Result> {
  clearTimeout(idle);
  users++;
  try {
    for (;;) {
      kept ??= openRenderer();
      const own = kept;
      try {
        return await use(await own);
      } catch (error) {
        // Another one failed with it, and it was closed for that.
        if (kept !== own) continue;
        // It may have crashed: the next figure gets a new one.
        await closeKeptRenderer();
        throw error;
      }
    }
  } finally {
    users--;
    if (users === 0 && kept !== null) {
      const isNotebook = tslabOutput() !== null;
      idle = setTimeout(closeKeptRenderer, isNotebook ? IDLE.notebook : IDLE.program);
      // A kernel does not end by itself, and whoever runs a notebook should not wait for this.
      if (isNotebook) idle.unref();
    }
  }
}

/** Closes the browser now, if there is one. Never fails: nothing is lost with it. */
export async function closeKeptRenderer(): Promise<void> {
  clearTimeout(idle);
  const closing = kept;
  kept = null;
  await closing?.then((renderer) => renderer.close()).catch(() => undefined);
}
