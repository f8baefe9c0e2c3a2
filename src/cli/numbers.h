// Numbers that options take. CLI11's own checks name the largest double in their error, all 309 digits of it.
#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <string>

namespace lyceum {

// Finite and at least 0, or with `positive` above 0.
inline CLI::Validator finite_number(bool positive) {
  return CLI::Validator(
      [positive](const std::string& text) -> std::string {
        char* end = nullptr;
        const double x = std::strtod(text.c_str(), &end);
        if (end != text.c_str() && *end == 0 && std::isfinite(x) && (positive ? x > 0 : x >= 0)) return "";
        return std::string("wanted a number ") + (positive ? "above 0" : "from 0 on") + ", found \"" + text +
               "\"";
      },
      positive ? "above 0" : "from 0 on");
}

}  // namespace lyceum
