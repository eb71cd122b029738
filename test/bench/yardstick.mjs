/**
 * The yardstick's side of the benchmark: compiles the C++ program and runs it for a row. It can be WebAssembly, too, which
 * node runs: as fast as the best that V8 can be given, and so what TypeScript could at most become.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { accessesOf } from "../../dist/study/run/drawn-guest.js";
import { fail, which } from "../../src/setup/project.mjs";
import { eventfdsOf } from "./guest.mjs";
import { geometry, warmUpOf } from "./processor-rows.mjs";

/** @typedef {import("./processor-rows.mjs").Measurement} Measurement */

export const COMPILERS = ["c++", "g++", "clang++"];
export const FLAGS = ["-std=c++17", "-O3"];

/** Of WebAssembly: it has a system interface, and no exceptions. */
const WASM_COMPILER = "clang++";
export const WASM_FLAGS = ["--target=wasm32-wasi", "-fno-exceptions", ...FLAGS];
const WASM_PACKAGES =
  "clang, lld, wasi-libc, libclang-rt-14-dev-wasm32, libc++-14-dev-wasm32 and libc++abi-14-dev-wasm32";

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
 * The same program as WebAssembly. Ends the process where there is no compiler that can.
 *
 * @param {string} folder
 */
export function compileToWasm(folder) {
  const program = join(folder, "yardstick.wasm");
  try {
    run(WASM_COMPILER, [...WASM_FLAGS, "-o", program, join(import.meta.dirname, "yardstick/main.cpp")]);
  } catch {
    fail(
      `--wasm: ${WASM_COMPILER} ${WASM_FLAGS[0]} does not compile here; on Debian it needs ${WASM_PACKAGES}`,
    );
  }
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
  const args = Object.entries({ ...geometry, ...row }).map(argument);
  const [command, ...before] = program.endsWith(".wasm") ? wasmCommand(program) : [program];
  return JSON.parse(run(command, [...before, ...args]));
}

/** Compiled by V8's optimizing compiler from the start. @param {string} program */
const wasmCommand = (program) => [
  process.execPath,
  "--no-warnings",
  "--no-liftoff",
  join(import.meta.dirname, "run-wasm.mjs"),
  program,
];

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
