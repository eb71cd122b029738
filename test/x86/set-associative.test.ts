import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ABSENT,
  type Associativity,
  type Hash,
  type Place,
  REPLACEMENTS,
  type Replacement,
  SetAssociativeStore,
} from "../../src/x86/set-associative.js";

/** The upper integer of all keys here: one address space. */
const HIGH = 1;

/** A store, with the values by place, as owners keep them. */
class TestStore {
  readonly store: SetAssociativeStore;
  readonly values: number[] = [];

  constructor(associativity: Associativity, replacement: Replacement = "lru", hash: Hash = "none") {
    this.store = new SetAssociativeStore(associativity, 0, replacement, hash);
  }

  insert(key: number, value = key): Place {
    const place = this.store.insert(key, HIGH);
    this.values[place] = value;
    return place;
  }

  lookup(key: number): number {
    const place = this.store.lookup(key, HIGH, HIGH);
    return place === ABSENT ? ABSENT : this.values[place];
  }

  remove(key: number): void {
    this.store.remove(key, HIGH, HIGH);
  }

  /** Which of the keys are held, without a use of any. */
  held(...keys: number[]): number[] {
    return keys.filter((key) => this.store.find(key, HIGH, HIGH) !== ABSENT);
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
    const { store } = new TestStore({ entries: 8, ways: 2 });
    const place = store.insert(5, 7);
    const found = [store.find(5, 8, 8), store.find(5, 8, 7), store.find(5, 7, 8)];
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
    expect(() => new SetAssociativeStore({ entries: 10, ways: 4 }, 0)).toThrow("entries = 10, ways = 4");
    expect(() => new SetAssociativeStore({ entries: 6, ways: 3 }, 0, "plru")).toThrow("ways = 3: plru");
    expect(() => new SetAssociativeStore({ entries: 96, ways: 1 }, 0, "lru", "page")).toThrow(
      "sets = 96: a hash needs",
    );
  });

  it("empties the slots that a condition picks", () => {
    const store = new TestStore({ entries: 8, ways: 2 });
    for (const key of [1, 2, 3, 4]) store.insert(key);
    store.store.removeWhere((low) => low % 2 === 0);
    expect(store.held(1, 2, 3, 4)).toEqual([1, 3]);
  });

  it.each(REPLACEMENTS)(
    "takes over the memory of one of its size that was released, empty (%s)",
    (replacement) => {
      const size = { entries: 2 ** 16, ways: 16 };
      // Keys of two sets, more than they have ways, and once more than are noted.
      const keys = (count: number) => Array.from({ length: count }, (_, n) => 4096 * (n >> 1) + (n % 2));
      for (const filled of [100, 20_000]) {
        const fresh = new SetAssociativeStore(size, 0, replacement);
        const places = keys(100).map((key) => fresh.insert(key, HIGH));
        const { store } = new TestStore(size, replacement);
        for (let n = 0; n < filled; n++) store.insert(n % 3 === 0 ? n : 4096 * n, HIGH);
        store.release();
        const other = new SetAssociativeStore(size, 0, replacement);
        expect(other.cells === store.cells).toBe(true);
        expect(keys(100).map((key) => other.find(key, HIGH, HIGH))).toEqual(new Array(100).fill(ABSENT));
        expect(keys(100).map((key) => other.insert(key, HIGH))).toEqual(places);
      }
    },
  );

  it("leaves its memory to one other only, however often it is released", () => {
    const size = { entries: 2 ** 16, ways: 16 };
    const store = new SetAssociativeStore(size, 0);
    store.release();
    store.release();
    const [one, other] = [new SetAssociativeStore(size, 0), new SetAssociativeStore(size, 0)];
    expect(one.cells === other.cells).toBe(false);
  });

  it.each(["lru", "fifo", "bip", "mru", "plru-fill", "random"] as const)(
    "fills a removed entry before it evicts another (%s)",
    (replacement) => {
      const store = new TestStore({ entries: 4, ways: 4 }, replacement);
      for (const key of [1, 2, 3, 4]) store.insert(key);
      store.remove(3);
      store.insert(5);
      expect(store.held(1, 2, 3, 4, 5)).toEqual([1, 2, 4, 5]);
    },
  );

  it.each(["lru", "fifo", "bip", "mru", "random"] as const)(
    "has all its room again once cleared (%s)",
    (replacement) => {
      const store = new TestStore({ entries: 4, ways: 4 }, replacement);
      for (const key of [1, 2, 3, 4]) store.insert(key);
      store.store.clear();
      for (const key of [5, 6, 7, 8]) store.insert(key);
      expect(store.held(1, 2, 3, 4, 5, 6, 7, 8)).toEqual([5, 6, 7, 8]);
    },
  );
});

interface PlainEntry {
  readonly key: number;
  readonly high: number;
  /** When it was last used (lru, bip) or filled (fifo); 0 for what came in as the least recently used. */
  time: number;
  /** Of mru. */
  bit: boolean;
}

/** What a store must do, set by set, way by way. */
class PlainStore {
  private readonly sets: (PlainEntry | undefined)[][];
  private clock = 0;
  /** The state of Marsaglia's generator, at first 2^32 / the golden ratio. */
  private random = 0x9e37_79b9;

  constructor(
    private readonly count: number,
    ways: number,
    private readonly replacement: "lru" | "fifo" | "bip" | "mru",
    private readonly indexOf = (key: number) => (key >>> 0) % count,
  ) {
    this.sets = Array.from({ length: this.count }, () => Array.from({ length: ways }));
  }

  private setOf(key: number): (PlainEntry | undefined)[] {
    return this.sets[this.indexOf(key)];
  }

  lookup(key: number, high: number): boolean {
    const set = this.setOf(key);
    const entry = set.find((one) => one?.key === key && one.high === high);
    if (entry === undefined) return false;
    if (this.replacement !== "fifo") entry.time = ++this.clock;
    this.setBit(set, entry);
    return true;
  }

  insert(key: number, high: number): void {
    const set = this.setOf(key);
    const isLeastRecent = this.replacement === "bip" && this.draw() % 32 !== 0;
    const entry = { key, high, time: isLeastRecent ? 0 : ++this.clock, bit: false };
    const empty = set.indexOf(undefined);
    set[empty >= 0 ? empty : this.victim(set as PlainEntry[])] = entry;
    this.setBit(set, entry);
  }

  private victim(set: readonly PlainEntry[]): number {
    if (this.replacement === "mru") return set.findIndex(({ bit }) => !bit || set.length === 1);
    const times = set.map(({ time }) => time);
    return times.indexOf(Math.min(...times));
  }

  private setBit(set: readonly (PlainEntry | undefined)[], entry: PlainEntry): void {
    entry.bit = true;
    if (!set.every((one) => one?.bit)) return;
    for (const other of set as PlainEntry[]) other.bit = other === entry;
  }

  private draw(): number {
    this.random ^= this.random << 13;
    this.random ^= this.random >>> 17;
    this.random ^= this.random << 5;
    return this.random >>> 0;
  }

  remove(key: number, high: number): void {
    const set = this.setOf(key);
    const at = set.findIndex((one) => one?.key === key && one.high === high);
    if (at >= 0) set[at] = undefined;
  }

  removeSelected(high: number): void {
    for (const set of this.sets) {
      for (const [way, entry] of set.entries()) if (entry?.high === high) set[way] = undefined;
    }
  }

  clear(): void {
    for (const set of this.sets) set.fill(undefined);
  }
}

describe("a store beside a plain one", () => {
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
      weight: 3,
      arbitrary: fc.record({
        act: fc.constant("drop"),
        key: fc.constant(0),
        high: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ act: fc.constant("clear"), key: fc.constant(0), high: fc.constant(0) }),
    },
  );

  const policies = fc.constantFrom("lru", "fifo", "bip", "mru");
  const steps = fc.constantFrom(1, 64, 0x1000, -0x0fff_ffff);
  const all = fc.array(actions, { maxLength: 400, size: "max" });

  /** Does all of it to both, and expects each lookup to find the same. */
  function expectSame({ store }: TestStore, plain: PlainStore, done: Done[], step: number) {
    for (const { act, key, high } of done) {
      const low = (key * step) | 0;
      if (act === "use") {
        const found = store.lookup(low, high, high) !== ABSENT;
        expect(found).toBe(plain.lookup(low, high));
        if (!found) store.insert(low, high);
        if (!found) plain.insert(low, high);
      } else if (act === "remove") {
        store.remove(low, high, high);
        plain.remove(low, high);
      } else if (act === "drop") {
        store.removeSelected(
          Uint8Array.from([0, 1, 2, 3], (one) => Number(one === high)),
          0,
        );
        plain.removeSelected(high);
      } else {
        store.clear();
        plain.clear();
      }
    }
  }

  it("holds the same, whatever its index says", () => {
    fc.assert(
      fc.property(
        fc.constantFrom([4, 4], [8, 2], [24, 4], [1, 1]),
        policies,
        steps,
        all,
        ([entries, ways], replacement, step, done) => {
          const plain = new PlainStore(entries / ways, ways, replacement);
          expectSame(new TestStore({ entries, ways }, replacement), plain, done, step);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("holds the same where a hash chooses the set", () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 3, 8), policies, steps, all, (groups, replacement, step, done) => {
        const plain = new PlainStore(64 * groups, 2, replacement, hashedSets(groups));
        expectSame(new TestStore({ entries: 128 * groups, ways: 2 }, replacement, "page"), plain, done, step);
      }),
      { numRuns: 200 },
    );
  });
});

type Done = { readonly act: string; readonly key: number; readonly high: number };

const LINES = 64;

/** The set of a line, found out from what evicts what in a store of one way: as many groups of 64 sets as pages that go together. */
function hashedSets(groups: number): (line: number) => number {
  const leaders: number[] = [];
  const groupOf = (page: number) => {
    const group = leaders.findIndex((leader) => isSameSet(groups, leader * LINES, page * LINES));
    return group >= 0 ? group : leaders.push(page) - 1;
  };
  return (line) => groupOf(line >>> 6) * LINES + (line & (LINES - 1));
}

/** Whether the one line evicts the other, by a hash of so many groups of sets. */
function isSameSet(groups: number, one: number, other: number): boolean {
  if (one === other) return true;
  const { store } = new TestStore({ entries: LINES * groups, ways: 1 }, "lru", "page");
  store.insert(one, HIGH);
  store.insert(other, HIGH);
  return store.evictedHigh !== 0;
}

describe("a set that a hash chooses", () => {
  it("is another one for each line of a page", () => {
    const store = new TestStore({ entries: 8 * LINES, ways: 1 }, "lru", "page");
    const lines = Array.from({ length: LINES }, (_, line) => 0x1234 * LINES + line);
    for (const line of lines) store.insert(line);
    expect(store.held(...lines)).toEqual(lines);
  });

  it("is one of a page's own group of 64: if two pages share a set, they share that of each line, at its place", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 20), fc.nat(2 ** 20), fc.nat(63), fc.nat(63), (one, other, place, second) => {
        const shares = isSameSet(3, one * LINES, other * LINES);
        expect(isSameSet(3, one * LINES + place, other * LINES + place)).toBe(shares);
        if (place !== second) expect(isSameSet(3, one * LINES + place, other * LINES + second)).toBe(false);
      }),
    );
  });

  it("is not the same for pages a power of two apart, which would else leave most of the sets alone", () => {
    // Line 0 of every eighth page: set 0 of 512 without a hash.
    const lines = Array.from({ length: 64 }, (_, n) => n * 8 * LINES);
    const sets = (hash: Hash) => {
      const store = new TestStore({ entries: 8 * LINES, ways: 1 }, "lru", hash);
      for (const line of lines) store.insert(line);
      return store.held(...lines).length;
    };
    // By all bits they spread over the 512 sets: 64 lines, of which some share one.
    expect([sets("none"), sets("page")]).toEqual([1, 8]);
    expect(sets("line")).toBeGreaterThan(50);
  });
});

describe("replacement", () => {
  it("by lru keeps its order when the stamps run out", () => {
    const store = new TestStore({ entries: 4, ways: 4 });
    // The clock of a store that was used 2^31 - 4 times.
    store.store.clock = 2 ** 31 - 4;
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

  it("by bip throws out what came in last, as long as nobody used it", () => {
    // The generator takes the 64th that comes in, and none before, as the most recently used.
    const store = new TestStore({ entries: 4, ways: 4 }, "bip");
    for (const key of [1, 2, 3, 4]) store.insert(key);
    for (const key of [4, 3, 2]) store.lookup(key);
    store.insert(5); // in place of 1, which was not used
    store.insert(6); // in place of 5
    expect(store.held(1, 2, 3, 4, 5, 6)).toEqual([2, 3, 4, 6]);
    store.lookup(6);
    store.insert(7); // in place of 4: all are used, and 4 the longest time ago
    expect(store.held(2, 3, 4, 6, 7)).toEqual([2, 3, 6, 7]);
  });

  it("by bip throws out what was never used before what was used first of all", () => {
    const store = new TestStore({ entries: 2, ways: 2 }, "bip");
    store.insert(1);
    store.lookup(1);
    store.insert(2);
    store.insert(3);
    expect(store.held(1, 2, 3)).toEqual([1, 3]);
  });

  it("by bip keeps one in 32 of those that come in for longer", () => {
    const store = new TestStore({ entries: 2, ways: 2 }, "bip");
    store.insert(0);
    store.lookup(0);
    for (let key = 2; key <= 64; key++) store.insert(key);
    expect(store.held(0, 63, 64)).toEqual([0, 64]);
    store.insert(65); // in place of 0: of the two in use the one longer ago
    expect(store.held(0, 64, 65)).toEqual([64, 65]);
  });

  it.each([
    ["lru", 0],
    ["fifo", 0],
    ["bip", 7],
  ] as const)("by %s keeps of a loop over two lines more than the eight ways: %d", (replacement, kept) => {
    const store = new TestStore({ entries: 8, ways: 8 }, replacement);
    const loop = Array.from({ length: 10 }, (_, key) => key);
    const round = () =>
      loop.filter((key) => store.lookup(key) !== ABSENT || store.insert(key) === ABSENT).length;
    // 10 lines come in, then 3 in each round: before the 64th does, which stays.
    const rounds = Array.from({ length: 10 }, round);
    expect(rounds).toEqual([0, ...Array(9).fill(kept)]);
  });

  it("by bip keeps more than half of such a loop in the long run, not always the same lines", () => {
    const store = new TestStore({ entries: 8, ways: 8 }, "bip");
    let hits = 0;
    for (let load = 0; load < 100_000; load++) {
      if (store.lookup(load % 10) !== ABSENT) hits++;
      else store.insert(load % 10);
    }
    // Those that come in to stay cost others their place.
    expect(hits / 100_000).toBeGreaterThan(0.5);
    expect(hits / 100_000).toBeLessThanOrEqual(0.7);
  });

  it("by mru throws out the first way whose bit is clear, and clears all others with the last one that is set", () => {
    const store = new TestStore({ entries: 4, ways: 4 }, "mru");
    for (const key of [1, 2, 3, 4]) store.insert(key); // the 4th sets the last bit: 1, 2 and 3 have none
    store.lookup(1); // 1 and 4 have theirs
    store.insert(5); // in place of 2
    expect(store.held(1, 2, 3, 4, 5)).toEqual([1, 3, 4, 5]);
    store.insert(6); // in place of 3, and its bit is the last: 1, 5 and 4 have none
    expect(store.held(1, 3, 4, 5, 6)).toEqual([1, 4, 5, 6]);
    store.insert(7); // in place of 1, the first way
    expect(store.held(1, 4, 5, 6, 7)).toEqual([4, 5, 6, 7]);
  });

  it("by mru with one way has that one to replace", () => {
    const store = new TestStore({ entries: 1, ways: 1 }, "mru");
    for (const key of [1, 2]) store.insert(key);
    expect(store.held(1, 2)).toEqual([2]);
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
