/**
 * Shadow page table entries, bit for bit: what KVM writes into the EPT, into nested page tables and into the shadow of the
 * guest's own tables, in the layouts of three eras. Kernel counterparts: arch/x86/kvm/mmu.c of Linux 4.2,
 * arch/x86/kvm/mmu/spte.c of Linux 6.19.
 */
import type { CpuGeometry } from "../x86/cpu.js";
import { entryHigh, entryLow, entryPfn } from "../x86/physical-memory.js";

/** Who reads the entries: the walk of the EPT, that of AMD's nested page tables, or, with both off, the guest's own. */
export const PAGINGS = ["ept", "npt", "shadow"] as const;
export type Paging = (typeof PAGINGS)[number];

/** An entry as the two words of a paging-structure entry, each a signed integer. */
export interface Spte {
  readonly low: number;
  readonly high: number;
}

/** Where some bits of the memslot generation lie in an MMIO SPTE. */
interface GenerationField {
  readonly bits: number;
  /** Lowest bit in the generation, and in the entry. */
  readonly from: number;
  readonly at: number;
}

/** One layout: masks over the 64 bits of an entry. */
export interface SpteLayout {
  /** An entry that is not present. */
  readonly nonPresent: bigint;
  /** Set in every entry that is present. */
  readonly present: bigint;
  /** An entry that references a table, and one that maps memory, without the bits named below. */
  readonly table: bigint;
  readonly leaf: bigint;
  readonly writable: bigint;
  /** The host lets the page be written; KVM itself does. Both are in bits that the processor ignores. */
  readonly hostWritable: bigint;
  readonly mmuWritable: bigint;
  readonly user: bigint;
  readonly notExecutable: bigint;
  readonly accessed: bigint;
  readonly dirty: bigint;
  /** Set where the processor has no accessed and dirty flags. */
  readonly accessedDirtyOff: bigint;
  /** Leaves have the flags set even there. */
  readonly marksLeaves: boolean;
  /** An MMIO SPTE: value and mask to be recognised by, access bits that it keeps, generation. 0: there are none. */
  readonly mmioValue: bigint;
  readonly mmioMask: bigint;
  readonly mmioAccess: bigint;
  readonly generation: readonly GenerationField[];
}

const PAGE_SIZE_BIT = 1 << 7;
const NX = 1n << 63n;

/** Memory type write-back in bits 5:3 and ignore-PAT in bit 6. */
const EPT_WRITE_BACK = 0x70n;

/** Bits 11:3 hold the generation's bits 9:1, bits 61:52 its bits 19:10. Bit 0 is not stored and reads as 0. */
const GENERATION_4_2 = [
  { bits: 9, from: 1, at: 3 },
  { bits: 10, from: 10, at: 52 },
] as const;

const GENERATION_6_19 = [
  { bits: 8, from: 0, at: 3 },
  { bits: 11, from: 8, at: 52 },
] as const;

const EPT_4_2: SpteLayout = {
  nonPresent: 0n,
  present: 1n,
  table: 0b111n,
  leaf: 0b101n | EPT_WRITE_BACK,
  writable: 0b010n,
  hostWritable: 1n << 10n,
  mmuWritable: 1n << 11n,
  user: 0n,
  notExecutable: 0n,
  accessed: 1n << 8n,
  dirty: 1n << 9n,
  accessedDirtyOff: 0n,
  marksLeaves: false,
  // Writable but not readable, which the processor reports as a misconfiguration.
  mmioValue: 0xc000_0000_0000_0006n,
  mmioMask: 0xc000_0000_0000_0006n,
  mmioAccess: 0n,
  generation: GENERATION_4_2,
};

/** Without a generation; recalled. */
const EPT_3_9: SpteLayout = {
  ...EPT_4_2,
  mmioValue: 0x01fe_0000_0000_0006n,
  mmioMask: 0x01fe_0000_0000_0006n,
  generation: [],
};

const EPT_6_19: SpteLayout = {
  ...EPT_4_2,
  // Suppress #VE.
  nonPresent: 1n << 63n,
  present: 1n << 11n,
  table: (1n << 63n) | (1n << 11n) | EPT_4_2.table,
  leaf: (1n << 63n) | (1n << 11n) | EPT_4_2.leaf,
  hostWritable: 1n << 57n,
  mmuWritable: 1n << 58n,
  accessedDirtyOff: 1n << 52n,
  marksLeaves: true,
  mmioValue: 0b110n,
  mmioMask: (1n << 63n) | 0b111n,
  generation: GENERATION_6_19,
};

/** The formats of ordinary paging: the MMIO SPTE is present and has address bits set that the processor reserves. */
function ordinary4_2(physicalAddressBits: number): SpteLayout {
  const reserved = (1n << 52n) - (1n << BigInt(physicalAddressBits));
  // With 52 bits none is reserved: without the present bit the entry faults, but not as one with reserved bits.
  const mmio = reserved | (0b11n << 62n) | (physicalAddressBits < 52 ? 1n : 0n);
  return {
    nonPresent: 0n,
    present: 1n,
    table: 0b111n,
    leaf: 0b001n,
    writable: 0b010n,
    hostWritable: 1n << 10n,
    mmuWritable: 1n << 11n,
    user: 0b100n,
    notExecutable: NX,
    accessed: 1n << 5n,
    dirty: 1n << 6n,
    accessedDirtyOff: 0n,
    marksLeaves: false,
    mmioValue: mmio,
    mmioMask: mmio,
    mmioAccess: 0b110n,
    generation: GENERATION_4_2,
  };
}

/** Bits 62 down to the width are set in an MMIO SPTE; recalled. */
function ordinary3_9(physicalAddressBits: number): SpteLayout {
  const reserved = (1n << 63n) - (1n << BigInt(physicalAddressBits));
  const mmio = reserved | (physicalAddressBits < 52 ? 1n : 0n);
  return { ...ordinary4_2(physicalAddressBits), mmioValue: mmio, mmioMask: mmio, generation: [] };
}

function ordinary6_19(physicalAddressBits: number): SpteLayout {
  const before = ordinary4_2(physicalAddressBits);
  const mmio = physicalAddressBits < 52 ? (1n << 51n) | 1n : 0n;
  return {
    ...before,
    nonPresent: 1n << 63n,
    present: 1n << 11n,
    table: (1n << 11n) | before.table,
    leaf: (1n << 11n) | before.leaf,
    hostWritable: 1n << 9n,
    mmuWritable: 1n << 10n,
    mmioValue: mmio,
    mmioMask: mmio,
    generation: GENERATION_6_19,
  };
}

export function spteLayout3_9(paging: Paging, geometry: CpuGeometry): SpteLayout {
  return paging === "ept" ? EPT_3_9 : ordinary3_9(geometry.physicalAddressBits);
}

export function spteLayout4_2(paging: Paging, geometry: CpuGeometry): SpteLayout {
  return paging === "ept" ? EPT_4_2 : ordinary4_2(geometry.physicalAddressBits);
}

export function spteLayout6_19(paging: Paging, geometry: CpuGeometry): SpteLayout {
  return paging === "ept" ? EPT_6_19 : ordinary6_19(geometry.physicalAddressBits);
}

/** What a leaf allows. A fault has one from `leafAccess()`, and so makes none. */
export interface LeafAccess {
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  /** The host's own mapping lets the page be written. */
  readonly hostWritable: boolean;
  /** Mapped before anything has touched it. */
  readonly speculative: boolean;
}

/** Bits of an index of every `LeafAccess`, and of a leaf that is a large page. */
const WRITABLE = 1 << 0;
const USER = 1 << 1;
const EXECUTABLE = 1 << 2;
const HOST_WRITABLE = 1 << 3;
const SPECULATIVE = 1 << 4;
const LARGE = 1 << 5;
const LEAVES = 1 << 6;

const LEAF_ACCESSES: readonly LeafAccess[] = Array.from({ length: LARGE }, (_, bits) => ({
  writable: (bits & WRITABLE) !== 0,
  user: (bits & USER) !== 0,
  executable: (bits & EXECUTABLE) !== 0,
  hostWritable: (bits & HOST_WRITABLE) !== 0,
  speculative: (bits & SPECULATIVE) !== 0,
}));

/** The rights of a page, as one of the objects that stand for all there are. */
export function leafAccess(
  rights: Pick<LeafAccess, "user" | "executable">,
  writable: boolean,
  hostWritable: boolean,
  speculative: boolean,
): LeafAccess {
  return LEAF_ACCESSES[indexOf(rights, writable, hostWritable, speculative)];
}

function indexOf(
  { user, executable }: Pick<LeafAccess, "user" | "executable">,
  writable: boolean,
  hostWritable: boolean,
  speculative: boolean,
): number {
  return (
    (writable ? WRITABLE : 0) |
    (user ? USER : 0) |
    (executable ? EXECUTABLE : 0) |
    (hostWritable ? HOST_WRITABLE : 0) |
    (speculative ? SPECULATIVE : 0)
  );
}

/** A layout on a processor. Its 64 bits are taken apart once; from then on an entry is two words. */
export class SpteFormat {
  readonly nonPresent: Spte;
  private readonly present: Spte;
  private readonly mmioMask: Spte;
  private readonly mmioValue: Spte;
  private readonly mmioAccess: Spte;
  private readonly mmuWritable: Spte;
  private readonly bothWritable: Spte;
  private readonly writableLow: number;
  /** An entry that references a table, and by index the leaves, without their page frame numbers. */
  private readonly emptyTable: Spte;
  private readonly emptyLeaves: readonly Spte[];
  /** Address bits that are set in every MMIO SPTE: the gfn's own stand L1TF_BITS higher. */
  private readonly l1tf: Spte;
  /** Bits of an MMIO SPTE in which the gfn stands where it belongs. */
  private readonly mmioAddress: Spte;
  private readonly generation: readonly GenerationField[];
  /** Generations that an MMIO SPTE can tell apart, less 1. */
  private readonly lastGeneration: number;

  /**
   * @param accessedDirty the processor keeps accessed and dirty flags in the entries
   * @param l1tf the processor speculates past entries that are not present (L1TF): the five highest legal address bits of
   *   an MMIO SPTE are set, and the gfn's own bits stand five places higher, where there is room for them
   */
  constructor(
    private readonly layout: SpteLayout,
    geometry: CpuGeometry,
    accessedDirty: boolean,
    l1tf = false,
  ) {
    this.nonPresent = words(layout.nonPresent);
    this.present = words(layout.present);
    this.mmioMask = words(layout.mmioMask);
    this.mmioValue = words(layout.mmioValue);
    this.mmioAccess = words(layout.mmioAccess);
    this.mmuWritable = words(layout.mmuWritable);
    this.bothWritable = words(layout.mmuWritable | layout.hostWritable);
    this.writableLow = Number(layout.writable);
    const tag = accessedDirty ? 0n : layout.accessedDirtyOff;
    this.emptyTable = words(layout.table | tag | (accessedDirty ? layout.accessed : 0n));
    const marked = accessedDirty || layout.marksLeaves;
    this.emptyLeaves = Array.from({ length: LEAVES }, (_, bits) =>
      words(tag | leafBits(layout, bits, marked)),
    );
    const width = BigInt(geometry.physicalAddressBits);
    const l1tfMask =
      l1tf && geometry.physicalAddressBits < 52 - Number(L1TF_BITS)
        ? (1n << width) - (1n << (width - L1TF_BITS))
        : 0n;
    this.l1tf = words(l1tfMask);
    let taken = layout.mmioMask | layout.mmioAccess | l1tfMask | (l1tfMask << L1TF_BITS);
    for (const { bits, at } of layout.generation) taken |= ((1n << BigInt(bits)) - 1n) << BigInt(at);
    this.mmioAddress = words(~taken);
    this.generation = layout.generation;
    const highest = layout.generation.at(-1);
    this.lastGeneration = highest === undefined ? 0 : 2 ** (highest.bits + highest.from) - 1;
  }

  /** An entry that references a table. */
  table(pfn: number): Spte {
    return withPfn(this.emptyTable, pfn);
  }

  /** An entry that maps 4 Kbyte (level 1), 2 Mbyte (2) or 1 Gbyte (3). */
  leaf(pfn: number, level: number, access: LeafAccess): Spte {
    const { writable, hostWritable, speculative } = access;
    const index = indexOf(access, writable, hostWritable, speculative) | (level > 1 ? LARGE : 0);
    return withPfn(this.emptyLeaves[index], pfn);
  }

  /** The entry that marks a page without a slot, with the memslot generation it is made under. */
  mmio(gfn: number, generation: number, access = 0b110): Spte {
    const { mmioValue, mmioAccess, l1tf } = this;
    const addressLow = entryLow(gfn, 0);
    const addressHigh = entryHigh(gfn);
    const toMove = addressLow & l1tf.low;
    const movedHigh = ((addressHigh & l1tf.high) << L1TF_SHIFT) | (toMove >>> (32 - L1TF_SHIFT));
    let low = mmioValue.low | (access & mmioAccess.low) | addressLow | l1tf.low | (toMove << L1TF_SHIFT);
    let high = mmioValue.high | addressHigh | l1tf.high | movedHigh;
    for (const { bits, from, at } of this.generation) {
      const part = (generation >> from) & ((1 << bits) - 1);
      if (at < 32) low |= part << at;
      else high |= part << (at - 32);
    }
    return { low, high };
  }

  isPresent(low: number, high: number): boolean {
    return ((low & this.present.low) | (high & this.present.high)) !== 0 && !this.isMmio(low, high);
  }

  /** Whether a present entry at a level maps memory. */
  isLeaf(level: number, low: number): boolean {
    return level === 1 || (low & PAGE_SIZE_BIT) !== 0;
  }

  /** Whether an MMIO SPTE tells under which memslot generation it was made. */
  get storesGeneration(): boolean {
    return this.layout.generation.length > 0;
  }

  /** Whether there is an entry that the processor reports as one with reserved bits. */
  get marksMmio(): boolean {
    return this.layout.mmioMask !== 0n;
  }

  isMmio(low: number, high: number): boolean {
    const { mmioMask, mmioValue } = this;
    if ((mmioMask.low | mmioMask.high) === 0) return false;
    return ((low & mmioMask.low) ^ mmioValue.low) === 0 && ((high & mmioMask.high) ^ mmioValue.high) === 0;
  }

  /** The memslot generation that an MMIO SPTE holds. */
  generationOf(low: number, high: number): number {
    let generation = 0;
    for (const { bits, from, at } of this.generation) {
      const word = at < 32 ? low >>> at : high >>> (at - 32);
      generation |= (word & ((1 << bits) - 1)) << from;
    }
    return generation;
  }

  /** A generation as far as an MMIO SPTE can hold it, 0 where it holds none; its lowest bits count even if not stored. */
  truncated(generation: number): number {
    return generation & this.lastGeneration;
  }

  /** The access bits that an MMIO SPTE holds. */
  mmioAccessOf(low: number): number {
    return low & this.mmioAccess.low;
  }

  /** The guest page frame number in an MMIO SPTE. */
  gfnOf(low: number, high: number): number {
    const { mmioAddress, l1tf } = this;
    const movedLow = (low >>> L1TF_SHIFT) | (high << (32 - L1TF_SHIFT));
    const movedHigh = high >>> L1TF_SHIFT;
    return entryPfn(
      (low & mmioAddress.low) | (movedLow & l1tf.low),
      (high & mmioAddress.high) | (movedHigh & l1tf.high),
    );
  }

  isWritable(low: number): boolean {
    return (low & this.writableLow) !== 0;
  }

  /** Whether the entry was made not writable only to notice a write: the host and KVM both let it be written. */
  isWriteProtectedOnly(low: number, high: number): boolean {
    const { bothWritable } = this;
    return (
      ((low & bothWritable.low) ^ bothWritable.low) === 0 &&
      ((high & bothWritable.high) ^ bothWritable.high) === 0
    );
  }

  /** The entry with write access. */
  writable(low: number, high: number): Spte {
    return { low: low | this.writableLow, high: high | 0 };
  }

  /** The entry without write access; `forGood`: not to be given back without the lock. */
  writeProtected(low: number, high: number, forGood: boolean): Spte {
    const { mmuWritable } = this;
    const keepLow = ~(this.writableLow | (forGood ? mmuWritable.low : 0));
    const keepHigh = forGood ? ~mmuWritable.high : -1;
    return { low: low & keepLow, high: high & keepHigh };
  }
}

const L1TF_BITS = 5n;
const L1TF_SHIFT = Number(L1TF_BITS);

/** The bits of a leaf; `marked`: with accessed and dirty flags. */
function leafBits(layout: SpteLayout, index: number, marked: boolean): bigint {
  let bits = layout.leaf;
  if ((index & LARGE) !== 0) bits |= BigInt(PAGE_SIZE_BIT);
  if ((index & SPECULATIVE) === 0 && marked) bits |= layout.accessed;
  if ((index & USER) !== 0) bits |= layout.user;
  if ((index & EXECUTABLE) === 0) bits |= layout.notExecutable;
  if ((index & HOST_WRITABLE) !== 0) bits |= layout.hostWritable;
  if ((index & WRITABLE) !== 0) bits |= layout.writable | layout.mmuWritable | (marked ? layout.dirty : 0n);
  return bits;
}

/** An entry of these bits: words as signed integers, which allocate nothing. */
function words(bits: bigint): Spte {
  return { low: Number(BigInt.asIntN(32, bits)), high: Number(BigInt.asIntN(32, bits >> 32n)) };
}

function withPfn({ low, high }: Spte, pfn: number): Spte {
  return { low: low | entryLow(pfn, 0), high: entryHigh(pfn, high) | 0 };
}

/** An entry as one number of 64 bits. */
export function spteValue(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
