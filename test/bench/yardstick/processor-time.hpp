/**
 * What is timed: the processor time of the process, user and system, in nanoseconds.
 */
#pragma once

#include <cstdint>
#include <ctime>

namespace {

std::int64_t processorTime() {
  std::timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
}

}  // namespace
