/**
 * `npm run bench`: how fast src/x86 is, beside a C++ program of the same model, and what a second worker is worth to a sweep.
 * `--json` prints JSON instead of tables.
 * Fails when a row does not do what its name says, or does not count the same on both sides.
 */
import { ensureBuild } from "../../src/setup/compile.mjs";
import { installDependencies } from "../../src/setup/dependencies.mjs";
import { exclusively } from "../../src/setup/lock.mjs";

await exclusively(async () => {
  await installDependencies();
  await ensureBuild();
});
// Only now is there a compiled package to import.
const { bench } = await import("./report.mjs");
await bench(process.argv.includes("--json"));
