/**
 * `npm test`: style, types and behaviour, in this order, so that the summary of the tests ends the output.
 * Arguments go to vitest: `npm test -- test/x86`.
 */
import { inProject, runNode } from "./project.mjs";
import { setUp } from "./set-up.mjs";

await setUp({ tests: true });
const checks = [
  [inProject("node_modules/@biomejs/biome/bin/biome"), "check", "."],
  [inProject("node_modules/typescript/bin/tsc"), "-p", inProject("test/tsconfig.json")],
  [inProject("node_modules/vitest/vitest.mjs"), "run", ...process.argv.slice(2)],
];
for (const check of checks) {
  if ((await runNode(...check)) !== 0) process.exitCode = 1;
}
