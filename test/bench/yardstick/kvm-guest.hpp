/**
 * The rows of a guest: its virtual machine and its loops, as guest.mjs has them, and the instructions that it draws, as
 * src/workload has them for patterns that are sequential or uniform.
 */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fail.hpp"
#include "kvm.hpp"
#include "processor-time.hpp"

namespace {

/** The 32-bit generator sfc32. */
class Random {
 public:
  Random(std::uint32_t seed, std::uint32_t stream) : a(seed), c(0x243f'6a88 ^ stream) {
    for (int i = 0; i < 16; i++) bits();
  }

  /** A number from 0 to below 1, in steps of 2^-53. */
  double fraction() {
    const double high = bits();
    const double low = bits() >> 11;
    return (high * 0x1p21 + low) / 0x1p53;
  }

  std::uint64_t below(std::uint64_t limit) {
    return static_cast<std::uint64_t>(fraction() * static_cast<double>(limit));
  }

 private:
  std::uint32_t bits() {
    const std::uint32_t sum = a + b + counter++;
    a = b ^ b >> 9;
    b = c + (c << 3);
    c = (c << 21 | c >> 11) + sum;
    return sum;
  }

  std::uint32_t a;
  std::uint32_t b = 0x9e37'79b9;
  std::uint32_t c;
  std::uint32_t counter = 1;
};

/** An access of the mix. */
struct Access {
  Operation operation;
  std::uint64_t address;
  unsigned size;
  std::uint64_t value;
  std::uint64_t footprint;
  std::uint64_t stride;
  bool uniform;
  double weight;
};

Access accessOf(const std::vector<std::string>& fields) {
  const std::string& op = fields.at(0);
  if (op != "store" && op != "load" && op != "out") fail("op " + op + " is not modelled");
  const std::string& pattern = fields.at(6);
  if (pattern != "sequential" && pattern != "uniform")
    fail("pattern " + pattern + " is not modelled");
  return {op == "store" ? STORE : op == "load" ? LOAD : OUT,
          std::stoull(fields.at(1)),
          static_cast<unsigned>(std::stoul(fields.at(2))),
          std::stoull(fields.at(3)),
          std::stoull(fields.at(4)),
          std::stoull(fields.at(5)),
          pattern == "uniform",
          std::stod(fields.at(7))};
}

/** Draws the instructions of the vCPU. */
class Workload {
 public:
  Workload(const std::vector<Access>& accesses, std::uint32_t seed) : random(seed, 1) {
    for (const Access& access : accesses) {
      total += access.weight;
      const auto number = static_cast<std::uint32_t>(entries.size() + 1);
      entries.push_back({access, (access.footprint - access.size) / access.stride + 1, 0, total,
                         Random(seed, number * STREAMS + 1)});
      // A phase draws its working set first, though there is one only.
      if (access.uniform) entries.back().random.fraction();
    }
  }

  void next(Instruction& instruction) {
    Entry* entry = &entries.front();
    if (entries.size() > 1) {
      const double target = random.fraction() * total;
      while (target >= entry->cumulative) entry++;
    }
    const Access& access = entry->access;
    const std::uint64_t address = access.address + placeOf(*entry) * access.stride;
    instruction = {access.operation, access.operation == OUT ? 1u : 2u,      address >> 12,
                   static_cast<unsigned>(address & 0xfff), address, access.size, access.value};
  }

 private:
  static constexpr std::uint32_t STREAMS = 1 << 16;

  struct Entry {
    Access access;
    std::uint64_t places;
    std::uint64_t place;
    /** Chance of being drawn, together with that of all before. */
    double cumulative;
    Random random;
  };

  static std::uint64_t placeOf(Entry& entry) {
    if (entry.access.uniform) return entry.random.below(entry.places);
    const std::uint64_t place = entry.place;
    entry.place = place + 1 == entry.places ? 0 : place + 1;
    return place;
  }

  std::vector<Entry> entries;
  Random random;
  double total = 0;
};

/** The guest's paging structures, from the end of a slot downwards. They map pages of 2 Mbyte to themselves. */
class GuestTables {
 public:
  GuestTables(Kvm& kvm, Page end) : kvm(kvm), next(end), root(--next) { kvm.loadGuestCr3(root); }

  void mapIdentity(Page first, Page end) {
    for (Page page = first & ~(PAGES_OF_2M - 1); page < end; page += PAGES_OF_2M) {
      Page table = root;
      for (int level = LEVELS; level > 2; level--) table = tableBelow(table, indexOf(page, level));
      write(table, indexOf(page, 2), page << 12 | TABLE | LARGE_PAGE);
    }
  }

 private:
  static constexpr std::uint64_t TABLE = PTE_PRESENT | PTE_WRITABLE;

  Page tableBelow(Page table, unsigned index) {
    const std::uint64_t entry = kvm.memory.frame(kvm.memslots.pfn(table))[index];
    if (entry != 0) return entryPage(entry);
    write(table, index, --next << 12 | TABLE);
    return next;
  }

  void write(Page table, unsigned index, std::uint64_t entry) {
    kvm.memory.write(kvm.memslots.pfn(table), index, entry);
  }

  Kvm& kvm;
  Page next;
  const Page root;
};

/** Returns the accesses of the mix. */
std::vector<Access> buildGuest(const Arguments& arguments, Kvm& kvm) {
  Page tablesEnd = 0;
  for (const auto& fields : arguments.records("memslots")) {
    const Page baseGfn = std::stoull(fields.at(0)) >> 12;
    const Page npages = std::stoull(fields.at(1)) >> 12;
    kvm.addMemslot(baseGfn, npages, fields.at(2));
    tablesEnd = baseGfn + npages;
  }
  for (const auto& fields : arguments.records("ioeventfds")) {
    const bool wildcard = fields.at(2) == "any";
    if (fields.at(4) == "sleeper") fail("waiter sleeper is not modelled");
    kvm.buses.add(fields.at(3) == "true", {std::stoull(fields.at(0)), std::stoull(fields.at(1)), wildcard,
                                           wildcard ? 0 : std::stoull(fields.at(2)), fields.at(4) == "poller", 0});
  }
  GuestTables tables(kvm, tablesEnd);
  std::vector<Access> accesses;
  for (const auto& fields : arguments.records("accesses")) {
    const Access& access = accesses.emplace_back(accessOf(fields));
    if (access.operation == OUT) continue;
    tables.mapIdentity(access.address >> 12, (access.address + access.footprint + 0xfff) >> 12);
  }
  return accesses;
}

// The rows' loops.

void kick(Kvm& kvm, Workload&, std::uint64_t instructions) {
  for (std::uint64_t i = 0; i < instructions; i++) kvm.execute();
}

void fresh(Kvm& kvm, Workload& workload, std::uint64_t instructions) {
  for (std::uint64_t i = 0; i < instructions; i++) {
    workload.next(kvm.instruction);
    kvm.discardPage(kvm.instruction.page);
    kvm.execute();
  }
}

void mix(Kvm& kvm, Workload& workload, std::uint64_t instructions) {
  for (std::uint64_t i = 0; i < instructions; i++) {
    workload.next(kvm.instruction);
    kvm.execute();
  }
}

using GuestLoop = void (*)(Kvm&, Workload&, std::uint64_t);

GuestLoop guestLoopOf(const std::string& operation) {
  if (operation == "kick") return kick;
  if (operation == "fresh") return fresh;
  if (operation == "mix") return mix;
  fail("operation " + operation + " is not known");
}

void measureGuest(const Arguments& arguments) {
  Kvm kvm(arguments);
  Workload workload(buildGuest(arguments, kvm), static_cast<std::uint32_t>(arguments.number("seed")));
  workload.next(kvm.instruction);
  const GuestLoop loop = guestLoopOf(arguments.text("operation"));
  loop(kvm, workload, arguments.number("warmUp"));
  const std::uint64_t before = kvm.buses.signals();
  kvm.counts.fill(0);

  const std::int64_t start = processorTime();
  loop(kvm, workload, arguments.number("iterations"));
  print(processorTime() - start, kvm.buses.signals() - before, kvm.counts, ALL_PRIMITIVES);
}

}  // namespace
