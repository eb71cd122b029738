/**
 * How the program ends where a row needs what it does not have. It throws nothing: WebAssembly has no exceptions for it.
 */
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "yardstick: %s\n", what.c_str());
  std::exit(1);
}

}  // namespace
