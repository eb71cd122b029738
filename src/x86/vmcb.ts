/**
 * The fields of the VMCB's control area that the modelled #VMEXITs fill in.
 * Specified in the AMD64 Architecture Programmer's Manual, volume 2, "#VMEXIT", "State Saved on Exit", "Decode Assists",
 * "IOIO Intercepts", "MSR Intercepts", "Nested versus Guest Page Faults, Fault Ordering" and "SVM Intercept Exit Codes".
 */

export const VMEXIT_CPUID = 0x72;
export const VMEXIT_IOIO = 0x7b;
export const VMEXIT_MSR = 0x7c;
export const VMEXIT_VMMCALL = 0x81;
export const VMEXIT_NPF = 0x400;

/** EXITINFO1 of an IOIO intercept, with the port in bits 31:16. TYPE: IN or INS; else OUT or OUTS. */
export const IOIO_IN = 1 << 0;
/** A string instruction. */
export const IOIO_STR = 1 << 2;
/** Size of the operand: 8, 16 or 32 bits. */
export const IOIO_SZ8 = 1 << 4;
export const IOIO_SZ16 = 1 << 5;
export const IOIO_SZ32 = 1 << 6;

/** EXITINFO1 of an MSR intercept: WRMSR; else RDMSR. */
export const MSR_WRITE = 1;

/** EXITINTINFO: an event was being delivered. The rest is as in Intel's IDT-vectoring information. */
export const EXITINTINFO_VALID = 0x8000_0000;

export class Vmcb {
  exitCode = 0;
  /** IOIO: port and IOIO_... #NPF: the error code, NPF_... of npt.ts. MSR: MSR_WRITE or 0. VMMCALL: nothing. */
  exitInfo1 = 0;
  /** IOIO: address of the next instruction, bytes. #NPF: guest-physical address, bytes. VMMCALL: nothing. */
  exitInfo2 = 0;
  /** nRIP: address of the next instruction, bytes. The manual has it saved for VMMCALL and IOIO, and 0 after a #NPF. */
  nextRip = 0;
  /** What was being delivered to the guest when the #VMEXIT came; 0: nothing. */
  exitIntInfo = 0;
  /** How many guest instruction bytes were fetched: 15 after a #NPF of a data access, else 0. */
  instructionBytes = 0;
}
