/**
 * Set-associative structures with true LRU. As src/x86/set-associative.ts has it, but the ways of a set are searched one by one.
 */
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arguments.hpp"

namespace {

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

}  // namespace
