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
import { closestMatch } from "leven";
import {
  KERNEL_FUNCTION_NAMES,
  type KernelChange,
  type KernelClass,
  type KernelVersion,
} from "../kvm/eras.js";
import { KvmError } from "../kvm/errno.js";
import { GuestStopped } from "../kvm/guest-stopped.js";
import type { Paging } from "../kvm/spte.js";
import type { Svm } from "../kvm/svm.js";
import { problemOfResult } from "./results.js";

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

/** A function with its `this` declared: `ThisType` would do nothing in a notebook, whose compiler has no `noImplicitThis`. */
type OnKernel<F> = F extends (...args: infer Args) => infer Result
  ? (this: PatchedKernel, ...args: Args) => Result
  : never;

export type PatchFunctions = { [Name in FunctionName]?: OnKernel<Svm[Name]> };

/** Finite numbers, texts and flags. */
export type PatchConstants = Readonly<Record<string, number | string | boolean>>;

/** What a patch applies to. */
export interface PatchHeader {
  readonly name: string;
  /** Kernels that it applies to; by default all that have its functions. */
  readonly eras?: readonly KernelVersion[];
  /** Paging of the machines that it changes; by default any. */
  readonly paging?: Paging;
}

/** A patch as data, JSON-serialisable: what a scenario holds of one that is in no file of the package. */
export interface PatchSource extends PatchHeader {
  readonly constants: PatchConstants;
  /** JavaScript: an object literal of methods, or the function that makes one of the constants. */
  readonly source: string;
}

export interface Patch extends PatchSource {
  readonly change: KernelChange;
}

/** A patch that does not apply, throws or returns nonsense. The message begins with its name. */
export class PatchError extends Error {
  override readonly name = "PatchError";

  /** As Node.js and notebooks show it: in a line, for where it was noticed helps nobody. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.message;
  }
}

/**
 * @param header the name, or the name with what the patch applies to
 * @throws PatchError for what is no method, and for a name that no kernel's function has
 */
export function definePatch(header: string | PatchHeader, functions: PatchFunctions): Patch;
/**
 * A patch with constants: numbers, texts and flags, which arrive as the argument. What `functions` makes is made anew for each
 * machine.
 */
export function definePatch<Constants extends PatchConstants>(
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
  const { name } = named;
  if (make === undefined) {
    const functions = first as PatchFunctions;
    const source = `{\n${methodsOf(name, functions).join(",\n")}\n}`;
    return { ...named, constants: {}, source, change: onePerKernel(changeOf(name, () => functions)) };
  }
  const constants: PatchConstants = { ...(first as PatchConstants) };
  checkConstants(name, constants);
  const made = () => madeBy(make, constants, name);
  methodsOf(name, made());
  return { ...named, constants, source: make.toString(), change: changeOf(name, made) };
}

/** The methods for one machine. A constant is not theirs to change: the next machine has it, too. */
function madeBy(make: (constants: never) => PatchFunctions, constants: PatchConstants, patch: string) {
  try {
    return make(Object.freeze({ ...constants }) as never);
  } catch (error) {
    throw new PatchError(`patch ${quoted(patch)}: ${String(error)}`, { cause: error });
  }
}

/** The text of each method. */
function methodsOf(patch: string, functions: PatchFunctions): string[] {
  // Not what an async function or a generator makes.
  if (Object.prototype.toString.call(functions) !== "[object Object]")
    throw new PatchError(
      `patch ${quoted(patch)}: its methods are ${String(functions)}; allowed: an object literal`,
    );
  if (Object.keys(functions).length === 0)
    throw new PatchError(
      `patch ${quoted(patch)}: changes no function of the kernel; allowed: a method or more`,
    );
  return Object.entries(Object.getOwnPropertyDescriptors(functions)).map(([name, { value }]) => {
    checkName(patch, name);
    const text: string = typeof value === "function" ? Function.prototype.toString.call(value) : "";
    if (/^(\w+)\s*\(/.exec(text)?.[1] === name) return text;
    const found = text === "" ? "is no function" : `is no method, but ${text.split("\n", 1)[0]}`;
    throw new PatchError(`patch ${quoted(patch)}: ${name} ${found}; allowed: a method, ${name}(...) { ... }`);
  });
}

function checkName(patch: string, name: string): void {
  if (KERNEL_FUNCTION_NAMES.includes(name)) return;
  const nearest = closestMatch(name, KERNEL_FUNCTION_NAMES, { maxDistance: Math.ceil(name.length / 2) });
  const meant = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
  throw new PatchError(`patch ${quoted(patch)}: ${name} is no function of the kernel${meant}`);
}

function checkConstants(patch: string, constants: PatchConstants): void {
  for (const [name, value] of Object.entries(constants)) {
    if (Number.isFinite(value) || typeof value === "string" || typeof value === "boolean") continue;
    const allowed = "a finite number, a text, true or false";
    throw new PatchError(`patch ${quoted(patch)}: constant ${name} is ${String(value)}; allowed: ${allowed}`);
  }
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/**
 * What a patched kernel has beside its own. It has it from the start: an object that gets a property later gets another layout,
 * and with it other compiled code.
 */
interface Layered {
  /** The kernel's functions before the patch whose function runs. */
  original: KernelFunctions | undefined;
  /** The same for each patch of the series. Not there yet while the kernel is constructed, which calls functions too. */
  readonly originals?: readonly KernelFunctions[];
}

type PatchedClass = KernelClass & {
  /** Patches of the series so far. */
  readonly patches?: number;
};

type OriginalsClass = new (kernel: object) => KernelFunctions;

/** The change, made once of each kernel: machines with one class run the same compiled code. */
function onePerKernel(change: KernelChange): KernelChange {
  const changed = new WeakMap<KernelClass, KernelClass>();
  return (Kernel) => {
    const known = changed.get(Kernel) ?? change(Kernel);
    changed.set(Kernel, known);
    return known;
  };
}

function changeOf(patch: string, make: () => PatchFunctions): KernelChange {
  return (Kernel: PatchedClass) => {
    const functions = make();
    const { patches = 0 } = Kernel;
    const Originals = originalsClass(Kernel);
    class Patched extends Kernel implements Layered {
      static override readonly patches: number = patches + 1;
      original: KernelFunctions | undefined = undefined;
      readonly originals = [...((this as Layered).originals ?? []), new Originals(this)];
    }
    for (const [name, changed] of Object.entries(functions)) {
      if (typeof Reflect.get(Kernel.prototype, name) !== "function")
        throw new PatchError(`patch ${quoted(patch)}: ${name} is no function of this kernel`);
      const value = layered(patch, name, changed as AnyFunction, patches, Originals);
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
  place: number,
  Originals: OriginalsClass,
): AnyFunction {
  const problemOf = problemOfResult(name);
  return function (this: unknown, ...args: unknown[]): unknown {
    const kernel = this as Layered;
    const outer = kernel.original;
    kernel.original = kernel.originals?.[place] ?? new Originals(kernel);
    let result: unknown;
    try {
      result = changed.apply(kernel, args);
    } catch (error) {
      throw named(error, patch, name);
    } finally {
      kernel.original = outer;
    }
    const problem = problemOf(result);
    if (problem === null) return result;
    throw new PatchError(`patch ${quoted(patch)}, ${name}(): ${problem}`);
  };
}

/** What a function of a patch has thrown: the kernel's own errors as they are, others with the patch's name. */
function named(error: unknown, patch: string, name: string): unknown {
  if (error instanceof KvmError || error instanceof GuestStopped || error instanceof PatchError) return error;
  const what = error instanceof Error ? error.message : String(error);
  return new PatchError(`patch ${quoted(patch)}, ${name}(): ${what}`, { cause: error });
}

const originalsClasses = new WeakMap<KernelClass, OriginalsClass>();

/** The class of a kernel's functions as they are here, for patches that change them; one for all machines. */
function originalsClass(Kernel: KernelClass): OriginalsClass {
  const known = originalsClasses.get(Kernel);
  if (known !== undefined) return known;
  class Originals {
    constructor(readonly kernel: object) {}
  }
  for (
    let level: object = Kernel.prototype;
    level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      if (name === "constructor" || typeof value !== "function") continue;
      if (Object.hasOwn(Originals.prototype, name)) continue;
      Object.defineProperty(Originals.prototype, name, { value: onKernelOf(value) });
    }
  }
  const made = Originals as unknown as OriginalsClass;
  originalsClasses.set(Kernel, made);
  return made;
}

/** A function of `original` as one of the kernel that it stands for. */
function onKernelOf(original: AnyFunction): AnyFunction {
  return function (this: unknown, ...args: unknown[]): unknown {
    return original.apply((this as { readonly kernel: object }).kernel, args);
  };
}

function quoted(name: string): string {
  return JSON.stringify(name);
}
