/**
 * What made a result: the package's version, a digest of the sources that decide it, and a digest of the data it rests on.
 *
 * Compiled code carries the digest of the sources it was compiled from, whatever has become of them since.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Provenance } from "./result.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = join(ROOT, "src");
const STAMP = join(ROOT, "dist", "build.json");

/** The folders whose code decides a figure, from behaviour to fit. */
const MODEL = ["x86", "kvm", "patches", "workload", "cost", "host", "study"] as const;

/** Those whose code decides what a scenario counts. */
const CORE = ["x86", "kvm", "patches", "workload", join("study", "run")] as const;

/** What the build writes beside its output. */
export interface BuildStamp {
  /** Digest of all of `src/`. */
  readonly source: string;
  /** Digest of the model's folders. */
  readonly model: string;
  /** Digest of those of the simulation itself. */
  readonly core: string;
}

/** The stamp of the code that runs, taken when it is loaded; null for sources that run uncompiled. */
const compiledFrom: BuildStamp | null =
  import.meta.url.endsWith(".js") && existsSync(STAMP) ? JSON.parse(readFileSync(STAMP, "utf8")) : null;

/** The stamp of the code that runs: of sources that run uncompiled, as they are when it is first asked for. */
function stamp(): BuildStamp {
  running ??= compiledFrom ?? buildStamp();
  return running;
}

let running: BuildStamp | undefined;

/** The stamp that belongs to the sources as they are now. */
export function buildStamp(): BuildStamp {
  return {
    source: sourceDigest(),
    model: digest(...MODEL.map((folder) => join(SOURCES, folder))),
    core: digest(...CORE.map((folder) => join(SOURCES, folder))),
  };
}

/** Digest of all sources as they are now: what a build is compared with. */
export function sourceDigest(): string {
  return digest(SOURCES);
}

/** Digest of the code that decides a figure, 8 hex digits. */
export function modelVersion(): string {
  return stamp().model.slice(0, 8);
}

/** Digest of the code that decides what a scenario counts, every patch among it, 8 hex digits. */
export function coreVersion(): string {
  return stamp().core.slice(0, 8);
}

/** Digest of the data folder: measurements, processor profiles, costs. 8 hex digits. */
export function dataVersion(): string {
  return digest(join(ROOT, "data")).slice(0, 8);
}

/** The package's version. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version;
}

/** Of a result that is made now, by this code. */
export function provenanceOf(
  result: Pick<Provenance, "seed" | "seeds" | "calibration" | "conditions" | "command">,
): Provenance {
  return { version: packageVersion(), model: modelVersion(), data: dataVersion(), ...result };
}

/** Says on stderr that the sources have changed since they were compiled; called when the built package is imported. */
export function warnIfStale(): void {
  if (compiledFrom !== null && existsSync(SOURCES) && compiledFrom.source !== sourceDigest()) {
    console.warn("exitlab: src/ has changed since the last build; run: npm run build");
  }
}

/** SHA-256, in hex, over the names and contents of the sources and data files in some folders. */
function digest(...directories: string[]): string {
  const hash = createHash("sha256");
  for (const directory of directories) {
    const files = readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|mjs|py|json|csv)$/.test(entry.name))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
      .sort();
    for (const file of files) {
      const text = readFileSync(join(ROOT, file));
      hash.update(`${file}\0${text.length}\0`).update(text);
    }
  }
  return hash.digest("hex");
}
