/**
 * A set-associative store: the one structure behind TLBs, paging-structure caches and data caches. It knows which key
 * is in which slot and which slot to fill next; what belongs to a key its owner keeps in arrays of its own, by slot.
 *
 * A key is two integers, `low` and `high`. Its set is chosen by `low` alone; `high` is never 0, and also carries whatever
 * keeps keys of different address spaces apart.
 */

/** What `find()` and `lookup()` return when the key is absent. */
export const ABSENT = -1;

/** Number of entries and of ways; ways = entries is fully associative. */
export interface Associativity {
  readonly entries: number;
  readonly ways: number;
}

/**
 * How a full set makes room, by the names that others' measurements use.
 * - lru: the least recently used way goes
 * - fifo: the way filled first goes, whatever was used since
 * - plru: a binary tree of bits points at the victim, even while ways are empty; a use points the bits away from it
 * - plru-fill: an empty way is filled first; the tree is asked once there is none
 * - random: any way goes, by a generator with a fixed seed
 */
export const REPLACEMENTS = ["lru", "fifo", "plru", "plru-fill", "random"] as const;
export type Replacement = (typeof REPLACEMENTS)[number];

const RANDOM_SEED = 0x9e37_79b9;

export class SetAssociative {
  /** The key in each slot; `high` is 0 in an empty one. */
  private readonly lows: Int32Array;
  private readonly highs: Int32Array;
  /** When a slot was last used (lru) or filled (fifo); 0 once it was emptied. An empty slot's is older than a full one's. */
  private readonly stamps: Float64Array;
  private clock = 0;
  /** Bits of the trees, `ways` bytes for each set: node n has the children 2n and 2n + 1, node 1 is the root. */
  private readonly tree: Uint8Array;
  private random = RANDOM_SEED;
  private readonly ways: number;
  private readonly sets: number;
  /** sets - 1 where the number of sets is a power of two, else -1. */
  private readonly mask: number;
  private readonly stampsUses: boolean;
  private readonly isTree: boolean;

  /** @throws RangeError for entries that do not fill whole sets, and for a tree over ways that are no power of two */
  constructor(
    { entries, ways }: Associativity,
    private readonly replacement: Replacement = "lru",
  ) {
    if (!(entries > 0 && ways > 0 && entries % ways === 0)) {
      throw new RangeError(
        `entries = ${entries}, ways = ${ways}: entries must be a positive multiple of ways`,
      );
    }
    this.isTree = replacement === "plru" || replacement === "plru-fill";
    if (this.isTree && (ways & (ways - 1)) !== 0) {
      throw new RangeError(`ways = ${ways}: ${replacement} needs a power of two`);
    }
    this.stampsUses = replacement === "lru";
    this.ways = ways;
    this.sets = entries / ways;
    this.mask = (this.sets & (this.sets - 1)) === 0 ? this.sets - 1 : -1;
    this.lows = new Int32Array(entries);
    this.highs = new Int32Array(entries);
    this.stamps = new Float64Array(entries);
    this.tree = new Uint8Array(this.isTree ? entries : 0);
  }

  /** The slot of the key, with `otherHigh` in place of `high` allowed, or ABSENT. Changes nothing. */
  find(low: number, high: number, otherHigh: number): number {
    const { lows, highs } = this;
    const first = this.firstSlot(low);
    const end = first + this.ways;
    for (let slot = first; slot < end; slot++) {
      if (lows[slot] === low && (highs[slot] === high || highs[slot] === otherHigh)) return slot;
    }
    return ABSENT;
  }

  /** As `find()`, and a slot that is found counts as used. */
  lookup(low: number, high: number, otherHigh: number): number {
    const slot = this.find(low, high, otherHigh);
    if (slot !== ABSENT) {
      if (this.stampsUses) this.stamps[slot] = ++this.clock;
      else if (this.isTree) this.pointAway(slot);
    }
    return slot;
  }

  /** The slot that now holds a key that was absent. What it held before is gone; it counts as used. */
  insert(low: number, high: number): number {
    const slot = this.choose(low);
    this.fill(slot, low, high);
    return slot;
  }

  /** The slot that an absent key goes to next. */
  choose(low: number): number {
    const first = this.firstSlot(low);
    return this.isTree || this.replacement === "random"
      ? this.chooseWithoutStamps(first)
      : this.oldest(first);
  }

  /** Puts a key into a slot that `choose()` returned. */
  fill(slot: number, low: number, high: number): void {
    this.lows[slot] = low;
    this.highs[slot] = high;
    if (this.isTree) this.pointAway(slot);
    else this.stamps[slot] = ++this.clock;
  }

  /** The key in a slot: `high` is 0 if there is none. */
  lowIn(slot: number): number {
    return this.lows[slot];
  }

  highIn(slot: number): number {
    return this.highs[slot];
  }

  remove(low: number, high: number): void {
    const slot = this.find(low, high, high);
    if (slot !== ABSENT) this.empty(slot);
  }

  /** Empties the slots that `dropped` says: called with the key and the slot of each one in use. */
  removeWhere(dropped: (low: number, high: number, slot: number) => boolean): void {
    for (let slot = 0; slot < this.highs.length; slot++) {
      const high = this.highs[slot];
      if (high !== 0 && dropped(this.lows[slot], high, slot)) this.empty(slot);
    }
  }

  clear(): void {
    this.highs.fill(0);
  }

  private empty(slot: number): void {
    this.highs[slot] = 0;
    this.stamps[slot] = 0;
  }

  private firstSlot(low: number): number {
    return (this.mask >= 0 ? low & this.mask : (low >>> 0) % this.sets) * this.ways;
  }

  /** The slot with the oldest stamp in the set that starts at `first`; an empty one, if there is one. */
  private oldest(first: number): number {
    const { stamps } = this;
    const end = first + this.ways;
    let oldest = first;
    let least = stamps[first];
    for (let slot = first + 1; slot < end; slot++) {
      const stamp = stamps[slot];
      if (stamp < least) {
        least = stamp;
        oldest = slot;
      }
    }
    return oldest;
  }

  private chooseWithoutStamps(first: number): number {
    if (this.replacement !== "plru") {
      for (let slot = first; slot < first + this.ways; slot++) {
        if (this.highs[slot] === 0) return slot;
      }
    }
    if (!this.isTree) return first + (this.nextRandom() % this.ways);
    let node = 1;
    while (node < this.ways) node = 2 * node + this.tree[first + node];
    return first + node - this.ways;
  }

  /** Turns the bits above a slot to the other side. */
  private pointAway(slot: number): void {
    const way = slot % this.ways;
    const first = slot - way;
    for (let node = way + this.ways; node > 1; node >>= 1) this.tree[first + (node >> 1)] = (node & 1) ^ 1;
  }

  /** Marsaglia's xorshift generator of 32 bits. */
  private nextRandom(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return x >>> 0;
  }
}
