/** `npm run notebooks`: executes the notebooks in place, for their authors. Twice in a row changes nothing. */
import { readdirSync } from "node:fs";
import { describeFailures, runNotebook } from "./notebook.mjs";
import { fail, fromCaller, inProject, say } from "./project.mjs";
import { setUp } from "./set-up.mjs";

if (!(await setUp({ retry: true }))) fail("no notebook was run");
const named = process.argv.slice(2);
const all = readdirSync(inProject("notebooks")).filter((name) => name.endsWith(".ipynb"));
for (const notebook of named.length > 0
  ? named.map(fromCaller)
  : all.sort().map((name) => inProject("notebooks", name))) {
  const result = await runNotebook(notebook);
  say(result.ok ? `${notebook}: ok` : describeFailures(notebook, result));
  if (!result.ok) process.exitCode = 1;
}
