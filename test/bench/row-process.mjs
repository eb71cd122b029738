/**
 * Measures one row and prints it as JSON: `node row-process.mjs NAME LONG YARDSTICKS`, true or false, the compiled programs. A row has a process of its own, so that what node learnt from the objects of one does not slow the next.
 */
import { fail } from "../../src/setup/project.mjs";
import { measureRow, UntrueRow } from "./measure.mjs";
import { allRows } from "./rows.mjs";

const [name, long, ...yardsticks] = process.argv.slice(2);
const row = allRows(yardsticks, long === "true").find((one) => one.name === name);
if (row === undefined) throw new Error(`no row is called ${name}`);
try {
  console.log(JSON.stringify(await measureRow(row)));
} catch (error) {
  if (!(error instanceof UntrueRow)) throw error;
  fail(error.message);
}
