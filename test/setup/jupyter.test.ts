import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Jupyter, jupyterEnvironment, prepareJupyter } from "../../src/setup/jupyter.mjs";
import { runNotebook } from "../../src/setup/notebook.mjs";
import { inProject } from "../../src/setup/project.mjs";
import { freePort } from "../notebooks/classic-notebook.js";
import { jupyter } from "../notebooks/jupyter.js";

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), "exitlab-home-"));
  folder = mkdtempSync(path.join(os.tmpdir(), "exitlab-server-"));
  vi.stubEnv("HOME", home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  for (const directory of [home, folder]) rmSync(directory, { recursive: true });
});

/** A port that nobody listens on. */
/** Starts Jupyter in an empty folder and gives a function that fetches from it, once it answers, to `use`. */
async function withServer(
  { python, application }: Jupyter,
  use: (get: (path: string) => Promise<string>) => Promise<void>,
) {
  const port = await freePort();
  const args = ["-m", application, "--no-browser", "--allow-root", `--port=${port}`, "--ip=127.0.0.1"];
  const env = { ...jupyterEnvironment(), JUPYTER_TOKEN: "secret" };
  const server = spawn(python, args, { cwd: folder, env, stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}?token=secret`)).text();
  try {
    while (!(await get("/api").catch(() => null))) {
      if (server.exitCode !== null) throw new Error(`Jupyter ended with status ${server.exitCode}`);
      await sleep(100);
    }
    await use(get);
  } finally {
    server.kill();
    await ended;
  }
}

describe.skipIf(!jupyter)("Jupyter in this project", { timeout: 60_000 }, () => {
  const found = jupyter as Jupyter;

  it("serves plotly.js, offers this project's kernel and leaves the home directory alone", async () => {
    prepareJupyter(found);
    const plotly = readFileSync(inProject("node_modules/plotly.js-dist/plotly.js"), "utf8");
    await withServer(found, async (get) => {
      expect((await get("/static/exitlab/plotly.js")) === plotly).toBe(true);
      if (found.application === "notebook")
        expect((await get("/nbextensions/exitlab/plotly.js")) === plotly).toBe(true);
      const { tslab } = JSON.parse(await get("/api/kernelspecs")).kernelspecs;
      expect(tslab.spec.argv.slice(0, 2)).toEqual([
        process.execPath,
        inProject("node_modules/tslab/bin/tslab"),
      ]);
    });
    expect(readdirSync(home)).toEqual([]);
  });

  it("executes a notebook without a trace in the home directory", async () => {
    const file = path.join(folder, "case.ipynb");
    const cell = {
      cell_type: "code",
      id: "cell",
      metadata: {},
      execution_count: null,
      outputs: [],
      source: "1",
    };
    writeFileSync(file, JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells: [cell] }));
    expect(await runNotebook(file)).toMatchObject({ ok: true });
    expect(readdirSync(home)).toEqual([]);
  });
});
