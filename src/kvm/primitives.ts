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
  "exitNpf",
  "exitException",
  "exitCrAccess",
  "exitCpuid",
  "exitMsrRead",
  "exitMsrWrite",
  "exitMitigation",
  "exitFastpath",
  "retpoline",
  "vmread",
  "skipEmulatedInstruction",
  "hypercall",
  "setCr3",
  "cpuidEmulation",
  "getMsr",
  "setMsr",
  "fastPioOut",
  "fastPioIn",
  "vcpuMatchMmioGpa",
  "mmioSpteWalk",
  "tdpPageFault",
  "fastPageFault",
  "shadowPageFault",
  "memslotLookup",
  "hvaToPfn",
  "mmuLock",
  "mmuLockContended",
  "mmuLockRead",
  "mmuLockReadContended",
  "spteInstall",
  "remoteTlbFlush",
  "tlbFlush",
  "zapAllPages",
  "emulateInstruction",
  "decodeInstruction",
  "injectException",
  "guestWalkInSoftware",
  "ioBusLookup",
  "ioBusCompare",
  "ioeventfdInRange",
  "datamatchCompare",
  "inKernelDevice",
  "coalescedMmioWrite",
  "eventfdSignal",
  "eventfdWakePoller",
  "eventfdWakeSleeper",
  "eventfdLineMoved",
  "synchronizeSrcu",
  "srcuReaderAwaited",
  "userspaceExitIo",
  "userspaceExitMmio",
  "userspaceExitMitigation",
  "userspaceDeviceModel",
] as const;

type KvmPrimitive = (typeof KVM_PRIMITIVES)[number];

/** Names of all primitives, in the order of the ledger. */
export const PRIMITIVES: readonly string[] = [...X86_PRIMITIVES, ...KVM_PRIMITIVES];

/** Index in the ledger of each of the hypervisor's primitives. */
export const KVM = Object.freeze(
  Object.fromEntries(KVM_PRIMITIVES.map((name, index) => [name, X86_PRIMITIVES.length + index])),
) as Readonly<Record<KvmPrimitive, number>>;
