/**
 * Shadow page table entries, bit for bit: what KVM writes into the EPT, into nested page tables and into the shadow of the
 * guest's own tables, in the layouts of three eras. Kernel counterparts: arch/x86/kvm/mmu.c of Linux 4.2,
 * arch/x86/kvm/mmu/spte.c of Linux 6.19.
 */
import type { CpuGeometry } from "../x86/cpu.js";
import { entryHigh, entryLow } from "../x86/physical-memory.js";

/** Who reads the entries: the walk of the EPT, that of AMD's nested page tables, or, with both off, the guest's own. */
export const PAGINGS = ["ept", "npt", "shadow"] as const;
export type Paging = (typeof PAGINGS)[number];

/** An entry as the two words of a paging-structure entry. */
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

/** What a leaf allows. */
export interface LeafAccess {
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  /** The host's own mapping lets the page be written. */
  readonly hostWritable: boolean;
  /** Mapped before anything has touched it. */
  readonly speculative: boolean;
}

/** A layout on a processor. */
export class SpteFormat {
  readonly nonPresent: Spte;
  private readonly present: Spte;
  private readonly mmioMask: Spte;
  private readonly mmioValue: Spte;
  private readonly mmuWritableLow: number;
  private readonly mmuWritableHigh: number;
  private readonly bothWritable: Spte;
  private readonly writableLow: number;
  private readonly tableAccessed: bigint;
  private readonly accessed: bigint;
  private readonly dirty: bigint;
  /** Bits of the tag where the processor has no accessed and dirty flags. */
  private readonly always: bigint;
  /** Address bits that are set in every MMIO SPTE, and by how much the gfn's bits below them are moved up. */
  private readonly l1tfMask: bigint;
  /** Bits of an MMIO SPTE in which the gfn stands where it belongs. */
  private readonly mmioAddress: bigint;

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
    const mmuWritable = words(layout.mmuWritable);
    this.mmuWritableLow = mmuWritable.low;
    this.mmuWritableHigh = mmuWritable.high;
    this.bothWritable = words(layout.mmuWritable | layout.hostWritable);
    this.writableLow = Number(layout.writable);
    this.tableAccessed = accessedDirty ? layout.accessed : 0n;
    this.accessed = accessedDirty || layout.marksLeaves ? layout.accessed : 0n;
    this.dirty = accessedDirty || layout.marksLeaves ? layout.dirty : 0n;
    this.always = accessedDirty ? 0n : layout.accessedDirtyOff;
    const width = BigInt(geometry.physicalAddressBits);
    this.l1tfMask =
      l1tf && geometry.physicalAddressBits < 52 - Number(L1TF_BITS)
        ? (1n << width) - (1n << (width - L1TF_BITS))
        : 0n;
    let taken = layout.mmioMask | layout.mmioAccess | this.l1tfMask | (this.l1tfMask << L1TF_BITS);
    for (const { bits, at } of layout.generation) taken |= ((1n << BigInt(bits)) - 1n) << BigInt(at);
    this.mmioAddress = ~taken;
  }

  /** An entry that references a table. */
  table(pfn: number): Spte {
    return words(this.layout.table | this.tableAccessed | this.always, pfn);
  }

  /** An entry that maps 4 Kbyte (level 1), 2 Mbyte (2) or 1 Gbyte (3). */
  leaf(pfn: number, level: number, access: LeafAccess): Spte {
    const { layout } = this;
    let bits = layout.leaf | this.always;
    if (level > 1) bits |= BigInt(PAGE_SIZE_BIT);
    if (!access.speculative) bits |= this.accessed;
    if (access.user) bits |= layout.user;
    if (!access.executable) bits |= layout.notExecutable;
    if (access.hostWritable) bits |= layout.hostWritable;
    if (access.writable) bits |= layout.writable | layout.mmuWritable | this.dirty;
    return words(bits, pfn);
  }

  /** The entry that marks a page without a slot, with the memslot generation it is made under. */
  mmio(gfn: number, generation: number, access: bigint = 0b110n): Spte {
    const { layout, l1tfMask } = this;
    const address = BigInt(gfn) << 12n;
    let bits = layout.mmioValue | (access & layout.mmioAccess) | address | l1tfMask;
    bits |= (address & l1tfMask) << L1TF_BITS;
    const whole = BigInt.asUintN(64, BigInt(generation));
    for (const { bits: width, from, at } of layout.generation) {
      bits |= BigInt.asUintN(width, whole >> BigInt(from)) << BigInt(at);
    }
    return words(bits);
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
    for (const { bits, from, at } of this.layout.generation) {
      const word = at < 32 ? low >>> at : high >>> (at - 32);
      generation += (word & (2 ** bits - 1)) * 2 ** from;
    }
    return generation;
  }

  /** A generation as far as an MMIO SPTE can hold it, 0 where it holds none; its lowest bits count even if not stored. */
  truncated(generation: number): number {
    const highest = this.layout.generation.at(-1);
    if (highest === undefined) return 0;
    const size = 2 ** (highest.bits + highest.from);
    return ((generation % size) + size) % size;
  }

  /** The access bits that an MMIO SPTE holds. */
  mmioAccessOf(low: number): number {
    return low & Number(this.layout.mmioAccess);
  }

  /** The guest page frame number in an MMIO SPTE. */
  gfnOf(low: number, high: number): number {
    const entry = spteValue(low, high);
    const address = (entry & this.mmioAddress) | ((entry >> L1TF_BITS) & this.l1tfMask);
    return Number(BigInt.asUintN(52, address) >> 12n);
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
    return { low: (low | this.writableLow) >>> 0, high: high >>> 0 };
  }

  /** The entry without write access; `forGood`: not to be given back without the lock. */
  writeProtected(low: number, high: number, forGood: boolean): Spte {
    const keepLow = ~(this.writableLow | (forGood ? this.mmuWritableLow : 0));
    const keepHigh = forGood ? ~this.mmuWritableHigh : -1;
    return { low: (low & keepLow) >>> 0, high: (high & keepHigh) >>> 0 };
  }
}

const L1TF_BITS = 5n;

/** An entry of these bits and this page frame number. */
function words(bits: bigint, pfn = 0): Spte {
  const low = Number(BigInt.asUintN(32, bits));
  const high = Number(BigInt.asUintN(32, bits >> 32n));
  return { low: (low | entryLow(pfn, 0)) >>> 0, high: entryHigh(pfn, high) };
}

/** An entry as one number of 64 bits. */
export function spteValue(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
