/**
 * Executes a notebook in the tslab kernel and tells what failed. The work is done by run_notebook.py, over nbclient.
 */
import { spawn } from "node:child_process";
import path from "node:path";
import { text } from "node:stream/consumers";
import { findJupyter, jupyterEnvironment, prepareJupyter } from "./jupyter.mjs";
import { inProject } from "./project.mjs";
import { missingJupyter } from "./provision.mjs";

/**
 * @typedef {object} NotebookRun
 * @property {boolean} ok
 * @property {{ cell: number, message: string }[]} failures By the number that Jupyter shows beside the cell.
 * @property {number[]} notRun The cells after the one that failed.
 */

/**
 * Executes every cell in order, in the notebook's folder, up to the first that fails. A cell fails when it throws, does
 * not compile, writes to stderr, leaves a rejected promise unhandled, takes too long or ends the kernel.
 *
 * @param {string} notebook
 * @param {{ output?: string, timeout?: number }} [options] output: where the executed notebook is written, also after a
 *   failure (default: in place); timeout: seconds for one cell.
 * @returns {Promise<NotebookRun>}
 */
export async function runNotebook(notebook, { output = notebook, timeout = 600 } = {}) {
  const jupyter = findJupyter();
  if (!jupyter) throw new Error(missingJupyter);
  prepareJupyter(jupyter);
  const args = [inProject("src/setup/run_notebook.py"), notebook, output, String(timeout)];
  // Pipes, not this terminal: a kernel that sees a terminal colours what it prints.
  const runner = spawn(jupyter.python, args, {
    env: jupyterEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [report, errors] = await Promise.all([text(runner.stdout), text(runner.stderr)]);
  if (report === "") throw new Error(`${path.basename(notebook)} could not be run:\n${errors}`);
  return JSON.parse(report);
}

/**
 * What failed, in lines for a reader.
 *
 * @param {string} notebook
 * @param {NotebookRun} result
 */
export function describeFailures(notebook, { failures, notRun }) {
  const name = path.basename(notebook);
  const lines = failures.map(({ cell, message }) => `${name}, cell ${cell}: ${message}`);
  if (notRun.length > 0) lines.push(`${name}: not run after that: cell ${notRun.join(", ")}`);
  return lines.join("\n");
}
