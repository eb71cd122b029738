/**
 * What the hypervisor counts: one name per step of its code whose cost somebody could measure, after the silicon's own
 * primitives in the same ledger.
 */
import { X86_PRIMITIVES } from "../x86/ledger.js";

const KVM_PRIMITIVES = [
  "exitVmcall",
  "exitIoInstruction",
  "exitEptViolation",
  "exitEptMisconfig",
  "vmread",
  "skipEmulatedInstruction",
  "hypercall",
  "fastPioOut",
  "vcpuMatchMmioGpa",
  "mmioSpteWalk",
  "tdpPageFault",
  "fastPageFault",
  "memslotLookup",
  "hvaToPfn",
  "mmuLock",
  "spteInstall",
  "emulateInstruction",
  "guestWalkInSoftware",
  "ioBusLookup",
  "ioBusCompare",
  "ioeventfdInRange",
  "datamatchCompare",
  "inKernelDevice",
  "eventfdSignal",
  "userspaceExitIo",
  "userspaceExitMmio",
  "userspaceDeviceModel",
] as const;

type KvmPrimitive = (typeof KVM_PRIMITIVES)[number];

/** Names of all primitives, in the order of the ledger. */
export const PRIMITIVES: readonly string[] = [...X86_PRIMITIVES, ...KVM_PRIMITIVES];

/** Index in the ledger of each of the hypervisor's primitives. */
export const KVM = Object.freeze(
  Object.fromEntries(KVM_PRIMITIVES.map((name, index) => [name, X86_PRIMITIVES.length + index])),
) as Readonly<Record<KvmPrimitive, number>>;
