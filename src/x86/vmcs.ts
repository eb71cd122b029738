/**
 * The VM-exit information fields of the VMCS that the modelled exits fill in.
 * Specified in the Intel SDM, volume 3C, "VM-exit information fields" and "Recording VM-exit information".
 */

export const EXIT_REASON_EXCEPTION_NMI = 0;
export const EXIT_REASON_CPUID = 10;
export const EXIT_REASON_VMCALL = 18;
export const EXIT_REASON_CR_ACCESS = 28;
export const EXIT_REASON_IO_INSTRUCTION = 30;
export const EXIT_REASON_MSR_READ = 31;
export const EXIT_REASON_MSR_WRITE = 32;
export const EXIT_REASON_EPT_VIOLATION = 48;
export const EXIT_REASON_EPT_MISCONFIG = 49;

/** Bits of the exit qualification of an I/O instruction: size - 1 in bits 2:0, IN, string, the port in bits 31:16. */
export const IO_QUALIFICATION_IN = 1 << 3;
export const IO_QUALIFICATION_STRING = 1 << 4;

/** Exit qualification of MOV to CR3 from RDI: the control register in bits 3:0, 0 for MOV to CR in 5:4, the source in 11:8. */
export const CR_QUALIFICATION_MOV_RDI_TO_CR3 = 3 + (7 << 8);

/** IDT-vectoring information: valid, of an external interrupt with this vector. */
export const IDT_VECTORING_VALID = 0x8000_0000;
export const VECTORED_INTERRUPT = IDT_VECTORING_VALID + 0x20;

/** VM-exit interruption information of a page fault: valid, with an error code, hardware exception, vector 14. */
export const INTERRUPTION_PAGE_FAULT = 0x8000_0b0e;

export class Vmcs {
  exitReason = 0;
  /** Not defined for an EPT misconfiguration; the manual has it cleared for exits that define none. */
  exitQualification = 0;
  /** What was being delivered to the guest when the exit came; 0: nothing. */
  idtVectoringInfo = 0;
  /** Of an exception that exits: what it is, and its error code. */
  exitInterruptionInfo = 0;
  exitInterruptionErrorCode = 0;
  /** Guest-physical address in bytes. */
  guestPhysicalAddress = 0;
  /** Bytes. The manual leaves it undefined for EPT exits; Intel processors fill it in, and so does the model. */
  instructionLength = 0;
}
