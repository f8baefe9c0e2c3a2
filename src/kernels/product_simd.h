// Sixteen floats as one value (GCC and Clang vector extensions): one source for all levels, each of which
// compiles it with its own flags inside an unnamed namespace. Include only from files of one level.
#pragma once

#include "kernels/types.h"
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LYCEUM_INLINE static inline __attribute__((always_inline))
#define LYCEUM_METHOD inline __attribute__((always_inline))

namespace lyceum::kernels {
namespace {

typedef float V __attribute__((vector_size(64)));
typedef int32_t VI __attribute__((vector_size(64)));
typedef uint32_t VU __attribute__((vector_size(64)));
typedef uint16_t VH __attribute__((vector_size(32)));

// Tiles of A: [rows / 32][k / 32][2][16][32] bf16; position of (row, k) in elements.
LYCEUM_INLINE int64_t tile_at(int64_t row, int64_t k, int64_t k_all) {
  return row / 32 * 32 * k_all + k / 32 * 1024 + row % 32 * 32 + k % 32;
}

LYCEUM_INLINE V splat(float x) { return V{} + x; }
LYCEUM_INLINE V load(const float* p) {
  V v;
  __builtin_memcpy(&v, p, 64);
  return v;
}
LYCEUM_INLINE void store(float* p, V v) { __builtin_memcpy(p, &v, 64); }

LYCEUM_INLINE V load(const bf16* p) {
  VH h;
  __builtin_memcpy(&h, p, 32);
  return reinterpret_cast<V>(__builtin_convertvector(h, VU) << 16);
}
// Round to nearest even; NaN stays NaN (to_bf16 of types.h for 16 values). The instruction of AVX512_BF16
// turns denormals into zero, as its products do.
LYCEUM_INLINE void store(bf16* p, V v) {
#ifdef __AVX512BF16__
  const __m256bh half = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(v));
  __builtin_memcpy(p, &half, 32);
  return;
#endif
  const VU bits = reinterpret_cast<VU>(v);
  const VU rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const VU quiet = (bits >> 16) | 0x40u;
  const VH h = __builtin_convertvector(v == v ? rounded : quiet, VH);
  __builtin_memcpy(p, &h, 32);
}

// 32 neighbours at once.
LYCEUM_INLINE void store_two(float* p, V low, V high) { store(p, low), store(p + 16, high); }
LYCEUM_INLINE void store_two(bf16* p, V low, V high) {
#ifdef __AVX512BF16__
  const __m512bh all = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(high), reinterpret_cast<__m512>(low));
  __builtin_memcpy(p, &all, 64);
#else
  store(p, low), store(p + 16, high);
#endif
}

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

// NaN stays NaN.
LYCEUM_INLINE V clamped(V x, float low, float high) {
#ifdef __AVX512F__
  return _mm512_min_ps(splat(high), _mm512_max_ps(splat(low), x));
#else
  x = x < low ? splat(low) : x;
  return x > high ? splat(high) : x;
#endif
}

// 1 / x for finite x of at least 1: an estimate of 14 bits and one step of Newton where there is one.
LYCEUM_INLINE V reciprocal(V x) {
#ifdef __AVX512F__
  const V r = _mm512_rcp14_ps(x);
  return r + r * (1.0f - x * r);
#else
  return 1.0f / x;
#endif
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
  const VI power = (reinterpret_cast<VI>(shifted) - reinterpret_cast<VI>(magic) + 127) << 23;
  return p * reinterpret_cast<V>(power);
}

LYCEUM_INLINE V sigmoid(V x) { return reciprocal(1.0f + exponential(-x)); }
LYCEUM_INLINE V tanh_of(V x) { return 1.0f - 2.0f * reciprocal(1.0f + exponential(x + x)); }
// Abramowitz & Stegun 7.1.26, absolute error 1.5e-7. `gauss` = exp(-x^2).
LYCEUM_INLINE V erf_of(V x, V gauss) {
  const V size = x < 0.0f ? -x : x;
  const V t = reciprocal(1.0f + 0.3275911f * size);
  const V p =
      t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  const V e = 1.0f - p * gauss;
  return x < 0.0f ? -e : e;
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
      if (kSlope) *slope = x > 0.0f ? splat(1) : splat(0);
      return x > 0.0f ? x : splat(0);
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
