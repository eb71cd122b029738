/**
 * What the program is told on its command line.
 */
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "fail.hpp"

namespace {

struct Associativity {
  std::uint32_t entries;
  std::uint32_t ways;
};

/** The arguments by name. */
class Arguments {
 public:
  Arguments(int count, char** arguments) {
    for (int i = 1; i < count; i++) {
      const std::string argument = arguments[i];
      const auto equals = argument.find('=');
      values[argument.substr(0, equals)] = equals == std::string::npos ? "" : argument.substr(equals + 1);
    }
  }

  bool has(const std::string& name) const { return values.count(name) != 0; }

  std::string text(const std::string& name) const {
    const auto found = values.find(name);
    if (found == values.end()) fail("argument " + name + " is missing");
    return found->second;
  }

  std::uint64_t number(const std::string& name) const { return std::stoull(text(name)); }

  /** Records apart by commas, their fields by slashes. */
  std::vector<std::vector<std::string>> records(const std::string& name) const {
    std::vector<std::vector<std::string>> all;
    std::istringstream lines(text(name));
    for (std::string line; std::getline(lines, line, ',');) {
      std::istringstream fields(line);
      all.emplace_back();
      for (std::string field; std::getline(fields, field, '/');) all.back().push_back(field);
    }
    return all;
  }

  bool flag(const std::string& name) const { return text(name) == "true"; }

  /** From entries/ways; 0/0 where the processor has none. A cache has an entry for every `unit` bytes. */
  Associativity associativity(const std::string& name, std::uint32_t unit = 1) const {
    const std::string value = text(name);
    const auto slash = value.find('/');
    return {static_cast<std::uint32_t>(std::stoul(value)) / unit,
            static_cast<std::uint32_t>(std::stoul(value.substr(slash + 1)))};
  }

 private:
  std::unordered_map<std::string, std::string> values;
};

}  // namespace
