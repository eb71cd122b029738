/**
 * The C library of this process, called through koffi: system calls, ioctls of typed structures, mapped memory.
 *
 * It is loaded when it is first asked for, so that a machine where it cannot be has everything else of the package.
 */
import { constants as buffers } from "node:buffer";
import { createRequire } from "node:module";
import { constants } from "node:os";
import type * as Koffi from "koffi";
import { HostUnavailable } from "./host-unavailable.js";
import { SystemCallError } from "./system-call-error.js";
import type { Field, Ioctl, Structure, ValueOf } from "./uapi.js";

type NativeFunction = (...values: unknown[]) => unknown;

/** What an ioctl takes: the fields of its structure, the bytes of one of no fixed length, or a plain number. */
export type Argument<S extends Structure | null> = S extends Structure
  ? Partial<ValueOf<S>> | Uint8Array
  : number;

/** `_IOC()` of include/uapi/asm-generic/ioctl.h. */
const DIRECTIONS = { none: 0, write: 1, read: 2, both: 3 } as const;
const KVMIO = 0xae;

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const EFD_NONBLOCK_CLOEXEC = 0o2004000;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;
const MAP_FAILED = 2n ** 64n - 1n;

/** What V8 lets a buffer of foreign memory have; beyond it the process ends. */
const MOST_VIEWED_BYTES = Math.min(buffers.MAX_LENGTH, 2 ** 32);

const INTEGERS = { u8: "uint8_t", u16: "uint16_t", u32: "uint32_t", u64: "uint64_t" } as const;

class Libc {
  private readonly library: Koffi.LibraryHandle;
  private readonly functions = new Map<string, NativeFunction>();
  private readonly ioctls = new Map<Structure, NativeFunction>();
  private readonly structures = new Map<Structure, Koffi.TypeObject>();

  constructor(private readonly koffi: typeof Koffi) {
    this.library = koffi.load(null);
  }

  /** @returns file descriptor, closed when the process executes another program */
  open(path: string): number {
    return Number(
      this.call(`open ${path}`, "int open(const char *path, int flags)", path, O_RDWR | O_CLOEXEC),
    );
  }

  close(fd: number): void {
    this.call("close", "int close(int fd)", fd);
  }

  /** @returns bytes read, or 0 where a descriptor that does not block has none now */
  read(fd: number, bytes: Uint8Array): number {
    const call = this.functionOf("int64_t read(int fd, void *bytes, size_t n)");
    const result = Number(call(fd, bytes, bytes.length));
    if (result >= 0) return result;
    const errno = this.koffi.errno();
    // What is polled is mostly empty: no error is made for that.
    if (errno === constants.errno.EAGAIN) return 0;
    throw new SystemCallError(errno, "read");
  }

  /** A descriptor of an eventfd that does not block. */
  eventfd(): number {
    return Number(
      this.call("eventfd", "int eventfd(unsigned int initval, int flags)", 0, EFD_NONBLOCK_CLOEXEC),
    );
  }

  /**
   * An ioctl of KVM. Fields that are not given are 0.
   * @returns what the kernel returned, 0 or more
   */
  ioctl<S extends Structure | null>(fd: number, ioctl: Ioctl<S>, argument: Argument<S>): number {
    const { name, structure } = ioctl;
    const request = this.requestOf(ioctl);
    if (structure === null) {
      const result = this.ioctlOrErrno(fd, ioctl as Ioctl<null>, argument as number);
      if (result < 0) throw new SystemCallError(-result, name);
      return result;
    }
    if (argument instanceof Uint8Array)
      return Number(
        this.call(name, "int ioctl(int fd, unsigned long request, void *argument)", fd, request, argument),
      );
    return Number(
      this.checked(name, this.ioctlOf(structure)(fd, request, filled(structure, argument as object))),
    );
  }

  /** As `ioctl()`, but returns the error's number, negative, in place of throwing it: for what fails often and is timed. */
  ioctlOrErrno(fd: number, ioctl: Ioctl<null>, argument: number): number {
    const call = this.functionOf("int ioctl(int fd, unsigned long request, unsigned long argument)");
    const result = call(fd, this.requestOf(ioctl), argument) as number;
    return result === -1 ? -this.koffi.errno() : result;
  }

  /** As `ioctl()`, and the structure as the kernel left it. */
  ioctlRead<S extends Structure>(fd: number, ioctl: Ioctl<S>): ValueOf<S> {
    const value = filled(ioctl.structure, {});
    this.checked(ioctl.name, this.ioctlOf(ioctl.structure)(fd, this.requestOf(ioctl), value));
    return value as ValueOf<S>;
  }

  /** Maps anonymous memory, or a file from its beginning, to read and write. @returns its address */
  mmap(bytes: number, fd?: number): bigint {
    const flags = fd === undefined ? MAP_PRIVATE_ANONYMOUS_NORESERVE : MAP_SHARED;
    const declaration =
      "uint64_t mmap(void *address, size_t n, int protection, int flags, int fd, int64_t offset)";
    const address = this.call("mmap", declaration, null, bytes, PROT_READ_WRITE, flags, fd ?? -1, 0);
    return BigInt(address as number | bigint);
  }

  munmap(address: bigint, bytes: number): void {
    this.call("munmap", "int munmap(void *address, size_t n)", address, bytes);
  }

  madvise(address: bigint, bytes: number, advice: number): void {
    this.call("madvise", "int madvise(void *address, size_t n, int advice)", address, bytes, advice);
  }

  /**
   * Memory of the process as a buffer, which is not to be used once the memory is unmapped.
   * @throws RangeError for more than a buffer can have
   */
  view(address: bigint, bytes: number): ArrayBuffer {
    if (bytes > MOST_VIEWED_BYTES)
      throw new RangeError(`${bytes} bytes are more than the ${MOST_VIEWED_BYTES} of a buffer`);
    return this.koffi.view(address, bytes);
  }

  /** Where a buffer lies, as long as it is not garbage. */
  address(buffer: Uint8Array): bigint {
    return this.koffi.address(buffer);
  }

  /** A system call by its number: integers, addresses, or buffers that it reads or writes. */
  syscall(number: number, ...values: (number | bigint | Uint8Array)[]): bigint {
    const parameters = Array.from({ length: 6 }, (_, at) => values[at] ?? 0n).map((value) =>
      value instanceof Uint8Array
        ? ({ type: "void *", value } as const)
        : ({ type: "int64_t", value: BigInt.asIntN(64, BigInt(value)) } as const),
    );
    const types = parameters.map(({ type }, at) => `${type} a${at}`).join(", ");
    const declaration = `int64_t syscall(int64_t number, ${types})`;
    const result = this.call(
      `system call ${number}`,
      declaration,
      number,
      ...parameters.map(({ value }) => value),
    );
    return BigInt(result as number | bigint);
  }

  /** Calls a function of the library by its declaration in C. @throws SystemCallError where it returns -1 */
  private call(what: string, declaration: string, ...values: unknown[]): unknown {
    return this.checked(what, this.functionOf(declaration)(...values));
  }

  private checked(what: string, result: unknown): unknown {
    if (result === -1 || result === -1n || result === MAP_FAILED)
      throw new SystemCallError(this.koffi.errno(), what);
    return result;
  }

  private functionOf(declaration: string): NativeFunction {
    return memoized(this.functions, declaration, () => this.library.func(declaration) as NativeFunction);
  }

  /** `ioctl()` for arguments of a structure. */
  private ioctlOf(structure: Structure): NativeFunction {
    const { koffi } = this;
    return memoized(this.ioctls, structure, () => {
      const argument = koffi.inout(koffi.pointer(this.structureOf(structure)));
      return this.library.func("ioctl", "int", ["int", "unsigned long", argument]) as NativeFunction;
    });
  }

  /** Number of the ioctl: direction, size of its structure, type, and its own number. */
  requestOf({ direction, number, structure }: Ioctl): number {
    const bytes = structure === null ? 0 : this.koffi.sizeof(this.structureOf(structure));
    return DIRECTIONS[direction] * 2 ** 30 + bytes * 2 ** 16 + KVMIO * 2 ** 8 + number;
  }

  private structureOf(structure: Structure): Koffi.TypeObject {
    const { koffi } = this;
    const typeOf = (field: Field): Koffi.TypeObject | string => {
      if (typeof field === "string") return INTEGERS[field];
      if (isArray(field)) return koffi.array(typeOf(field[0]), field[1], "Array");
      return this.structureOf(field);
    };
    return memoized(this.structures, structure, () =>
      koffi.struct(
        Object.fromEntries(Object.entries(structure).map(([name, field]) => [name, typeOf(field)])),
      ),
    );
  }
}

function memoized<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    known.set(key, value);
  }
  return value;
}

function isArray(field: Field): field is readonly [Field, number] {
  return Array.isArray(field);
}

/** The structure with 0 where nothing is given. @throws RangeError for a number that its field does not hold */
function filled(structure: Structure, given: object): object {
  return Object.fromEntries(
    Object.entries(structure).map(([name, field]) => {
      const value = (given as Record<string, unknown>)[name] ?? zero(field);
      return [name, typeof field === "string" ? integer(name, field, value as number | bigint) : value];
    }),
  );
}

/** An unsigned integer, exactly: a number of 2^63 or more would reach the kernel as another. */
function integer(name: string, field: keyof typeof INTEGERS, value: number | bigint): number | bigint {
  const bits = Number(field.slice(1));
  const exact = typeof value === "bigint" || Number.isInteger(value) ? BigInt(value) : -1n;
  if (exact !== BigInt.asUintN(bits, exact)) throw new RangeError(`${name}: ${value} is not a ${field}`);
  return bits === 64 ? exact : Number(exact);
}

function zero(field: Field): unknown {
  if (typeof field === "string") return 0;
  if (isArray(field)) return Array.from({ length: field[1] }, () => zero(field[0]));
  return filled(field, {});
}

let loaded: Libc | undefined;

/** The library, of this thread. @throws HostUnavailable where it cannot be called */
export function libc(): Libc {
  loaded ??= loadLibc();
  return loaded;
}

/** A library of its own. @throws HostUnavailable */
export function loadLibc(): Libc {
  const { platform, arch } = process;
  if (platform !== "linux" || arch !== "x64")
    throw new HostUnavailable(`it takes Linux on x86-64, and this is ${platform} on ${arch}`);
  try {
    return new Libc(createRequire(import.meta.url)("koffi"));
  } catch (error) {
    throw new HostUnavailable(`koffi cannot be loaded: ${(error as Error).message.split("\n")[0]}`);
  }
}
