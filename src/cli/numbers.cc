#include "cli/numbers.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <string>

namespace lyceum {

CLI::Validator finite_number(bool positive) {
  const std::string range = positive ? "above 0" : "from 0 on";
  return CLI::Validator(
      [positive, range](const std::string& text) -> std::string {
        char* end = nullptr;
        const double x = std::strtod(text.c_str(), &end);
        if (end != text.c_str() && *end == 0 && std::isfinite(x) && (positive ? x > 0 : x >= 0)) return "";
        return "wanted a number " + range + ", found \"" + text + "\"";
      },
      range);
}

}  // namespace lyceum
