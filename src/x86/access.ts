/**
 * Kinds of access as the paging rules tell them apart: what is done, in bits 1:0, and in which mode, in bits 3:2.
 * Specified in the Intel SDM, volume 3A, "Access rights".
 */

export const READ = 0;
export const WRITE = 1;
export const FETCH = 2;

/** Supervisor-mode access, explicit: by an instruction's own operand or fetch at CPL 0 to 2. */
export const SUPERVISOR = 0 << 2;
/** User-mode access: at CPL 3. */
export const USER = 1 << 2;
/** Supervisor-mode access, implicit: to a descriptor table or the TSS, at any CPL. EFLAGS.AC does not help it. */
export const IMPLICIT = 2 << 2;

/** One of READ, WRITE and FETCH, plus one of SUPERVISOR, USER and IMPLICIT. */
export type AccessKind = number;

export const ACCESS_KINDS = 12;

/** READ, WRITE or FETCH of a kind. */
export function accessOf(kind: AccessKind): number {
  return kind & 3;
}
