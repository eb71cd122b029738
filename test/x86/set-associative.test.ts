import { describe, expect, it } from "vitest";
import {
  ABSENT,
  type Associativity,
  type Replacement,
  SetAssociative,
} from "../../src/x86/set-associative.js";

/** The upper integer of all keys here: one address space. */
const HIGH = 1;

/** A store with the values by slot, as its owners keep them. */
class Store {
  readonly slots: SetAssociative;
  readonly values: number[] = [];

  constructor(associativity: Associativity, replacement: Replacement = "lru") {
    this.slots = new SetAssociative(associativity, 0, replacement);
  }

  insert(key: number, value = key): void {
    this.values[this.slots.insert(key, HIGH)] = value;
  }

  lookup(key: number): number {
    const slot = this.slots.lookup(key, HIGH, HIGH);
    return slot === ABSENT ? ABSENT : this.values[slot];
  }

  remove(key: number): void {
    this.slots.remove(key, HIGH);
  }

  /** Which of the keys are held, without a use of any. */
  held(...keys: number[]): number[] {
    return keys.filter((key) => this.slots.find(key, HIGH, HIGH) !== ABSENT);
  }
}

describe("a set-associative store", () => {
  it("returns what was stored under a key, and ABSENT for any other key of the set", () => {
    const store = new Store({ entries: 8, ways: 2 });
    store.insert(5, 50);
    expect(store.lookup(5)).toBe(50);
    expect(store.lookup(9)).toBe(ABSENT); // 9 and 5 share set 1 of 4
  });

  it("tells keys apart by their upper integer, and takes one of two where both will do", () => {
    const { slots } = new Store({ entries: 8, ways: 2 });
    const slot = slots.insert(5, 7);
    expect([slots.find(5, 8, 8), slots.find(5, 8, 7), slots.find(5, 7, 8)]).toEqual([ABSENT, slot, slot]);
  });

  it("hits on 1600 pages in sequence only in the sets that are not overfull (1536 entries, 12 ways)", () => {
    // 128 sets: 64 of them get 13 pages, which LRU never keeps; 64 get 12 and keep them.
    const tlb = new Store({ entries: 1536, ways: 12 });
    let hits = 0;
    for (let i = 0; i < 100_000; i++) {
      const page = 0x2000 + (i % 1600);
      if (tlb.lookup(page) !== ABSENT) hits++;
      else tlb.insert(page);
    }
    expect(hits).toBe(47_232);
  });

  it("takes a number of sets that is no power of two, and keys that look negative", () => {
    const store = new Store({ entries: 6, ways: 2 });
    store.insert(-1, 7); // 2^32 - 1, in set 0 of 3
    store.insert(-4, 8);
    expect([store.lookup(-1), store.lookup(-4), store.lookup(-7)]).toEqual([7, 8, ABSENT]);
  });

  it("refuses entries that do not fill whole sets, and a tree over three ways", () => {
    expect(() => new SetAssociative({ entries: 10, ways: 4 }, 0)).toThrow("entries = 10, ways = 4");
    expect(() => new SetAssociative({ entries: 6, ways: 3 }, 0, "plru")).toThrow("ways = 3: plru");
  });

  it("empties the slots that a condition picks", () => {
    const store = new Store({ entries: 8, ways: 2 });
    for (const key of [1, 2, 3, 4]) store.insert(key);
    store.slots.removeWhere((low) => low % 2 === 0);
    expect(store.held(1, 2, 3, 4)).toEqual([1, 3]);
  });

  it.each(["lru", "fifo", "plru-fill", "random"] as const)(
    "fills a removed entry before it evicts another (%s)",
    (replacement) => {
      const store = new Store({ entries: 4, ways: 4 }, replacement);
      for (const key of [1, 2, 3, 4]) store.insert(key);
      store.remove(3);
      store.insert(5);
      expect(store.held(1, 2, 3, 4, 5)).toEqual([1, 2, 4, 5]);
    },
  );

  it.each(["lru", "fifo", "random"] as const)("has all its room again once cleared (%s)", (replacement) => {
    const store = new Store({ entries: 4, ways: 4 }, replacement);
    for (const key of [1, 2, 3, 4]) store.insert(key);
    store.slots.clear();
    for (const key of [5, 6, 7, 8]) store.insert(key);
    expect(store.held(1, 2, 3, 4, 5, 6, 7, 8)).toEqual([5, 6, 7, 8]);
  });
});

describe("replacement", () => {
  it("by lru keeps its order when the stamps run out", () => {
    const store = new Store({ entries: 4, ways: 4 });
    // The clock of a store that was used 2^31 - 4 times.
    Object.assign(store.slots, { clock: 2 ** 31 - 4 });
    for (const key of [1, 2, 3, 4]) store.insert(key);
    for (const key of [2, 1, 4, 3]) store.lookup(key);
    store.insert(5);
    store.insert(6);
    expect(store.held(1, 2, 3, 4, 5, 6)).toEqual([3, 4, 5, 6]);
  });

  it("by lru throws out what was not used for longest", () => {
    const store = new Store({ entries: 4, ways: 2 });
    for (const key of [0, 2, 1]) store.insert(key);
    store.lookup(0); // 2 is now the least recently used of set 0
    store.insert(4);
    expect(store.held(0, 1, 2, 4)).toEqual([0, 1, 4]);
  });

  it("by fifo throws out what came first, used or not", () => {
    const store = new Store({ entries: 2, ways: 2 }, "fifo");
    for (const key of [1, 2]) store.insert(key);
    store.lookup(1);
    store.insert(3);
    expect(store.held(1, 2, 3)).toEqual([2, 3]);
  });

  it("by plru points at the other half of what was used last, then at the other way of that half", () => {
    const store = new Store({ entries: 4, ways: 4 }, "plru");
    for (const key of [10, 11, 12, 13]) store.insert(key); // ways 0, 2, 1, 3
    store.lookup(10); // points to the right half, at the way not used last there: 11's
    store.insert(14);
    expect(store.held(10, 11, 12, 13, 14)).toEqual([10, 12, 13, 14]);
  });

  it("by plru leaves ways empty that its tree does not point at; plru-fill does not", () => {
    for (const [replacement, slots] of [
      ["plru", [0, 2, 1, 3]],
      ["plru-fill", [0, 1, 2, 3]],
    ] as const) {
      const store = new SetAssociative({ entries: 4, ways: 4 }, 0, replacement);
      expect([1, 2, 3, 4].map((key) => store.insert(key, HIGH))).toEqual(slots);
    }
  });

  it("by random throws out the same on every run, and more than one way", () => {
    const victims = () => {
      const store = new SetAssociative({ entries: 4, ways: 4 }, 0, "random");
      for (const key of [1, 2, 3, 4]) store.insert(key, HIGH);
      return Array.from({ length: 20 }, (_, i) => store.insert(100 + i, HIGH));
    };
    expect(victims()).toEqual(victims());
    expect(new Set(victims()).size).toBe(4);
  });
});
