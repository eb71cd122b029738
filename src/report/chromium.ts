/**
 * Finding a Chromium for static pictures. It is optional: without one there are numbers and live figures, and a note that says
 * which pictures are missing.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The first is the same engine without windows, and starts in a third of the time. */
const NAMES = [
  "chromium-headless-shell",
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
];

/** Thrown where a picture was asked for and no Chromium is there; the message is one line for the reader. */
export class NoChromiumError extends Error {
  override readonly name: string = "NoChromiumError";

  constructor() {
    super("no Chromium for static pictures: install chromium, or name one in EXITLAB_CHROMIUM");
  }
}

/** Path of the browser: what EXITLAB_CHROMIUM names, and nothing else when it is set; else the first one on PATH. */
export function findChromium(): string | null {
  const named = process.env.EXITLAB_CHROMIUM;
  if (named) return isExecutable(named) ? named : null;
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const paths = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return paths.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
