/**
 * A patch as it reads: an object literal with the kernel's functions that it changes. `this` is the kernel, and
 * `this.original` are its functions as they were before this patch, be it the first of a series or the third.
 *
 *     definePatch("ioeventfd on EPT violation", {
 *       handleEptViolation() {
 *         if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, this.guestPhysicalAddress(), 0) === 0) {
 *           return this.kvmSkipEmulatedInstruction();
 *         }
 *         return this.original.handleEptViolation();
 *       },
 *     });
 */
import type { KernelChange, KernelClass, KernelVersion } from "../kvm/eras.js";
import { KvmError } from "../kvm/errno.js";
import type { Paging } from "../kvm/spte.js";
import type { Svm } from "../kvm/svm.js";
import { problemOf } from "./results.js";

type FunctionName = {
  [Name in keyof Svm]: Svm[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Svm];

/** The kernel's functions. */
export type KernelFunctions = Pick<Svm, FunctionName>;

/** What `this` is in a patch. */
export interface PatchedKernel extends Svm {
  /** The kernel's functions before this patch. */
  readonly original: KernelFunctions;
}

export type PatchFunctions = Partial<KernelFunctions> & ThisType<PatchedKernel>;

export type PatchConstants = Readonly<Record<string, number | string | boolean>>;

/** What a patch applies to. */
export interface PatchHeader {
  readonly name: string;
  /** Kernels that it applies to; by default all that have its functions. */
  readonly eras?: readonly KernelVersion[];
  /** Paging of the machines that it changes; by default any. */
  readonly paging?: Paging;
}

export interface Patch extends PatchHeader {
  readonly constants: PatchConstants;
  /** What it is written as: the functions, or what makes them of the constants. */
  readonly body: PatchFunctions | ((constants: never) => PatchFunctions);
  /** @throws PatchError for a function that the kernel does not have */
  readonly change: KernelChange;
}

/** A patch that does not apply, throws or returns nonsense. The message begins with its name. */
export class PatchError extends Error {
  override readonly name = "PatchError";
}

/** @param header the name, or the name with what the patch applies to */
export function definePatch(header: string | PatchHeader, functions: PatchFunctions): Patch;
/** A patch with constants: numbers, texts and flags, which arrive as the argument. */
export function definePatch<const Constants extends PatchConstants>(
  header: string | PatchHeader,
  constants: Constants,
  functions: (constants: Constants) => PatchFunctions,
): Patch;
export function definePatch(
  header: string | PatchHeader,
  first: PatchFunctions | PatchConstants,
  make?: (constants: never) => PatchFunctions,
): Patch {
  const named = typeof header === "string" ? { name: header } : header;
  if (make === undefined) {
    const functions = first as PatchFunctions;
    return { ...named, constants: {}, body: functions, change: changeOf(named.name, functions) };
  }
  const constants = first as PatchConstants;
  return { ...named, constants, body: make, change: changeOf(named.name, make(constants as never)) };
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/** Where the kernel keeps the functions as they were before the patch whose function runs. */
interface Layered {
  original: KernelFunctions | undefined;
}

function changeOf(patch: string, functions: PatchFunctions): KernelChange {
  return (Kernel) => {
    const before: object = Kernel.prototype;
    const originals = new WeakMap<object, KernelFunctions>();
    class Patched extends Kernel {}
    for (const [name, changed] of Object.entries(functions)) {
      if (typeof Reflect.get(before, name) !== "function")
        throw new PatchError(`patch ${quoted(patch)}: ${name} is no function of this kernel`);
      if (typeof changed !== "function")
        throw new PatchError(`patch ${quoted(patch)}: ${name} is ${String(changed)}; allowed: a method`);
      const value = layered(patch, name, changed as AnyFunction, before, originals);
      Object.defineProperty(Patched.prototype, name, { value, writable: true, configurable: true });
    }
    return Patched;
  };
}

/** A function of the patch, which finds its originals while it runs, and answers for what it throws and returns. */
function layered(
  patch: string,
  name: string,
  changed: AnyFunction,
  before: object,
  originals: WeakMap<object, KernelFunctions>,
): AnyFunction {
  return function (this: unknown, ...args: unknown[]): unknown {
    const kernel = this as object & Layered;
    let original = originals.get(kernel);
    if (original === undefined) {
      original = boundFunctions(before, kernel);
      originals.set(kernel, original);
    }
    const outer = kernel.original;
    kernel.original = original;
    let result: unknown;
    try {
      result = changed.apply(kernel, args);
    } catch (error) {
      if (error instanceof KvmError || error instanceof PatchError) throw error;
      const what = error instanceof Error ? error.message : String(error);
      throw new PatchError(`patch ${quoted(patch)}, ${name}(): ${what}`, { cause: error });
    } finally {
      kernel.original = outer;
    }
    const problem = problemOf(name, result);
    if (problem === null) return result;
    throw new PatchError(`patch ${quoted(patch)}, ${name}(): ${problem}`);
  };
}

/** All functions of a kernel, as `before` has them. */
function boundFunctions(before: object, kernel: object): KernelFunctions {
  const bound: Record<string, AnyFunction> = {};
  for (
    let level = before as KernelClass["prototype"] | null;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      if (name === "constructor" || typeof value !== "function" || Object.hasOwn(bound, name)) continue;
      bound[name] = value.bind(kernel);
    }
  }
  return bound as unknown as KernelFunctions;
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
