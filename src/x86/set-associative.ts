/**
 * A set-associative store: the one structure behind TLBs, paging-structure caches and data caches.
 *
 * A key is two integers, `low` and `high`. Its set is chosen by `low` alone; `high` is never 0, and also carries whatever
 * keeps keys of different address spaces apart. An entry is `low`, `high`, a stamp, and then the integers that its owner
 * stores with it, from `STORED` on.
 *
 * Hardware compares all ways of a set at once. A program would do it one by one, most often to find nothing; so an index
 * says for each of its buckets which entry it holds, or that there are many. It is exact, and only saves time: what is held, and
 * what makes room for what, is decided by the sets. Of a large store, a set takes fewer lines of the real cache than an index and
 * an entry: its index has two buckets, which always say that there are many.
 *
 * What an operation must know of the store is in fields, which V8 reads without a check, and so is the clock: a word of an
 * array that was just written is slow to read. `| 0` tells V8 that a sum, or what a call returns, is an integer of the
 * machine.
 */

/** An entry: the index in `cells` at which it begins. */
export type Place = number;
/** What `find()` and `lookup()` return when the key is absent. Nothing is ever stored there. */
export const ABSENT = 0;

/** Where an entry has what its owner stores. */
export const STORED = 3;

/** `high` is 0 in an empty entry. */
const HIGH = 1;
/** When the entry was last used (lru, bip) or filled (fifo), by the store's clock, or its bit (mru); 0 in an empty entry. */
const STAMP = 2;

/** In place of sets - 1, where the number of sets is no power of two; or how a hash spreads the keys. */
const BY_REMAINDER = -1;
const BY_PAGE_HASH = -2;
const BY_LINE_HASH = -3;

/** How many places that were filled are noted, so that `clear()` need not go through all; and in a large store. */
const NOTED = 64;
const NOTED_OF_LARGE = 8192;

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

/** The clock does not get there: the stamps are renumbered before. */
const LAST_STAMP = 2 ** 31 - 1;
const RANDOM_SEED = 0x9e37_79b9;
/** 2^32 / the golden ratio: spreads neighbours, and what lies a power of two apart (Fibonacci hashing). */
const GOLDEN = 0x9e37_79b9;

/** Lines of a page: bits of their number, and the last one. */
const PAGE_LINE_BITS = 6;
const PAGE_LINES = 63;

/** Integers in a line of a real cache. What begins with one lies in few of them. */
const LINE = 16;
/** Where the index begins: behind what stands for the entry at ABSENT, all 0. */
const INDEX = LINE;

/** Buckets of the index for each entry, at least: a bucket with more than one costs a search of the set. */
const BUCKETS = 2.5;
/** Most entries of a store with an index. That of a larger one has two buckets, as this shift says. */
const INDEXED = 2048;
const NO_INDEX = 31;
/**
 * A bucket is the sum of the places of its keys, and of this for each: so a key comes and goes without a decision, and a bucket
 * below MANY has one key or none. In a store with an index all places are less.
 */
const KEY = 2 ** 18;
const MANY = 2 * KEY;

/** Integers of an array that is worth keeping: those of a last-level cache are. */
const LARGE = 2 ** 17;
/**
 * Arrays that stores had which are needed no more, all of one length, and cleared. To have the system give new megabytes takes
 * longer than a short run.
 */
let spare: Int32Array[] = [];

function cleared(length: number): Int32Array {
  return spare[0]?.length === length ? (spare.pop() as Int32Array) : new Int32Array(length);
}

/** Keys that are used one after the other, again and again, and by nobody else. */
export class KeyRun {
  /** Where each was when it was used last. */
  readonly places: Int32Array;

  /** @param lows, highs of the keys; no key is there twice */
  constructor(
    readonly lows: Int32Array,
    readonly highs: Int32Array,
  ) {
    this.places = new Int32Array(lows.length);
  }
}

export class SetAssociativeStore {
  /**
   * First the index, by bucket of the keys. Then the entries, set by set; then, of a tree, its bits, `ways` of them for each
   * set: node n has the children 2n and 2n + 1, node 1 is the root.
   */
  readonly cells: Int32Array;
  /** The key that the last `insert()` made room in place of; `evictedHigh` is 0 if the place was empty. */
  evictedLow = 0;
  evictedHigh = 0;

  /** What takes a product of 32 bits to a bucket, or NO_INDEX. */
  private readonly shift: number;
  private readonly policy: number;
  private readonly first: number;
  private readonly end: number;
  /** The distance of two entries, and of two sets. */
  private readonly stride: number;
  private readonly span: number;
  private readonly odd: number;
  private readonly ways: number;
  private readonly sets: number;
  /** sets - 1 where that is a mask, or BY_.... */
  private readonly setMask: number;

  /** How many uses there were that a stamp was given to. */
  clock = LEAST_RECENT;
  /**
   * A run of which every key is in its place, for nothing has come or gone since that was seen: to use it again takes no look
   * at them. By the clock its last use came after `usedAfter`, if its stamps do not say so yet; 0: they do.
   */
  private present: KeyRun | null = null;
  private usedAfter = 0;
  private random = RANDOM_SEED | 0;
  /** The places that were empty and were filled since all were, and how many there are; not all of them, where `notes` is full. */
  private readonly notes: Int32Array;
  private fills = 0;

  /**
   * @param stored integers that the owner stores with each entry
   * @param hash how the set is chosen, for keys that are lines
   * @throws RangeError for entries that do not fill whole sets, for a tree over ways that are no power of two, and for sets
   *   that are to be chosen by a hash and no multiple of 64
   */
  constructor(
    { entries, ways }: Associativity,
    stored: number,
    replacement: Replacement = "lru",
    hash: Hash = "none",
  ) {
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
    const bucketBits = entries <= INDEXED ? Math.ceil(Math.log2(BUCKETS * entries)) : 1;
    this.shift = 32 - bucketBits;
    this.policy = policy;
    this.first = INDEX + Math.max(LINE, 2 ** bucketBits);
    this.end = this.first + stride * entries;
    this.stride = stride;
    this.span = ways * stride;
    this.odd = (ways & 1) * stride;
    this.ways = ways;
    this.sets = sets;
    this.setMask = hash === "none" ? maskOf(sets) : hash === "page" ? BY_PAGE_HASH : BY_LINE_HASH;
    this.cells = cleared(this.end + Math.max(stride, isTree ? entries : 0));
    if (this.shift === NO_INDEX) this.cells.fill(MANY, INDEX, INDEX + 2);
    this.notes = new Int32Array(this.cells.length < LARGE ? NOTED : NOTED_OF_LARGE);
  }

  /** Leaves the memory to another store of the same size. Nothing is asked of this one any more. */
  release(): void {
    // Twice left, it would be taken by two.
    if (this.cells.length < LARGE || spare.includes(this.cells)) return;
    this.clear();
    this.cells.fill(0, this.end);
    if (spare[0]?.length !== this.cells.length) spare = [];
    spare.push(this.cells);
  }

  /** The place of the key, with `otherHigh` in place of `high` allowed, or ABSENT. Changes nothing that can be seen. */
  find(low: number, high: number, otherHigh: number): Place {
    const { cells } = this;
    const bucket = cells[this.bucketOf(low)];
    if (bucket >= MANY) return this.search(low, high, otherHigh) | 0;
    const place = bucket & (KEY - 1);
    // Place 0 is no entry and has no key: no `high` is 0.
    const found = cells[(place + HIGH) | 0];
    return cells[place] === low && (found === high || found === otherHigh) ? place : ABSENT;
  }

  /**
   * As `find()`, and an entry that is found counts as used. This is most of an access, and so short that V8 takes it into
   * its callers: only what LRU needs is here.
   */
  lookup(low: number, high: number, otherHigh: number): Place {
    const { cells } = this;
    const bucket = cells[(INDEX + (Math.imul(low | 0, GOLDEN) >>> this.shift)) | 0];
    if (bucket >= MANY) return this.lookupInSet(low, high, otherHigh) | 0;
    const place = bucket & (KEY - 1);
    if (cells[place] !== low) return ABSENT;
    const found = cells[(place + HIGH) | 0];
    if (found !== high && found !== otherHigh) return ABSENT;
    const now = (this.clock + 1) | 0;
    if (this.policy !== LRU || now === LAST_STAMP) {
      this.use(place);
      return place;
    }
    this.clock = now;
    cells[(place + STAMP) | 0] = now;
    return place;
  }

  /** As `lookup()`, without the index: for a large store. */
  lookupInSet(low: number, high: number, otherHigh: number): Place {
    const place = this.search(low, high, otherHigh) | 0;
    if (place === ABSENT) return ABSENT;
    const now = (this.clock + 1) | 0;
    if (this.policy !== LRU || now === LAST_STAMP) {
      this.use(place);
      return place;
    }
    this.clock = now;
    this.cells[(place + STAMP) | 0] = now;
    return place;
  }

  /** Whether a place holds the key, which then counts as used. */
  useAt(place: Place, low: number, high: number): boolean {
    const { cells } = this;
    if (cells[place] !== low || cells[(place + HIGH) | 0] !== high) return false;
    this.use(place);
    return true;
  }

  /**
   * Counts the keys of a run from `from` to before `end` as used, one after the other, up to the first that is not where it was
   * last. Returns its index, or `end`. In a store that is not lru it is the first.
   */
  useRun(run: KeyRun, from: number, end: number): number {
    const { clock } = this;
    if (run === this.present && from === 0 && end === run.places.length && end < LAST_STAMP - 1 - clock) {
      this.usedAfter = clock;
      this.clock = (clock + end) | 0;
      return end;
    }
    this.stampPresent();
    const index = this.useWherePresent(run, from, end) | 0;
    if (from === 0 && index === run.places.length) this.present = run;
    return index;
  }

  private useWherePresent({ lows, highs, places }: KeyRun, from: number, end: number): number {
    const { cells } = this;
    let { clock } = this;
    let index = from | 0;
    const last = this.policy === LRU ? Math.min(end, from + (LAST_STAMP - 1 - clock)) | 0 : index;
    for (; index < last; index++) {
      const place = places[index];
      if (cells[place] !== lows[index] || cells[(place + HIGH) | 0] !== highs[index]) break;
      clock = (clock + 1) | 0;
      cells[(place + STAMP) | 0] = clock;
    }
    this.clock = clock;
    return index;
  }

  /** Before an entry comes or goes: writes the stamps of the run that is present, where it was used without. */
  private stampPresent(): void {
    const { present, cells, usedAfter } = this;
    this.present = null;
    this.usedAfter = 0;
    if (present === null || usedAfter === 0) return;
    const { places } = present;
    for (let index = 0; index < places.length; index++)
      cells[(places[index] + STAMP) | 0] = (usedAfter + 1 + index) | 0;
  }

  /** The place that now holds a key that was absent; it counts as used. What it held before is in `evictedLow` and `evictedHigh`. */
  insert(low: number, high: number): Place {
    const { cells, policy } = this;
    if (this.present !== null) this.stampPresent();
    const place = (policy <= MRU ? this.oldest(low) : this.choose(low)) | 0;
    const evictedLow = cells[place];
    const evictedHigh = cells[(place + HIGH) | 0];
    this.evictedLow = evictedLow;
    this.evictedHigh = evictedHigh;
    cells[place] = low | 0;
    cells[(place + HIGH) | 0] = high | 0;

    const { fills, notes } = this;
    if (evictedHigh === 0 && fills < notes.length) {
      notes[fills] = place;
      this.fills = (fills + 1) | 0;
    }
    const { shift } = this;
    if (shift !== NO_INDEX) {
      const key = (KEY + place) | 0;
      if (evictedHigh !== 0) cells[(INDEX + (Math.imul(evictedLow, GOLDEN) >>> shift)) | 0] -= key;
      cells[(INDEX + (Math.imul(low | 0, GOLDEN) >>> shift)) | 0] += key;
    }

    const now = (this.clock + 1) | 0;
    if (policy > FIFO || now === LAST_STAMP) {
      this.useFilled(place);
      return place;
    }
    this.clock = now;
    cells[(place + STAMP) | 0] = now;
    return place;
  }

  /** The upper integer of the key in a place. */
  highIn(place: Place): number {
    return this.cells[(place + HIGH) | 0];
  }

  /** Empties the place of the key, or both where `otherHigh` is another one in place of `high`. */
  remove(low: number, high: number, otherHigh: number): void {
    const place = this.find(low, high, otherHigh) | 0;
    if (place === ABSENT) return;
    this.empty(place);
    if (high !== otherHigh) this.remove(low, high, otherHigh);
  }

  /** Empties the places that `dropped` says: called with the key and the place of each entry in use. */
  removeWhere(dropped: (low: number, high: number, place: Place) => boolean): void {
    const { cells, first, end, stride } = this;
    for (let place = first; place < end; place += stride) {
      const high = cells[place + HIGH];
      if (high !== 0 && dropped(cells[place], high, place)) this.empty(place);
    }
  }

  /**
   * Empties the places of keys that are selected: those with another number than 0 in `selected` at what is left of `high`
   * when it is shifted right. What stays is noted, so that the next time goes through few places again.
   */
  removeSelected(selected: Uint8Array, shift: number): void {
    const { cells, fills, notes, end, stride } = this;
    let kept = 0;
    if (fills < notes.length) {
      for (let note = 0; note < fills; note++) {
        const place = notes[note];
        const high = cells[place + HIGH];
        if (high === 0) continue;
        if (selected[high >>> shift] !== 0) this.empty(place);
        else notes[kept++] = place;
      }
    } else {
      for (let place = this.first; place < end; place += stride) {
        const high = cells[place + HIGH];
        if (high === 0) continue;
        if (selected[high >>> shift] !== 0) {
          this.empty(place);
          continue;
        }
        if (kept < notes.length) notes[kept++] = place;
      }
    }
    this.fills = kept;
  }

  clear(): void {
    if (this.present !== null) this.stampPresent();
    const { cells, fills, notes, first, end, stride } = this;
    const isIndexed = this.shift !== NO_INDEX;
    this.fills = 0;
    if (fills < notes.length) {
      for (let note = 0; note < fills; note++) {
        const place = notes[note];
        cells[place + HIGH] = 0;
        cells[place + STAMP] = 0;
        if (isIndexed) cells[this.bucketOf(cells[place])] = 0;
      }
      return;
    }
    for (let place = first; place < end; place += stride) {
      cells[place + HIGH] = 0;
      cells[place + STAMP] = 0;
    }
    if (isIndexed) cells.fill(0, INDEX, first);
  }

  private empty(place: Place): void {
    if (this.present !== null) this.stampPresent();
    const { cells } = this;
    if (this.shift !== NO_INDEX) cells[this.bucketOf(cells[place])] -= KEY + place;
    cells[place + HIGH] = 0;
    cells[place + STAMP] = 0;
  }

  /** What was filled counts as used. */
  private useFilled(place: Place): void {
    const { policy } = this;
    if (policy <= FIFO) this.stamp(place);
    else if (policy === BIP) this.stampBimodally(place);
    else if (policy !== RANDOM) this.use(place);
  }

  private use(place: Place): void {
    const { policy } = this;
    if (policy === LRU || policy === BIP) this.stamp(place);
    else if (policy === MRU) this.setBit(place);
    else if (policy >= PLRU) this.pointAway(place);
  }

  private stampBimodally(place: Place): void {
    if (this.nextRandom() % BIP_PERIOD === 0) this.stamp(place);
    else this.cells[place + STAMP] = LEAST_RECENT;
  }

  private setBit(place: Place): void {
    const { cells, stride, span } = this;
    const first = place - ((place - this.first) % span);
    cells[place + STAMP] = SET;
    for (let other = first; other < first + span; other += stride) if (cells[other + STAMP] !== SET) return;
    for (let other = first; other < first + span; other += stride) {
      if (other !== place) cells[other + STAMP] = CLEAR;
    }
  }

  private stamp(place: Place): void {
    const now = (this.clock + 1) | 0;
    this.clock = now;
    this.cells[(place + STAMP) | 0] = now;
    if (now === LAST_STAMP) this.renumber();
  }

  private bucketOf(low: number): number {
    return (INDEX + (Math.imul(low | 0, GOLDEN) >>> this.shift)) | 0;
  }

  /** As `find()`, where the bucket may have more than one key. */
  private search(low: number, high: number, otherHigh: number): Place {
    const { cells, stride } = this;
    let place = this.firstOf(low) | 0;
    const end = (place + this.span) | 0;
    // Two a turn, as in oldest(). Behind a set with an odd number of ways is another set, or nothing: not this key.
    for (; place < end; place = (place + stride) | 0) {
      if (cells[place] === low) {
        const found = cells[(place + HIGH) | 0];
        if (found === high || found === otherHigh) return place;
      }
      place = (place + stride) | 0;
      if (cells[place] === low) {
        const found = cells[(place + HIGH) | 0];
        if (found === high || found === otherHigh) return place;
      }
    }
    return ABSENT;
  }

  /** The place of the first way of a key's set. */
  private firstOf(low: number): Place {
    const { setMask } = this;
    const set = setMask >= 0 ? low & setMask : this.setOf(low) | 0;
    return (this.first + Math.imul(set | 0, this.span | 0)) | 0;
  }

  /** The set of a key, where a mask does not say it. */
  private setOf(low: number): number {
    const { setMask, sets } = this;
    return setMask === BY_REMAINDER ? (low >>> 0) % sets : hashedSet(low, setMask, sets);
  }

  /** The place in a key's set that was used or filled before the others. */
  private oldest(low: number): Place {
    const { cells, stride } = this;
    const first = this.firstOf(low) | 0;
    const end = (first + this.span) | 0;
    let oldest = first;
    let least = cells[(first + STAMP) | 0];
    // Two ways a turn: in each turn V8 looks anew at what the array is. Of an even number the first way has two turns.
    let place = (first + this.odd) | 0;
    for (; least !== 0 && place < end; place = (place + stride) | 0) {
      // Without a branch: nobody can predict it.
      let difference = (cells[(place + STAMP) | 0] - least) | 0;
      let isOlder = difference >> 31;
      least = (least + (difference & isOlder)) | 0;
      oldest = (oldest + ((place - oldest) & isOlder)) | 0;
      place = (place + stride) | 0;
      difference = (cells[(place + STAMP) | 0] - least) | 0;
      isOlder = difference >> 31;
      least = (least + (difference & isOlder)) | 0;
      oldest = (oldest + ((place - oldest) & isOlder)) | 0;
    }
    return oldest;
  }

  /** Replaces the stamps of each set by the smallest that keep their order. */
  private renumber(): void {
    this.stampPresent();
    const { cells, ways, stride, span } = this;
    for (let first = this.first; first < this.end; first += span) {
      const stamps = Array.from({ length: ways }, (_, way) => first + way * stride + STAMP);
      stamps.sort((one, other) => cells[one] - cells[other]);
      // Those that were emptied stay at 0.
      stamps.forEach((stamp, rank) => {
        if (cells[stamp] !== 0) cells[stamp] = LEAST_RECENT + 1 + rank;
      });
    }
    this.clock = LEAST_RECENT + ways;
  }

  /** The place that a key goes to where there are no stamps. */
  private choose(low: number): Place {
    const { cells, stride, ways, policy } = this;
    const first = this.firstOf(low);
    if (policy !== PLRU) {
      for (let way = 0; way < ways; way++) {
        if (cells[first + way * stride + HIGH] === 0) return first + way * stride;
      }
    }
    if (policy === RANDOM) return first + (this.nextRandom() % ways) * stride;
    const tree = this.end + (first - this.first) / stride;
    let node = 1;
    while (node < ways) node = 2 * node + cells[tree + node];
    return first + (node - ways) * stride;
  }

  /** Turns the bits above a place to the other side. */
  private pointAway(place: Place): void {
    const { cells, ways } = this;
    const entry = (place - this.first) / this.stride;
    const way = entry % ways;
    const tree = this.end + entry - way;
    for (let node = way + ways; node > 1; node >>= 1) cells[tree + (node >> 1)] = (node & 1) ^ 1;
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
