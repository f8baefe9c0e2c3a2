// What happens to finished sums: stored, activated, or added to a weight gradient; and the row functions of
// the routed FFN. Compiled once per level (see product_simd.h).
#pragma once

#include "kernels/product_simd.h"
#include "kernels/product_table.h"

namespace lyceum::kernels {
namespace {

// Sums of a block: element (row r, panel p) is the vector at c + p * panel_stride + r * 16.
struct Sums {
  const float* c;
  int64_t panel_stride;
  static inline __attribute__((always_inline)) V at(const Sums& s, int64_t r, int p) {
    return load(s.c + p * s.panel_stride + r * 16);
  }
};

LYCEUM_INLINE int64_t columns_of(const Sweep& s, int p) { return s.columns - 16 * p; }

// Two full panels without bias: the rule inside a matrix.
template <class Element>
LYCEUM_INLINE void store_pairs(const Sweep& s, const Sums& sums, int64_t row, int64_t begin, int64_t end) {
  Element* y = static_cast<Element*>(s.y) + (row + begin) * s.y_stride;
  for (int64_t r = begin; r < end; ++r, y += s.y_stride)
    for (int p = 0; p < s.panels; p += 2) {
      V low = Sums::at(sums, r, p), high = Sums::at(sums, r, p + 1);
      if (s.accumulate) low += load(y + 16 * p), high += load(y + 16 * p + 16);
      store_two(y + 16 * p, low, high);
    }
}

LYCEUM_INLINE bool activates_pairs(const Sweep& s) {
  return s.panels == 2 && s.parts == 2 && !s.bias && s.columns >= 16 && s.activation == Activation::kSilu &&
         s.y_type == DType::kBF16 && (!s.pre || s.pre_type == DType::kBF16);
}

// A gate and an up panel, both full, rows of bf16, SiLU, no bias: the training step's.
LYCEUM_INLINE void activate_pair(const Sweep& s, const Sums& sums, int64_t row, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const V gate = Sums::at(sums, r, 0), up = Sums::at(sums, r, 1);
    if (s.pre) {
      bf16* pre = static_cast<bf16*>(s.pre) + (row + r) * s.pre_stride;
      store(pre, gate), store(pre + s.pre_part, up);
    }
    V h = gate * sigmoid(gate) * up;
    if (s.scale) h *= s.scale[row + r];
    store(static_cast<bf16*>(s.y) + (row + r) * s.y_stride, h);
  }
}

LYCEUM_INLINE void store_rows(const Sweep& s, const Sums& sums, int64_t row, int64_t begin, int64_t end) {
  if (!s.bias && s.panels % 2 == 0 && s.columns >= 16 * s.panels) {
    if (s.y_type == DType::kBF16) return store_pairs<bf16>(s, sums, row, begin, end);
    return store_pairs<float>(s, sums, row, begin, end);
  }
  for (int64_t r = begin; r < end; ++r)
    for (int p = 0; p < s.panels; ++p) {
      const int64_t columns = columns_of(s, p), at = (row + r) * s.y_stride + 16 * p;
      if (columns <= 0) break;
      V v = Sums::at(sums, r, p);
      if (s.bias) v += load_some(s.bias + 16 * p, columns);
      if (s.accumulate) v += load_some(s.y, s.y_type, at, columns);
      store_some(s.y, s.y_type, at, v, columns);
    }
}

LYCEUM_INLINE void activate_rows(const Sweep& s, const Sums& sums, int64_t row, int64_t begin, int64_t end) {
  if (activates_pairs(s)) return activate_pair(s, sums, row, begin, end);
  const int half = s.panels / s.parts;
  for (int64_t r = begin; r < end; ++r)
    for (int p = 0; p < half; ++p) {
      const int64_t columns = columns_of(s, p), at = (row + r) * s.y_stride + 16 * p;
      if (columns <= 0) break;
      V gate = Sums::at(sums, r, p), up = splat(1);
      if (s.bias) gate += load_some(s.bias + 16 * p, columns);
      const int64_t pre = (row + r) * s.pre_stride + 16 * p;
      if (s.pre) store_some(s.pre, s.pre_type, pre, gate, columns);
      if (s.parts == 2) {
        up = Sums::at(sums, r, half + p);
        if (s.bias_up) up += load_some(s.bias_up + 16 * p, columns);
        if (s.pre) store_some(s.pre, s.pre_type, pre + s.pre_part, up, columns);
      }
      V h = activate<false>(s.activation, gate, nullptr) * up;
      if (s.scale) h *= s.scale[row + r];
      store_some(s.y, s.y_type, at, h, columns);
    }
}

// Rows r and r + 1 of one full panel whose inputs stand in pairs.
LYCEUM_INLINE void add_pairs(const Sweep& s, const Sums& sums, int64_t row, int64_t r, int p) {
  float* dw = s.dw[p] + (row + r) * 16;
  const V even = Sums::at(sums, r, p), odd = Sums::at(sums, r + 1, p);
  store(dw, load(dw) + interleave_low(even, odd));
  store(dw + 16, load(dw + 16) + interleave_high(even, odd));
}

// dW += C. Rows of C are inputs i, columns outputs o; physical order [i / pair][16 o][pair].
LYCEUM_INLINE void add_rows(const Sweep& s, const Sums& sums, int64_t row, int64_t begin, int64_t end) {
  for (int p = 0; p < s.panels; ++p) {
    const int64_t columns = columns_of(s, p);
    if (columns <= 0) break;
    float* dw = s.dw[p] + (row + begin) * 16;
    if (s.pair == 2 && columns >= 16 && (end - begin) % 2 == 0) {
      for (int64_t r = begin; r < end; r += 2) add_pairs(s, sums, row, r, p);
      continue;
    }
    if (s.pair == 1) {
      for (int64_t r = begin; r < end; ++r, dw += 16)
        store_some(dw, load_some(dw, columns) + Sums::at(sums, r, p), columns);
      continue;
    }
    for (int64_t r = begin; r + 1 < end; r += 2, dw += 32) {  // row + begin is even
      const V even = Sums::at(sums, r, p), odd = Sums::at(sums, r + 1, p);
      const V low = interleave_low(even, odd), high = interleave_high(even, odd);
      store_some(dw, load_some(dw, 2 * columns) + low, 2 * columns);
      if (columns > 8) store_some(dw + 16, load_some(dw + 16, 2 * columns - 16) + high, 2 * columns - 16);
    }
    if ((end - begin) & 1)
      for (int64_t o = 0; o < (columns < 16 ? columns : 16); ++o)
        dw[2 * o] += sums.c[p * sums.panel_stride + (end - 1) * 16 + o];
  }
}

// Two full panels, as in training.
LYCEUM_INLINE bool exponential_pairs(const Sweep& s) { return s.panels == 2 && !s.bias && s.columns >= 32; }

LYCEUM_INLINE void take_target(const Sweep& s, const Sums& sums, int64_t row, int64_t r) {
  if (!s.target) return;
  const int64_t at = s.target[row + r] - s.first_column;
  if (at >= 0 && at < 16 * s.panels && at < s.columns)
    s.target_value[row + r] = sums.c[at / 16 * sums.panel_stride + r * 16 + at % 16];
}

LYCEUM_INLINE void add_to_row_sum(const Sweep& s, int64_t row, V sum) {
  float* total = s.row_sums + row * 16;
  store(total, s.begins ? sum : load(total) + sum);
}

// Where the sweep's columns of a row begin in y.
LYCEUM_INLINE int64_t exponential_at(const Sweep& s, int64_t row, int64_t column) {
  return s.tiled ? tile_at(row, s.first_column + column, s.y_stride)
                 : row * s.y_stride + s.first_column + column;
}

template <class Element>
LYCEUM_INLINE void exponential_pair(const Sweep& s, const Sums& sums, int64_t row, int64_t begin,
                                    int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const float shift = s.shift ? s.shift[row + r] : 0.0f;
    const V low = exponential(Sums::at(sums, r, 0) * s.exponent - shift);
    const V high = exponential(Sums::at(sums, r, 1) * s.exponent - shift);
    if (s.y) store_two(static_cast<Element*>(s.y) + exponential_at(s, row + r, 0), low, high);
    add_to_row_sum(s, row + r, low + high);
    take_target(s, sums, row, r);
  }
}

LYCEUM_INLINE void exponential_rows(const Sweep& s, const Sums& sums, int64_t row, int64_t begin,
                                    int64_t end) {
  if (exponential_pairs(s)) {
    if (s.y_type == DType::kBF16) return exponential_pair<bf16>(s, sums, row, begin, end);
    return exponential_pair<float>(s, sums, row, begin, end);
  }
  for (int64_t r = begin; r < end; ++r) {
    const float shift = s.shift ? s.shift[row + r] : 0.0f;
    V total = splat(0);
    for (int p = 0; p < s.panels; ++p) {
      const int64_t columns = columns_of(s, p);
      const V e = first_lanes(exponential(Sums::at(sums, r, p) * s.exponent - shift), columns);
      if (s.y) store_some(s.y, s.y_type, exponential_at(s, row + r, 16 * p), e, 16);
      total += e;
    }
    if (s.y && s.tiled && s.panels == 1)
      store_some(s.y, s.y_type, exponential_at(s, row + r, 16), splat(0), 16);
    add_to_row_sum(s, row + r, total);
    take_target(s, sums, row, r);
  }
}

LYCEUM_INLINE void finish_rows(const Sweep& s, const Sums& sums, int64_t row, int64_t begin, int64_t end) {
  switch (s.epilogue) {
    case Epilogue::kStore:
      return store_rows(s, sums, row, begin, end);
    case Epilogue::kActivate:
      return activate_rows(s, sums, row, begin, end);
    case Epilogue::kExponential:
      return exponential_rows(s, sums, row, begin, end);
    case Epilogue::kWeightGradient:
      return add_rows(s, sums, row, begin, end);
  }
}

// activation_gradient of products.h over slots [begin, end).
static void activation_gradient_rows(int64_t begin, int64_t end, int64_t n, int64_t parts,
                                     Activation activation, const float* scale, ConstRows pre, ConstRows dh,
                                     Rows dpre, Rows h, float* dscale) {
  for (int64_t s = begin; s < end; ++s) {
    const float factor = scale ? scale[s] : 1.0f;
    V total = splat(0);
    for (int64_t o = 0; o < n; o += 16) {
      const int64_t count = n - o, at = s * pre.stride + o;
      const V gate = load_some(pre.data, pre.type, at, count);
      const V up = parts == 2 ? load_some(pre.data, pre.type, at + n, count) : splat(1);
      const V d = load_some(dh.data, dh.type, s * dh.stride + o, count);
      V slope;
      const V a = activate<true>(activation, gate, &slope);
      store_some(dpre.data, dpre.type, s * dpre.stride + o, d * up * slope * factor, count);
      if (parts == 2) store_some(dpre.data, dpre.type, s * dpre.stride + n + o, d * a * factor, count);
      if (h.data) store_some(h.data, h.type, s * h.stride + o, a * up * factor, count);
      total += d * a * up;  // the padding of d is zero
    }
    if (dscale) dscale[s] = sum_of(total);
  }
}

// combine of products.h over tokens [begin, end).
static void combine_rows(int64_t begin, int64_t end, int64_t width, const int32_t* first, const int32_t* slot,
                         ConstRows out, ConstRows residual, Rows y) {
  for (int64_t t = begin; t < end; ++t)
    for (int64_t i = 0; i < width; i += 16) {
      V sum = splat(0);
      for (int32_t e = first[t]; e < first[t + 1]; ++e)
        if (slot[e] >= 0) sum += load_some(out.data, out.type, slot[e] * out.stride + i, width - i);
      if (residual.data) sum += load_some(residual.data, residual.type, t * residual.stride + i, width - i);
      store_some(y.data, y.type, t * y.stride + i, sum, width - i);
    }
}

static double log_sum_exp_row(const float* z, int64_t n, float scale) {
  V most = splat(-__builtin_inff());
  int64_t v = 0;
  for (; v + 16 <= n; v += 16) {
    const V x = load(z + v) * scale;
    most = select_less(most, x, x, most);
  }
  float top = largest_of(most);
  for (int64_t i = v; i < n; ++i) top = z[i] * scale > top ? z[i] * scale : top;
  V low = splat(0), high = splat(0);
  for (v = 0; v + 32 <= n; v += 32) {
    low += exponential(load(z + v) * scale - top);
    high += exponential(load(z + v + 16) * scale - top);
  }
  for (; v < n; v += 16) low += first_lanes(exponential(load_some(z + v, n - v) * scale - top), n - v);
  float lane[32];
  store(lane, low), store(lane + 16, high);
  double total = 0;
  for (int i = 0; i < 16; ++i) total += static_cast<double>(lane[i]) + static_cast<double>(lane[16 + i]);
  return static_cast<double>(top) + __builtin_log(total);
}

static void scale_row(int64_t n, float factor, ConstRows x, int64_t x_row, Rows y, int64_t y_row) {
  for (int64_t i = 0; i < n; i += 16)
    store_some(y.data, y.type, y_row * y.stride + i,
               load_some(x.data, x.type, x_row * x.stride + i, n - i) * factor, n - i);
}

}  // namespace
}  // namespace lyceum::kernels
