/** `npm start`: from a fresh clone to the answer of the headline study, without its sweep; in full in out/. */
import { inProject, runNode } from "./project.mjs";
import { setUp } from "./set-up.mjs";

await setUp();
const thread = ["study", "thread", "--short", "--options", '{"sweep":"none"}', "--out", "out"];
process.exitCode = await runNode(inProject("dist/cli/main.js"), ...thread, ...process.argv.slice(2));
