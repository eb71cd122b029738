/**
 * What is counted: the primitives of src/x86/ledger.ts, and behind them those of src/kvm/primitives.ts that a row has, in
 * their order.
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace {

constexpr std::array<const char*, 53> PRIMITIVES = {
    "dtlbHit",
    "stlbHitLoad", "stlbHitStore", "stlbHitFetch",
    "walkLoad", "walkStore", "walkFetch",
    "walkCompletedLoad4K", "walkCompletedLoad2M", "walkCompletedLoad1G",
    "walkCompletedStore4K", "walkCompletedStore2M", "walkCompletedStore1G",
    "walkCompletedFetch4K", "walkCompletedFetch2M", "walkCompletedFetch1G",
    "guestWalkRefL1", "guestWalkRefL2", "guestWalkRefL3", "guestWalkRefDram",
    "eptWalkRefL1", "eptWalkRefL2", "eptWalkRefL3", "eptWalkRefDram",
    "dataRefL1", "dataRefL2", "dataRefL3", "dataRefDram",
    "exitIoInstruction", "exitEptViolation", "exitEptMisconfig",
    "vmread", "skipEmulatedInstruction", "fastPioOut", "vcpuMatchMmioGpa", "mmioSpteWalk",
    "tdpPageFault", "memslotLookup", "hvaToPfn", "mmuLock", "spteInstall", "remoteTlbFlush", "tlbFlush",
    "emulateInstruction", "guestWalkInSoftware",
    "ioBusLookup", "ioBusCompare", "ioeventfdInRange", "datamatchCompare", "eventfdSignal", "eventfdWakePoller",
    "userspaceExitIo", "userspaceExitMmio",
};
constexpr int DTLB_HIT = 0;
constexpr int STLB_HIT = 1;
constexpr int WALK = 4;
constexpr int WALK_COMPLETED = 7;
constexpr int GUEST_WALK_REF = 16;
constexpr int EPT_WALK_REF = 20;
constexpr int DATA_REF = 24;
constexpr std::size_t X86_PRIMITIVES = 28;

enum KvmPrimitive {
  EXIT_IO_INSTRUCTION = X86_PRIMITIVES, EXIT_EPT_VIOLATION, EXIT_EPT_MISCONFIG,
  VMREAD, SKIP_EMULATED_INSTRUCTION, FAST_PIO_OUT, VCPU_MATCH_MMIO_GPA, MMIO_SPTE_WALK,
  TDP_PAGE_FAULT, MEMSLOT_LOOKUP, HVA_TO_PFN, MMU_LOCK, SPTE_INSTALL, REMOTE_TLB_FLUSH, TLB_FLUSH,
  EMULATE_INSTRUCTION, GUEST_WALK_IN_SOFTWARE,
  IO_BUS_LOOKUP, IO_BUS_COMPARE, IOEVENTFD_IN_RANGE, DATAMATCH_COMPARE, EVENTFD_SIGNAL, EVENTFD_WAKE_POLLER,
  USERSPACE_EXIT_IO, USERSPACE_EXIT_MMIO,
  ALL_PRIMITIVES,
};
static_assert(ALL_PRIMITIVES == PRIMITIVES.size());

using Counts = std::array<std::uint64_t, PRIMITIVES.size()>;

/** Prints one line of JSON with the first `primitives` counts, as a Measurement of processor-rows.mjs. */
void print(std::int64_t nanoseconds, std::uint64_t digest, const Counts& counts, std::size_t primitives) {
  std::printf("{\"nanoseconds\":%lld,\"digest\":%llu,\"counts\":{", static_cast<long long>(nanoseconds),
              static_cast<unsigned long long>(digest));
  for (std::size_t i = 0; i < primitives; i++) {
    const auto count = static_cast<unsigned long long>(counts[i]);
    std::printf("%s\"%s\":%llu", i == 0 ? "" : ",", PRIMITIVES[i], count);
  }
  std::printf("}}\n");
}

}  // namespace
