/**
 * Files that are there as a whole or not at all, whatever ends the process or the machine: written beside their place, on
 * disk before they take it, and their name on disk after it.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Writes a file from its parts and replaces what stands there. What goes wrong, in the parts too, leaves that as it was. The
 * folder is there.
 *
 * @throws Error of the file system or of the parts
 */
export function writeWhole(path: string, parts: Iterable<string>): void {
  const draft = `${path}.${process.pid}`;
  try {
    const file = openSync(draft, "w");
    try {
      for (const part of parts) writeFileSync(file, part);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

/** Makes a folder and those it lies in, where they are not there. @throws Error of the file system */
export function makeFolder(path: string): void {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  const above = dirname(resolve(first));
  for (let folder = resolve(path); folder !== above; folder = dirname(folder)) syncFolder(dirname(folder));
}

/** Puts the names in a folder on disk. */
function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
