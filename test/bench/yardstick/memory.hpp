/**
 * Host-physical memory and the data caches. As src/x86/physical-memory.ts and memory-hierarchy.ts have it.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "page.hpp"
#include "set-associative.hpp"

namespace {

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

}  // namespace
