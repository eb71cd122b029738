/**
 * The I/O buses, and the ioeventfds on them. As src/kvm/io-bus.ts and eventfd.ts have it, without other devices: none takes
 * a read.
 */
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "fail.hpp"
#include "ledger.hpp"

namespace {

struct Ioeventfd {
  std::uint64_t addr;
  /** Bytes; 0 for any length. */
  std::uint64_t length;
  bool wildcard;
  std::uint64_t datamatch;
  bool hasPoller;
  std::uint64_t signals;
};

/** What a device reads of a value: its lowest bytes. */
constexpr std::uint64_t lowBytes(std::uint64_t value, std::uint64_t bytes) {
  return bytes >= 8 ? value : value & ((std::uint64_t{1} << 8 * bytes) - 1);
}

class Bus {
 public:
  /** Addresses are told apart by their first. */
  void add(Ioeventfd& device, std::uint64_t length) {
    const Range range{device.addr, device.addr + length, &device};
    const auto place = std::lower_bound(ranges.begin(), ranges.end(), range, [](const Range& one, const Range& other) {
      return one.addr < other.addr;
    });
    if (place != ranges.end() && place->addr == range.addr) fail("two devices at an address");
    ranges.insert(place, range);
  }

  /** Whether a device takes the write. */
  bool write(std::uint64_t addr, std::uint64_t length, std::uint64_t value, Counts& counts) const {
    for (auto index = first(addr, addr + length, counts); index < ranges.size(); index++) {
      if (compare(addr, addr + length, ranges[index], counts) != 0) break;
      if (signal(*ranges[index].device, addr, length, value, counts)) return true;
    }
    return false;
  }

  /** No device takes a read; looked for it is all the same. */
  void read(std::uint64_t addr, std::uint64_t length, Counts& counts) const {
    auto index = first(addr, addr + length, counts);
    while (index < ranges.size() && compare(addr, addr + length, ranges[index], counts) == 0) index++;
  }

 private:
  struct Range {
    std::uint64_t addr;
    std::uint64_t end;
    Ioeventfd* device;
  };

  /** Order of an access against a range: 0 where it is inside. */
  static int compare(std::uint64_t addr, std::uint64_t end, const Range& range, Counts& counts) {
    counts[IO_BUS_COMPARE]++;
    if (addr < range.addr) return -1;
    return end > range.end ? 1 : 0;
  }

  /** The first range that equals the access, or the number of ranges. */
  std::size_t first(std::uint64_t addr, std::uint64_t end, Counts& counts) const {
    counts[IO_BUS_LOOKUP]++;
    std::size_t low = 0;
    std::size_t high = ranges.size();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      const int order = compare(addr, end, ranges[middle], counts);
      if (order < 0) {
        high = middle;
      } else if (order > 0) {
        low = middle + 1;
      } else {
        std::size_t index = middle;
        while (index > 0 && compare(addr, end, ranges[index - 1], counts) == 0) index--;
        return index;
      }
    }
    return ranges.size();
  }

  static bool signal(Ioeventfd& device, std::uint64_t addr, std::uint64_t length, std::uint64_t value, Counts& counts) {
    counts[IOEVENTFD_IN_RANGE]++;
    if (addr != device.addr) return false;
    if (device.length != 0) {
      if (length != device.length) return false;
      if (!device.wildcard) {
        counts[DATAMATCH_COMPARE]++;
        if (lowBytes(value, length) != device.datamatch) return false;
      }
    }
    counts[EVENTFD_SIGNAL]++;
    if (device.hasPoller) counts[EVENTFD_WAKE_POLLER]++;
    device.signals++;
    return true;
  }

  std::vector<Range> ranges;
};

class Buses {
 public:
  /** One of length 0 on MMIO is on two buses. */
  void add(bool pio, const Ioeventfd& of) {
    Ioeventfd& device = ioeventfds.emplace_back(of);
    (pio ? this->pio : mmio).add(device, device.length);
    if (device.length == 0 && !pio) fastMmio.add(device, 0);
  }

  std::uint64_t signals() const {
    std::uint64_t all = 0;
    for (const Ioeventfd& device : ioeventfds) all += device.signals;
    return all;
  }

  Bus mmio;
  Bus pio;
  Bus fastMmio;

 private:
  /** A deque, because its elements stay where they are. */
  std::deque<Ioeventfd> ioeventfds;
};

}  // namespace
