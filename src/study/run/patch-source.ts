/**
 * Patches in a scenario: those of the package by name, and any other with its source, from which it runs wherever the
 * scenario does, in this thread too. So a patch sees nothing but the kernel, its constants, and what is the same everywhere.
 *
 * A source is read here, and runs where a machine is made of it. That it reads nothing else and changes nothing that is
 * shared is a check against mistakes, not against malice: what a built-in function leads to is not followed, and a source
 * that wants out gets out. Nobody should run a patch of somebody whose programs they would not run.
 */
import * as z from "zod";
import {
  InputError,
  list,
  notAllowed,
  oneOf,
  parseInput,
  record,
  suggestion,
  text,
} from "../../cost/input.js";
import { KERNEL_VERSIONS } from "../../kvm/eras.js";
import { PAGINGS } from "../../kvm/spte.js";
import * as KERNEL_CONSTANTS from "../../patches/constants.js";
import { definePatch, type Patch, type PatchHeader, type PatchSource } from "../../patches/define-patch.js";
import { PATCH_NAMES, PATCHES, type PatchName } from "../../patches/index.js";
import { type FreeName, freeNames } from "./free-names.js";
import { patchSyntax, type RefusePatch } from "./patch-syntax.js";

/** A patch as a scenario holds it. */
export type ScenarioPatch = PatchName | PatchSource;

/** As a person gives it: also as `definePatch()` makes it. */
export type ScenarioPatchInput =
  | PatchName
  | (Omit<PatchSource, "constants"> & Partial<Pick<PatchSource, "constants">>);

/** Longer ones do not fit beside figures. */
const LONGEST_NAME = 40;

const NAME = `a name of one line and at most ${LONGEST_NAME} characters, without +`;
const CONSTANT = "a finite number, a text, true or false";

const patchSource = record({
  name: z
    .string({ error: NAME })
    .regex(new RegExp(`^[^\\n\\r+]{1,${LONGEST_NAME}}$`), { error: NAME })
    .refine((name) => name !== "none" && name.trim() === name, { error: NAME }),
  eras: list(oneOf(KERNEL_VERSIONS), "kernels that it applies to").optional(),
  paging: oneOf(PAGINGS, "paging of the machines that it changes").optional(),
  constants: z
    .record(z.string(), z.union([z.number(), z.string(), z.boolean()], { error: CONSTANT }), {
      error: CONSTANT,
    })
    .default({}),
  source: text("JavaScript: an object literal of methods, or the function that makes one of the constants"),
});

/**
 * Checks a patch, which may be given as `definePatch()` makes it, without running any of it. One of the package becomes its
 * name; in the source of another, names are as its author wrote them.
 *
 * @throws InputError for a name that no patch has, and for a source that is no patch or reads what it is not given
 */
export function parsePatch(given: unknown, what: string): ScenarioPatch {
  if (typeof given !== "object" || given === null) return parseName(given, what);
  const { change: _, ...data } = given as Partial<Patch>;
  const { eras, paging, ...rest } = parseInput(patchSource, data, what);
  const patch: PatchSource = { ...rest, ...(eras && { eras }), ...(paging && { paging }) };
  const known = PATCH_NAMES.find((name) => name === patch.name);
  if (known !== undefined) {
    if (isSame(PATCHES[known], patch)) return known;
    const found = `${known} is a patch of this package, and this one differs from it`;
    throw new InputError(`${what}: name`, found, "another name");
  }
  const refuse: RefusePatch = (found, allowed) => {
    throw new InputError(what, `${quoted(patch.name)} ${found}`, allowed);
  };
  return { ...patch, source: readable(patch, refuse) };
}

function isSame(one: PatchSource, other: PatchSource): boolean {
  const text = ({ eras, paging, constants, source }: PatchSource) =>
    JSON.stringify([eras, paging, Object.entries(constants).sort(), source]);
  return text(one) === text(other);
}

function parseName(given: unknown, what: string): PatchName {
  const known = PATCH_NAMES.find((name) => name === given);
  if (known !== undefined) return known;
  const meant = typeof given === "string" ? suggestion(given, PATCH_NAMES) : "";
  const allowed = `one of ${PATCH_NAMES.join(", ")}, or a patch that definePatch() makes`;
  throw new InputError(what, `${notAllowed(given)}${meant}`, allowed);
}

/** What a person calls a patch. */
export function patchName(patch: string | Pick<PatchSource, "name">): string {
  return typeof patch === "string" ? patch : patch.name;
}

/** A series as a person writes it: names joined with "+", or "none". */
export function seriesText(series: readonly (string | PatchSource)[]): string {
  return series.length === 0 ? "none" : series.map(patchName).join("+");
}

/** Whether a value of a scenario is a patch with its source. */
export function isPatchSource(value: unknown): value is PatchSource {
  return typeof value === "object" && value !== null && "source" in value && "name" in value;
}

// What a source may read.

/** What gives the same in every run. Not among it: time, chance, and whatever reaches out of the simulation. */
const GLOBALS =
  "undefined NaN Infinity isNaN isFinite parseInt parseFloat Object Array Number BigInt String Boolean Symbol Map Set WeakMap " +
  "WeakSet JSON Error RangeError TypeError Uint8Array Int32Array Uint32Array Float64Array BigUint64Array Math";

/** exitlab's constants, by their names and as members of the module. */
const CONSTANTS = Object.freeze({ ...KERNEL_CONSTANTS, ERRNO: Object.freeze({ ...KERNEL_CONSTANTS.ERRNO }) });
const IMPORTS: Readonly<Record<string, unknown>> = { ...CONSTANTS, exitlab: CONSTANTS };

const BOUND: Readonly<Record<string, unknown>> = {
  ...Object.fromEntries(GLOBALS.split(" ").map((name) => [name, Reflect.get(globalThis, name)])),
  Math: Object.freeze({ ...withNames(Math), random: noRandom }),
  ...IMPORTS,
};

function withNames(object: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(Object.getOwnPropertyDescriptors(object)).map(([name, { value }]) => [name, value]),
  );
}

function noRandom(): never {
  throw new Error("Math.random() is not the same in every run");
}

/** The source with all names as they were written. */
function readable({ name, source }: PatchSource, refuse: RefusePatch): string {
  const free = freeNames(source, patchSyntax(source, refuse));
  const outer = free.filter((each) => !Object.hasOwn(each.isImported ? IMPORTS : BOUND, each.name));
  if (outer.length > 0) refuseOuter(name, outer, refuse);
  const changed = free.find(({ isChanged }) => isChanged);
  if (changed !== undefined)
    refuse(`changes ${changed.name}${placeOf(changed)}, which others use, too`, "changes to what is its own");
  return free.reduceRight(
    (before, each) => `${before.slice(0, each.start)}${each.text}${before.slice(each.end)}`,
    source,
  );
}

function placeOf({ method, line }: FreeName): string {
  return method === null ? "" : ` in line ${line} of ${method}()`;
}

function refuseOuter(patch: string, outer: readonly FreeName[], refuse: RefusePatch): never {
  const isGlobal = ({ name, isImported }: FreeName) => !isImported && name in globalThis;
  const [first] = outer;
  const found = `reads ${first.name}${placeOf(first)}, which is outside of the patch`;
  if (isGlobal(first))
    return refuse(found, `what is the same in every run: ${GLOBALS.replaceAll(" ", ", ")}`);
  const others = outer.filter((each) => !isGlobal(each)).map(({ name }) => name);
  const names = [...new Set(others)].join(", ");
  const how = `definePatch(${quoted(patch)}, { ${names} }, ({ ${names} }) => ({ ... }))`;
  return refuse(found, `exitlab's constants, and what it is given: ${how}`);
}

/** What a patch applies to. @param patch as `parsePatch()` gives it */
export function headerOf(patch: ScenarioPatch): PatchHeader {
  return typeof patch === "string" ? PATCHES[patch] : patch;
}

/**
 * The patch itself: one of the package, or one that is made of its source. Its source runs, anew for each machine: no two share
 * what it keeps.
 *
 * @param patch as `parsePatch()` gives it
 * @throws PatchError for a source that makes no patch
 */
export function patchOf(patch: ScenarioPatch): Patch {
  if (typeof patch === "string") return PATCHES[patch];
  const { constants, source, ...header } = patch;
  const names = Object.keys(BOUND).join(", ");
  const evaluate = new Function("bound", `"use strict"; const { ${names} } = bound; return (${source}\n);`);
  const body: unknown = evaluate(BOUND);
  if (typeof body !== "function") return definePatch(header, body as object);
  return definePatch(header, constants, body as () => object);
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
