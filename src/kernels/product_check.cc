#include "kernels/product_check.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "kernels/isa.h"
#include "kernels/rows_access.h"

namespace lyceum::kernels {
namespace {

int64_t interval_of_environment() {
  const char* text = std::getenv("LYCEUM_CHECK");
  if (!text || !*text) return 0;
  char* end = nullptr;
  const long long n = std::strtoll(text, &end, 10);
  check(end != text && *end == 0 && n >= 0, "LYCEUM_CHECK",
        "wanted how many calls lie between checks, found \"", text, "\"");
  return n;
}

std::atomic<int64_t>& interval() {
  static std::atomic<int64_t> n{interval_of_environment()};
  return n;
}

}  // namespace

bool check_due() {
  static std::atomic<int64_t> calls{0};
  const int64_t n = interval().load(std::memory_order_relaxed);
  return n > 0 && calls.fetch_add(1, std::memory_order_relaxed) % n == n - 1;
}

void set_check_interval(int64_t n) { interval() = n; }

RowsCopy::RowsCopy(const Rows& from, int64_t n, int64_t width) : rows{nullptr, from.type, width} {
  const size_t size = dtype_size(from.type), row = static_cast<size_t>(width) * size;
  bytes.resize(static_cast<size_t>(n) * row);
  for (int64_t r = 0; r < n; ++r)
    std::memcpy(bytes.data() + static_cast<size_t>(r) * row,
                static_cast<const char*>(from.data) + static_cast<size_t>(r * from.stride) * size, row);
  rows.data = bytes.data();
}

void compare_rows(const char* kernel, const std::string& shape, bool half, const Rows& got,
                  const Rows& wanted, int64_t rows, int64_t width) {
  const double r = half || got.type == DType::kBF16 ? 0x1.0p-7 : 0x1.0p-14;
  for (int64_t row = 0; row < rows; ++row) {
    double squares = 0;
    for (int64_t c = 0; c < width; ++c) squares += std::pow(read(wanted, row, c), 2);
    const double size = std::sqrt(squares / static_cast<double>(width));
    for (int64_t c = 0; c < width; ++c) {
      const double g = read(got, row, c), w = read(wanted, row, c);
      if (!std::isfinite(g) && !std::isfinite(w)) continue;
      if (std::abs(g - w) <= r * std::abs(w) + r * size || !std::isfinite(size)) continue;
      fail(ErrorKind::kInternal, "LYCEUM_CHECK", kernel, " at level ", isa_name(isa_level()), ", ", shape,
           ": row ", row, " column ", c, ": wanted ", w, " (reference), found ", g, ", allowed ",
           r * std::abs(w) + r * size, ". Please report this with the CPU's name (", cpu_info().name, ")");
    }
  }
}

std::string shape_text(const Groups& groups, const WeightLayout& layout) {
  return std::to_string(groups.slots()) + " slots in " + std::to_string(groups.n) + " groups, weights [" +
         std::to_string(layout.parts) + " x " + std::to_string(layout.n) + ", " + std::to_string(layout.k) +
         "] " + dtype_name(layout.type);
}

}  // namespace lyceum::kernels
