/** Why a guest on this machine's KVM ended otherwise than its program says. */

import type { RunEvent } from "./vcpu.js";

export type GuestEnd = "time-limit" | "shutdown" | "interrupted" | "internal-error" | "unexpected-exit";

/** How a run ended too early, as the vCPU's thread tells it. */
export interface EarlyEnd {
  readonly end: GuestEnd;
  /** More about it, such as the exit's name. */
  readonly detail: string;
  /** Where the guest was; null after a shutdown, for KVM may have reset the vCPU. */
  readonly rip: bigint | null;
  /** What happened before. */
  readonly events: readonly RunEvent[];
}

export class GuestError extends Error {
  constructor(readonly early: EarlyEnd) {
    const { detail, rip } = early;
    super(rip === null ? detail : `${detail}, at RIP 0x${rip.toString(16)}`);
    this.name = "GuestError";
  }

  get end(): GuestEnd {
    return this.early.end;
  }
}
