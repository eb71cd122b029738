/**
 * A set-associative store with true LRU replacement: the one structure behind TLBs, paging-structure caches and data
 * caches. A set keeps its ways in order of use, most recent first, so a hit on the most recent way is one comparison.
 */

/** What `lookup()` returns when the key is absent. Values are never negative. */
export const ABSENT = -1;

const EMPTY = -1;

/** Number of entries and of ways; ways = entries is fully associative. */
export interface Associativity {
  readonly entries: number;
  readonly ways: number;
}

export class SetAssociative {
  private readonly tags: Float64Array;
  private readonly values: Float64Array;
  private readonly ways: number;
  private readonly sets: number;
  /** sets - 1 where the number of sets is a power of two, else -1. */
  private readonly mask: number;

  constructor({ entries, ways }: Associativity) {
    if (!(entries > 0 && ways > 0 && entries % ways === 0)) {
      throw new RangeError(
        `entries = ${entries}, ways = ${ways}: entries must be a positive multiple of ways`,
      );
    }
    this.ways = ways;
    this.sets = entries / ways;
    this.mask = (this.sets & (this.sets - 1)) === 0 ? this.sets - 1 : -1;
    this.tags = new Float64Array(entries).fill(EMPTY);
    this.values = new Float64Array(entries);
  }

  /** The value of `key`, which becomes the most recently used of its set, or ABSENT. */
  lookup(key: number): number {
    const tags = this.tags;
    const first = this.firstWay(key);
    if (tags[first] === key) return this.values[first];
    const end = first + this.ways;
    for (let way = first + 1; way < end; way++) {
      if (tags[way] === key) {
        const value = this.values[way];
        this.moveToFront(first, way, key, value);
        return value;
      }
    }
    return ABSENT;
  }

  /** Stores `value` under `key`, in place of its old value or of the least recently used entry of the set. */
  insert(key: number, value: number): void {
    const tags = this.tags;
    const first = this.firstWay(key);
    const last = first + this.ways - 1;
    let way = first;
    while (way < last && tags[way] !== key && tags[way] !== EMPTY) way++;
    this.moveToFront(first, way, key, value);
  }

  remove(key: number): void {
    const tags = this.tags;
    const first = this.firstWay(key);
    const last = first + this.ways - 1;
    for (let way = first; way <= last; way++) {
      if (tags[way] !== key) continue;
      for (; way < last; way++) {
        tags[way] = tags[way + 1];
        this.values[way] = this.values[way + 1];
      }
      tags[last] = EMPTY;
    }
  }

  clear(): void {
    this.tags.fill(EMPTY);
  }

  private firstWay(key: number): number {
    // `&` takes a key modulo 2^32, which keeps the low bits of keys of up to 53 bits.
    const set = this.mask >= 0 ? key & this.mask : key - Math.floor(key / this.sets) * this.sets;
    return set * this.ways;
  }

  private moveToFront(first: number, way: number, key: number, value: number): void {
    const { tags, values } = this;
    for (; way > first; way--) {
      tags[way] = tags[way - 1];
      values[way] = values[way - 1];
    }
    tags[first] = key;
    values[first] = value;
  }
}
