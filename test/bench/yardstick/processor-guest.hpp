/**
 * The rows that the processor does alone: their guest and their loops, as processor.mjs has them.
 */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "fail.hpp"
#include "processor-time.hpp"
#include "processor.hpp"

namespace {

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
    if (guestLarge) guestTables.map(first, 2, data + first, guestLeaf(chunk) | LARGE_PAGE);
    if (eptLarge) mapEpt(data + first, 2, eptLeaf(chunk) | LARGE_PAGE);
    for (Page page = first; page < end; page++) {
      if (!guestLarge) guestTables.map(page, 1, data + page, guestLeaf(page));
      if (ept && !eptLarge) mapEpt(data + page, 1, eptLeaf(page));
    }
  }

  mmu.writeCr3(guestTables.root);
  if (ept) mmu.enableEpt(eptTables.root, false);
}

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
    mmu.caches.flush();
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
  fail("operation " + operation + " is not known");
}

void measureProcessor(const Arguments& arguments) {
  PhysicalMemory memory;
  Mmu mmu(arguments, memory);
  buildGuest(arguments, memory, mmu);
  const Loop loop = loopOf(arguments.text("operation"));
  const Page pages = arguments.number("pages");
  loop(mmu, pages, arguments.number("warmUp"));
  mmu.counts.fill(0);

  const std::int64_t start = processorTime();
  const std::uint32_t digest = loop(mmu, pages, arguments.number("iterations"));
  print(processorTime() - start, digest, mmu.counts, X86_PRIMITIVES);
}

}  // namespace
