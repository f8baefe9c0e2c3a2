// A fuzz target is one file that defines the two functions below, and one row in CMakeLists.txt beside it.
//
// fuzz_main.cc runs it under libFuzzer: whatever bytes come, run_target() may return or throw Error, nothing
// else. Any other exception, a sanitizer's finding, more than ten seconds or a gibibyte is a failure.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "fuzz/bad_files.h"

namespace lyceum {

void run_target(std::span<const uint8_t> bytes);

// Where the search begins: good and bad files made by hand.
std::vector<BadFile> target_seeds();

inline std::string_view as_text(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace lyceum
