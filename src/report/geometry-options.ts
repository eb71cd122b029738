/** What a study may change in a processor's geometry, as options in JSON have it: the fields of `CpuGeometry` of x86/cpu.ts. */
import { flag, integer, oneOf, record } from "../cost/input.js";
import { switchesSchema } from "../study/run/scenario-schema.js";
import { HASHES, REPLACEMENTS } from "../x86/set-associative.js";

const ways = integer(1, 2 ** 20, "ways");
const structure = (what: string) =>
  record({ entries: integer(1, 2 ** 20, "entries"), ways }).describe(`${what}: an object with entries, ways`);
const structureOrNone = (what: string) =>
  structure(what).nullable().describe(`${what}: an object with entries, ways, or null for none`);
const cache = (what: string) =>
  record({
    bytes: integer(64, 2 ** 32, "bytes"),
    ways,
    replacement: oneOf(REPLACEMENTS, "which line is replaced"),
  }).describe(`${what}: an object with bytes, ways, replacement`);
const hash = (what: string) => oneOf(HASHES, `how ${what} chooses the set of a line`);

/** Each field may be left out. */
export const geometryOptions = record({
  physicalAddressBits: integer(36, 52, "MAXPHYADDR"),
  guest1GPages: flag("the guest may use 1-Gbyte pages"),
  executeOnlyEpt: flag("execute-only EPT entries"),
  ept2MPages: flag("2-Mbyte EPT pages"),
  ept1GPages: flag("1-Gbyte EPT pages"),
  ept5Levels: flag("EPT page-walk length 5"),
  eptAccessedDirty: flag("EPT accessed and dirty flags"),
  advancedExitInformation: flag("advanced VM-exit information for EPT violations"),
  supervisorShadowStack: flag("supervisor shadow-stack control"),
  itlb4K: structure("instruction TLB of 4K pages"),
  itlb2M: structure("instruction TLB of 2M pages"),
  dtlb4K: structure("data TLB of 4K pages"),
  dtlb2M: structure("data TLB of 2M pages"),
  dtlb1G: structureOrNone("data TLB of 1G pages"),
  stlb: structure("second-level TLB"),
  stlbHolds2M: flag("the second-level TLB holds 2M pages too"),
  stlb1G: structureOrNone("second-level TLB of 1G pages"),
  pdeCache: structureOrNone("PDE cache"),
  pdpteCache: structureOrNone("PDPTE cache"),
  pml4eCache: structureOrNone("PML4E cache"),
  pml5eCache: structureOrNone("PML5E cache"),
  nestedTlb: structureOrNone("guest-physical TLB"),
  tlbReplacement: oneOf(REPLACEMENTS, "replacement in TLBs and paging-structure caches"),
  l1d: cache("L1D"),
  l2: cache("L2"),
  l3: cache("L3"),
  l2Hash: hash("L2"),
  l3Hash: hash("L3"),
  l3Inclusive: flag("what leaves L3 leaves L1 and L2 with it"),
  switches: switchesSchema.describe("what the manual leaves open"),
})
  .partial()
  .describe("what to change in the processor's geometry: an object with some of its fields");
