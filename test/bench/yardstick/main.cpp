/**
 * The yardstick of `npm run bench`: the model of src/x86 for 64-bit guests, as one would write it in C++ for speed. Every
 * count must equal that of the TypeScript; the time it takes is what the TypeScript is measured against.
 *
 * It has 4-level paging with the registers of LONG_MODE, a 4-level EPT without accessed and dirty flags, true LRU and the
 * default switches. What else src/x86 can do (other paging modes, protection keys, mode-based execute control, shadow
 * stacks, many address spaces, other replacement) is not here, so the yardstick has a little less to decide. It searches
 * the ways of a set one by one, where src/x86 has an index.
 *
 * Arguments are name=value: of the row `operation`, `pages`, `gap`, `ept`, `warmUp` and `iterations`, see rows.mjs; of the
 * processor the fields of CpuGeometry, a structure as entries/ways, a cache as bytes/ways. Prints one line of JSON.
 */
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

/** The number of a 4-Kbyte page: linear, guest-physical or host-physical. */
using Page = std::uint64_t;

constexpr int LEVELS = 4;

/** Bits of a page number below those that select the entry at a level: 1 = PTE .. 4 = PML4E, and one above. */
constexpr int shiftOf(int level) { return 9 * (level - 1); }

constexpr unsigned indexOf(Page page, int level) { return (page >> shiftOf(level)) & 511; }

constexpr std::uint64_t ADDRESS = 0x000f'ffff'ffff'f000;

constexpr Page entryPage(std::uint64_t entry) { return (entry & ADDRESS) >> 12; }

// ---------------------------------------------------------------------------------------------------------------------
// The ledger

constexpr std::array<const char*, 28> PRIMITIVES = {
    "dtlbHit",
    "stlbHitLoad", "stlbHitStore", "stlbHitFetch",
    "walkLoad", "walkStore", "walkFetch",
    "walkCompletedLoad4K", "walkCompletedLoad2M", "walkCompletedLoad1G",
    "walkCompletedStore4K", "walkCompletedStore2M", "walkCompletedStore1G",
    "walkCompletedFetch4K", "walkCompletedFetch2M", "walkCompletedFetch1G",
    "guestWalkRefL1", "guestWalkRefL2", "guestWalkRefL3", "guestWalkRefDram",
    "eptWalkRefL1", "eptWalkRefL2", "eptWalkRefL3", "eptWalkRefDram",
    "dataRefL1", "dataRefL2", "dataRefL3", "dataRefDram",
};
constexpr int DTLB_HIT = 0;
constexpr int STLB_HIT = 1;
constexpr int WALK = 4;
constexpr int WALK_COMPLETED = 7;
constexpr int GUEST_WALK_REF = 16;
constexpr int EPT_WALK_REF = 20;
constexpr int DATA_REF = 24;

using Counts = std::array<std::uint64_t, PRIMITIVES.size()>;

// ---------------------------------------------------------------------------------------------------------------------
// The processor

struct Associativity {
  std::uint32_t entries;
  std::uint32_t ways;
};

/** The arguments by name. */
class Arguments {
 public:
  Arguments(int count, char** arguments) {
    for (int i = 1; i < count; i++) {
      const std::string argument = arguments[i];
      const auto equals = argument.find('=');
      values[argument.substr(0, equals)] = equals == std::string::npos ? "" : argument.substr(equals + 1);
    }
  }

  std::string text(const std::string& name) const {
    const auto found = values.find(name);
    if (found == values.end()) throw std::invalid_argument("argument " + name + " is missing");
    return found->second;
  }

  std::uint64_t number(const std::string& name) const { return std::stoull(text(name)); }

  bool flag(const std::string& name) const { return text(name) == "true"; }

  /** From entries/ways; 0/0 where the processor has none. A cache has an entry for every `unit` bytes. */
  Associativity associativity(const std::string& name, std::uint32_t unit = 1) const {
    const std::string value = text(name);
    const auto slash = value.find('/');
    return {static_cast<std::uint32_t>(std::stoul(value)) / unit,
            static_cast<std::uint32_t>(std::stoul(value.substr(slash + 1)))};
  }

 private:
  std::unordered_map<std::string, std::string> values;
};

// ---------------------------------------------------------------------------------------------------------------------
// Set-associative structures

/** Never 0, which marks an empty slot. */
using Key = std::uint64_t;

constexpr int ABSENT = -1;

/** Which key is in which slot, replaced by true LRU. Bits 31:0 of a key choose its set. */
class SetAssociative {
 public:
  explicit SetAssociative(Associativity of)
      : ways(static_cast<int>(of.ways)),
        sets(of.entries / of.ways),
        isPowerOfTwo((sets & (sets - 1)) == 0),
        keys(of.entries),
        stamps(of.entries) {}

  /** The slot of one of two keys of the same set, or ABSENT. */
  int find(Key key, Key otherKey) const {
    const int first = firstSlot(key);
    for (int slot = first; slot < first + ways; slot++) {
      if (keys[slot] == key || keys[slot] == otherKey) return slot;
    }
    return ABSENT;
  }

  int find(Key key) const { return find(key, key); }

  /** As `find()`, and a slot that is found counts as used. */
  int lookup(Key key, Key otherKey) {
    const int slot = find(key, otherKey);
    if (slot != ABSENT) stamps[slot] = ++clock;
    return slot;
  }

  int lookup(Key key) { return lookup(key, key); }

  /** The slot that an absent key goes to next: the set's oldest. An empty one is always older than one in use. */
  int choose(Key key) const {
    const int first = firstSlot(key);
    int oldest = first;
    std::uint64_t least = stamps[first];
    for (int slot = first + 1; slot < first + ways; slot++) {
      if (stamps[slot] >= least) continue;
      least = stamps[slot];
      oldest = slot;
    }
    return oldest;
  }

  void fill(int slot, Key key) {
    keys[slot] = key;
    stamps[slot] = ++clock;
  }

  int insert(Key key) {
    const int slot = choose(key);
    fill(slot, key);
    return slot;
  }

  Key keyIn(int slot) const { return keys[slot]; }

  void remove(Key key) {
    const int slot = find(key);
    if (slot == ABSENT) return;
    keys[slot] = 0;
    stamps[slot] = 0;
  }

  void clear() { std::fill(keys.begin(), keys.end(), 0); }

 private:
  int firstSlot(Key key) const {
    const auto low = static_cast<std::uint32_t>(key);
    return static_cast<int>(isPowerOfTwo ? low & (sets - 1) : low % sets) * ways;
  }

  const int ways;
  const std::uint32_t sets;
  const bool isPowerOfTwo;
  std::vector<Key> keys;
  std::vector<std::uint64_t> stamps;
  std::uint64_t clock = 0;
};

/** A set-associative structure with what belongs to each key. */
template <typename Value>
struct Store {
  explicit Store(Associativity of) : slots(of), values(of.entries) {}

  const Value* lookup(Key key) {
    const int slot = slots.lookup(key);
    return slot == ABSENT ? nullptr : &values[slot];
  }

  /** Stores under a key, in place of what it had. */
  void put(Key key, const Value& value) {
    const int held = slots.find(key);
    values[held == ABSENT ? slots.insert(key) : held] = value;
  }

  SetAssociative slots;
  std::vector<Value> values;
};

/** Where the processor has such a structure. */
template <typename Value>
std::unique_ptr<Store<Value>> storeOf(Associativity of) {
  return of.entries == 0 ? nullptr : std::make_unique<Store<Value>>(of);
}

// ---------------------------------------------------------------------------------------------------------------------
// Memory

/** Host-physical memory: the frames that something was written to, 512 entries each. All else reads as zero. */
class PhysicalMemory {
 public:
  using Frame = std::array<std::uint64_t, 512>;

  /** The frame's entries. Those of a frame that nothing was written to are all one frame's, and not to be changed. */
  Frame& frame(Page pfn) {
    Frame* const found = places[placeOf(pfn)].frame;
    return found == nullptr ? frames.front() : *found;
  }

  void write(Page pfn, unsigned index, std::uint64_t entry) {
    if (places[placeOf(pfn)].frame == nullptr) add(pfn);
    frame(pfn)[index] = entry;
  }

 private:
  struct Place {
    Page pfn;
    /** null marks an unused place. */
    Frame* frame;
  };

  /** The place of a frame in the hash table, or the unused one where it would stand. */
  std::size_t placeOf(Page pfn) const {
    std::size_t place = (pfn * 0x9e37'79b9'7f4a'7c15) >> shift;
    while (places[place].frame != nullptr && places[place].pfn != pfn) place = (place + 1) & (places.size() - 1);
    return place;
  }

  void add(Page pfn) {
    if (2 * frames.size() >= places.size()) grow();
    frames.emplace_back();
    places[placeOf(pfn)] = {pfn, &frames.back()};
  }

  void grow() {
    const std::vector<Place> old = std::move(places);
    places.assign(2 * old.size(), {});
    shift--;
    for (const Place& place : old) {
      if (place.frame != nullptr) places[placeOf(place.pfn)] = place;
    }
  }

  /** A deque, because its elements stay where they are. */
  std::deque<Frame> frames = std::deque<Frame>(1);
  std::vector<Place> places = std::vector<Place>(64);
  /** 64 minus the binary logarithm of the number of places. */
  int shift = 58;
};

/** L1D, L2, L3 and DRAM. A reference is served by the first level that holds its line and fills all nearer levels. */
class MemoryHierarchy {
 public:
  explicit MemoryHierarchy(const Arguments& cpu)
      : l1d(cpu.associativity("l1d", LINE)),
        l2(cpu.associativity("l2", LINE)),
        l3(cpu.associativity("l3", LINE)),
        inclusive(cpu.flag("l3Inclusive")) {}

  /** References a byte of a page and returns the level that served it: 0 = L1 .. 3 = DRAM. */
  int reference(Page pfn, unsigned offset) {
    const Key key = IN_USE | pfn << 6 | offset / LINE;
    return l1d.lookup(key) != ABSENT ? 0 : referenceBehindL1(key);
  }

  void evictL1() { l1d.clear(); }

 private:
  static constexpr unsigned LINE = 64;
  /** Above the number of a line. */
  static constexpr Key IN_USE = Key{1} << 46;

  int referenceBehindL1(Key key) {
    int level = 1;
    if (l2.lookup(key) == ABSENT) {
      level = 2;
      if (l3.lookup(key) == ABSENT) {
        level = 3;
        const int slot = l3.choose(key);
        const Key evicted = l3.keyIn(slot);
        if (inclusive && evicted != 0) {
          l2.remove(evicted);
          l1d.remove(evicted);
        }
        l3.fill(slot, key);
      }
      l2.insert(key);
    }
    l1d.insert(key);
    return level;
  }

  SetAssociative l1d;
  SetAssociative l2;
  SetAssociative l3;
  const bool inclusive;
};

// ---------------------------------------------------------------------------------------------------------------------
// Cached translations

/** Sizes of a page: 4 Kbyte, 2 Mbyte, 1 Gbyte. A page of a size is 2^(9 * size) pages of 4 Kbyte. */
constexpr int SIZE_4K = 0;
constexpr int SIZE_2M = 1;
constexpr int SIZE_1G = 2;
constexpr int SIZES = 3;

/** Keys of cached translations: a page number of 45 bits, the size, and the tag of the address space. */
constexpr Key SIZE_UNIT = Key{1} << 45;
constexpr Key TAG_UNIT = Key{1} << 47;

/** Attributes of a TLB entry. Bits 2:0 are the guest's rights, bits 7:4 the EPT's permissions. */
constexpr unsigned RIGHT_NOT_EXECUTABLE = 1 << 0;
constexpr unsigned RIGHT_WRITABLE = 1 << 1;
constexpr unsigned RIGHT_USER = 1 << 2;
constexpr int EPT_SHIFT = 4;
constexpr unsigned ATTRIBUTE_EPT_READ = 1 << 4;
constexpr unsigned ATTRIBUTE_EPT_WRITE = 1 << 5;
constexpr unsigned ATTRIBUTE_EPT_FETCH = 1 << 6;
/** The guest's dirty flag is set. */
constexpr unsigned ATTRIBUTE_DIRTY = 1 << 9;
constexpr unsigned ATTRIBUTE_GLOBAL = 1 << 10;

/** What a TLB entry holds, of its first page, or of the page that was looked up. */
struct Translation {
  Page pfn;
  unsigned attributes;
};

/** Two levels, the first one apart for data and instructions. */
class Tlb {
 public:
  explicit Tlb(const Arguments& cpu) {
    data = {array(cpu.associativity("dtlb4K")), array(cpu.associativity("dtlb2M")),
            array(cpu.associativity("dtlb1G"))};
    instruction = {array(cpu.associativity("itlb4K")), array(cpu.associativity("itlb2M")), nullptr};
    Array* const shared = array(cpu.associativity("stlb"));
    second = {shared, cpu.flag("stlbHolds2M") ? shared : nullptr, array(cpu.associativity("stlb1G"))};
  }

  /** The level, 1 or 2, that holds a page; 0 if none does. A hit in the second fills the first. */
  int lookup(Page page, bool fetch, Key tag, Key globalTag, Translation& found) {
    if (!fetch && lookupIn(data[SIZE_4K], SIZE_4K, page, tag, globalTag, found)) return 1;
    return lookupBehind(page, fetch, tag, globalTag, found);
  }

  void insert(Page page, int size, bool fetch, Key tag, const Translation& translation) {
    if (size != SIZE_4K) holds[size] = true;
    fill(fetch ? instruction : data, size, page, tag, translation);
    fill(second, size, page, tag, translation);
  }

  void invalidate(Page page, Key tag, Key globalTag) {
    for (int size = SIZE_4K; size < SIZES; size++) {
      if (!holds[size]) continue;
      for (const Level* level : {&data, &instruction, &second}) {
        Array* const array = (*level)[size];
        if (array == nullptr) continue;
        array->slots.remove(keyOf(page, size, tag));
        array->slots.remove(keyOf(page, size, globalTag));
      }
    }
  }

  void clear() {
    for (const auto& array : arrays) array->slots.clear();
    holds = {true, false, false};
  }

 private:
  using Array = Store<Translation>;
  /** By size; null where the level has no entries of that size. */
  using Level = std::array<Array*, SIZES>;

  Array* array(Associativity of) {
    if (of.entries == 0) return nullptr;
    arrays.push_back(std::make_unique<Array>(of));
    return arrays.back().get();
  }

  static Key keyOf(Page page, int size, Key tag) { return tag | size * SIZE_UNIT | page >> 9 * size; }

  static Page pagesBelow(int size) { return (Page{1} << 9 * size) - 1; }

  int lookupBehind(Page page, bool fetch, Key tag, Key globalTag, Translation& found) {
    const Level& first = fetch ? instruction : data;
    for (int size = fetch ? SIZE_4K : SIZE_2M; size < SIZES; size++) {
      if (holds[size] && lookupIn(first[size], size, page, tag, globalTag, found)) return 1;
    }
    for (int size = SIZE_4K; size < SIZES; size++) {
      if (!holds[size] || !lookupIn(second[size], size, page, tag, globalTag, found)) continue;
      fill(first, size, page, (found.attributes & ATTRIBUTE_GLOBAL) != 0 ? globalTag : tag, found);
      return 2;
    }
    return 0;
  }

  static bool lookupIn(Array* array, int size, Page page, Key tag, Key globalTag, Translation& found) {
    if (array == nullptr) return false;
    const int slot = array->slots.lookup(keyOf(page, size, tag), keyOf(page, size, globalTag));
    if (slot == ABSENT) return false;
    const Translation& held = array->values[slot];
    found = {held.pfn | (page & pagesBelow(size)), held.attributes};
    return true;
  }

  /** Where a level has no entries for 1-Gbyte pages, it takes the 2-Mbyte part. */
  void fill(const Level& level, int size, Page page, Key tag, const Translation& translation) {
    if (level[size] == nullptr) {
      if (size != SIZE_1G || &level == &second) return;
      size = SIZE_2M;
      holds[SIZE_2M] = true;
    }
    const int slot = level[size]->slots.insert(keyOf(page, size, tag));
    level[size]->values[slot] = {translation.pfn & ~pagesBelow(size), translation.attributes};
  }

  std::vector<std::unique_ptr<Array>> arrays;
  Level data;
  Level instruction;
  Level second;
  /** By size, whether an entry was made since all were dropped; else those arrays need no look. */
  std::array<bool, SIZES> holds = {true, false, false};
};

/** A table that a walk can start at, with what the entries above it allow. */
struct Table {
  Page pfn;
  unsigned rights;
};

/** Paging-structure caches by the level of the table that they lead to: 1 = cached PDEs .. 3 = PML4Es. */
class PagingStructureCaches {
 public:
  explicit PagingStructureCaches(const Arguments& cpu)
      : caches{nullptr, storeOf<Table>(cpu.associativity("pdeCache")),
               storeOf<Table>(cpu.associativity("pdpteCache")), storeOf<Table>(cpu.associativity("pml4eCache"))} {}

  /** The level of the cached table nearest to the leaf, or 0. */
  int lookup(Page page, Key tag, Table& found) {
    for (int level = 1; level < LEVELS; level++) {
      if (caches[level] == nullptr) continue;
      if (const Table* table = caches[level]->lookup(keyOf(page, level, tag))) {
        found = *table;
        return level;
      }
    }
    return 0;
  }

  void insert(int level, Page page, Key tag, const Table& table) {
    if (caches[level] != nullptr) caches[level]->put(keyOf(page, level, tag), table);
  }

  void invalidate(Page page, Key tag) {
    for (int level = 1; level < LEVELS; level++) {
      if (caches[level] != nullptr) caches[level]->slots.remove(keyOf(page, level, tag));
    }
  }

  void clear() {
    for (const auto& cache : caches) {
      if (cache != nullptr) cache->slots.clear();
    }
  }

 private:
  static Key keyOf(Page page, int level, Key tag) { return tag | page >> shiftOf(level + 1); }

  const std::array<std::unique_ptr<Store<Table>>, LEVELS> caches;
};

/** A guest-physical page's host page. */
struct HostPage {
  Page pfn;
  unsigned permissions;
  int size;
};

class TranslationCaches {
 public:
  explicit TranslationCaches(const Arguments& cpu)
      : tlb(cpu),
        pagingStructures(cpu),
        nestedTlb(storeOf<HostPage>(cpu.associativity("nestedTlb"))),
        eptStructures(cpu) {}

  void clear() {
    tlb.clear();
    pagingStructures.clear();
    if (nestedTlb != nullptr) nestedTlb->slots.clear();
    eptStructures.clear();
  }

  Tlb tlb;
  PagingStructureCaches pagingStructures;
  /** Holds the pages of guest paging structures only. */
  const std::unique_ptr<Store<HostPage>> nestedTlb;
  PagingStructureCaches eptStructures;

  /** Of the one address space: its own mappings, its global ones, the guest-physical ones. */
  const Key tag = 1 * TAG_UNIT;
  const Key globalTag = 2 * TAG_UNIT;
  const Key guestPhysicalTag = 3 * TAG_UNIT;
};

// ---------------------------------------------------------------------------------------------------------------------
// The walk

/** How a translation ends; RESTART, inside of it, has the walk made again from the root. */
enum Outcome { TRANSLATED, PAGE_FAULT, EPT_VIOLATION, EPT_MISCONFIG, RESTART };

/** Kinds of access: what is done, in bits 1:0; supervisor, user or implicit supervisor, in bits 3:2. */
constexpr int READ = 0;
constexpr int WRITE = 1;
constexpr int FETCH = 2;
constexpr int USER = 1 << 2;
constexpr int KINDS = 12;

constexpr int accessOf(int kind) { return kind & 3; }

/** Guest entries. */
constexpr std::uint64_t PTE_PRESENT = 1 << 0;
constexpr std::uint64_t PTE_WRITABLE = 1 << 1;
constexpr std::uint64_t PTE_USER = 1 << 2;
constexpr std::uint64_t PTE_ACCESSED = 1 << 5;
constexpr std::uint64_t PTE_DIRTY = 1 << 6;
constexpr std::uint64_t PAGE_SIZE = 1 << 7;
constexpr std::uint64_t PTE_GLOBAL = 1 << 8;
constexpr int PTE_EXECUTE_DISABLE = 63;

constexpr unsigned PF_PRESENT = 1 << 0;
constexpr unsigned PF_WRITE = 1 << 1;
constexpr unsigned PF_USER = 1 << 2;
constexpr unsigned PF_RESERVED = 1 << 3;
constexpr unsigned PF_FETCH = 1 << 4;

/** EPT entries, and accesses in the exit qualification. */
constexpr unsigned EPT_READ = 1 << 0;
constexpr unsigned EPT_WRITE = 1 << 1;
constexpr unsigned EPT_EXECUTE = 1 << 2;
constexpr unsigned EPT_ALL = EPT_READ | EPT_WRITE | EPT_EXECUTE;
/** Memory types in bits 5:3 of a leaf: 2, 3 and 7 are reserved. */
constexpr unsigned RESERVED_MEMORY_TYPES = 1 << 2 | 1 << 3 | 1 << 7;

constexpr unsigned GLA_VALID = 1 << 7;
constexpr unsigned FINAL_GPA = 1 << 8;

/** With the rights of a guest table: the EPT lets it be written. */
constexpr unsigned TABLE_WRITABLE = 1 << 3;

/** Guest page of a table that was found in a cache: only a walk from the root knows it. */
constexpr Page UNKNOWN = ~Page{0};

class Mmu {
 public:
  Mmu(const Arguments& cpu, PhysicalMemory& physical) : hierarchy(cpu), caches(cpu), memory(physical) {
    compileReserved(cpu);
    compileRights();
  }

  /** Turns EPT on with the root table in this host page. */
  void enableEpt(Page root) {
    eptOn = true;
    eptRoot = root;
  }

  /** The guest page of the guest's root table. */
  void writeCr3(Page root) { guestRoot = root; }

  Outcome access(Page page, unsigned offset, int kind) {
    const Outcome outcome = translate(page, offset, kind);
    if (outcome == TRANSLATED) counts[DATA_REF + hierarchy.reference(pfn, offset)]++;
    return outcome;
  }

  Outcome translate(Page page, unsigned offset, int kind) {
    const int access = accessOf(kind);
    Translation found;
    const int level = caches.tlb.lookup(page, access == FETCH, caches.tag, caches.globalTag, found);
    if (level != 0 && (found.attributes & hitMask[kind]) == hitValue[kind]) {
      counts[level == 1 ? DTLB_HIT : STLB_HIT + access]++;
      pfn = found.pfn;
      return TRANSLATED;
    }
    of = {page, offset, kind, level != 0};
    return walk(false);
  }

  MemoryHierarchy hierarchy;
  TranslationCaches caches;
  Counts counts{};

  /** Host page, after TRANSLATED. */
  Page pfn = 0;
  /** After EPT_VIOLATION and EPT_MISCONFIG, in bytes. */
  std::uint64_t guestPhysicalAddress = 0;
  /** After EPT_VIOLATION. */
  unsigned exitQualification = 0;
  /** After PAGE_FAULT. */
  unsigned errorCode = 0;

 private:
  /** The access under way; `replaces`: the TLB has an entry for the page, which a new one must replace. */
  struct Access {
    Page page;
    unsigned offset;
    int kind;
    bool replaces;
  };

  /** A step of a guest walk: the table, what led to it, what the EPT allows, and its entry. */
  struct Step {
    Page gfn;
    Page pfn;
    unsigned rights;
    unsigned permissions;
    unsigned offset;
    std::uint64_t* entry;
  };

  void compileReserved(const Arguments& cpu) {
    const std::uint64_t beyond = ADDRESS & ~((std::uint64_t{1} << cpu.number("physicalAddressBits")) - 1);
    const bool guest1G = cpu.flag("guest1GPages");
    guestLargeLeaf = {false, false, true, guest1G, false};
    eptLargeLeaf = {false, false, cpu.flag("ept2MPages"), cpu.flag("ept1GPages"), false};
    for (int level = 1; level <= LEVELS; level++) {
      guestTableReserved[level] = beyond | (guestLargeLeaf[level] ? 0 : PAGE_SIZE);
      eptTableReserved[level] = beyond | (eptLargeLeaf[level] ? 0x78 : 0xf8);
    }
    // Below a large page's address all bits are reserved, but for the guest's PAT bit.
    guestLeafReserved = {0, beyond, beyond | 0x1f'e000, beyond | 0x3fff'e000, beyond};
    eptLeafReserved = {0, beyond, beyond | 0x1f'f000, beyond | 0x3fff'f000, beyond};
    misconfiguredUnlessReadable = cpu.flag("executeOnlyEpt") ? EPT_WRITE : EPT_WRITE | EPT_EXECUTE;
  }

  /** What each kind of access needs; CR0.WP is set, SMEP, SMAP and protection keys are off. */
  void compileRights() {
    constexpr std::array<unsigned, 3> eptRights = {ATTRIBUTE_EPT_READ, ATTRIBUTE_EPT_WRITE | ATTRIBUTE_DIRTY,
                                                   ATTRIBUTE_EPT_FETCH};
    for (int kind = 0; kind < KINDS; kind++) {
      const int access = accessOf(kind);
      if (access > FETCH) continue;
      const bool user = (kind & USER) != 0;
      const unsigned needed = (user ? RIGHT_USER : 0) | (access == WRITE ? RIGHT_WRITABLE : 0);
      rightsValue[kind] = needed;
      rightsMask[kind] = needed | (access == FETCH ? RIGHT_NOT_EXECUTABLE : 0);
      faultCode[kind] = (access == WRITE ? PF_WRITE : 0) | (access == FETCH ? PF_FETCH : 0) | (user ? PF_USER : 0);
      hitValue[kind] = rightsValue[kind] | eptRights[access];
      hitMask[kind] = rightsMask[kind] | eptRights[access];
    }
  }

  Outcome walk(bool fromRoot) {
    const Page page = of.page;
    const int access = accessOf(of.kind);
    counts[WALK + access]++;
    Table table{0, RIGHT_WRITABLE | RIGHT_USER | TABLE_WRITABLE};
    Page gfn = UNKNOWN;
    int level = fromRoot ? 0 : caches.pagingStructures.lookup(page, caches.tag, table);
    if (level == 0) {
      level = LEVELS;
      gfn = guestRoot;
    }
    const int first = level;
    std::uint64_t flags = PTE_ACCESSED;
    std::uint64_t entry;
    for (;; level--) {
      const unsigned index = indexOf(page, level);
      Step& step = steps[level];
      step.gfn = gfn;
      step.offset = 8 * index;
      if (gfn != UNKNOWN) {
        const Outcome outcome = walkEpt(gfn, step.offset, EPT_READ, GLA_VALID);
        if (outcome != TRANSLATED) {
          rememberTables(first, level + 1);
          return outcome;
        }
        table.pfn = host.pfn;
        step.permissions = host.permissions;
        table.rights = (table.rights & ~TABLE_WRITABLE) | ((host.permissions & EPT_WRITE) != 0 ? TABLE_WRITABLE : 0);
      }
      step.pfn = table.pfn;
      step.rights = table.rights;
      counts[GUEST_WALK_REF + hierarchy.reference(table.pfn, step.offset)]++;
      step.entry = &memory.frame(table.pfn)[index];
      entry = *step.entry;
      if ((entry & PTE_PRESENT) == 0) return pageFault(0);
      const bool isLeaf = level == 1 || ((entry & PAGE_SIZE) != 0 && guestLargeLeaf[level]);
      if ((entry & (isLeaf ? guestLeafReserved : guestTableReserved)[level]) != 0) {
        return pageFault(PF_PRESENT | PF_RESERVED);
      }
      table.rights &= static_cast<unsigned>(entry) | TABLE_WRITABLE;
      table.rights |= static_cast<unsigned>(entry >> PTE_EXECUTE_DISABLE);
      flags &= entry;
      if (isLeaf) break;
      gfn = entryPage(entry);
    }

    const unsigned attributes = (table.rights & ~TABLE_WRITABLE) |
                                ((entry & PTE_DIRTY) != 0 || access == WRITE ? ATTRIBUTE_DIRTY : 0) |
                                ((entry & PTE_GLOBAL) != 0 ? ATTRIBUTE_GLOBAL : 0);
    if ((attributes & rightsMask[of.kind]) != rightsValue[of.kind]) return pageFault(PF_PRESENT);
    if (flags == 0 || (access == WRITE && (entry & PTE_DIRTY) == 0)) {
      const Outcome outcome = setFlags(first, level);
      if (outcome != TRANSLATED) return outcome == RESTART ? walk(true) : outcome;
    }
    rememberTables(first, level);
    const Page inside = (Page{1} << shiftOf(level)) - 1;
    return translateFinal((entryPage(entry) & ~inside) | (page & inside), attributes, level - 1);
  }

  /** The end of a walk: translates the guest page and puts the whole into the TLB. */
  Outcome translateFinal(Page gfn, unsigned attributes, int guestSize) {
    constexpr std::array<unsigned, 3> requests = {EPT_READ, EPT_WRITE, EPT_EXECUTE};
    const int access = accessOf(of.kind);
    const Outcome outcome = walkEpt(gfn, of.offset, requests[access], GLA_VALID | FINAL_GPA);
    if (outcome != TRANSLATED) return outcome;
    if (of.replaces) caches.tlb.invalidate(of.page, caches.tag, caches.globalTag);
    const int size = std::min(guestSize, host.size);
    counts[WALK_COMPLETED + 3 * access + size]++;
    pfn = host.pfn;
    const Key tag = (attributes & ATTRIBUTE_GLOBAL) != 0 ? caches.globalTag : caches.tag;
    caches.tlb.insert(of.page, size, access == FETCH, tag, {pfn, attributes | host.permissions << EPT_SHIFT});
    return TRANSLATED;
  }

  /** Translates a guest page into `host`. `offset` only completes the reported address. */
  Outcome walkEpt(Page gfn, unsigned offset, unsigned requested, unsigned purpose) {
    if (!eptOn) {
      host = {gfn, EPT_ALL, SIZE_1G};
      return TRANSLATED;
    }
    const bool nested = (purpose & FINAL_GPA) == 0 && caches.nestedTlb != nullptr;
    const Key tag = caches.guestPhysicalTag;
    if (nested) {
      const HostPage* const held = caches.nestedTlb->lookup(tag | gfn);
      if (held != nullptr && (held->permissions & requested) == requested) {
        host = *held;
        return TRANSLATED;
      }
    }

    Table table{eptRoot, EPT_ALL};
    int level = caches.eptStructures.lookup(gfn, tag, table);
    if (level == 0) level = LEVELS;
    const int first = level;
    std::uint64_t entry;
    for (;; level--) {
      const unsigned index = indexOf(gfn, level);
      eptTables[level] = table;
      counts[EPT_WALK_REF + hierarchy.reference(table.pfn, 8 * index)]++;
      if (gfn >> shiftOf(LEVELS + 1) != 0) return eptViolation(gfn, offset, requested, purpose, 0);
      entry = memory.frame(table.pfn)[index];
      if ((entry & EPT_ALL) == 0) {
        rememberEptTables(gfn, first, level);
        return eptViolation(gfn, offset, requested, purpose, 0);
      }
      const bool isLeaf = level == 1 || ((entry & PAGE_SIZE) != 0 && eptLargeLeaf[level]);
      if (isMisconfigured(entry, level, isLeaf)) {
        rememberEptTables(gfn, first, level);
        guestPhysicalAddress = gfn << 12 | offset;
        return EPT_MISCONFIG;
      }
      table.rights &= static_cast<unsigned>(entry);
      if (isLeaf) break;
      table.pfn = entryPage(entry);
    }

    rememberEptTables(gfn, first, level);
    if ((table.rights & requested) != requested) {
      return eptViolation(gfn, offset, requested, purpose, table.rights);
    }
    host = {entryPage(entry) | (gfn & ((Page{1} << shiftOf(level)) - 1)), table.rights, level - 1};
    if (nested) caches.nestedTlb->put(tag | gfn, host);
    return TRANSLATED;
  }

  bool isMisconfigured(std::uint64_t entry, int level, bool isLeaf) const {
    if ((entry & EPT_READ) == 0 && (entry & misconfiguredUnlessReadable) != 0) return true;
    if (!isLeaf) return (entry & eptTableReserved[level]) != 0;
    return (entry & eptLeafReserved[level]) != 0 || (RESERVED_MEMORY_TYPES >> (entry >> 3 & 7) & 1) != 0;
  }

  /** Caches what leads to the tables below level `first` down to `last`, as far as the entries are marked as used. */
  void rememberTables(int first, int last) {
    for (int level = first - 1; level >= last; level--) {
      if ((*steps[level + 1].entry & PTE_ACCESSED) == 0) return;
      caches.pagingStructures.insert(level, of.page, caches.tag, {steps[level].pfn, steps[level].rights});
    }
  }

  void rememberEptTables(Page gfn, int first, int last) {
    for (int level = first - 1; level >= last; level--) {
      caches.eptStructures.insert(level, gfn, caches.guestPhysicalTag, eptTables[level]);
    }
  }

  /**
   * Sets the accessed flags from level `first` down to the leaf at `last`, and the leaf's dirty flag for a write. Where the
   * EPT does not let the table be written, that is a violation, or RESTART, if only a walk from the root can report it.
   */
  Outcome setFlags(int first, int last) {
    for (int level = first; level >= last; level--) {
      const Step& step = steps[level];
      const bool isDirty = level == last && accessOf(of.kind) == WRITE;
      const std::uint64_t flags = isDirty ? PTE_ACCESSED | PTE_DIRTY : PTE_ACCESSED;
      if ((*step.entry & flags) == flags) continue;
      if ((step.rights & TABLE_WRITABLE) == 0) {
        if (step.gfn == UNKNOWN) return RESTART;
        return eptViolation(step.gfn, step.offset, EPT_READ | EPT_WRITE, GLA_VALID, step.permissions);
      }
      *step.entry |= flags;
    }
    return TRANSLATED;
  }

  /** Drops what would translate the guest page and, if it is the linear page's own, the linear page. */
  Outcome eptViolation(Page gfn, unsigned offset, unsigned requested, unsigned purpose, unsigned permissions) {
    guestPhysicalAddress = gfn << 12 | offset;
    exitQualification = requested | permissions << 3 | purpose;
    if (caches.nestedTlb != nullptr) caches.nestedTlb->slots.remove(caches.guestPhysicalTag | gfn);
    caches.eptStructures.invalidate(gfn, caches.guestPhysicalTag);
    if ((purpose & FINAL_GPA) != 0) dropPage();
    return EPT_VIOLATION;
  }

  Outcome pageFault(unsigned code) {
    dropPage();
    errorCode = code | faultCode[of.kind];
    return PAGE_FAULT;
  }

  void dropPage() {
    caches.tlb.invalidate(of.page, caches.tag, caches.globalTag);
    caches.pagingStructures.invalidate(of.page, caches.tag);
  }

  PhysicalMemory& memory;
  bool eptOn = false;
  Page eptRoot = 0;
  Page guestRoot = 0;

  std::array<bool, LEVELS + 1> guestLargeLeaf;
  std::array<bool, LEVELS + 1> eptLargeLeaf;
  std::array<std::uint64_t, LEVELS + 1> guestTableReserved;
  std::array<std::uint64_t, LEVELS + 1> guestLeafReserved;
  std::array<std::uint64_t, LEVELS + 1> eptTableReserved;
  std::array<std::uint64_t, LEVELS + 1> eptLeafReserved;
  unsigned misconfiguredUnlessReadable;

  /** By kind of access: what the guest must allow, what a TLB entry must have, what a page fault reports. */
  std::array<unsigned, KINDS> rightsMask{};
  std::array<unsigned, KINDS> rightsValue{};
  std::array<unsigned, KINDS> hitMask{};
  std::array<unsigned, KINDS> hitValue{};
  std::array<unsigned, KINDS> faultCode{};

  Access of{};
  HostPage host{};
  std::array<Step, LEVELS + 1> steps;
  std::array<Table, LEVELS + 1> eptTables;
};

// ---------------------------------------------------------------------------------------------------------------------
// The guest, as simulated.mjs has it

constexpr Page PAGES_2M = 512;
/** Guest page n is host page HOST + n. */
constexpr Page HOST = Page{1} << 33;
/** The host page of the first EPT structure. */
constexpr Page EPT_TABLES = 0x100;

constexpr std::uint64_t GUEST_RW = PTE_PRESENT | PTE_WRITABLE | PTE_USER;
constexpr std::uint64_t EPT_RWX = EPT_ALL;
constexpr std::uint64_t WRITE_BACK = 6 << 3;
constexpr std::uint64_t BIT_51 = std::uint64_t{1} << 51;

/** Leaves of the mixed row other than the plain one: absent, less permitted, malformed, global. */
constexpr std::array<std::uint64_t, 6> GUEST_LEAVES = {
    0, PTE_PRESENT | PTE_USER, PTE_PRESENT | PTE_WRITABLE, GUEST_RW | std::uint64_t{1} << PTE_EXECUTE_DISABLE,
    GUEST_RW | BIT_51, GUEST_RW | PTE_GLOBAL,
};
constexpr std::array<std::uint64_t, 5> EPT_LEAVES = {
    0, EPT_READ | EPT_EXECUTE | WRITE_BACK, EPT_WRITE | WRITE_BACK, EPT_READ | EPT_WRITE | WRITE_BACK, EPT_RWX | 2 << 3,
};

/** Paging structures under construction, the guest's or the EPT's; a table is made when a page first needs it. */
class Tables {
 public:
  /** `allocate` gives the page of a new table, `hostOf` the host page of a table. */
  Tables(PhysicalMemory& memory, std::uint64_t flags, std::function<Page()> allocate, std::function<Page(Page)> hostOf)
      : root(allocate()), memory(memory), flags(flags), allocate(std::move(allocate)), hostOf(std::move(hostOf)) {}

  /** Maps a page by an entry at `level` with these flags. */
  void map(Page page, int level, Page target, std::uint64_t leafFlags) {
    Page table = root;
    for (int above = LEVELS; above > level; above--) {
      const unsigned index = indexOf(page, above);
      const std::uint64_t entry = memory.frame(hostOf(table))[index];
      const Page child = entry == 0 ? allocate() : entryPage(entry);
      if (entry == 0) memory.write(hostOf(table), index, child << 12 | flags);
      table = child;
    }
    memory.write(hostOf(table), indexOf(page, level), target << 12 | leafFlags);
  }

  const Page root;

 private:
  PhysicalMemory& memory;
  const std::uint64_t flags;
  const std::function<Page()> allocate;
  const std::function<Page(Page)> hostOf;
};

/** Maps linear pages 0 to `pages` - 1; the guest's tables lie `gap` pages apart, and the data behind them. */
void buildGuest(const Arguments& row, PhysicalMemory& memory, Mmu& mmu) {
  const Page pages = row.number("pages");
  const Page gap = row.number("gap");
  const bool ept = row.flag("ept");
  const bool mixed = row.text("operation") == "mixed";
  const Page chunks = (pages + PAGES_2M - 1) / PAGES_2M;
  const Page data = (LEVELS - 1 + chunks) * gap;

  Page nextEptTable = EPT_TABLES;
  Tables eptTables(memory, EPT_RWX, [&] { return nextEptTable++; }, [](Page table) { return table; });
  const auto mapEpt = [&](Page gfn, int level, std::uint64_t flags) { eptTables.map(gfn, level, HOST + gfn, flags); };

  Page nextTable = 0;
  const auto allocate = [&] {
    const Page gfn = gap * nextTable++;
    if (ept) mapEpt(gfn, 1, EPT_RWX | WRITE_BACK);
    return gfn;
  };
  Tables guestTables(memory, GUEST_RW, allocate, [&](Page gfn) { return ept ? HOST + gfn : gfn; });

  const auto guestLeaf = [&](Page n) {
    return mixed && n % 37 < GUEST_LEAVES.size() ? GUEST_LEAVES[n % 37] : GUEST_RW;
  };
  const auto eptLeaf = [&](Page n) {
    return mixed && n % 41 < EPT_LEAVES.size() ? EPT_LEAVES[n % 41] : EPT_RWX | WRITE_BACK;
  };
  for (Page chunk = 0; chunk < chunks; chunk++) {
    const Page first = chunk * PAGES_2M;
    const Page end = std::min(first + PAGES_2M, pages);
    // All four ways in which pages of 4 Kbyte and 2 Mbyte of the guest and the EPT can meet.
    const bool guestLarge = mixed && (chunk & 1) != 0;
    const bool eptLarge = mixed && (chunk & 2) != 0;
    if (guestLarge) guestTables.map(first, 2, data + first, guestLeaf(chunk) | PAGE_SIZE);
    if (eptLarge) mapEpt(data + first, 2, eptLeaf(chunk) | PAGE_SIZE);
    for (Page page = first; page < end; page++) {
      if (!guestLarge) guestTables.map(page, 1, data + page, guestLeaf(page));
      if (ept && !eptLarge) mapEpt(data + page, 1, eptLeaf(page));
    }
  }

  mmu.writeCr3(guestTables.root);
  if (ept) mmu.enableEpt(eptTables.root);
}

// ---------------------------------------------------------------------------------------------------------------------
// The rows' loops. Each returns a digest of what it saw; 0 means that all accesses were translated, but for `mixed`.

std::uint32_t translate(Mmu& mmu, Page pages, std::uint64_t iterations) {
  std::uint32_t digest = 0;
  Page page = 0;
  for (std::uint64_t i = 0; i < iterations; i++) {
    digest += mmu.translate(page, 0, READ);
    page = page + 1 == pages ? 0 : page + 1;
  }
  return digest;
}

/** Each page's datum is in the next line, so that they spread over the sets of the data caches. */
std::uint32_t access(Mmu& mmu, Page pages, std::uint64_t iterations) {
  std::uint32_t digest = 0;
  Page page = 0;
  for (std::uint64_t i = 0; i < iterations; i++) {
    digest += mmu.access(page, (page & 63) << 6, READ);
    page = page + 1 == pages ? 0 : page + 1;
  }
  return digest;
}

std::uint32_t clearAndTranslate(Mmu& mmu, Page pages, std::uint64_t iterations) {
  std::uint32_t digest = 0;
  Page page = 0;
  for (std::uint64_t i = 0; i < iterations; i++) {
    mmu.caches.clear();
    mmu.hierarchy.evictL1();
    digest += mmu.translate(page, 0, READ);
    page = page + 1 == pages ? 0 : page + 1;
  }
  return digest;
}

/** Accesses of all kinds to random pages, half of them to the first few. */
std::uint32_t mixed(Mmu& mmu, Page pages, std::uint64_t iterations) {
  std::uint32_t digest = 0;
  std::uint32_t x = 1;
  for (std::uint64_t i = 0; i < iterations; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    const Page page = (x >> 12) % (x >> 31 != 0 ? 32 : pages);
    const int kind = static_cast<int>((x >> 26) % 3 | (x >> 28) % 3 << 2);
    const Outcome outcome = mmu.access(page, x & 0xfff, kind);
    std::uint64_t seen = mmu.pfn;
    if (outcome == PAGE_FAULT) seen = mmu.errorCode;
    if (outcome == EPT_VIOLATION) seen = mmu.guestPhysicalAddress + mmu.exitQualification;
    if (outcome == EPT_MISCONFIG) seen = mmu.guestPhysicalAddress;
    digest = 31 * digest + static_cast<std::uint32_t>(seen);
  }
  return digest;
}

using Loop = std::uint32_t (*)(Mmu&, Page, std::uint64_t);

Loop loopOf(const std::string& operation) {
  if (operation == "translate") return translate;
  if (operation == "access") return access;
  if (operation == "clearAndTranslate") return clearAndTranslate;
  if (operation == "mixed") return mixed;
  throw std::invalid_argument("operation " + operation + " is not known");
}

void measure(const Arguments& arguments) {
  PhysicalMemory memory;
  Mmu mmu(arguments, memory);
  buildGuest(arguments, memory, mmu);
  const Loop loop = loopOf(arguments.text("operation"));
  const Page pages = arguments.number("pages");
  loop(mmu, pages, arguments.number("warmUp"));
  mmu.counts.fill(0);

  const auto start = std::chrono::steady_clock::now();
  const std::uint32_t digest = loop(mmu, pages, arguments.number("iterations"));
  const std::chrono::nanoseconds taken = std::chrono::steady_clock::now() - start;

  std::printf("{\"nanoseconds\":%lld,\"digest\":%u,\"counts\":{", static_cast<long long>(taken.count()), digest);
  for (std::size_t i = 0; i < PRIMITIVES.size(); i++) {
    const auto count = static_cast<unsigned long long>(mmu.counts[i]);
    std::printf("%s\"%s\":%llu", i == 0 ? "" : ",", PRIMITIVES[i], count);
  }
  std::printf("}}\n");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    measure(Arguments(count, arguments));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "yardstick: %s\n", error.what());
    return 1;
  }
}
