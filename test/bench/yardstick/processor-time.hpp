/**
 * What is timed: the processor time of the process, user and system, in nanoseconds.
 */
#pragma once

#include <cstdint>
#include <ctime>
#ifdef __wasi__
#include <wasi/api.h>

#include "fail.hpp"
#endif

namespace {

std::int64_t processorTime() {
#ifdef __wasi__
  __wasi_timestamp_t now;
  if (__wasi_clock_time_get(__WASI_CLOCKID_PROCESS_CPUTIME_ID, 1, &now) != 0) fail("no processor time");
  return static_cast<std::int64_t>(now);
#else
  std::timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
#endif
}

}  // namespace
