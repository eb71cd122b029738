/**
 * What a cached mapping is valid for. A mapping carries the tags VPID, PCID and EP4TA, as far as its kind has them; a
 * global translation has no PCID, a linear mapping (made without EPT) no EP4TA, a guest-physical mapping neither VPID nor
 * PCID. One integer, the tag, stands for the three.
 * Specified in the Intel SDM, volume 3C, "Caching translation information".
 */

import { HIGH_BITS } from "./page-number.js";

/** PCID of a global translation: it serves every PCID. */
export const GLOBAL = -1;
/** EP4TA of a linear mapping. */
export const NO_EPT = -1;
/** VPID and PCID of a guest-physical mapping. */
const GUEST_PHYSICAL = -2;

/** A tag is a multiple of this, so that the upper integer of a page number fits below it. */
export const SIZE_UNIT = 2 ** HIGH_BITS;
/** The tag of an address space is a multiple of this, so that the size of a page fits below it, too. */
export const SPACE_UNIT = 4 * SIZE_UNIT;
/** By so much the upper integer of a key is shifted to tell the address space. */
export const SPACE_SHIFT = Math.log2(SPACE_UNIT);

/**
 * The tag of the host's own linear mappings, of VPID 0 and without EPT, where the guest has a VPID. No event of a guest drops
 * them, and no guest uses them.
 */
export const HOST_TAG = SPACE_UNIT;

/** Whether an entry, of which this is the upper integer of the key, belongs to an address space that `select()` chose. */
export function isSelected(selected: Uint8Array, keyHigh: number): boolean {
  return selected[keyHigh >>> SPACE_SHIFT] !== 0;
}

/** Address spaces that tags can tell apart. */
const MAX_SPACES = 2 ** 31 / SPACE_UNIT;

export interface AddressSpace {
  readonly vpid: number;
  readonly pcid: number;
  /** Page frame number of the EPT's root table, bits 51:12 of the EPT pointer; or that of AMD's nested page tables. */
  readonly ep4ta: number;
}

export class AddressSpaces {
  /** How often there were other address spaces than before. */
  changes = 0;

  private readonly tags = new Map<string, number>();
  /** By tag / SPACE_UNIT; the first stands for no address space, the second for the host's. */
  private readonly spaces: (AddressSpace | null)[] = [null, null];

  /** Whether there is no room for the tags of one more current address space. */
  get isFull(): boolean {
    return this.spaces.length + 3 > MAX_SPACES;
  }

  /** Forgets all tags. What was cached under them must be dropped. */
  reset(): void {
    this.tags.clear();
    this.spaces.length = 2;
    this.changes++;
  }

  /** The tag of linear (EP4TA = NO_EPT) and combined mappings. */
  tag(vpid: number, pcid: number, ep4ta: number): number {
    const name = `${vpid} ${pcid} ${ep4ta}`;
    let tag = this.tags.get(name);
    if (tag === undefined) {
      tag = SPACE_UNIT * this.spaces.length;
      this.tags.set(name, tag);
      this.spaces.push({ vpid, pcid, ep4ta });
      this.changes++;
    }
    return tag;
  }

  /** The tag of guest-physical mappings. */
  guestPhysicalTag(ep4ta: number): number {
    return this.tag(GUEST_PHYSICAL, GUEST_PHYSICAL, ep4ta);
  }

  /** By tag / SPACE_UNIT, 1 for the address spaces that `matches` says. */
  select(matches: (space: AddressSpace) => boolean): Uint8Array {
    return Uint8Array.from(this.spaces, (space) => (space !== null && matches(space) ? 1 : 0));
  }
}

/** The address spaces that belong to a VPID, or to an EP4TA: looked for again only if it is another one, or they are others. */
export class Selection {
  private of = Number.NaN;
  private changes = 0;
  private selected: Uint8Array = new Uint8Array(0);

  constructor(
    private readonly spaces: AddressSpaces,
    private readonly matches: (space: AddressSpace, of: number) => boolean,
  ) {}

  /** As `AddressSpaces.select()`. */
  select(of: number): Uint8Array {
    const { spaces, matches } = this;
    if (of !== this.of || spaces.changes !== this.changes) {
      this.of = of;
      this.changes = spaces.changes;
      this.selected = spaces.select((space) => matches(space, of));
    }
    return this.selected;
  }
}
