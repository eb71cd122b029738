/** A running classic Notebook: `python -m notebook`, as `npm run lab` starts it. */
import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Jupyter, jupyterEnvironment } from "../../src/setup/jupyter.mjs";
import { inJupyter } from "../../src/setup/project.mjs";

export interface ClassicNotebook {
  /** Such as http://127.0.0.1:40123. */
  readonly origin: string;
  /** The address of a notebook of the folder. */
  url(notebook: string): string;
  /** Trusts notebooks of the folder, as a reader does with File > Trust Notebook. */
  trust(notebooks: readonly string[]): void;
  stop(): Promise<void>;
}

/**
 * Starts the Notebook in a folder and waits until it answers. What is trusted is kept in `data`, an empty folder; kernels and
 * plotly.js are those of the project.
 *
 * @throws Error when it does not.
 */
export async function startClassicNotebook(
  { python }: Jupyter,
  folder: string,
  data: string,
): Promise<ClassicNotebook> {
  const origin = `http://127.0.0.1:${await freePort()}`;
  const env = {
    ...jupyterEnvironment(),
    JUPYTER_DATA_DIR: data,
    JUPYTER_PATH: inJupyter("data"),
    JUPYTER_TOKEN: TOKEN,
  };
  const args = ["--no-browser", "--ip=127.0.0.1", `--port=${new URL(origin).port}`, "--port-retries=0"];
  if (process.getuid?.() === 0) args.push("--allow-root");
  const server = spawn(python, ["-m", "notebook", ...args], { cwd: folder, env, stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const stop = async () => {
    server.kill();
    await ended;
  };
  for (let waited = 0; !(await answers(origin)); waited += PAUSE) {
    if (waited < PATIENCE && server.exitCode === null) {
      await sleep(PAUSE);
      continue;
    }
    await stop();
    throw new Error(`the Notebook does not answer; its status is ${server.exitCode}`);
  }
  return {
    origin,
    url: (notebook) => `${origin}/notebooks/${encodeURIComponent(notebook)}?token=${TOKEN}`,
    trust(notebooks) {
      const { status, stderr } = spawnSync(python, ["-m", "nbformat.sign", ...notebooks], {
        cwd: folder,
        env,
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(`the notebooks could not be signed: ${stderr}`);
    },
    stop,
  };
}

const TOKEN = "secret";

/** Milliseconds between two questions, and of them altogether. */
const PAUSE = 100;
const PATIENCE = 90_000;

const answers = (origin: string) =>
  fetch(`${origin}/api`).then(
    (response) => response.ok,
    () => false,
  );

/** A port that nobody listens on. */
export async function freePort(): Promise<number | undefined> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" ? address?.port : undefined;
}
