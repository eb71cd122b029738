/**
 * Set-associative stores: the one structure behind TLBs, paging-structure caches and data caches.
 *
 * A key is two integers, `low` and `high`. Its set is chosen by `low` alone; `high` is never 0, and also carries whatever
 * keeps keys of different address spaces apart. An entry is `low`, `high`, a stamp, and then the integers that its owner
 * stores with it, from `STORED` on.
 *
 * Hardware compares all ways of a set at once. A program would do it one by one, most often to find nothing; so an index
 * says for each of its buckets which entry it holds, or how many. It is exact, and only saves time: what is held, and what
 * makes room for what, is decided by the sets.
 *
 * All stores of a processor lie in one array, because they are asked by turns on the path of every access, and an array is
 * checked anew wherever another one was in between. There, too, `| 0` tells V8 that a sum, or what a call returns, is an
 * integer of the machine.
 */

/** A store: the index in `cells` at which it begins. Those that a processor does not have are NO_STORE. */
export type Store = number;
export const NO_STORE = 0;

/** An entry: the index in `cells` at which it begins. */
export type Place = number;
/** What `find()` and `lookup()` return when the key is absent. */
export const ABSENT = 0;

/** Where an entry has what its owner stores. */
export const STORED = 3;

/** `high` is 0 in an empty entry. */
const HIGH = 1;
/** When the entry was last used (lru, bip) or filled (fifo), by the store's clock, or its bit (mru); 0 in an empty entry. */
const STAMP = 2;

/** What a store begins with. The stride is the distance of two entries; a set spans its ways. */
const ENTRIES = 0;
const END = 1;
const STRIDE = 2;
const WAYS = 3;
const SPAN = 4;
const SETS = 5;
/** sets - 1 where the number of sets is a power of two, else BY_REMAINDER; or else how a hash spreads the keys. */
const SET_MASK = 6;
const BY_REMAINDER = -1;
const BY_PAGE_HASH = -2;
const BY_LINE_HASH = -3;
/** In bits 4:0 what takes a product of 32 bits to a bucket, which is all of it that a shift takes note of; then the policy. */
const SHIFT_AND_POLICY = 7;
const POLICY_SHIFT = 5;
const NOT_LRU = 1 << POLICY_SHIFT;
/** How many uses there were that a stamp was given to. */
export const CLOCK = 8;
const RANDOM_STATE = 9;
/** Where the bits of the trees are, `ways` of them for each set: node n has the children 2n and 2n + 1, node 1 is the root. */
const TREES = 10;
/** How many places that were empty were filled since all were, and the first of them, so that `clear()` need not go through all. */
const FILLS = 11;
const NOTES = 12;
const NOTED = 64;
/** The index, by bucket of the keys: 0 if none is held, the place of the only one, or minus the number of those held. */
const INDEX = NOTES + NOTED;

/** Number of entries and of ways; ways = entries is fully associative. */
export interface Associativity {
  readonly entries: number;
  readonly ways: number;
}

/**
 * How a full set makes room, by the names that others' measurements use.
 * - lru: the least recently used way goes
 * - fifo: the way filled first goes, whatever was used since
 * - bip: as lru, but what comes in counts as the least recently used, all but one time in 32 (bimodal insertion; Qureshi et
 *   al., ISCA 2007): of a loop that does not fit, a part stays
 * - mru: each way has a bit that a use sets; when the last one is set, all others are cleared; the first way without goes
 * - random: any way goes, by a generator with a fixed seed
 * - plru: a binary tree of bits points at the victim, even while ways are empty; a use points the bits away from it
 * - plru-fill: an empty way is filled first; the tree is asked once there is none
 */
export const REPLACEMENTS = ["lru", "fifo", "bip", "mru", "random", "plru", "plru-fill"] as const;
export type Replacement = (typeof REPLACEMENTS)[number];

/**
 * How the set of a line is chosen.
 * - none: by the lowest bits of its number
 * - page: by its place in the page, and a hash of the page; lines that are pages apart do not spread over all sets
 * - line: by a hash of all bits
 */
export const HASHES = ["none", "page", "line"] as const;
export type Hash = (typeof HASHES)[number];

/** Indexes in REPLACEMENTS: those with stamps come first, those with a tree last. */
const LRU = 0;
const FIFO = 1;
const BIP = 2;
const MRU = 3;
const RANDOM = 4;
const PLRU = 5;
const PLRU_FILL = 6;

/**
 * Stamps of mru, for a bit that is clear and one that is set; of bip, for what came in as the least recently used, which is less
 * than the clock ever gives.
 */
const CLEAR = 1;
const SET = 2;
const LEAST_RECENT = 1;
/** One time in so many bip takes what comes in as the most recently used. */
const BIP_PERIOD = 32;

const LAST_STAMP = 2 ** 31 - 1;
const RANDOM_SEED = 0x9e37_79b9;
/** 2^32 / the golden ratio: spreads neighbours, and what lies a power of two apart (Fibonacci hashing). */
const GOLDEN = 0x9e37_79b9;

/** Lines of a page: bits of their number, and the last one. */
const PAGE_LINE_BITS = 6;
const PAGE_LINES = 63;

/** Integers in a line of a real cache. What begins with one lies in few of them. */
const LINE = 16;

/** Buckets of the index for each entry, at least: a bucket with more than one costs a search of the set. */
const BUCKETS = 2.5;

export class SetAssociativeStores {
  /** All stores. Another array once a store was added. */
  cells: Int32Array = new Int32Array(LINE);
  /** The key that the last `insert()` made room in place of; `evictedHigh` is 0 if the place was empty. */
  evictedLow = 0;
  evictedHigh = 0;

  /**
   * Adds an empty store, in time and memory that grow with those that are there already: the largest comes last.
   *
   * @param stored integers that the owner stores with each entry
   * @param hash how the set is chosen, for keys that are lines
   * @throws RangeError for entries that do not fill whole sets, for a tree over ways that are no power of two, and for sets
   *   that are to be chosen by a hash and no multiple of 64
   */
  add(
    { entries, ways }: Associativity,
    stored: number,
    replacement: Replacement = "lru",
    hash: Hash = "none",
  ): Store {
    if (!(entries > 0 && ways > 0 && entries % ways === 0)) {
      throw new RangeError(
        `entries = ${entries}, ways = ${ways}: entries must be a positive multiple of ways`,
      );
    }
    const policy = REPLACEMENTS.indexOf(replacement);
    const isTree = policy === PLRU || policy === PLRU_FILL;
    if (isTree && (ways & (ways - 1)) !== 0) {
      throw new RangeError(`ways = ${ways}: ${replacement} needs a power of two`);
    }
    const sets = entries / ways;
    if (hash === "page" && (sets & PAGE_LINES) !== 0)
      throw new RangeError(`sets = ${sets}: a hash needs a multiple of 64`);
    const stride = STORED + stored;
    const bucketBits = Math.ceil(Math.log2(BUCKETS * entries));
    const store = inLine(this.cells.length);
    const first = inLine(store + INDEX + 2 ** bucketBits);
    const end = first + stride * entries;
    const cells = new Int32Array(end + (isTree ? entries : 0));
    cells.set(this.cells);
    cells[store + ENTRIES] = first;
    cells[store + END] = end;
    cells[store + STRIDE] = stride;
    cells[store + WAYS] = ways;
    cells[store + SPAN] = ways * stride;
    cells[store + SETS] = sets;
    cells[store + SET_MASK] = hash === "none" ? maskOf(sets) : hash === "page" ? BY_PAGE_HASH : BY_LINE_HASH;
    cells[store + CLOCK] = LEAST_RECENT;
    cells[store + RANDOM_STATE] = RANDOM_SEED;
    cells[store + TREES] = end;
    cells[store + SHIFT_AND_POLICY] = (policy << POLICY_SHIFT) | (32 - bucketBits);
    this.cells = cells;
    return store;
  }

  /** The place of the key, with `otherHigh` in place of `high` allowed, or ABSENT. Changes nothing that can be seen. */
  find(store: Store, low: number, high: number, otherHigh: number): Place {
    const { cells } = this;
    const place = cells[this.bucketOf(store, low)];
    if (place < 0) return this.search(store, low, high, otherHigh);
    // Place 0 is no entry and has no key: no `high` is 0.
    const found = cells[place + HIGH];
    return cells[place] === low && (found === high || found === otherHigh) ? place : ABSENT;
  }

  /**
   * As `find()`, and an entry that is found counts as used. This is most of an access, and so short that V8 takes it into
   * its callers: only what LRU needs is here.
   */
  lookup(store: Store, low: number, high: number, otherHigh: number): Place {
    const { cells } = this;
    const shiftAndPolicy = cells[store + SHIFT_AND_POLICY];
    const place = cells[store + INDEX + (Math.imul(low, GOLDEN) >>> shiftAndPolicy)];
    if (place < 0) return this.lookupInSet(store, low, high, otherHigh) | 0;
    if (cells[place] !== low) return ABSENT;
    const found = cells[place + HIGH];
    if (found !== high && found !== otherHigh) return ABSENT;
    const now = cells[store + CLOCK] + 1;
    if (shiftAndPolicy >= NOT_LRU || now === LAST_STAMP) this.use(store, place);
    else cells[place + STAMP] = cells[store + CLOCK] = now;
    return place;
  }

  /** The place that now holds a key that was absent; it counts as used. What it held before is in `evictedLow` and `evictedHigh`. */
  insert(store: Store, low: number, high: number): Place {
    const { cells } = this;
    const shiftAndPolicy = cells[(store + SHIFT_AND_POLICY) | 0];
    const policy = shiftAndPolicy >> POLICY_SHIFT;
    const place = (policy <= MRU ? this.oldest(store, low) : this.choose(store, low)) | 0;
    const evictedLow = cells[place];
    const evictedHigh = cells[(place + HIGH) | 0];
    this.evictedLow = evictedLow;
    this.evictedHigh = evictedHigh;
    cells[place] = low | 0;
    cells[(place + HIGH) | 0] = high | 0;

    if (evictedHigh === 0) {
      const fills = cells[store + FILLS];
      if (fills < NOTED) cells[store + NOTES + fills] = place;
      if (fills <= NOTED) cells[store + FILLS] = fills + 1;
    } else {
      const evictedBucket = (store + INDEX + (Math.imul(evictedLow, GOLDEN) >>> shiftAndPolicy)) | 0;
      const rest = cells[evictedBucket];
      cells[evictedBucket] = rest > 0 ? 0 : (rest + 1) | 0;
    }
    const bucket = (store + INDEX + (Math.imul(low, GOLDEN) >>> shiftAndPolicy)) | 0;
    const held = cells[bucket];
    cells[bucket] = held === 0 ? place : held > 0 ? -2 : (held - 1) | 0;

    if (policy <= FIFO) this.stamp(store, place);
    else if (policy === BIP) this.stampBimodally(store, place);
    else if (policy !== RANDOM) this.use(store, place);
    return place;
  }

  /** The upper integer of the key in a place. */
  highIn(place: Place): number {
    return this.cells[(place + HIGH) | 0];
  }

  /** Empties the place of the key, or both where `otherHigh` is another one in place of `high`. */
  remove(store: Store, low: number, high: number, otherHigh: number): void {
    for (;;) {
      const place = this.find(store, low, high, otherHigh) | 0;
      if (place === ABSENT) return;
      this.empty(store, place);
    }
  }

  /** Empties the places that `dropped` says: called with the key and the place of each entry in use. */
  removeWhere(store: Store, dropped: (low: number, high: number, place: Place) => boolean): void {
    const { cells } = this;
    for (let place = cells[store + ENTRIES]; place < cells[store + END]; place += cells[store + STRIDE]) {
      const high = cells[place + HIGH];
      if (high !== 0 && dropped(cells[place], high, place)) this.empty(store, place);
    }
  }

  clear(store: Store): void {
    const { cells } = this;
    const fills = cells[store + FILLS];
    cells[store + FILLS] = 0;
    if (fills <= NOTED) {
      for (let note = 0; note < fills; note++) {
        const place = cells[store + NOTES + note];
        cells[place + HIGH] = 0;
        cells[place + STAMP] = 0;
        cells[this.bucketOf(store, cells[place])] = 0;
      }
      return;
    }
    for (let place = cells[store + ENTRIES]; place < cells[store + END]; place += cells[store + STRIDE]) {
      cells[place + HIGH] = 0;
      cells[place + STAMP] = 0;
    }
    cells.fill(0, store + INDEX, cells[store + ENTRIES]);
  }

  private empty(store: Store, place: Place): void {
    const { cells } = this;
    const bucket = this.bucketOf(store, cells[place]);
    const held = cells[bucket];
    cells[bucket] = held > 0 ? 0 : held + 1;
    cells[place + HIGH] = 0;
    cells[place + STAMP] = 0;
  }

  private lookupInSet(store: Store, low: number, high: number, otherHigh: number): Place {
    const place = this.search(store, low, high, otherHigh) | 0;
    if (place !== ABSENT) this.use(store, place);
    return place;
  }

  private use(store: Store, place: Place): void {
    const policy = this.cells[store + SHIFT_AND_POLICY] >> POLICY_SHIFT;
    if (policy === LRU || policy === BIP) this.stamp(store, place);
    else if (policy === MRU) this.setBit(store, place);
    else if (policy >= PLRU) this.pointAway(store, place);
  }

  private stampBimodally(store: Store, place: Place): void {
    if (this.nextRandom(store) % BIP_PERIOD === 0) this.stamp(store, place);
    else this.cells[place + STAMP] = LEAST_RECENT;
  }

  private setBit(store: Store, place: Place): void {
    const { cells } = this;
    const stride = cells[store + STRIDE];
    const span = cells[store + SPAN];
    const first = place - ((place - cells[store + ENTRIES]) % span);
    cells[place + STAMP] = SET;
    for (let other = first; other < first + span; other += stride) if (cells[other + STAMP] !== SET) return;
    for (let other = first; other < first + span; other += stride) {
      if (other !== place) cells[other + STAMP] = CLEAR;
    }
  }

  private stamp(store: Store, place: Place): void {
    const { cells } = this;
    const now = cells[store + CLOCK] + 1;
    cells[place + STAMP] = cells[store + CLOCK] = now;
    if (now === LAST_STAMP) this.renumber(store);
  }

  private bucketOf(store: Store, low: number): number {
    const { cells } = this;
    return store + INDEX + (Math.imul(low, GOLDEN) >>> cells[store + SHIFT_AND_POLICY]);
  }

  /** As `find()`, where the bucket holds more than one key, or one whose place is not known. */
  private search(store: Store, low: number, high: number, otherHigh: number): Place {
    const { cells } = this;
    const stride = cells[(store + STRIDE) | 0];
    let place = this.firstOf(store, low);
    const end = (place + cells[(store + SPAN) | 0]) | 0;
    for (; place < end; place = (place + stride) | 0) {
      if (cells[place] !== low) continue;
      const found = cells[(place + HIGH) | 0];
      if (found !== high && found !== otherHigh) continue;
      const bucket = this.bucketOf(store, low);
      if (cells[bucket] === -1) cells[bucket] = place;
      return place;
    }
    return ABSENT;
  }

  /** The place of the first way of a key's set. */
  private firstOf(store: Store, low: number): Place {
    const { cells } = this;
    const mask = cells[(store + SET_MASK) | 0];
    const set =
      mask >= 0
        ? low & mask
        : mask === BY_REMAINDER
          ? ((low >>> 0) % cells[(store + SETS) | 0]) | 0
          : hashedSet(low, mask, cells[(store + SETS) | 0]) | 0;
    return (cells[(store + ENTRIES) | 0] + Math.imul(set, cells[(store + SPAN) | 0])) | 0;
  }

  /** The place in a key's set that was used or filled before the others. */
  private oldest(store: Store, low: number): Place {
    const { cells } = this;
    const first = this.firstOf(store, low);
    const stride = cells[(store + STRIDE) | 0];
    const end = (first + cells[(store + SPAN) | 0]) | 0;
    let oldest = first;
    let least = cells[(first + STAMP) | 0];
    for (let place = (first + stride) | 0; least !== 0 && place < end; place = (place + stride) | 0) {
      const stamp = cells[(place + STAMP) | 0];
      if (stamp < least) {
        least = stamp;
        oldest = place;
      }
    }
    return oldest;
  }

  /** Replaces the stamps of each set by the smallest that keep their order. */
  private renumber(store: Store): void {
    const { cells } = this;
    const ways = cells[store + WAYS];
    for (let first = cells[store + ENTRIES]; first < cells[store + END]; first += cells[store + SPAN]) {
      const stamps = Array.from({ length: ways }, (_, way) => first + way * cells[store + STRIDE] + STAMP);
      stamps.sort((one, other) => cells[one] - cells[other]);
      // Those that were emptied stay at 0.
      stamps.forEach((stamp, rank) => {
        if (cells[stamp] !== 0) cells[stamp] = LEAST_RECENT + 1 + rank;
      });
    }
    cells[store + CLOCK] = LEAST_RECENT + ways;
  }

  /** The place that a key goes to where there are no stamps. */
  private choose(store: Store, low: number): Place {
    const { cells } = this;
    const first = this.firstOf(store, low);
    const stride = cells[store + STRIDE];
    const ways = cells[store + WAYS];
    const policy = cells[store + SHIFT_AND_POLICY] >> POLICY_SHIFT;
    if (policy !== PLRU) {
      for (let way = 0; way < ways; way++) {
        if (cells[first + way * stride + HIGH] === 0) return first + way * stride;
      }
    }
    if (policy === RANDOM) return first + (this.nextRandom(store) % ways) * stride;
    const tree = cells[store + TREES] + (first - cells[store + ENTRIES]) / stride;
    let node = 1;
    while (node < ways) node = 2 * node + cells[tree + node];
    return first + (node - ways) * stride;
  }

  /** Turns the bits above a place to the other side. */
  private pointAway(store: Store, place: Place): void {
    const { cells } = this;
    const ways = cells[store + WAYS];
    const entry = (place - cells[store + ENTRIES]) / cells[store + STRIDE];
    const way = entry % ways;
    const tree = cells[store + TREES] + entry - way;
    for (let node = way + ways; node > 1; node >>= 1) cells[tree + (node >> 1)] = (node & 1) ^ 1;
  }

  /** Marsaglia's xorshift generator of 32 bits. */
  private nextRandom(store: Store): number {
    let x = this.cells[store + RANDOM_STATE];
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.cells[store + RANDOM_STATE] = x;
    return x >>> 0;
  }
}

function maskOf(sets: number): number {
  return (sets & (sets - 1)) === 0 ? sets - 1 : BY_REMAINDER;
}

function hashedSet(line: number, how: number, sets: number): number {
  if (how === BY_LINE_HASH) return mixed(line) % sets;
  const group = mixed(line >>> PAGE_LINE_BITS) % (sets >>> PAGE_LINE_BITS);
  return (group << PAGE_LINE_BITS) | (line & PAGE_LINES);
}

/** 32 bits that each depend on all of `bits`: multiplied by odd numbers of no meaning, with the high bits folded in. */
function mixed(bits: number): number {
  let mix = Math.imul(bits ^ (bits >>> 16), 0x7feb_352d);
  mix = Math.imul(mix ^ (mix >>> 15), 0x846c_a68b);
  return (mix ^ (mix >>> 16)) >>> 0;
}

/** The next index at which a line begins. */
function inLine(index: number): number {
  return Math.ceil(index / LINE) * LINE;
}
