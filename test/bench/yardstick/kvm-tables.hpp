/**
 * The EPT that KVM makes, fault by fault. As src/kvm/page-tables.ts, mmu.ts, mmu-notifier.ts and spte.ts have it for Linux 4.2,
 * for slots that the guest may write to, whose writes are not logged, and that stay.
 */
#pragma once

#include <cstdint>

#include "fail.hpp"
#include "kvm-memory.hpp"
#include "ledger.hpp"
#include "processor.hpp"

namespace {

using Spte = std::uint64_t;

constexpr Spte SPTE_PRESENT = 1 << 0;
constexpr Spte SPTE_WRITE_BACK = 0x70;
constexpr Spte SPTE_HOST_WRITABLE = 1 << 10;
constexpr Spte SPTE_MMU_WRITABLE = 1 << 11;
constexpr Spte SPTE_TABLE = EPT_ALL;
constexpr Spte SPTE_LEAF = EPT_ALL | SPTE_WRITE_BACK | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE;
/** Writable but not readable, and two bits that no other entry has. */
constexpr Spte SPTE_MMIO = Spte{3} << 62 | EPT_WRITE | EPT_EXECUTE;
/** The generation's bits 9:1 and 19:10. */
constexpr Spte SPTE_GENERATION_LOW = Spte{0x1ff} << 3;
constexpr Spte SPTE_GENERATION_HIGH = Spte{0x3ff} << 52;

constexpr Spte generationBits(std::uint64_t generation) {
  return (generation << 2 & SPTE_GENERATION_LOW) | (generation << 42 & SPTE_GENERATION_HIGH);
}

constexpr bool isMmio(Spte spte) { return (spte & SPTE_MMIO) == SPTE_MMIO; }

/** What a fault ends with: the guest goes on, or its instruction is emulated. */
enum Fault { RESUME, EMULATE };

class KvmTables {
 public:
  explicit KvmTables(const Arguments& arguments)
      : cpu(arguments, memory), counts(cpu.counts), hasAccessedDirty(arguments.flag("eptAccessedDirty")) {
    root = allocateTable();
    cpu.enableEpt(root, hasAccessedDirty);
    if (hasAccessedDirty) {
      tableFlags |= EPT_ACCESSED;
      leafFlags |= EPT_DIRTY;
    }
  }

  /** Answers a fault on a guest-physical page that is not mapped. */
  Fault tdpPageFault(Page gfn) {
    counts[TDP_PAGE_FAULT]++;
    // Whether a slot forces small pages, and where there is one, how large they may be.
    Memslot* slot = gfnToMemslot(gfn);
    const int level = slot == nullptr ? 1 : gfnToMemslot(gfn)->mappingLevel(gfn);
    slot = gfnToMemslot(gfn);
    if (slot == nullptr) {
      cacheMmioInfo(gfn);
    } else {
      hvaToPfn(*slot, gfn);
    }
    counts[MMU_LOCK]++;

    const Page table = tableAbove(gfn, level);
    const unsigned index = indexOf(gfn, level);
    if ((memory.frame(table)[index] & SPTE_PRESENT) != 0) fail("a fault on a page that is mapped");
    if (slot == nullptr) {
      writeSpte(table, index, SPTE_MMIO | generationBits(generation) | gfn << 12);
    } else {
      const Page first = gfn & ~((Page{1} << shiftOf(level)) - 1);
      writeSpte(table, index, leafOf(slot->pfn(first), level, hasAccessedDirty));
    }
    if (level == 1) prefetch(table, index, gfn);
    return slot == nullptr ? EMULATE : RESUME;
  }

  /** Whether an access to a page is known for MMIO: by the vCPU, or by its SPTE. */
  bool isMmioFault(Page gfn) {
    if (matchesMmioGpa(gfn)) return true;
    counts[MMIO_SPTE_WALK]++;
    const Spte spte = walkShadowPage(gfn);
    if (!isMmio(spte)) return false;
    if (generationBits(generation) != (spte & (SPTE_GENERATION_LOW | SPTE_GENERATION_HIGH)))
      fail("a stale MMIO SPTE");
    cacheMmioInfo(gfn);
    return true;
  }

  /** Whether the vCPU remembers the page as the last one of MMIO. */
  bool matchesMmioGpa(Page gfn) {
    counts[VCPU_MATCH_MMIO_GPA]++;
    return mmioGfn != 0 && mmioGfn == gfn && mmioGeneration == generation;
  }

  Memslot* gfnToMemslot(Page gfn) {
    counts[MEMSLOT_LOOKUP]++;
    return memslots.find(gfn);
  }

  /** The host takes a page back: the next access to it faults. */
  void discardPage(Page gfn) {
    Memslot* const slot = memslots.find(gfn);
    if (slot == nullptr) return;
    counts[MMU_LOCK]++;
    if (unmap(gfn)) {
      counts[REMOTE_TLB_FLUSH]++;
      counts[TLB_FLUSH]++;
      cpu.caches.flush();
    }
    slot->discarded[gfn - slot->baseGfn] = true;
    counts[MMU_LOCK]++;
  }

  /** KVM_SET_USER_MEMORY_REGION. */
  void addMemslot(Page baseGfn, Page npages, const std::string& backing) {
    memslots.add(baseGfn, npages, backing);
    generation += 2;
  }

  PhysicalMemory memory;
  Mmu cpu;
  Counts& counts;
  Memslots memslots;

 private:
  /** Entries that one fault may fill, its own among them. */
  static constexpr unsigned PREFETCHED = 8;

  Page allocateTable() { return nextTable++; }

  void writeSpte(Page table, unsigned index, Spte spte) {
    memory.write(table, index, spte);
    counts[SPTE_INSTALL]++;
  }

  Spte leafOf(Page pfn, int level, bool accessed) const {
    return SPTE_LEAF | leafFlags | pfn << 12 | (accessed ? EPT_ACCESSED : 0) | (level > 1 ? LARGE_PAGE : 0);
  }

  static bool isTable(Spte spte, int level) {
    return (spte & SPTE_PRESENT) != 0 && level > 1 && (spte & LARGE_PAGE) == 0;
  }

  void hvaToPfn(Memslot& slot, Page gfn) {
    counts[HVA_TO_PFN]++;
    slot.faultIn(gfn);
  }

  void cacheMmioInfo(Page gfn) {
    mmioGfn = gfn;
    mmioGeneration = generation;
  }

  /** The table whose entry is to map a page at a level, made if it is missing. */
  Page tableAbove(Page gfn, int leafLevel) {
    Page table = root;
    for (int level = LEVELS; level > leafLevel; level--) {
      const unsigned index = indexOf(gfn, level);
      const Spte spte = memory.frame(table)[index];
      if (isTable(spte, level)) {
        table = entryPage(spte);
        continue;
      }
      if ((spte & SPTE_PRESENT) != 0) fail("a table in place of a page");
      const Page next = allocateTable();
      writeSpte(table, index, SPTE_TABLE | tableFlags | next << 12);
      table = next;
    }
    return table;
  }

  /** The entry that a walk for a page ends at. */
  Spte walkShadowPage(Page gfn) {
    Page table = root;
    for (int level = LEVELS;; level--) {
      const Spte spte = memory.frame(table)[indexOf(gfn, level)];
      if (!isTable(spte, level)) return spte;
      table = entryPage(spte);
    }
  }

  /** Empties the entry that maps a page, or the large page around it. Returns whether there was one. */
  bool unmap(Page gfn) {
    Page table = root;
    for (int level = LEVELS;; level--) {
      const unsigned index = indexOf(gfn, level);
      const Spte spte = memory.frame(table)[index];
      if (isTable(spte, level)) {
        table = entryPage(spte);
        continue;
      }
      if ((spte & SPTE_PRESENT) == 0) return false;
      writeSpte(table, index, 0);
      return true;
    }
  }

  /** Fills runs of missing entries around a new one that end before a present one or the new one itself. */
  void prefetch(Page table, unsigned index, Page gfn) {
    if (!hasAccessedDirty) return;
    const unsigned first = index & ~(PREFETCHED - 1);
    int start = -1;
    for (unsigned at = first; at < first + PREFETCHED; at++) {
      if (at == index || (memory.frame(table)[at] & SPTE_PRESENT) != 0) {
        if (start < 0) continue;
        if (!prefetchMany(table, static_cast<unsigned>(start), at, gfn - index)) return;
        start = -1;
      } else if (start < 0) {
        start = static_cast<int>(at);
      }
    }
  }

  /** As far as the pages are in one slot and resident. False where none was filled. */
  bool prefetchMany(Page table, unsigned start, unsigned end, Page base) {
    Memslot* const slot = gfnToMemslot(base + start);
    if (slot == nullptr || base + end > slot->end()) return false;
    for (unsigned at = start; at < end; at++) {
      if (!slot->isResident(base + at)) return at > start;
      hvaToPfn(*slot, base + at);
      writeSpte(table, at, leafOf(slot->pfn(base + at), 1, false));
    }
    return true;
  }

  const bool hasAccessedDirty;
  Spte tableFlags = 0;
  Spte leafFlags = 0;
  /** 16 Mbyte. */
  Page nextTable = 0x1000;
  Page root;
  /** Of the memslots; close to its end at the start. */
  std::uint64_t generation = -std::uint64_t{150};
  Page mmioGfn = 0;
  std::uint64_t mmioGeneration = 0;
};

}  // namespace
