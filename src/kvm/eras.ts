/**
 * The kernels, each a small difference over the one before.
 */
import type { CpuGeometry } from "../x86/cpu.js";
import { DEFAULT_VM_OPTIONS, type VmOptions } from "./kvm.js";
import { Linux4_2_8 } from "./linux-4.2.8.js";
import { Linux4_2 } from "./linux-4.2.js";
import { Linux6_19 } from "./linux-6.19.js";
import { Svm } from "./svm.js";

/**
 * "v3.9" stands for the kernel of the pci-testdev rows of 2013, before the fast MMIO bus.
 */
const ERAS = {
  "v3.9": Svm,
  "v4.2": Linux4_2,
  "v4.2.8": Linux4_2_8,
  "v6.19": Linux6_19,
} as const;

export type KernelVersion = keyof typeof ERAS;
export const KERNEL_VERSIONS = Object.keys(ERAS) as readonly KernelVersion[];

export type KernelClass = new (options: VmOptions) => Svm;

/** A change to a kernel: the same with some of its functions overridden. */
export type KernelChange = (Kernel: KernelClass) => KernelClass;

export interface CreateOptions extends Partial<Omit<VmOptions, "geometry">> {
  /** Changes to the kernel, in the order of the series. */
  readonly changes?: readonly KernelChange[];
}

/** The functions of all kernels by name, which a change may override. */
export const KERNEL_FUNCTION_NAMES: readonly string[] = [
  ...new Set(Object.values(ERAS).flatMap(({ prototype }) => functionNames(prototype))),
];

function functionNames(prototype: object): string[] {
  if (prototype === Object.prototype) return [];
  const own = Object.entries(Object.getOwnPropertyDescriptors(prototype)).filter(
    ([name, { value }]) => name !== "constructor" && typeof value === "function",
  );
  return [...own.map(([name]) => name), ...functionNames(Object.getPrototypeOf(prototype))];
}

/** A virtual machine without memory on this kernel and processor; what `options` leaves out is as usual. */
export function createVm(kernel: KernelVersion, geometry: CpuGeometry, options: CreateOptions = {}): Svm {
  const { changes = [], ...rest } = options;
  const Kernel = changes.reduce<KernelClass>((changed, change) => change(changed), ERAS[kernel]);
  return new Kernel({ ...DEFAULT_VM_OPTIONS, ...rest, geometry });
}
