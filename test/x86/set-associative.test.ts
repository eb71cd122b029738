import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ABSENT,
  type Associativity,
  CLOCK,
  type Place,
  type Replacement,
  SetAssociativeStores,
  type Store,
} from "../../src/x86/set-associative.js";

/** The upper integer of all keys here: one address space. */
const HIGH = 1;

/** The second of two stores, with the values by place, as owners keep them. */
class TestStore {
  readonly stores = new SetAssociativeStores();
  readonly store: Store;
  readonly values: number[] = [];

  constructor(associativity: Associativity, replacement: Replacement = "lru") {
    this.stores.add({ entries: 2, ways: 2 }, 5);
    this.store = this.stores.add(associativity, 0, replacement);
  }

  insert(key: number, value = key): Place {
    const place = this.stores.insert(this.store, key, HIGH);
    this.values[place] = value;
    return place;
  }

  lookup(key: number): number {
    const place = this.stores.lookup(this.store, key, HIGH, HIGH);
    return place === ABSENT ? ABSENT : this.values[place];
  }

  remove(key: number): void {
    this.stores.remove(this.store, key, HIGH, HIGH);
  }

  /** Which of the keys are held, without a use of any. */
  held(...keys: number[]): number[] {
    return keys.filter((key) => this.stores.find(this.store, key, HIGH, HIGH) !== ABSENT);
  }
}

describe("a set-associative store", () => {
  it("returns what was stored under a key, and ABSENT for any other key of the set", () => {
    const store = new TestStore({ entries: 8, ways: 2 });
    store.insert(5, 50);
    expect(store.lookup(5)).toBe(50);
    expect(store.lookup(9)).toBe(ABSENT); // 9 and 5 share set 1 of 4
  });

  it("tells keys apart by their upper integer, and takes one of two where both will do", () => {
    const { stores, store } = new TestStore({ entries: 8, ways: 2 });
    const place = stores.insert(store, 5, 7);
    const found = [stores.find(store, 5, 8, 8), stores.find(store, 5, 8, 7), stores.find(store, 5, 7, 8)];
    expect(found).toEqual([ABSENT, place, place]);
  });

  it("hits on 1600 pages in sequence only in the sets that are not overfull (1536 entries, 12 ways)", () => {
    // 128 sets: 64 of them get 13 pages, which LRU never keeps; 64 get 12 and keep them.
    const tlb = new TestStore({ entries: 1536, ways: 12 });
    let hits = 0;
    for (let i = 0; i < 100_000; i++) {
      const page = 0x2000 + (i % 1600);
      if (tlb.lookup(page) !== ABSENT) hits++;
      else tlb.insert(page);
    }
    expect(hits).toBe(47_232);
  });

  it("takes a number of sets that is no power of two, and keys that look negative", () => {
    const store = new TestStore({ entries: 6, ways: 2 });
    store.insert(-1, 7); // 2^32 - 1, in set 0 of 3
    store.insert(-4, 8);
    expect([store.lookup(-1), store.lookup(-4), store.lookup(-7)]).toEqual([7, 8, ABSENT]);
  });

  it("refuses entries that do not fill whole sets, and a tree over three ways", () => {
    const stores = new SetAssociativeStores();
    expect(() => stores.add({ entries: 10, ways: 4 }, 0)).toThrow("entries = 10, ways = 4");
    expect(() => stores.add({ entries: 6, ways: 3 }, 0, "plru")).toThrow("ways = 3: plru");
  });

  it("empties the slots that a condition picks", () => {
    const store = new TestStore({ entries: 8, ways: 2 });
    for (const key of [1, 2, 3, 4]) store.insert(key);
    store.stores.removeWhere(store.store, (low) => low % 2 === 0);
    expect(store.held(1, 2, 3, 4)).toEqual([1, 3]);
  });

  it.each(["lru", "fifo", "plru-fill", "random"] as const)(
    "fills a removed entry before it evicts another (%s)",
    (replacement) => {
      const store = new TestStore({ entries: 4, ways: 4 }, replacement);
      for (const key of [1, 2, 3, 4]) store.insert(key);
      store.remove(3);
      store.insert(5);
      expect(store.held(1, 2, 3, 4, 5)).toEqual([1, 2, 4, 5]);
    },
  );

  it.each(["lru", "fifo", "random"] as const)("has all its room again once cleared (%s)", (replacement) => {
    const store = new TestStore({ entries: 4, ways: 4 }, replacement);
    for (const key of [1, 2, 3, 4]) store.insert(key);
    store.stores.clear(store.store);
    for (const key of [5, 6, 7, 8]) store.insert(key);
    expect(store.held(1, 2, 3, 4, 5, 6, 7, 8)).toEqual([5, 6, 7, 8]);
  });
});

/** What a store must do, set by set, way by way: an entry is a key and when it was last used. */
class PlainStore {
  private readonly sets: { key: number; high: number; used: number }[][];
  private clock = 0;

  constructor(
    count: number,
    private readonly ways: number,
  ) {
    this.sets = Array.from({ length: count }, () => []);
  }

  private setOf(key: number): { key: number; high: number; used: number }[] {
    return this.sets[(key >>> 0) % this.sets.length];
  }

  lookup(key: number, high: number): boolean {
    const entry = this.setOf(key).find((one) => one.key === key && one.high === high);
    if (entry !== undefined) entry.used = ++this.clock;
    return entry !== undefined;
  }

  insert(key: number, high: number): void {
    const set = this.setOf(key);
    if (set.length === this.ways) {
      set.sort((one, other) => one.used - other.used);
      set.shift();
    }
    set.push({ key, high, used: ++this.clock });
  }

  remove(key: number, high: number): void {
    const set = this.setOf(key);
    const at = set.findIndex((one) => one.key === key && one.high === high);
    if (at >= 0) set.splice(at, 1);
  }

  clear(): void {
    for (const set of this.sets) set.length = 0;
  }
}

describe("the index of a store", () => {
  const actions = fc.oneof(
    {
      weight: 40,
      arbitrary: fc.record({ act: fc.constant("use"), key: fc.nat(3), high: fc.integer({ min: 1, max: 3 }) }),
    },
    { weight: 40, arbitrary: fc.record({ act: fc.constant("use"), key: fc.nat(400), high: fc.constant(1) }) },
    {
      weight: 10,
      arbitrary: fc.record({
        act: fc.constant("remove"),
        key: fc.nat(40),
        high: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ act: fc.constant("clear"), key: fc.constant(0), high: fc.constant(0) }),
    },
  );

  it("never changes what the sets hold", () => {
    fc.assert(
      fc.property(
        fc.constantFrom([4, 4], [8, 2], [24, 4], [1, 1]),
        fc.constantFrom(1, 64, 0x1000, -0x0fff_ffff),
        fc.array(actions, { maxLength: 400, size: "max" }),
        ([entries, ways], step, done) => {
          const { stores, store } = new TestStore({ entries, ways });
          const plain = new PlainStore(entries / ways, ways);
          for (const { act, key, high } of done) {
            const low = (key * step) | 0;
            if (act === "use") {
              const found = stores.lookup(store, low, high, high) !== ABSENT;
              expect(found).toBe(plain.lookup(low, high));
              if (!found) stores.insert(store, low, high);
              if (!found) plain.insert(low, high);
            } else if (act === "remove") {
              stores.remove(store, low, high, high);
              plain.remove(low, high);
            } else {
              stores.clear(store);
              plain.clear();
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("replacement", () => {
  it("by lru keeps its order when the stamps run out", () => {
    const store = new TestStore({ entries: 4, ways: 4 });
    // The clock of a store that was used 2^31 - 4 times.
    store.stores.cells[store.store + CLOCK] = 2 ** 31 - 4;
    for (const key of [1, 2, 3, 4]) store.insert(key);
    for (const key of [2, 1, 4, 3]) store.lookup(key);
    store.insert(5);
    store.insert(6);
    expect(store.held(1, 2, 3, 4, 5, 6)).toEqual([3, 4, 5, 6]);
  });

  it("by lru throws out what was not used for longest", () => {
    const store = new TestStore({ entries: 4, ways: 2 });
    for (const key of [0, 2, 1]) store.insert(key);
    store.lookup(0); // 2 is now the least recently used of set 0
    store.insert(4);
    expect(store.held(0, 1, 2, 4)).toEqual([0, 1, 4]);
  });

  it("by fifo throws out what came first, used or not", () => {
    const store = new TestStore({ entries: 2, ways: 2 }, "fifo");
    for (const key of [1, 2]) store.insert(key);
    store.lookup(1);
    store.insert(3);
    expect(store.held(1, 2, 3)).toEqual([2, 3]);
  });

  it("by plru points at the other half of what was used last, then at the other way of that half", () => {
    const store = new TestStore({ entries: 4, ways: 4 }, "plru");
    for (const key of [10, 11, 12, 13]) store.insert(key); // ways 0, 2, 1, 3
    store.lookup(10); // points to the right half, at the way not used last there: 11's
    store.insert(14);
    expect(store.held(10, 11, 12, 13, 14)).toEqual([10, 12, 13, 14]);
  });

  it("by plru leaves ways empty that its tree does not point at; plru-fill does not", () => {
    for (const [replacement, ways] of [
      ["plru", [0, 2, 1, 3]],
      ["plru-fill", [0, 1, 2, 3]],
    ] as const) {
      const store = new TestStore({ entries: 4, ways: 4 }, replacement);
      const places = [1, 2, 3, 4].map((key) => store.insert(key));
      const inOrder = places.toSorted((one, other) => one - other);
      expect(places.map((place) => inOrder.indexOf(place))).toEqual(ways);
    }
  });

  it("by random throws out the same on every run, and more than one way", () => {
    const victims = () => {
      const store = new TestStore({ entries: 4, ways: 4 }, "random");
      for (const key of [1, 2, 3, 4]) store.insert(key);
      return Array.from({ length: 20 }, (_, i) => store.insert(100 + i));
    };
    expect(victims()).toEqual(victims());
    expect(new Set(victims()).size).toBe(4);
  });
});
