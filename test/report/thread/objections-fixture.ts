/** Small runs of the studies of the objections, with the provenance of the made-up study. */
import { studyBypass } from "../../../src/study/thread/objections/bypass.js";
import { studyFaultTax } from "../../../src/study/thread/objections/fault-tax.js";
import { studyReads } from "../../../src/study/thread/objections/reads.js";
import { studySlotPrice } from "../../../src/study/thread/objections/slot-price.js";
import { unfitted as provenance } from "../fixture.js";

export const reads = { ...studyReads({ accesses: 100 }), provenance };
export const faultTax = { ...studyFaultTax({ accesses: 100 }), provenance };
export const bypass = { ...studyBypass({ accesses: 100 }), provenance };
export const slotPrice = { ...studySlotPrice({ accesses: 100 }), provenance };
