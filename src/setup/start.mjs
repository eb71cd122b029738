/** `npm start`: from a fresh clone to the results of the first study, in out/. */
import { inProject, runNode } from "./project.mjs";
import { setUp } from "./set-up.mjs";

await setUp();
const study = ["study", "pci-testdev", "--out", "out", ...process.argv.slice(2)];
process.exitCode = await runNode(inProject("dist/cli/main.js"), ...study);
