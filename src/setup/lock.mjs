/**
 * One set-up at a time: two that install or compile into the same folders would break each other's work.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inJupyter, say } from "./project.mjs";

const lock = inJupyter("setup.lock");

/**
 * Runs `work` while no other process of this project runs any.
 *
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function exclusively(work) {
  mkdirSync(inJupyter(), { recursive: true });
  for (let announced = false; !take(); announced = true) {
    if (!announced)
      say("waiting for another set-up of this project (if none is running, remove .jupyter/setup.lock)");
    await sleep(200);
  }
  // Also when the work ends the process.
  process.once("exit", release);
  try {
    return await work();
  } finally {
    process.off("exit", release);
    release();
  }
}

function take() {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    if (isAbandoned()) release();
    return false;
  }
}

const release = () => rmSync(lock, { force: true });

/** Whether the process that took the lock has ended without releasing it. */
function isAbandoned() {
  try {
    process.kill(Number(readFileSync(lock, "utf8")), 0);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
}

/** @param {unknown} error */
const codeOf = (error) => /** @type {NodeJS.ErrnoException} */ (error).code;
