/**
 * What made a result: the package's version and a digest of the sources that decide behaviour. In a clone the digest is
 * taken from `src/`; an installed package has the one its build wrote down.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = join(ROOT, "src");
const STAMP = join(ROOT, "dist", "build.json");

/** The folders whose code decides what happens in a run; cycles come from data. */
const MODEL = ["x86", "kvm", "workload"] as const;

/** What the build writes beside its output. */
export interface BuildStamp {
  /** Digest of all of `src/`. */
  readonly source: string;
  /** Digest of the model's folders. */
  readonly model: string;
}

/** SHA-256, in hex, over the names and contents of the sources in a folder. */
export function sourceDigest(...directories: string[]): string {
  const hash = createHash("sha256");
  for (const directory of directories) {
    const files = readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|mjs|py)$/.test(entry.name))
      .map((entry) => relative(SOURCES, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
      .sort();
    for (const file of files) {
      const text = readFileSync(join(SOURCES, file));
      hash.update(`${file}\0${text.length}\0`).update(text);
    }
  }
  return hash.digest("hex");
}

/** The stamp that belongs to the sources as they are now. */
export function buildStamp(): BuildStamp {
  return {
    source: sourceDigest(SOURCES),
    model: sourceDigest(...MODEL.map((folder) => join(SOURCES, folder))),
  };
}

/** Digest of the simulation core, 8 hex digits. */
export function modelVersion(): string {
  const { model } = existsSync(SOURCES) ? buildStamp() : readStamp();
  return model.slice(0, 8);
}

/** The package's version. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version;
}

/** Whether the built package is older than the sources beside it. */
export function isBuildStale(): boolean {
  return existsSync(SOURCES) && existsSync(STAMP) && readStamp().source !== buildStamp().source;
}

/** Says on stderr that the build is stale; called when the built package is imported. */
export function warnIfStale(): void {
  if (isBuildStale()) console.warn("exitlab: src/ has changed since the last build; run: npm run build");
}

function readStamp(): BuildStamp {
  return JSON.parse(readFileSync(STAMP, "utf8")) as BuildStamp;
}
