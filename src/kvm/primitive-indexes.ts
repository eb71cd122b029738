/**
 * Index in the ledger of each of the hypervisor's primitives, after the silicon's own. As in x86/ledger.ts they are constants,
 * not members of an object: the compiled package has numbers in place of their names (src/setup/compile.mjs).
 */
import { DATA_REF } from "../x86/ledger.js";

/** There is a reference to data for each level of the memory hierarchy. */
export const exitVmcall = DATA_REF + 4;
export const exitIoInstruction = exitVmcall + 1;
export const exitEptViolation = exitIoInstruction + 1;
export const exitEptMisconfig = exitEptViolation + 1;
export const exitNpf = exitEptMisconfig + 1;
export const exitException = exitNpf + 1;
export const exitCrAccess = exitException + 1;
export const exitCpuid = exitCrAccess + 1;
export const exitMsrRead = exitCpuid + 1;
export const exitMsrWrite = exitMsrRead + 1;
export const exitMitigation = exitMsrWrite + 1;
export const exitFastpath = exitMitigation + 1;
export const retpoline = exitFastpath + 1;
export const vmread = retpoline + 1;
export const skipEmulatedInstruction = vmread + 1;
export const hypercall = skipEmulatedInstruction + 1;
export const setCr3 = hypercall + 1;
export const cpuidEmulation = setCr3 + 1;
export const getMsr = cpuidEmulation + 1;
export const setMsr = getMsr + 1;
export const fastPioOut = setMsr + 1;
export const fastPioIn = fastPioOut + 1;
export const vcpuMatchMmioGpa = fastPioIn + 1;
export const mmioSpteWalk = vcpuMatchMmioGpa + 1;
export const tdpPageFault = mmioSpteWalk + 1;
export const fastPageFault = tdpPageFault + 1;
export const shadowPageFault = fastPageFault + 1;
export const memslotLookup = shadowPageFault + 1;
export const hvaToPfn = memslotLookup + 1;
export const mmuLock = hvaToPfn + 1;
export const mmuLockContended = mmuLock + 1;
export const mmuLockRead = mmuLockContended + 1;
export const mmuLockReadContended = mmuLockRead + 1;
export const spteInstall = mmuLockReadContended + 1;
export const remoteTlbFlush = spteInstall + 1;
export const tlbFlush = remoteTlbFlush + 1;
export const zapAllPages = tlbFlush + 1;
export const emulateInstruction = zapAllPages + 1;
export const decodeInstruction = emulateInstruction + 1;
export const injectException = decodeInstruction + 1;
export const guestWalkInSoftware = injectException + 1;
export const ioBusLookup = guestWalkInSoftware + 1;
export const ioBusCompare = ioBusLookup + 1;
export const ioeventfdInRange = ioBusCompare + 1;
export const datamatchCompare = ioeventfdInRange + 1;
export const inKernelDevice = datamatchCompare + 1;
export const coalescedMmioWrite = inKernelDevice + 1;
export const eventfdSignal = coalescedMmioWrite + 1;
export const eventfdWakePoller = eventfdSignal + 1;
export const eventfdWakeSleeper = eventfdWakePoller + 1;
export const eventfdLineMoved = eventfdWakeSleeper + 1;
export const synchronizeSrcu = eventfdLineMoved + 1;
export const srcuReaderAwaited = synchronizeSrcu + 1;
export const userspaceExitIo = srcuReaderAwaited + 1;
export const userspaceExitMmio = userspaceExitIo + 1;
export const userspaceExitMitigation = userspaceExitMmio + 1;
export const userspaceDeviceModel = userspaceExitMitigation + 1;
