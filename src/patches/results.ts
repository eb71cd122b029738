/** What the kernel's functions may return, so that a patch that returns nonsense is told so at once. */
import {
  EMULATE,
  EMULATE_WRITE_PROTECTED,
  EXIT_FASTPATH_NONE,
  EXIT_FASTPATH_REENTER_GUEST,
  RESUME,
} from "./constants.js";

interface Allowed {
  readonly what: string;
  readonly holds: (result: unknown) => boolean;
}

const isError = (result: unknown) => Number.isInteger(result) && Number(result) < 0;

const EXIT: Allowed = {
  what: "1 to resume the guest, 0 to exit to userspace, or a negative error number",
  holds: (result) => result === 0 || result === 1 || isError(result),
};
const FASTPATH: Allowed = {
  what: "EXIT_FASTPATH_NONE or EXIT_FASTPATH_REENTER_GUEST",
  holds: (result) => result === EXIT_FASTPATH_NONE || result === EXIT_FASTPATH_REENTER_GUEST,
};
const FAULT: Allowed = {
  what: "RESUME, EMULATE, EMULATE_WRITE_PROTECTED, or a negative error number",
  holds: (result) =>
    result === RESUME || result === EMULATE || result === EMULATE_WRITE_PROTECTED || isError(result),
};
const INTEGER: Allowed = { what: "an integer", holds: Number.isInteger };
const FLAG: Allowed = { what: "true or false", holds: (result) => typeof result === "boolean" };

/** Functions that patches to the fault and exit paths change. */
const RESULTS: Readonly<Record<string, Allowed>> = {
  exitHandlersFastpath: FASTPATH,
  ...Object.fromEntries(
    [
      "handleExit",
      "handleEptViolation",
      "vmxHandleEptViolation",
      "handleEptMisconfig",
      "handleMmioMisconfig",
      "handleIo",
      "handleCr",
      "handleException",
      "handleVmcall",
      "npfInterception",
      "ioInterception",
      "msrInterception",
      "kvmEmulateCpuid",
      "kvmEmulateRdmsr",
      "kvmEmulateWrmsr",
      "kvmMmuPageFault",
      "kvmFastPioOut",
      "x86EmulateInstruction",
      "skipEmulatedInstruction",
      "kvmSkipEmulatedInstruction",
    ].map((name) => [name, EXIT]),
  ),
  kvmHandleBadPage: FAULT,
  ...Object.fromEntries(
    [
      "pageFault",
      "tdpPageFault",
      "directMap",
      "mmuSetSpte",
      "tryAsyncPf",
      "handleMmioPageFault",
      "handleMmioPageFaultCommon",
      "violationErrorCode",
      "npfErrorCode",
      "exitQualification",
      "guestPhysicalAddress",
      "kvmIoBusWrite",
      "kvmIoBusRead",
      "ioeventfdWrite",
    ].map((name) => [name, INTEGER]),
  ),
  ...Object.fromEntries(
    ["fastPageFault", "ioeventfdInRange", "isVectoring", "mayVector", "isMmioPageFault"].map((name) => [
      name,
      FLAG,
    ]),
  ),
};

/** Tells what is wrong with a result of one of the kernel's functions; null: nothing that could be told. */
export function problemOfResult(name: string): (result: unknown) => string | null {
  const allowed = RESULTS[name];
  if (allowed === undefined) return () => null;
  return (result) => (allowed.holds(result) ? null : problemOf(result, allowed));
}

function problemOf(result: unknown, { what }: Allowed): string {
  const found = result instanceof Promise ? "a promise" : String(result);
  return `returned ${found}; allowed: ${what}`;
}
