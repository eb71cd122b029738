/**
 * The browser between two figures of a notebook. Starting one for every cell would take seconds each; this one stays while
 * figures are being shown and goes when none was for a while.
 */
import { type OpenRenderer, openRenderer, type Renderer } from "./render.js";

const IDLE_MILLISECONDS = 20_000;

let kept: Promise<OpenRenderer> | null = null;
let users = 0;
let idle: NodeJS.Timeout | undefined;

/**
 * Lets `use` draw with the browser that is there, or with a new one.
 *
 * @throws NoChromiumError when there is no Chromium.
 */
export async function withKeptRenderer<Result>(
  use: (renderer: Renderer) => Promise<Result>,
): Promise<Result> {
  clearTimeout(idle);
  users++;
  try {
    kept ??= openRenderer();
    return await use(await kept);
  } catch (error) {
    // It may have crashed: the next figure gets a new one.
    await closeKeptRenderer();
    throw error;
  } finally {
    users--;
    if (users === 0 && kept !== null) idle = setTimeout(closeKeptRenderer, IDLE_MILLISECONDS);
  }
}

/** Closes the browser now, if there is one. Never fails: nothing is lost with it. */
export async function closeKeptRenderer(): Promise<void> {
  clearTimeout(idle);
  const closing = kept;
  kept = null;
  await closing?.then((renderer) => renderer.close()).catch(() => undefined);
}
