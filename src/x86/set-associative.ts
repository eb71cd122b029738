/**
 * A set-associative store: the one structure behind TLBs, paging-structure caches and data caches.
 *
 * A key is two integers, `low` and `high`. Its set is chosen by `low` alone; `high` is never 0, and also carries whatever
 * keeps keys of different address spaces apart. An entry is known by its slot; the integers that its owner stores with it
 * are `cells` from `at(slot)` on. All lies in one array, keys first, so that a search touches few lines of a real cache.
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
 * - random: any way goes, by a generator with a fixed seed
 * - plru: a binary tree of bits points at the victim, even while ways are empty; a use points the bits away from it
 * - plru-fill: an empty way is filled first; the tree is asked once there is none
 */
export const REPLACEMENTS = ["lru", "fifo", "random", "plru", "plru-fill"] as const;
export type Replacement = (typeof REPLACEMENTS)[number];

/** Indexes in REPLACEMENTS: those with stamps come first, those with a tree last. */
const LRU = 0;
const FIFO = 1;
const RANDOM = 2;
const PLRU = 3;
const PLRU_FILL = 4;

const LAST_STAMP = 2 ** 31 - 1;
const RANDOM_SEED = 0x9e37_79b9;

export class SetAssociative {
  /**
   * By slot, one after the other: `low`, `high` (0 in an empty slot), and when the slot was last used (lru) or filled (fifo),
   * which in an empty slot is older than in any other; then what the owner stores.
   */
  readonly cells: Int32Array;
  private readonly entries: number;
  private readonly stored: number;
  private readonly ways: number;
  private readonly sets: number;
  /** sets - 1 where the number of sets is a power of two, else -1. */
  private readonly mask: number;
  private clock = 0;
  /** 0 while all slots are known to be empty. */
  private used = 0;
  /** The replacement, in the order of REPLACEMENTS: a number is compared at once, a boolean field is first tested for truth. */
  private readonly policy: number;
  /** First index in `cells` of what the owner stores. */
  private readonly first: number;
  /** Bits of the trees, `ways` bytes for each set: node n has the children 2n and 2n + 1, node 1 is the root. */
  private readonly tree: Uint8Array;
  private random = RANDOM_SEED;

  /**
   * @param stored integers that the owner stores with each entry
   * @throws RangeError for entries that do not fill whole sets, and for a tree over ways that are no power of two
   */
  constructor({ entries, ways }: Associativity, stored: number, replacement: Replacement = "lru") {
    if (!(entries > 0 && ways > 0 && entries % ways === 0)) {
      throw new RangeError(
        `entries = ${entries}, ways = ${ways}: entries must be a positive multiple of ways`,
      );
    }
    this.policy = REPLACEMENTS.indexOf(replacement);
    const isTree = this.policy === PLRU || this.policy === PLRU_FILL;
    if (isTree && (ways & (ways - 1)) !== 0) {
      throw new RangeError(`ways = ${ways}: ${replacement} needs a power of two`);
    }
    this.entries = entries;
    this.first = 3 * entries;
    this.stored = stored;
    this.ways = ways;
    this.sets = entries / ways;
    this.mask = (this.sets & (this.sets - 1)) === 0 ? this.sets - 1 : -1;
    this.cells = new Int32Array(entries * (3 + stored));
    this.tree = new Uint8Array(isTree ? entries : 0);
  }

  /** Index in `cells` of what the owner stores with a slot. */
  at(slot: number): number {
    return this.first + slot * this.stored;
  }

  /** The slot of the key, with `otherHigh` in place of `high` allowed, or ABSENT. Changes nothing. */
  find(low: number, high: number, otherHigh: number): number {
    const { cells, entries } = this;
    let slot = this.firstSlot(low);
    const end = slot + this.ways;
    do {
      if (cells[slot] === low) {
        const found = cells[slot + entries];
        if (found === high || found === otherHigh) return slot;
      }
    } while (++slot < end);
    return ABSENT;
  }

  /** As `find()`, and a slot that is found counts as used. */
  lookup(low: number, high: number, otherHigh: number): number {
    const { cells, entries } = this;
    let slot = this.firstSlot(low);
    const end = slot + this.ways;
    // Not find(): on the path of every access a call costs as much as the search. The look before the loop lets V8 keep
    // what it must check of the array out of it.
    if (cells[slot] !== low) {
      do {
        if (++slot === end) return ABSENT;
      } while (cells[slot] !== low);
    }
    for (;;) {
      const found = cells[slot + entries];
      if (found === high || found === otherHigh) {
        if (this.policy === LRU) {
          if (this.clock === LAST_STAMP) this.renumber();
          cells[slot + 2 * entries] = ++this.clock;
        } else if (this.policy >= PLRU) this.pointAway(slot);
        return slot;
      }
      do {
        if (++slot === end) return ABSENT;
      } while (cells[slot] !== low);
    }
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
    if (this.policy > FIFO) return this.chooseWithoutStamps(first);
    const { cells } = this;
    if (cells[first + this.entries] === 0) return first;
    let stamp = first + 2 * this.entries;
    const end = stamp + this.ways;
    let oldest = stamp;
    let least = cells[stamp];
    while (++stamp < end) {
      if (cells[stamp] < least) {
        least = cells[stamp];
        oldest = stamp;
      }
    }
    return oldest - 2 * this.entries;
  }

  /** Puts a key into a slot that `choose()` returned. */
  fill(slot: number, low: number, high: number): void {
    const { cells, entries } = this;
    this.used = 1;
    cells[slot] = low;
    cells[slot + entries] = high;
    if (this.policy <= FIFO) {
      if (this.clock === LAST_STAMP) this.renumber();
      cells[slot + 2 * entries] = ++this.clock;
    } else if (this.policy >= PLRU) this.pointAway(slot);
  }

  /** The key in a slot: `high` is 0 if there is none. */
  lowIn(slot: number): number {
    return this.cells[slot];
  }

  highIn(slot: number): number {
    return this.cells[slot + this.entries];
  }

  remove(low: number, high: number): void {
    const slot = this.find(low, high, high);
    if (slot !== ABSENT) this.empty(slot);
  }

  /** Empties the slots that `dropped` says: called with the key and the slot of each one in use. */
  removeWhere(dropped: (low: number, high: number, slot: number) => boolean): void {
    for (let slot = 0; slot < this.entries; slot++) {
      const high = this.highIn(slot);
      if (high !== 0 && dropped(this.lowIn(slot), high, slot)) this.empty(slot);
    }
  }

  clear(): void {
    if (this.used === 0) return;
    this.cells.fill(0, this.entries, 2 * this.entries);
    this.used = 0;
  }

  private empty(slot: number): void {
    this.cells[slot + this.entries] = 0;
    this.cells[slot + 2 * this.entries] = 0;
  }

  private firstSlot(low: number): number {
    return (this.mask >= 0 ? low & this.mask : (low >>> 0) % this.sets) * this.ways;
  }

  /** Replaces the stamps of each set by the smallest that keep their order. */
  private renumber(): void {
    const stamps = this.cells.subarray(2 * this.entries, 3 * this.entries);
    for (let first = 0; first < this.entries; first += this.ways) {
      const slots = Array.from({ length: this.ways }, (_, way) => first + way);
      slots.sort((one, other) => stamps[one] - stamps[other]);
      // Those that were emptied stay at 0.
      slots.forEach((slot, rank) => {
        if (stamps[slot] !== 0) stamps[slot] = rank + 1;
      });
    }
    this.clock = this.ways;
  }

  private chooseWithoutStamps(first: number): number {
    if (this.policy !== PLRU) {
      for (let slot = first; slot < first + this.ways; slot++) {
        if (this.highIn(slot) === 0) return slot;
      }
    }
    if (this.policy === RANDOM) return first + (this.nextRandom() % this.ways);
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
