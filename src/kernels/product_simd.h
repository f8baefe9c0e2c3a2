// What epilogues compute with, on sixteen floats at a time: one source for all levels, each of which compiles
// it with its own flags inside an unnamed namespace. Include only from files of one level.
#pragma once

#include "kernels/types.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define LYCEUM_INLINE static inline __attribute__((always_inline))
#define LYCEUM_METHOD inline __attribute__((always_inline))

namespace lyceum::kernels {
namespace {

#if defined(__AVX2__) && !defined(__AVX512F__)
#include "kernels/generic/sixteen_pair.h"
#else
#include "kernels/generic/sixteen_vector.h"
#endif

// Tiles of A: [rows / 32][k / 32][2][16][32] bf16; position of (row, k) in elements.
LYCEUM_INLINE int64_t tile_at(int64_t row, int64_t k, int64_t k_all) {
  return row / 32 * 32 * k_all + k / 32 * 1024 + row % 32 * 32 + k % 32;
}

// 32 neighbours at once.
LYCEUM_INLINE void store_two(float* p, V low, V high) { store(p, low), store(p + 16, high); }

// `count` of 16 values; the others are zero and are not touched in memory.
template <class Element>
LYCEUM_INLINE V load_some(const Element* p, int64_t count) {
  if (count >= 16) return load(p);
  Element all[16] = {};
  __builtin_memcpy(all, p, static_cast<size_t>(count) * sizeof(Element));
  return load(all);
}
template <class Element>
LYCEUM_INLINE void store_some(Element* p, V v, int64_t count) {
  if (count >= 16) return store(p, v);
  Element all[16];
  store(all, v);
  __builtin_memcpy(p, all, static_cast<size_t>(count) * sizeof(Element));
}

LYCEUM_INLINE V load_some(const void* data, DType type, int64_t at, int64_t count) {
  return type == DType::kBF16 ? load_some(static_cast<const bf16*>(data) + at, count)
                              : load_some(static_cast<const float*>(data) + at, count);
}
LYCEUM_INLINE void store_some(void* data, DType type, int64_t at, V v, int64_t count) {
  if (type == DType::kBF16) store_some(static_cast<bf16*>(data) + at, v, count);
  else store_some(static_cast<float*>(data) + at, v, count);
}

// The sum of the lanes from the first on, and the largest.
LYCEUM_INLINE float sum_of(V v) {
  float lane[16], sum = 0;
  store(lane, v);
  for (int i = 0; i < 16; ++i) sum += lane[i];
  return sum;
}
LYCEUM_INLINE float largest_of(V v) {
  float lane[16], most = -__builtin_inff();
  store(lane, v);
  for (int i = 0; i < 16; ++i) most = lane[i] > most ? lane[i] : most;
  return most;
}
// The first `count` lanes, zeros behind them.
LYCEUM_INLINE V first_lanes(V v, int64_t count) {
  if (count >= 16) return v;
  float lane[16];
  store(lane, v);
  for (int64_t i = count > 0 ? count : 0; i < 16; ++i) lane[i] = 0;
  return load(lane);
}

// e^x to 1 ulp or so: x = n ln 2 + r, a polynomial of degree 6 in r (Cephes' expf). Clamped to what f32
// holds.
LYCEUM_INLINE V exponential(V x) {
  x = clamped(x, -87.3f, 88.3f);
  const V magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const V shifted = x * 1.44269504f + magic;
  const V n = shifted - magic;
  const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return times_power_of_two(p, shifted, magic);
}

LYCEUM_INLINE V sigmoid(V x) { return reciprocal(1.0f + exponential(-x)); }
LYCEUM_INLINE V tanh_of(V x) { return 1.0f - 2.0f * reciprocal(1.0f + exponential(x + x)); }
// Abramowitz & Stegun 7.1.26, absolute error 1.5e-7. `gauss` = exp(-x^2).
LYCEUM_INLINE V erf_of(V x, V gauss) {
  const V size = select_less(x, splat(0), -x, x);
  const V t = reciprocal(1.0f + 0.3275911f * size);
  const V p =
      t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  const V e = 1.0f - p * gauss;
  return select_less(x, splat(0), -e, e);
}

// act(x), and its slope where asked.
template <bool kSlope>
LYCEUM_INLINE V activate(Activation activation, V x, V* slope) {
  switch (activation) {
    case Activation::kSilu: {
      const V s = sigmoid(x);
      if (kSlope) *slope = s * (1.0f + x * (1.0f - s));
      return x * s;
    }
    case Activation::kGelu: {
      const V gauss = exponential(x * x * -0.5f);
      const V half = 0.5f + 0.5f * erf_of(x * 0.70710678f, gauss);
      if (kSlope) *slope = half + x * gauss * 0.39894228f;
      return x * half;
    }
    case Activation::kGeluTanh: {
      const V t = tanh_of(0.79788456f * (x + 0.044715f * (x * x * x)));
      if (kSlope)
        *slope = 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * (0.79788456f + 0.10703223f * (x * x));
      return 0.5f * x * (1.0f + t);
    }
    case Activation::kRelu:
      if (kSlope) *slope = select_less(splat(0), x, splat(1), splat(0));
      return select_less(splat(0), x, x, splat(0));
    case Activation::kQuickGelu: {
      const V s = sigmoid(1.702f * x);
      if (kSlope) *slope = s * (1.0f + 1.702f * x * (1.0f - s));
      return x * s;
    }
    default:
      break;
  }
  if (kSlope) *slope = splat(1);
  return x;
}

}  // namespace
}  // namespace lyceum::kernels
