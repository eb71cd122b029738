/**
 * The two-dimensional walk from nothing: which entries it reads and in which order, and how many there are for every guest
 * paging mode, page size and EPT. Both come from the walk itself over entries in memory, not from a formula.
 */
import { loadCpu } from "../cost/cpu-profile.js";
import {
  type EptFormat,
  type GuestFormat,
  PAGE_SIZES,
  type PagingFormat,
  PagingStructures,
} from "../workload/paging-structures.js";
import { READ } from "../x86/access.js";
import type { CpuGeometry } from "../x86/cpu.js";
import { PAGE, TRANSLATED } from "../x86/mmu.js";
import { type ProbeStep, probeTranslation } from "../x86/probe.js";
import { studyCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { walkReferences } from "./loads.js";
import { provenanceOf } from "./provenance.js";
import type { Provenance } from "./result.js";

/** One entry that a walk reads. Addresses in bytes. */
export interface WalkStep {
  /** From 1. */
  readonly number: number;
  readonly structure: ProbeStep["structure"];
  /** 1 = PTE to 5 = PML5E. */
  readonly level: number;
  /** What the walk wants to know: where this guest table lies, such as "PML4", or the "data". */
  readonly purpose: string;
  /** Of a guest's entry; of an EPT entry, the address that it translates. */
  readonly guestPhysicalAddress: number;
  /** Where the entry lies. */
  readonly hostPhysicalAddress: number;
  /** Its value, as "0x..." text. */
  readonly entry: string;
}

/** A walk that finds nothing cached. */
export interface ColdWalk {
  readonly provenance: Provenance;
  /** The processor, and what was changed in it. */
  readonly machine: string;
  /** Linear address of the access, bytes. */
  readonly linearAddress: number;
  /** The entries that are read, in order. */
  readonly steps: readonly WalkStep[];
  /** Host-physical address of the datum, bytes. */
  readonly hostPhysicalAddress: number;
}

/** References of one walk with nothing cached. */
export interface ReferenceCount {
  readonly guest: GuestFormat;
  /** null: no EPT. */
  readonly ept: EptFormat | null;
  /** Entries read of the guest's paging structures, and of the EPT's. */
  readonly guestReferences: number;
  readonly eptReferences: number;
}

export interface ReferenceCounts {
  readonly provenance: Provenance;
  readonly machine: string;
  /** Every guest with every EPT. */
  readonly counts: readonly ReferenceCount[];
}

/** The profile behind both; of its geometry, only what it supports shows. */
const CPU = "skylake-x-i9-7900x";

/** Page numbers in a region that one EPT PML4E spans: 512 Gbyte. */
const PML4E_PAGES = 2 ** 27;

/** Nothing here is random. */
const SEED = 1;

/**
 * The walk of 4-level guest paging under a 4-level EPT, all pages of 4 Kbyte. The guest's four structures and the datum lie
 * in a region of 512 Gbyte each, so that no entry serves two of them.
 */
export function studyColdWalk(): ColdWalk {
  const { geometry, model } = loadCpu(CPU);
  const format = { guest: { mode: "4-level", pages: "4K" }, ept: { levels: 4, pages: "4K" } } as const;
  const structures = new PagingStructures(geometry, format, (n) => n * PML4E_PAGES);
  const page = 0x7_f123_4567;
  structures.map(page, 4 * PML4E_PAGES);
  const { mmu } = structures.processor();
  const { steps, hostPhysicalAddress } = probeTranslation(mmu, BigInt(page * PAGE), READ);
  if (hostPhysicalAddress === null) throw new Error("the page is mapped, and was not translated");
  return {
    provenance: provenanceOfWalks("cold-walk"),
    machine: model,
    linearAddress: page * PAGE,
    steps: steps.map((step, index) => ({
      number: index + 1,
      ...step,
      entry: `0x${step.entry.toString(16)}`,
    })),
    hostPhysicalAddress,
  };
}

/**
 * One load on a processor without paging-structure caches and nested TLB, for every guest paging mode and page size with
 * every EPT. The EPT's page size is that of all pages, those of the guest's structures too.
 */
export function studyReferenceCounts(): ReferenceCounts {
  const { geometry, model } = loadCpu(CPU);
  const bare: CpuGeometry = {
    ...geometry,
    ept5Levels: true,
    pdeCache: null,
    pdpteCache: null,
    pml4eCache: null,
    pml5eCache: null,
    nestedTlb: null,
  };
  return {
    provenance: provenanceOfWalks("reference-counts"),
    machine: `${model}, without paging-structure caches and nested TLB, and with 5-level EPT`,
    counts: GUESTS.flatMap((guest) => EPTS.map((ept) => countReferences(bare, { guest, ept }))),
  };
}

function provenanceOfWalks(study: string): Provenance {
  return provenanceOf({
    seed: SEED,
    conditions: conditionsOf([{ cpu: CPU }]),
    command: studyCommand(study, {}),
  });
}

const GUESTS: readonly GuestFormat[] = (["4-level", "5-level", "PAE", "32-bit", "none"] as const).flatMap(
  (mode) => PAGE_SIZES[mode].map((pages) => ({ mode, pages })),
);

const EPTS: readonly (EptFormat | null)[] = [
  null,
  ...([4, 5] as const).flatMap((levels) => (["4K", "2M", "1G"] as const).map((pages) => ({ levels, pages }))),
];

function countReferences(geometry: CpuGeometry, format: PagingFormat): ReferenceCount {
  // A linear address that every mode has, and structures behind it.
  const page = 0x12345;
  const structures = new PagingStructures(geometry, format, (n) => 0x40000 + n);
  structures.map(page, page);
  const { mmu, ledger } = structures.processor();
  if (mmu.translate(page, 0, READ) !== TRANSLATED)
    throw new Error("the page is mapped, and was not translated");
  const { guest, ept } = walkReferences(ledger.toRecord());
  return { ...format, guestReferences: guest, eptReferences: ept };
}
