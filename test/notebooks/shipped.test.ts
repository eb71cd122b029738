import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeFailures, runNotebook } from "../../src/setup/notebook.mjs";
import { jupyter } from "./jupyter.js";

const notebooks = path.resolve(import.meta.dirname, "../../notebooks");
const shipped = readdirSync(notebooks).filter((name) => name.endsWith(".ipynb"));

/** The shortest that has a sweep and a figure; all of them twice would take too long. */
const TWICE = "08-from-a-trace.ipynb";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "exitlab-shipped-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("there are notebooks", () => {
  expect(shipped).not.toEqual([]);
});

it.each(shipped)("%s takes less than a megabyte", (name) => {
  expect(statSync(path.join(notebooks, name)).size).toBeLessThan(1e6);
});

describe.skipIf(!jupyter)("the notebook", { timeout: 900_000 }, () => {
  it.each(shipped)("%s runs without a failure and shows what is stored in it", async (name) => {
    const [stored, executed] = [path.join(notebooks, name), path.join(folder, name)];
    const result = await runNotebook(stored, { output: executed });
    expect(describeFailures(name, result)).toBe("");
    expect(shown(executed)).toEqual(shown(stored));
  });

  it(`${TWICE} is the same file when it runs once more, pictures and all`, async () => {
    const [executed, again] = [path.join(folder, TWICE), path.join(folder, `again-${TWICE}`)];
    const result = await runNotebook(path.join(notebooks, TWICE), { output: again });
    expect(describeFailures(TWICE, result)).toBe("");
    // Not toBe: nobody reads the difference of two pictures.
    expect(readFileSync(again).equals(readFileSync(executed))).toBe(true);
  });
});

/** Outputs that are marked as the machine's own differ from run to run. */
const isHost = ({ metadata }: Output) => metadata?.exitlab?.host === true;

/**
 * What a reader sees, cell by cell: figures as plotly's JSON, because their pictures depend on the machine's fonts, all else
 * as text. The digest of the model changes with every edit of its sources and is left out.
 */
function shown(notebook: string): unknown {
  const text = readFileSync(notebook, "utf8").replaceAll(/model [0-9a-f]{8}/g, "model ...");
  return JSON.parse(text).cells.map(({ outputs = [] }: { outputs?: Output[] }) =>
    outputs
      .filter((output) => !isHost(output))
      .map(({ data, text }) => data?.["application/vnd.plotly.v1+json"] ?? data?.["text/html"] ?? text),
  );
}

interface Output {
  readonly data?: Readonly<Record<string, unknown>>;
  readonly text?: unknown;
  readonly metadata?: { readonly exitlab?: { readonly host?: boolean } };
}
