/**
 * What a processor remembers of translations. As src/x86/tlb.ts and translation-caches.ts have it.
 */
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "page.hpp"
#include "set-associative.hpp"

namespace {

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
/** A write needs no flag to be set first. */
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
    forgetSizes();
  }

  /** There is nothing of a larger page any more. */
  void forgetSizes() { holds = {true, false, false}; }

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
  /** A write needs no flag of the EPT to be set first. */
  bool isDirty;
};

class TranslationCaches {
 public:
  explicit TranslationCaches(const Arguments& cpu)
      : tlb(cpu),
        pagingStructures(cpu),
        nestedTlb(storeOf<HostPage>(cpu.associativity("nestedTlb"))),
        eptStructures(cpu) {
    enter(TAG_UNIT);
  }

  void clear() {
    tlb.clear();
    pagingStructures.clear();
    if (nestedTlb != nullptr) nestedTlb->slots.clear();
    eptStructures.clear();
  }

  /**
   * Drops everything without going through it: tags of before come again only after a `clear()`, and what has one is older
   * than what will be there, so it makes room first.
   */
  void flush() {
    if (guestPhysicalTag >= LAST_TAG) {
      clear();
      enter(TAG_UNIT);
    } else {
      enter(guestPhysicalTag + TAG_UNIT);
    }
    tlb.forgetSizes();
  }

  Tlb tlb;
  PagingStructureCaches pagingStructures;
  /** Holds the pages of guest paging structures only. */
  const std::unique_ptr<Store<HostPage>> nestedTlb;
  PagingStructureCaches eptStructures;

  /** Of the one address space: its own mappings, its global ones, the guest-physical ones. */
  Key tag;
  Key globalTag;
  Key guestPhysicalTag;

 private:
  /** Two below the last one that a key has room for. */
  static constexpr Key LAST_TAG = ~Key{0} - 3 * TAG_UNIT;

  void enter(Key first) {
    tag = first;
    globalTag = first + TAG_UNIT;
    guestPhysicalTag = first + 2 * TAG_UNIT;
  }
};

}  // namespace
