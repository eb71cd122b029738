/**
 * The npm packages that package-lock.json names.
 *
 * npm keeps its own record of what it installed, node_modules/.package-lock.json, and writes it last; so it serves as
 * the stamp, also for a folder that the user filled with `npm ci`, and is missing after an interrupted installation.
 */
import { existsSync, readFileSync } from "node:fs";
import { fail, inProject, run, say } from "./project.mjs";

/** @typedef {Record<string, { version?: string, integrity?: string, optional?: boolean }>} Packages */

export async function installDependencies() {
  const installed = inProject("node_modules/.package-lock.json");
  if (existsSync(installed) && isInstalled(packagesOf(inProject("package-lock.json")), packagesOf(installed)))
    return;
  say("installing the npm packages (once) ...");
  // A quiet or a production npm that started this must neither hide an error nor leave the compiler out.
  const args = ["ci", "--include=dev", "--loglevel=error"];
  const status = await run("npm", args, { stdio: ["ignore", process.stderr, process.stderr] });
  if (status !== 0)
    fail(`npm ci failed with status ${status}: are the network and the npm registry in reach?`);
}

/**
 * Whether the installed packages are the locked ones. Optional packages are mostly binaries for other machines.
 *
 * @param {Packages} locked
 * @param {Packages} installed
 */
export function isInstalled(locked, installed) {
  return Object.entries(locked)
    .filter(([folder, wanted]) => folder !== "" && !wanted.optional)
    .every(([folder, { version, integrity }]) => {
      const found = installed[folder];
      return found !== undefined && found.version === version && found.integrity === integrity;
    });
}

/**
 * @param {string} lockFile
 * @returns {Packages}
 */
const packagesOf = (lockFile) => JSON.parse(readFileSync(lockFile, "utf8")).packages;
