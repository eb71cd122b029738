import { describe, expect, it } from "vitest";
import { ABSENT, SetAssociative } from "../../src/x86/set-associative.js";

describe("a set-associative store", () => {
  it("returns what was stored under a key, and ABSENT for any other key of the set", () => {
    const store = new SetAssociative({ entries: 8, ways: 2 });
    store.insert(5, 50);
    expect(store.lookup(5)).toBe(50);
    expect(store.lookup(9)).toBe(ABSENT); // 9 and 5 share set 1 of 4
  });

  it("replaces the least recently used entry of the set, and no entry of another set", () => {
    const store = new SetAssociative({ entries: 4, ways: 2 });
    store.insert(0, 10);
    store.insert(2, 12);
    store.insert(1, 11);
    store.lookup(0); // 2 is now the least recently used of set 0
    store.insert(4, 14);
    expect([0, 1, 2, 4].map((key) => store.lookup(key))).toEqual([10, 11, ABSENT, 14]);
  });

  it("hits on 1600 pages in sequence only in the sets that are not overfull (1536 entries, 12 ways)", () => {
    // 128 sets: 64 of them get 13 pages, which LRU never keeps; 64 get 12 and keep them.
    const tlb = new SetAssociative({ entries: 1536, ways: 12 });
    let hits = 0;
    for (let i = 0; i < 100_000; i++) {
      const page = 0x2000 + (i % 1600);
      if (tlb.lookup(page) !== ABSENT) hits++;
      else tlb.insert(page, 0);
    }
    expect(hits).toBe(47_232);
  });

  it("fills a removed entry before it evicts another", () => {
    const store = new SetAssociative({ entries: 2, ways: 2 });
    store.insert(1, 1);
    store.insert(2, 2);
    store.remove(2);
    store.insert(3, 3);
    expect([1, 2, 3].map((key) => store.lookup(key))).toEqual([1, ABSENT, 3]);
  });

  it("takes a number of sets that is no power of two, and keys beyond 2^32", () => {
    const store = new SetAssociative({ entries: 6, ways: 2 });
    const key = 2 ** 40 + 1;
    store.insert(key, 7);
    store.insert(key + 3, 8);
    expect([store.lookup(key), store.lookup(key + 3), store.lookup(key + 1)]).toEqual([7, 8, ABSENT]);
  });

  it("refuses entries that do not fill whole sets", () => {
    expect(() => new SetAssociative({ entries: 10, ways: 4 })).toThrow("entries = 10, ways = 4");
  });
});
