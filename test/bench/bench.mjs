/**
 * `npm run bench`: how fast the model is, beside a C++ program of the same model, and what else takes a user's time.
 *
 * `npm run bench -- "fast MMIO kick"` measures that row only, and several names several. `--json` prints JSON with all samples
 * in place of tables; `--long` has the row "length" run for a billion accesses; `--wasm` has the C++ program as WebAssembly, too. Fails when a row does not do what its name
 * says, or does not count the same on all sides.
 */
import { parseArgs } from "node:util";
import { ensureBuild } from "../../src/setup/compile.mjs";
import { installDependencies } from "../../src/setup/dependencies.mjs";
import { exclusively } from "../../src/setup/lock.mjs";
import { fail } from "../../src/setup/project.mjs";

const { values, positionals } = argumentsOf();
await exclusively(async () => {
  await installDependencies();
  await ensureBuild();
});
// Only now is there a compiled package to import.
const { bench } = await import("./report.mjs");
await bench(positionals, values);

function argumentsOf() {
  const flag = /** @type {const} */ ({ type: "boolean", default: false });
  try {
    return parseArgs({ options: { json: flag, long: flag, wasm: flag }, allowPositionals: true });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}
