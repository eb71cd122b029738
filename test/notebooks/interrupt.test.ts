import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { jupyterEnvironment, prepareJupyter } from "../../src/setup/jupyter.mjs";
import { BASE } from "../study/sweep/fixture.js";
import { jupyter } from "./jupyter.js";

describe.skipIf(!jupyter)("a sweep in a notebook", { timeout: 180_000 }, () => {
  it("stops at an interrupt of the kernel, which goes on, and keeps what is finished", () => {
    if (!jupyter) return;
    prepareJupyter(jupyter);
    const out = mkdtempSync(path.join(os.tmpdir(), "exitlab-interrupt-"));
    const journal = path.join(out, "journal.jsonl");
    // The second point is one that nobody waits for the end of.
    const base = { ...BASE, accesses: 1000 };
    const spec = { name: "interrupted", base, axes: { accesses: [1000, 1e9, 2000] } };
    const code = `import { sweep } from "exitlab"; await sweep(${JSON.stringify(spec)}, { out: ${JSON.stringify(out)} });`;
    const script = path.join(import.meta.dirname, "interrupt.py");
    const notebooks = path.resolve(import.meta.dirname, "../../notebooks");
    const { stdout, stderr } = spawnSync(jupyter.python, [script, notebooks, code, journal, "3"], {
      encoding: "utf8",
      env: jupyterEnvironment(),
    });
    expect(stdout, stderr).not.toBe("");
    const { first, second, shown } = JSON.parse(stdout);
    expect([first, second]).toEqual(["error", "ok"]);
    expect(shown[0]).toBe("0 of 3 done, 0 failed");
    expect(readFileSync(journal, "utf8").match(/"status":"done"/g)).toHaveLength(2);
  });
});
