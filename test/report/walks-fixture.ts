/** Small runs of the studies of walks and of a fault, with the provenance of the made-up study: what the figures show does not change with the code. */
import { studyLifeOfFault } from "../../src/study/life-of-a-fault.js";
import { studyLoadLatency } from "../../src/study/load-latency.js";
import { studyNestedWalks } from "../../src/study/nested-walks.js";
import { studyColdWalk, studyReferenceCounts } from "../../src/study/two-dimensional-walk.js";
import { unfitted as provenance } from "./fixture.js";

export const coldWalk = { ...studyColdWalk(), provenance };
export const referenceCounts = { ...studyReferenceCounts(), provenance };
export const loadLatency = {
  ...studyLoadLatency({ cpus: ["lynnfield-i7-860"], maxFootprintKib: 4096 }),
  provenance,
};
export const nestedWalks = { ...studyNestedWalks({ footprintsKib: [64, 16384] }), provenance };
export const lifeOfFault = { ...studyLifeOfFault(), provenance };
