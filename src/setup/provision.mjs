/**
 * Jupyter for the notebooks, a Chromium for the charts and a Redis server for the tests. A study needs none of them: what
 * cannot be had costs one line.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { findJupyter, prepareJupyter, virtualEnvironment, virtualEnvironmentStamp } from "./jupyter.mjs";
import { inJupyter, inProject, say, which, writeWhole } from "./project.mjs";

const debianPackages = {
  jupyter: ["jupyter-notebook", "jupyter-nbconvert"],
  // Chromium brings no font along, and a chart without one has no labels.
  chromium: ["chromium-headless-shell", "fonts-dejavu-core"],
  // Holds the server's program. The package redis-server adds only a service, which it starts.
  redis: ["redis-tools"],
};

export const missingJupyter =
  "Jupyter is missing, so the notebooks cannot run: pip install notebook, " +
  "or as root apt-get install jupyter-notebook jupyter-nbconvert";
const missingChromium =
  "Chromium is missing, so charts are not drawn: install it, or name one in EXITLAB_CHROMIUM";
const missingRedis =
  "Redis is missing, so the tests that need a server are skipped: as root apt-get install redis-tools";

const log = inJupyter("setup.log");
const failuresFile = inJupyter("failed.json");

/**
 * How a missing thing is to be installed, as Debian packages or into a Python virtual environment; null when it is
 * there, or when there is no way.
 *
 * @typedef {{ jupyter: "debian" | "venv" | null, chromium: "debian" | null, redis: "debian" | null }} Plan
 */

/**
 * Chooses how to get what is missing.
 *
 * @param {{ jupyter: boolean, chromium: boolean, redis: boolean }} found
 * @param {{ debian: boolean, venv: boolean }} possible
 * @returns {Plan}
 */
export function plan(found, possible) {
  const debian = possible.debian ? "debian" : null;
  return {
    jupyter: found.jupyter ? null : (debian ?? (possible.venv ? "venv" : null)),
    chromium: found.chromium ? null : debian,
    redis: found.redis ? null : debian,
  };
}

/**
 * The plan without what failed before in the same way: trying again at every start would only cost time.
 *
 * @param {Plan} wanted
 * @param {Plan} failed
 * @returns {Plan}
 */
export function withoutFailures(wanted, failed) {
  return {
    jupyter: wanted.jupyter === failed.jupyter ? null : wanted.jupyter,
    chromium: wanted.chromium === failed.chromium ? null : wanted.chromium,
    redis: wanted.redis === failed.redis ? null : wanted.redis,
  };
}

/**
 * Installs what is missing, where possible, and prepares Jupyter for the project.
 *
 * @param {{ retry: boolean, tests: boolean }} options retry: try again what failed the last time; tests: what only tests need
 *   is wanted too.
 * @returns {Promise<import("./jupyter.mjs").Jupyter | null>}
 */
export async function provision({ retry, tests }) {
  // The package's own finder, so that set-up and charts cannot disagree: set-up compiles before it provisions.
  const { findChromium } = await import(pathToFileURL(inProject("dist/report/chromium.js")).href);
  const found = { jupyter: findJupyter(), chromium: findChromium(), redis: findRedisServer() };
  const there = {
    jupyter: found.jupyter !== null,
    chromium: found.chromium !== null,
    redis: !tests || found.redis !== null,
  };
  const wanted = plan(there, {
    debian: process.getuid?.() === 0 && which("apt-get") !== null,
    venv: which("python3") !== null,
  });
  const earlier = earlierFailures();
  install(retry ? wanted : withoutFailures(wanted, earlier));

  const jupyter = found.jupyter ?? findJupyter();
  const chromium = found.chromium ?? findChromium();
  const redis = found.redis ?? findRedisServer();
  if (!jupyter) say(missingJupyter + seeLog(wanted.jupyter));
  if (!chromium) say(missingChromium + seeLog(wanted.chromium));
  if (tests && !redis) say(missingRedis);
  const failed = {
    jupyter: jupyter ? null : wanted.jupyter,
    chromium: chromium ? null : wanted.chromium,
    redis: redis ? null : (wanted.redis ?? earlier.redis),
  };
  writeWhole(failuresFile, `${JSON.stringify(failed)}\n`);
  if (jupyter) prepareJupyter(jupyter);
  return jupyter;
}

/** The program of the Redis server. Run as "redis-server" it is one, whatever its file is called. */
export function findRedisServer() {
  return which("redis-server") ?? which("redis-check-rdb");
}

/** @returns {Plan} */
function earlierFailures() {
  if (!existsSync(failuresFile)) return { jupyter: null, chromium: null, redis: null };
  return JSON.parse(readFileSync(failuresFile, "utf8"));
}

/** @param {string | null} tried */
const seeLog = (tried) =>
  tried ? " (installing it failed: see .jupyter/setup.log; npm run lab tries again)" : "";

/** @param {Plan} todo */
function install(todo) {
  const groups = [];
  if (todo.jupyter === "debian") groups.push(debianPackages.jupyter);
  if (todo.chromium === "debian") groups.push(debianPackages.chromium);
  if (todo.redis === "debian") groups.push(debianPackages.redis);
  if (groups.length > 0) installDebianPackages(groups);
  if (todo.jupyter === "venv") makeVirtualEnvironment();
}

/** @param {string[][]} groups */
export function installDebianPackages(groups) {
  say(`installing ${groups.flat().join(", ")} (Debian packages, once) ...`);
  // Completes what an interrupted installation left behind.
  logged("dpkg", ["--configure", "-a"]);
  const reach = ["-oAcquire::Retries=1", "-oAcquire::http::Timeout=15", "-oDPkg::Lock::Timeout=120"];
  logged("apt-get", [...reach, "update"]);
  /** @param {string[]} packages */
  const get = (packages) =>
    logged("apt-get", [...reach, "install", "--yes", "--no-install-recommends", ...packages]);
  // One package that cannot be had stops them all; then each group has its own chance.
  if (!get(groups.flat()) && groups.length > 1) groups.forEach(get);
}

function makeVirtualEnvironment() {
  say("installing Jupyter into .jupyter/venv (once) ...");
  rmSync(virtualEnvironment, { recursive: true, force: true });
  const pip = ["-m", "pip", "install", "--retries", "1", "--timeout", "15", "--no-cache-dir"];
  const done =
    logged("python3", ["-m", "venv", virtualEnvironment]) &&
    logged(`${virtualEnvironment}/bin/python`, [...pip, "notebook", "nbconvert", "nbclient"]);
  if (done) writeFileSync(virtualEnvironmentStamp, "");
  else rmSync(virtualEnvironment, { recursive: true, force: true });
}

/**
 * Runs a program with its output in the log, and tells whether it succeeded.
 *
 * @param {string} command
 * @param {string[]} args
 */
function logged(command, args) {
  writeFileSync(log, `\n$ ${command} ${args.join(" ")}\n`, { flag: "a" });
  const output = openSync(log, "a");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status } = spawnSync(command, args, { stdio: ["ignore", output, output], env });
  closeSync(output);
  return status === 0;
}
