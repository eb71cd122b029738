/**
 * The path from a linear to a host-physical address. As src/x86/mmu.ts has it.
 */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "ledger.hpp"
#include "memory.hpp"
#include "translation-caches.hpp"

namespace {

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
constexpr std::uint64_t LARGE_PAGE = 1 << 7;
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
constexpr std::uint64_t EPT_ACCESSED = 1 << 8;
constexpr std::uint64_t EPT_DIRTY = 1 << 9;
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

  /** Turns EPT on with the root table in this host page, with accessed and dirty flags or without. */
  void enableEpt(Page root, bool accessedDirty) {
    eptOn = true;
    eptRoot = root;
    eptAccessed = accessedDirty ? EPT_ACCESSED : 0;
    eptDirty = accessedDirty ? EPT_DIRTY : 0;
    // With the flags, accesses to guest paging structures count as writes.
    tableRequest = accessedDirty ? EPT_READ | EPT_WRITE : EPT_READ;
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
      guestTableReserved[level] = beyond | (guestLargeLeaf[level] ? 0 : LARGE_PAGE);
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
        const Outcome outcome = walkEpt(gfn, step.offset, tableRequest, GLA_VALID);
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
      const bool isLeaf = level == 1 || ((entry & LARGE_PAGE) != 0 && guestLargeLeaf[level]);
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
    const unsigned guestAttributes = host.isDirty ? attributes : attributes & ~ATTRIBUTE_DIRTY;
    caches.tlb.insert(of.page, size, access == FETCH, tag, {pfn, guestAttributes | host.permissions << EPT_SHIFT});
    return TRANSLATED;
  }

  /** Translates a guest page into `host`. `offset` only completes the reported address. */
  Outcome walkEpt(Page gfn, unsigned offset, unsigned requested, unsigned purpose) {
    if (!eptOn) {
      host = {gfn, EPT_ALL, SIZE_1G, true};
      return TRANSLATED;
    }
    const bool nested = (purpose & FINAL_GPA) == 0 && caches.nestedTlb != nullptr;
    const Key tag = caches.guestPhysicalTag;
    if (nested) {
      if (const HostPage* const held = caches.nestedTlb->lookup(tag | gfn)) {
        const unsigned permissions = held->permissions;
        if ((permissions & requested) != requested) return eptViolation(gfn, offset, requested, purpose, permissions);
        if (held->isDirty || (requested & EPT_WRITE) == 0) {
          host = *held;
          return TRANSLATED;
        }
        caches.nestedTlb->slots.remove(tag | gfn);
      }
    }

    Table table{eptRoot, EPT_ALL};
    int level = caches.eptStructures.lookup(gfn, tag, table);
    if (level == 0) level = LEVELS;
    const int first = level;
    std::uint64_t* place;
    std::uint64_t entry;
    for (;; level--) {
      const unsigned index = indexOf(gfn, level);
      eptTables[level] = table;
      counts[EPT_WALK_REF + hierarchy.reference(table.pfn, 8 * index)]++;
      if (gfn >> shiftOf(LEVELS + 1) != 0) return eptViolation(gfn, offset, requested, purpose, 0);
      place = &memory.frame(table.pfn)[index];
      entry = *place;
      if ((entry & EPT_ALL) == 0) {
        rememberEptTables(gfn, first, level);
        return eptViolation(gfn, offset, requested, purpose, 0);
      }
      const bool isLeaf = level == 1 || ((entry & LARGE_PAGE) != 0 && eptLargeLeaf[level]);
      if (isMisconfigured(entry, level, isLeaf)) {
        rememberEptTables(gfn, first, level);
        guestPhysicalAddress = gfn << 12 | offset;
        return EPT_MISCONFIG;
      }
      table.rights &= static_cast<unsigned>(entry);
      if (isLeaf) break;
      if (eptAccessed != 0) *place |= eptAccessed;
      table.pfn = entryPage(entry);
    }

    rememberEptTables(gfn, first, level);
    if ((table.rights & requested) != requested) {
      return eptViolation(gfn, offset, requested, purpose, table.rights);
    }
    bool isDirty = true;
    if (eptAccessed != 0) {
      const bool isWrite = (requested & EPT_WRITE) != 0;
      isDirty = isWrite || (entry & eptDirty) != 0;
      *place |= isWrite ? eptAccessed | eptDirty : eptAccessed;
    }
    host = {entryPage(entry) | (gfn & ((Page{1} << shiftOf(level)) - 1)), table.rights, level - 1, isDirty};
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
  std::uint64_t eptAccessed = 0;
  std::uint64_t eptDirty = 0;
  unsigned tableRequest = EPT_READ;
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

}  // namespace
