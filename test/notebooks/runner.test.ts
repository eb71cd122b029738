import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeFailures, runNotebook } from "../../src/setup/notebook.mjs";
import { jupyter } from "./jupyter.js";
import { notebookOf } from "./notebook-of.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), "exitlab-runner-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a notebook with these code cells and executes it in place. */
async function run(cells: string[], options: { timeout?: number } = {}) {
  const file = path.join(mkdtempSync(path.join(folder, "case-")), "case.ipynb");
  writeFileSync(file, JSON.stringify(notebookOf(cells)));
  const result = await runNotebook(file, options);
  return { ...result, file, text: describeFailures(file, result) };
}

describe.skipIf(!jupyter)("a notebook run", { timeout: 60_000 }, () => {
  it("passes when every cell passes, and saves what the cells print", async () => {
    const { ok, failures, notRun, file } = await run([
      "const pages = 3;",
      "console.log('gfn'); await Promise.resolve(1); console.log(pages)",
    ]);
    expect({ ok, failures, notRun }).toEqual({ ok: true, failures: [], notRun: [] });
    const [, printed] = JSON.parse(readFileSync(file, "utf8")).cells;
    expect(printed.outputs).toEqual([{ name: "stdout", output_type: "stream", text: ["gfn\n", "3\n"] }]);
  });

  it("runs in the folder of the notebook, and gives the same bytes when it is repeated", async () => {
    const { file } = await run([
      "import { display } from 'tslab'; display.html('<b>1</b>');",
      "console.log(process.cwd())",
      "",
    ]);
    const first = readFileSync(file, "utf8");
    expect(JSON.parse(first).cells[1].outputs[0].text).toEqual([`${path.dirname(file)}\n`]);
    await runNotebook(file);
    expect(readFileSync(file, "utf8")).toBe(first);
    expect(first).toMatch(/\}\n$/);
    expect(first).not.toMatch(/iopub|"execution"/);
    expect(first.match(/"execution_count": .*/g)).toEqual(
      [1, 2, null].map((n) => `"execution_count": ${n},`),
    );
  });

  it("fails at a cell that throws, and names the cells that did not run", async () => {
    const { ok, failures, notRun, text, file } = await run([
      "const a = 1;",
      "throw new Error('no memslot')",
      "a",
      "a",
    ]);
    expect({ ok, notRun }).toEqual({ ok: false, notRun: [3, 4] });
    expect(failures).toHaveLength(1);
    expect(text).toMatch(/^case\.ipynb, cell 2: .*Error: no memslot/s);
    expect(text).toMatch(/not run after that: cell 3, 4$/);
    expect(readFileSync(file, "utf8")).toContain("no memslot");
  });

  it("fails at a cell whose promise is rejected", async () => {
    const { text } = await run(["await Promise.reject(new Error('awaited'))"]);
    expect(text).toMatch(/cell 1: .*Error: awaited/s);
  });

  it("fails at a type error", async () => {
    const { text } = await run(["const gpa: string = 0xfee00000;"]);
    expect(text).toBe("case.ipynb, cell 1: 1:7 - Type 'number' is not assignable to type 'string'.");
  });

  it("fails at a promise that is rejected and not awaited", async () => {
    const { text, notRun } = await run(["Promise.reject(new Error('never awaited')); 1", "2"]);
    expect(text).toMatch(/^case\.ipynb, cell 1: Unhandled rejection: Error: never awaited/);
    expect(notRun).toEqual([2]);
  });

  it("fails at a rejection that arrives after the last cell has ended", async () => {
    const { text } = await run(["setTimeout(() => Promise.reject(new Error('late')), 500); 1"]);
    expect(text).toMatch(/^case\.ipynb, cell 1: Unhandled rejection: Error: late/);
  });

  it("fails at an exception that no cell could catch", async () => {
    const { text } = await run(["setTimeout(() => { throw new Error('in a timer'); }, 100); 1"]);
    expect(text).toMatch(/^case\.ipynb, cell 1: Uncaught exception: Error: in a timer/);
  });

  it("fails at any text on stderr", async () => {
    const { text } = await run(["console.warn('the build is stale')"]);
    expect(text).toBe("case.ipynb, cell 1: the build is stale");
  });

  it("fails when a cell ends the kernel", async () => {
    const { text } = await run(["1", "process.exit(3)", "2"]);
    expect(text).toMatch(/^case\.ipynb, cell 2: the kernel died/);
    expect(text).toMatch(/not run after that: cell 3$/);
  });

  it("fails when the kernel ends between two cells", async () => {
    const { text } = await run(["setTimeout(() => process.exit(3), 200); 1"]);
    expect(text).toMatch(/^case\.ipynb, cell 1: the kernel died/);
  });

  it("fails at a cell that takes too long", async () => {
    const { text } = await run(["while (true) {}"], { timeout: 2 });
    expect(text).toBe("case.ipynb, cell 1: no end after 2 s");
  });

  it("cannot be had of a file that is no notebook", async () => {
    const file = path.join(folder, "absent.ipynb");
    await expect(runNotebook(file)).rejects.toThrow(/absent\.ipynb could not be run:.*FileNotFoundError/s);
  });
});
