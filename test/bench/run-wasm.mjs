/** Runs a program of WebAssembly: `node run-wasm.mjs PROGRAM ARGUMENTS`. */
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";

/**
 * What Node has of it, and its types have not.
 *
 * @typedef {object} Engine
 * @property {(bytes: Uint8Array) => Promise<object>} compile
 * @property {(module: object, imports: object) => Promise<object>} instantiate
 */
const { WebAssembly } = /** @type {typeof globalThis & { WebAssembly: Engine }} */ (globalThis);

const [program, ...args] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [program, ...args] });
const module = await WebAssembly.compile(readFileSync(program));
wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
