// LYCEUM_CHECK=n: every n-th product call is computed again by the reference and compared. A defect of a
// kernel, or of the machine, then names itself instead of spoiling a training run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/products.h"

namespace lyceum::kernels {

// Counts calls; true on every n-th one. Always false without LYCEUM_CHECK.
bool check_due();
// Changes n (0: never), for tests.
void set_check_interval(int64_t n);

// A copy of rows, taken before a product that may add to them.
struct RowsCopy {
  std::vector<char> bytes;
  Rows rows;
  RowsCopy(const Rows& from, int64_t n, int64_t width);
};

// Throws kInternal naming the kernel, the level and the shape where an element of `got` is further from
// `wanted` than  r |wanted| + r rms(its row),  r = 2^-7 with bf16 anywhere, 2^-14 in f32; or where one is
// finite only.
void compare_rows(const char* kernel, const std::string& shape, bool half, const Rows& got,
                  const Rows& wanted, int64_t rows, int64_t width);

std::string shape_text(const Groups& groups, const WeightLayout& layout);

}  // namespace lyceum::kernels
