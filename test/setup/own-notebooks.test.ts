/** A notebook in a folder of its own, outside the project: a link in its node_modules is all it needs. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeFailures, runNotebook } from "../../src/setup/notebook.mjs";
import { inProject } from "../../src/setup/project.mjs";
import { jupyter } from "../notebooks/jupyter.js";
import { notebookOf } from "../notebooks/notebook-of.js";

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), "exitlab-own-")));
  mkdirSync(path.join(folder, "node_modules"));
  // What `npm install ../exitlab` makes of a folder.
  symlinkSync(inProject(), path.join(folder, "node_modules/exitlab"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function execute(cells: string[]) {
  const notebook = path.join(folder, "mine.ipynb");
  writeFileSync(notebook, JSON.stringify(notebookOf(cells)));
  const result = await runNotebook(notebook);
  const outputs: { name?: string; text?: string[]; data?: Record<string, unknown> }[][] = JSON.parse(
    readFileSync(notebook, "utf8"),
  ).cells.map(({ outputs }: { outputs: object[] }) => outputs);
  return { failures: describeFailures(notebook, result), outputs };
}

const IMPORT = `import { display, plotWalk, run, studyColdWalk, toFrame } from "exitlab";`;
const RUN = `const { counts } = run({
  cpu: "sandy-bridge-ep",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x4000000" }],
  ioeventfds: [{ addr: "0xfebf0800", len: 0 }],
  workload: [{ op: "store", address: "0xfebf0800" }],
  accesses: 1000,
});
console.log(counts.exitEptMisconfig);`;

const MISTAKEN = `run({ cpu: "sandy-bridge-ep", kernal: "v4.2", memslots: [] });`;

describe.skipIf(!jupyter)("a notebook outside the project", { timeout: 180_000 }, () => {
  it("runs a scenario, shows a figure, keeps a frame, and is told of a field that does not exist", async () => {
    const figure = "await display(plotWalk(studyColdWalk()));";
    // tslab writes the types of a cell's variables down, so it has to find names for them.
    const frames = [
      "const frame = toFrame([{ a: 1, b: 2 }]);",
      'const columns = frame.loc({ columns: ["a"] }); const sums = frame.groupby(["a"]).col(["b"]).sum();',
      "console.log(columns.shape, sums.shape);",
    ];
    const { failures, outputs } = await execute([IMPORT, RUN, figure, ...frames, MISTAKEN]);
    expect(failures).toMatch(/^mine\.ipynb, cell 7: .*Did you mean to write 'kernel'\?/s);
    // Every kick at a doorbell on the fast bus is one misconfiguration.
    expect(outputs[1].map(({ text }) => text)).toEqual([["1000\n"]]);
    expect(outputs[5].map(({ text }) => text)).toEqual([["[ 1, 1 ] [ 1, 2 ]\n"]]);
    expect(outputs[2]).toHaveLength(1);
    const forms = outputs[2][0].data ?? {};
    expect(Object.keys(forms)).toEqual(
      expect.arrayContaining(["application/vnd.plotly.v1+json", "text/html", "text/plain"]),
    );
    expect([forms["text/html"]].flat().join("")).toContain("static/exitlab/plotly.js");
  });
});
