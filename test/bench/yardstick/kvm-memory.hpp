/**
 * Memory slots, each with a mapping of its own in the host's process. As src/kvm/memslots.ts and host-memory.ts have it, for
 * pages of 4 Kbyte and of 2 Mbyte.
 */
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "fail.hpp"
#include "page.hpp"

namespace {

constexpr Page PAGES_OF_2M = 512;

struct Memslot {
  Page baseGfn;
  Page npages;
  /** Host page of the first page. */
  Page basePfn;
  /** Pages that the host maps at once. */
  Page hostPages;
  /** By page, whether the host has taken it back. */
  std::vector<bool> discarded;

  Page end() const { return baseGfn + npages; }
  Page pfn(Page gfn) const { return basePfn + (gfn - baseGfn); }
  bool isResident(Page gfn) const { return !discarded[gfn - baseGfn]; }

  /** Level of the largest mapping that the host and the ends of the slot allow. */
  int mappingLevel(Page gfn) const {
    const Page first = gfn & ~(PAGES_OF_2M - 1);
    return hostPages == PAGES_OF_2M && first >= baseGfn && first + PAGES_OF_2M <= end() ? 2 : 1;
  }

  /** An access makes all of the host's page resident. */
  void faultIn(Page gfn) {
    if (isResident(gfn)) return;
    const Page first = (gfn & ~(hostPages - 1)) - baseGfn;
    std::fill_n(discarded.begin() + static_cast<std::ptrdiff_t>(first), hostPages, false);
  }
};

class Memslots {
 public:
  /** Maps memory of the host and gives it to the guest. */
  void add(Page baseGfn, Page npages, const std::string& backing) {
    if (backing != "4K" && backing != "2M") fail("backing " + backing + " is not modelled");
    const Page basePfn = congruent(nextPfn, baseGfn);
    nextPfn = basePfn + npages;
    slots.push_back({baseGfn, npages, basePfn, backing == "2M" ? PAGES_OF_2M : 1, std::vector<bool>(npages)});
    std::sort(slots.begin(), slots.end(), [](const Memslot& one, const Memslot& other) {
      return one.baseGfn < other.baseGfn;
    });
  }

  /** The slot that holds a guest page, or null. */
  Memslot* find(Page gfn) {
    const auto after = std::upper_bound(slots.begin(), slots.end(), gfn,
                                        [](Page page, const Memslot& slot) { return page < slot.baseGfn; });
    if (after == slots.begin()) return nullptr;
    Memslot& slot = *(after - 1);
    return gfn < slot.end() ? &slot : nullptr;
  }

  /** Host page of a guest page that has memory. */
  Page pfn(Page gfn) {
    const Memslot* const slot = find(gfn);
    if (slot == nullptr) fail("no memory at a guest page");
    return slot->pfn(gfn);
  }

 private:
  /** The first page from `from` on that lies in a page of 2 Mbyte as `other` does. */
  static Page congruent(Page from, Page other) { return from + ((other - from) & (PAGES_OF_2M - 1)); }

  std::vector<Memslot> slots;
  /** 4 Gbyte. */
  Page nextPfn = 0x10'0000;
};

}  // namespace
