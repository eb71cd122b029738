/**
 * Pages, and where their entries are in paging structures of four levels.
 */
#pragma once

#include <cstdint>

namespace {

/** The number of a 4-Kbyte page: linear, guest-physical or host-physical. */
using Page = std::uint64_t;

constexpr int LEVELS = 4;

/** Bits of a page number below those that select the entry at a level: 1 = PTE .. 4 = PML4E, and one above. */
constexpr int shiftOf(int level) { return 9 * (level - 1); }

constexpr unsigned indexOf(Page page, int level) { return (page >> shiftOf(level)) & 511; }

constexpr std::uint64_t ADDRESS = 0x000f'ffff'ffff'f000;

constexpr Page entryPage(std::uint64_t entry) { return (entry & ADDRESS) >> 12; }

}  // namespace
