/** The yardstick's side of the benchmark: compiles the C++ program and runs it for a row. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { accessesOf } from "../../dist/study/run/drawn-guest.js";
import { which } from "../../src/setup/project.mjs";
import { eventfdsOf } from "./guest.mjs";
import { geometry, warmUpOf } from "./processor-rows.mjs";

/** @typedef {import("./processor-rows.mjs").Measurement} Measurement */

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
  run(command, [...FLAGS, "-o", program, join(import.meta.dirname, "yardstick/main.cpp")]);
  return program;
}

/**
 * @param {string} program
 * @param {import("./processor-rows.mjs").Row} row
 * @param {number} iterations
 * @returns {Measurement}
 */
export function yardstickOfProcessor(program, row, iterations) {
  const { operation, pages, ept, gap } = row;
  return measure(program, { operation, pages, ept, gap, warmUp: warmUpOf(row), iterations });
}

/**
 * @param {string} program
 * @param {import("./guest-rows.mjs").GuestRow} row
 * @param {number} iterations
 * @returns {Measurement}
 */
export function yardstickOfGuest(program, { operation, scenario }, iterations) {
  const guest = scenario(iterations);
  const { seed, warmup } = guest;
  return measure(program, {
    operation,
    seed,
    warmUp: warmup,
    iterations,
    memslots: records(guest.memslots.map(({ gpa, size, backing }) => [gpa, size, backing])),
    ioeventfds: records(
      eventfdsOf(guest).map(({ addr, len, datamatch = "any", pio, waiter }) => [
        addr,
        len,
        datamatch,
        pio,
        waiter,
      ]),
    ),
    accesses: records(
      accessesOf(guest).map(({ op, address, size, value, footprint, stride, pattern, weight }) => [
        ...[op, address, size, value, footprint, stride, pattern, weight],
      ]),
    ),
  });
}

/**
 * @param {string} program
 * @param {Readonly<Record<string, unknown>>} row
 * @returns {Measurement}
 */
function measure(program, row) {
  return JSON.parse(run(program, Object.entries({ ...geometry, ...row }).map(argument)));
}

/** Records apart by commas, their fields by slashes. @param {readonly (readonly unknown[])[]} of */
const records = (of) => of.map((fields) => fields.join("/")).join(",");

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
 * @param {readonly string[]} args
 */
const run = (command, args) => execFileSync(command, args, { encoding: "utf8" });
