/** All that stands between a fresh clone and a running program. A second time it only looks. */
import { ensureBuild } from "./compile.mjs";
import { installDependencies } from "./dependencies.mjs";
import { exclusively } from "./lock.mjs";
import { provision } from "./provision.mjs";

/**
 * @param {{ retry?: boolean, tests?: boolean }} [options] retry: try again to install what could not be installed the last
 *   time; tests: also install what only tests need.
 * @returns the Jupyter to use, or null.
 */
export function setUp({ retry = false, tests = false } = {}) {
  return exclusively(async () => {
    await installDependencies();
    await ensureBuild();
    return provision({ retry, tests });
  });
}
