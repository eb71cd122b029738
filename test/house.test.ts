/** The house rule: imports point one way, so that each folder can be read without those above it. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = join(import.meta.dirname, "../src");

/** What each folder may import from, beside itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  x86: [],
  kvm: ["x86"],
  patches: ["kvm", "x86"],
  cost: ["kvm", "x86"],
  workload: ["cost", "kvm", "x86"],
  host: ["workload", "cost", "kvm", "x86"],
  study: ["patches", "workload", "cost", "host", "kvm", "x86"],
  report: ["study", "patches", "workload", "cost", "host", "kvm", "x86"],
  cli: ["report", "study", "patches", "workload", "cost", "host", "kvm", "x86"],
  setup: ["cli", "report", "study", "patches", "workload", "cost", "host", "kvm", "x86"],
};

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) =>
  /\.(ts|mjs)$/.test(file),
);

describe("the sources", () => {
  it("lie in the folders of the house, but for the index", () => {
    const folders = new Set(files.map((file) => (file.includes("/") ? file.split("/")[0] : file)));
    expect([...folders].sort()).toEqual([...Object.keys(ALLOWED), "index.ts"].sort());
  });

  it.each(files.filter((file) => file.includes("/")))("%s imports only from below", (file) => {
    const folder = file.split("/")[0];
    const text = readFileSync(join(SRC, file), "utf8");
    const imported = [...text.matchAll(/(?:from|import|import\()\s*"(\.\.?\/[^"]+)"/g)].map(
      ([, path]) => join(dirname(file), path).split("/")[0],
    );
    for (const other of imported) expect([folder, ...ALLOWED[folder]]).toContain(other);
  });

  it.each(files.filter((file) => /^(x86|kvm)\//.test(file)))(
    "%s needs no package and no Node module",
    (file) => {
      expect(readFileSync(join(SRC, file), "utf8")).not.toMatch(/from "[^.]/);
    },
  );
});
