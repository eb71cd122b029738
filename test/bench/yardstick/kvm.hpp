/**
 * The vCPU's loop, the exit handlers and the emulator. As src/kvm/x86.ts, vmx.ts, linux-4.2.ts, emulate.ts and guest-walk.ts
 * have it.
 */
#pragma once

#include <array>
#include <cstdint>

#include "fail.hpp"
#include "kvm-buses.hpp"
#include "kvm-tables.hpp"

namespace {

enum Operation { STORE, LOAD, OUT };

struct Instruction {
  Operation operation;
  /** Bytes of its encoding. */
  unsigned length;
  Page page;
  unsigned offset;
  std::uint64_t port;
  unsigned size;
  std::uint64_t value;
};

class Kvm : public KvmTables {
 public:
  using KvmTables::KvmTables;

  /** MOV to CR3: the guest page of the guest's root table. */
  void loadGuestCr3(Page root) {
    guestRoot = root;
    cpu.writeCr3(root);
  }

  /** Executes the instruction to its end. */
  void execute() {
    retired = false;
    readCompleted = false;
    for (int exits = 0; exits < MAX_EXITS; exits++) {
      if (!runGuest()) return;
      vcpuRun();
      if (retired) return;
    }
    fail("the guest makes no progress");
  }

  Instruction instruction{};
  Buses buses;

 private:
  static constexpr int MAX_EXITS = 64;
  static constexpr Page APIC_DEFAULT_GFN = 0xfee00;

  /** Who goes on after an exit was handled, or what userspace is to do first. */
  enum Next { GUEST, USERSPACE_PORT, USERSPACE_MMIO };

  /** Runs the guest until its instruction has ended (false) or exits. */
  bool runGuest() {
    const Instruction& it = instruction;
    if (it.operation == OUT) {
      exitReason = EXIT_IO_INSTRUCTION;
      return true;
    }
    const Outcome outcome = cpu.access(it.page, it.offset, it.operation == STORE ? WRITE : READ);
    if (outcome == TRANSLATED) return false;
    if (outcome == PAGE_FAULT) fail("a page fault of the guest");
    exitReason = outcome == EPT_VIOLATION ? EXIT_EPT_VIOLATION : EXIT_EPT_MISCONFIG;
    return true;
  }

  /** Handles the exit, in userspace too, until the guest can go on. */
  void vcpuRun() {
    counts[exitReason]++;
    Next next = handleExit();
    while (next != GUEST) {
      counts[next == USERSPACE_PORT ? USERSPACE_EXIT_IO : USERSPACE_EXIT_MMIO]++;
      next = completeUserspaceIo(next);
    }
  }

  Next handleExit() {
    switch (exitReason) {
      case EXIT_EPT_MISCONFIG:
        return handleEptMisconfig();
      case EXIT_EPT_VIOLATION:
        return handleEptViolation();
      default:
        return handleIo();
    }
  }

  Next handleIo() {
    counts[VMREAD]++;
    skipEmulatedInstruction();
    counts[FAST_PIO_OUT]++;
    const Instruction& it = instruction;
    return buses.pio.write(it.port, it.size, it.value, counts) ? GUEST : USERSPACE_PORT;
  }

  Next handleEptMisconfig() {
    counts[VMREAD]++;
    const std::uint64_t gpa = cpu.guestPhysicalAddress;
    if (buses.fastMmio.write(gpa, 0, 0, counts)) {
      skipEmulatedInstruction();
      return GUEST;
    }
    return isMmioFault(gpa >> 12) ? emulateInstruction() : GUEST;
  }

  Next handleEptViolation() {
    counts[VMREAD] += 2;
    if ((cpu.exitQualification & EPT_ALL << 3) != 0) fail("a fault on a page that is mapped");
    const Page gfn = cpu.guestPhysicalAddress >> 12;
    if (tdpPageFault(gfn) == RESUME) return GUEST;
    if (!matchesMmioGpa(gfn)) fail("the guest should try again first");
    return emulateInstruction();
  }

  void skipEmulatedInstruction() {
    counts[VMREAD]++;
    counts[SKIP_EMULATED_INSTRUCTION]++;
    advanceRip();
  }

  void advanceRip() {
    rip += instruction.length;
    retired = true;
  }

  Next emulateInstruction() {
    // The bytes of the instruction.
    counts[GUEST_WALK_IN_SOFTWARE]++;
    counts[EMULATE_INSTRUCTION]++;
    return emulateMemoryOperand();
  }

  /** A write that userspace must take ends the instruction before; a read comes back first. */
  Next emulateMemoryOperand() {
    const bool write = instruction.operation == STORE;
    const bool isDone = write ? accessMmio(true) : readCompleted || accessMmio(false);
    if (isDone || write) advanceRip();
    return isDone ? GUEST : USERSPACE_MMIO;
  }

  Next completeUserspaceIo(Next was) {
    if (was == USERSPACE_PORT || instruction.operation == STORE) return GUEST;
    readCompleted = true;
    return emulateMemoryOperand();
  }

  /** Whether a device in the kernel takes the operand. */
  bool accessMmio(bool write) {
    const Instruction& it = instruction;
    const Page gfn = walkAddr(it.page, write);
    const bool isKnown = gfn == APIC_DEFAULT_GFN || matchesMmioGpa(gfn);
    if (!isKnown && gfnToMemslot(gfn) != nullptr) fail("memory is not emulated");
    const std::uint64_t gpa = gfn << 12 | it.offset;
    if (write) return buses.mmio.write(gpa, it.size, it.value, counts);
    buses.mmio.read(gpa, it.size, counts);
    return false;
  }

  /** The guest page of a linear page, by a walk of the guest's tables in software. */
  Page walkAddr(Page page, bool write) {
    counts[GUEST_WALK_IN_SOFTWARE]++;
    const std::uint64_t needed = write ? PTE_PRESENT | PTE_WRITABLE : PTE_PRESENT;
    std::array<std::uint64_t*, LEVELS + 1> entries;
    std::uint64_t flags = PTE_ACCESSED;
    Page gfn = guestRoot;
    int level = LEVELS;
    for (;; level--) {
      entries[level] = &memory.frame(memslots.pfn(gfn))[indexOf(page, level)];
      const std::uint64_t entry = *entries[level];
      if ((entry & needed) != needed) fail("a page fault of the guest");
      flags &= entry;
      gfn = entryPage(entry);
      if (level == 1 || (entry & LARGE_PAGE) != 0) break;
    }
    if (write) flags &= (*entries[level] & PTE_DIRTY) != 0 ? PTE_ACCESSED : 0;
    if (flags == 0) {
      for (int above = LEVELS; above >= level; above--) *entries[above] |= PTE_ACCESSED;
      if (write) *entries[level] |= PTE_DIRTY;
    }
    const Page inside = (Page{1} << shiftOf(level)) - 1;
    return (gfn & ~inside) | (page & inside);
  }

  Page guestRoot = 0;
  int exitReason = 0;
  std::uint64_t rip = 0;
  bool retired = false;
  /** Userspace has brought what a load waits for. */
  bool readCompleted = false;
};

}  // namespace
