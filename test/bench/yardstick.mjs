/** The yardstick's side of the benchmark: compiles yardstick.cpp and runs it for a row. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { which } from "../../src/setup/project.mjs";
import { geometry, warmUpOf } from "./rows.mjs";

export const COMPILERS = ["c++", "g++", "clang++"];
export const FLAGS = ["-std=c++17", "-O3"];

/** The first of the compilers on PATH, or null. */
export const compiler = COMPILERS.map(which).find((found) => found !== null) ?? null;

/**
 * What a compiler says it is.
 *
 * @param {string} command
 */
export const versionOf = (command) => run(command, ["--version"]).split("\n")[0];

/**
 * Compiles the yardstick into a folder and returns the program.
 *
 * @param {string} command
 * @param {string} folder
 */
export function compileYardstick(command, folder) {
  const program = join(folder, "yardstick");
  run(command, [...FLAGS, "-o", program, join(import.meta.dirname, "yardstick.cpp")]);
  return program;
}

/**
 * @param {string} program
 * @param {import("./rows.mjs").Row} row
 * @param {number} iterations
 * @returns {import("./rows.mjs").Measurement}
 */
export function measureYardstick(program, row, iterations) {
  const { operation, pages, ept, gap } = row;
  const values = { ...geometry, operation, pages, ept, gap, warmUp: warmUpOf(row), iterations };
  return JSON.parse(run(program, Object.entries(values).map(argument)));
}

/**
 * @param {[string, unknown]} field
 * @returns {string} name=value; a structure as entries/ways, a cache as bytes/ways, 0/0 for none
 */
function argument([name, value]) {
  const [first = 0, ways = 0] = value === null ? [] : Object.values(Object(value));
  return `${name}=${typeof value === "object" ? `${first}/${ways}` : value}`;
}

/**
 * @param {string} command
 * @param {string[]} args
 */
const run = (command, args) => execFileSync(command, args, { encoding: "utf8" });
