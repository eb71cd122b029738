/** A small run of the TLB argument, with the provenance of the made-up study: what the figure shows does not change with the code. */
import { studyTlbArgument } from "../../../src/study/thread/tlb-argument.js";
import { unfitted as provenance } from "../fixture.js";

export const tlbArgument = {
  ...studyTlbArgument({ guestPages: ["4K"], ept: ["4K"], kicks: 32 }),
  provenance,
};
