// Element by element access to rows and weight panels, for the portable files only (never included by a file
// that is compiled with ISA flags: it holds templates).
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/products.h"

namespace lyceum::kernels {

// Memory of this thread that is kept between calls; `Use` separates the buffers of one function.
template <class Element, int Use>
std::vector<Element>& scratch(int64_t size) {
  thread_local std::vector<Element> memory;
  if (static_cast<int64_t>(memory.size()) < size) memory.resize(static_cast<size_t>(size));
  return memory;
}

inline float read(const ConstRows& rows, int64_t row, int64_t column) {
  const int64_t at = row * rows.stride + column;
  return rows.type == DType::kBF16 ? to_float(static_cast<const bf16*>(rows.data)[at])
                                   : static_cast<const float*>(rows.data)[at];
}
inline void write(const Rows& rows, int64_t row, int64_t column, float value) {
  const int64_t at = row * rows.stride + column;
  if (rows.type == DType::kBF16) static_cast<bf16*>(rows.data)[at] = to_bf16(value);
  else static_cast<float*>(rows.data)[at] = value;
}
inline void read_row(const ConstRows& rows, int64_t row, int64_t width, float* to) {
  for (int64_t i = 0; i < width; ++i) to[i] = read(rows, row, i);
}

// to[i][16] = W[group] of outputs p .. p + 15 of a part, input by input.       to [k, 16]
inline void read_panel(const Weights& w, int64_t group, int64_t part, int64_t p, float* to) {
  const WeightLayout& layout = w.layout;
  const int64_t base = group * w.stride + layout.index(part, p, 0), pair = layout.pair();
  for (int64_t i = 0; i < layout.k; ++i)
    for (int64_t o = 0; o < WeightLayout::kPanel; ++o) {
      const int64_t at = base + i / pair * (WeightLayout::kPanel * pair) + o * pair + i % pair;
      to[i * WeightLayout::kPanel + o] = layout.type == DType::kBF16
                                             ? to_float(static_cast<const bf16*>(w.data)[at])
                                             : static_cast<const float*>(w.data)[at];
    }
}

}  // namespace lyceum::kernels
