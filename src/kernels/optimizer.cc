// The threaded drivers of the optimiser steps.
#include "kernels/optimizer.h"

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "kernels/row_table.h"

namespace lyceum::kernels {
namespace {
constexpr int64_t kBlock = 1 << 16;  // elements of one task; fixes the order of the sums
}

void adamw(int64_t n, const AdamStep& step, float* weight, float* gradient, float* m, float* v) {
  const RowTable& table = row_table();
  parallel_ranges(n, kBlock, [&](int64_t begin, int64_t end, int) {
    table.adamw_f32(end - begin, step, weight + begin, gradient + begin, m + begin, v + begin);
  });
}

void adamw(int64_t n, const AdamStep& step, bf16* weight, int16_t* residual, float* gradient, float* m,
           float* v) {
  const RowTable& table = row_table();
  parallel_ranges(n, kBlock, [&](int64_t begin, int64_t end, int) {
    table.adamw_bf16(end - begin, step, weight + begin, residual + begin, gradient + begin, m + begin,
                     v + begin);
  });
}

void descend(int64_t n, float keep, float step, bf16* weight, int16_t* residual, float* direction) {
  const RowTable& table = row_table();
  parallel_ranges(n, kBlock, [&](int64_t begin, int64_t end, int) {
    table.descend(end - begin, keep, step, weight + begin, residual + begin, direction + begin);
  });
}

double sum_of_squares(int64_t n, const float* x) {
  const RowTable& table = row_table();
  static thread_local std::vector<double> scratch;
  const size_t blocks = static_cast<size_t>((n + kBlock - 1) / kBlock);
  if (scratch.size() < blocks) scratch.resize(blocks);
  double* partial = scratch.data();
  parallel_ranges(n, kBlock, [&](int64_t begin, int64_t end, int) {
    partial[begin / kBlock] = table.sum_of_squares(end - begin, x + begin);
  });
  double sum = 0;
  for (size_t i = 0; i < blocks; ++i) sum += partial[i];
  return sum;
}

}  // namespace lyceum::kernels
