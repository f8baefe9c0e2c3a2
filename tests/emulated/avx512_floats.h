// The AVX-512 and AVX512_BF16 intrinsics of src/kernels in AVX2, FMA and F16C: floating point. The rules are
// those of Intel's manual; rcp14 alone is not the bits of any CPU (the manual leaves them open), but as far
// off as allowed.
#pragma once

#include "avx512_words.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // vectors as template arguments
namespace lyceum_emulated {

// ---- constants and other names of the same bits ----
LYCEUM_EMULATE __m512 setzero_ps() { return as<__m512>(Words{}); }
LYCEUM_EMULATE __m512d setzero_pd() { return as<__m512d>(Words{}); }
LYCEUM_EMULATE __m512 set1_ps(float x) {
  const __m256 half = _mm256_set1_ps(x);
  return as<__m512>(Halves<__m256>{half, half});
}

// ---- arithmetic, one rounding each; min and max give b if one is NaN or both are zero ----
LYCEUM_EMULATE __m512 add_ps(__m512 a, __m512 b) {
  return halves<__m256>([](__m256 x, __m256 y) { return _mm256_add_ps(x, y); }, a, b);
}
LYCEUM_EMULATE __m512 min_ps(__m512 a, __m512 b) {
  return halves<__m256>([](__m256 x, __m256 y) { return _mm256_min_ps(x, y); }, a, b);
}
LYCEUM_EMULATE __m512 max_ps(__m512 a, __m512 b) {
  return halves<__m256>([](__m256 x, __m256 y) { return _mm256_max_ps(x, y); }, a, b);
}
LYCEUM_EMULATE __m512 sqrt_ps(__m512 a) {
  return halves<__m256>([](__m256 x) { return _mm256_sqrt_ps(x); }, a);
}
LYCEUM_EMULATE __m512 fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return halves<__m256>([](__m256 x, __m256 y, __m256 z) { return _mm256_fmadd_ps(x, y, z); }, a, b, c);
}
LYCEUM_EMULATE __m512 fnmadd_ps(__m512 a, __m512 b, __m512 c) {
  return halves<__m256>([](__m256 x, __m256 y, __m256 z) { return _mm256_fnmadd_ps(x, y, z); }, a, b, c);
}
LYCEUM_EMULATE __m512d fmadd_pd(__m512d a, __m512d b, __m512d c) {
  return halves<__m256d>([](__m256d x, __m256d y, __m256d z) { return _mm256_fmadd_pd(x, y, z); }, a, b, c);
}
LYCEUM_EMULATE __m512 xor_ps(__m512 a, __m512 b) {
  return halves<__m256>([](__m256 x, __m256 y) { return _mm256_xor_ps(x, y); }, a, b);
}
template <int kHow>
LYCEUM_EMULATE __mmask16 cmp_ps_mask(__m512 a, __m512 b) {
  return signs(
      as<__m512i>(halves<__m256>([](__m256 x, __m256 y) { return _mm256_cmp_ps(x, y, kHow); }, a, b)));
}

LYCEUM_EMULATE __m512 unpacklo_ps(__m512 a, __m512 b) {
  return as<__m512>(unpacklo_epi32(as<__m512i>(a), as<__m512i>(b)));
}
LYCEUM_EMULATE __m512 unpackhi_ps(__m512 a, __m512 b) {
  return as<__m512>(unpackhi_epi32(as<__m512i>(a), as<__m512i>(b)));
}
LYCEUM_EMULATE __m512d unpacklo_pd(__m512d a, __m512d b) {
  return as<__m512d>(unpacklo_epi64(as<__m512i>(a), as<__m512i>(b)));
}
LYCEUM_EMULATE __m512d unpackhi_pd(__m512d a, __m512d b) {
  return as<__m512d>(unpackhi_epi64(as<__m512i>(a), as<__m512i>(b)));
}

// ---- conversions ----
LYCEUM_EMULATE __m512i cvtps_epi32(__m512 a) {
  const auto x = as<Halves<__m256>>(a);
  return as<__m512i>(Halves<__m256i>{_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)});
}
LYCEUM_EMULATE __m512 cvtepi32_ps(__m512i a) {
  const auto x = as<Halves<__m256i>>(a);
  return as<__m512>(Halves<__m256>{_mm256_cvtepi32_ps(x.low), _mm256_cvtepi32_ps(x.high)});
}
LYCEUM_EMULATE __m512d cvtps_pd(__m256 a) {
  const auto x = as<Lanes<__m128, 2>>(a);
  return as<__m512d>(Halves<__m256d>{_mm256_cvtps_pd(x.at[0]), _mm256_cvtps_pd(x.at[1])});
}
LYCEUM_EMULATE __m512 cvtph_ps(__m256i a) {
  const auto x = as<Lanes<__m128i, 2>>(a);
  return as<__m512>(Halves<__m256>{_mm256_cvtph_ps(x.at[0]), _mm256_cvtph_ps(x.at[1])});
}
template <int kHow>
LYCEUM_EMULATE __m256i cvtps_ph(__m512 a) {
  const auto x = as<Halves<__m256>>(a);
  return as<__m256i>(
      Lanes<__m128i, 2>{{_mm256_cvtps_ph(x.low, kHow & 7), _mm256_cvtps_ph(x.high, kHow & 7)}});
}

// ---- whole numbers and powers of two ----
template <int kHow>
LYCEUM_EMULATE __m512 roundscale_ps(__m512 a) {
  static_assert(kHow >> 4 == 0, "only whole numbers are emulated");
  return halves<__m256>([](__m256 x) { return _mm256_round_ps(x, kHow & 15); }, a);
}
// x - floor(x), the difference rounded down too (so that it stays below 1 and a zero is -0); 0 for
// infinities.
template <int kHow>
LYCEUM_EMULATE __m512 reduce_ps(__m512 a) {
  static_assert((kHow & 7) == _MM_FROUND_TO_NEG_INF && kHow >> 4 == 0, "only x - floor(x) is emulated");
  return halves<__m256>(
      [](__m256 x) {
        const __m256 zero = _mm256_setzero_ps(), minus = _mm256_set1_ps(-0.0f);
        const __m256 whole = _mm256_xor_ps(_mm256_floor_ps(x), minus);  // -floor(x)
        const __m256 sum = _mm256_add_ps(x, whole);
        // Knuth: sum + error = x + whole without rounding.
        const __m256 part = _mm256_sub_ps(sum, x);
        const __m256 error =
            _mm256_add_ps(_mm256_sub_ps(x, _mm256_sub_ps(sum, part)), _mm256_sub_ps(whole, part));
        const __m256 below = _mm256_cmp_ps(error, zero, _CMP_LT_OQ);  // as an integer: -1
        __m256 out = as<__m256>(_mm256_add_epi32(as<__m256i>(sum), as<__m256i>(below)));
        out = _mm256_or_ps(out, _mm256_and_ps(_mm256_cmp_ps(sum, zero, _CMP_EQ_OQ), minus));
        const __m256 endless =
            _mm256_cmp_ps(_mm256_andnot_ps(minus, x), _mm256_set1_ps(__builtin_inff()), _CMP_EQ_OQ);
        return _mm256_andnot_ps(endless, out);
      },
      a);
}
// x 2^floor(n), rounded once: the product is exact in double.
LYCEUM_EMULATE __m128 scaled(__m128 x, __m128 n) {
  const __m256d lowest = _mm256_set1_pd(-400), highest = _mm256_set1_pd(400);
  const __m256d whole = _mm256_floor_pd(_mm256_cvtps_pd(n));
  const __m128i power = _mm256_cvtpd_epi32(_mm256_max_pd(lowest, _mm256_min_pd(highest, whole)));
  const __m256i exponent = _mm256_add_epi64(_mm256_cvtepi32_epi64(power), _mm256_set1_epi64x(1023));
  __m256d factor = as<__m256d>(_mm256_slli_epi64(exponent, 52));
  // Infinite and NaN n: 2^n is n itself, or 0.
  const __m256d none = _mm256_setzero_pd(), endless = _mm256_set1_pd(__builtin_inf());
  const __m256d down = _mm256_cmp_pd(whole, _mm256_sub_pd(none, endless), _CMP_EQ_OQ);
  const __m256d special = _mm256_cmp_pd(_mm256_sub_pd(whole, whole), none, _CMP_UNORD_Q);
  factor = _mm256_blendv_pd(factor, _mm256_andnot_pd(down, whole), special);
  const __m128 out = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_cvtps_pd(x), factor));
  // A quiet NaN gives way to an infinite n.
  const __m128 nan = _mm_cmpunord_ps(x, x);
  const __m128 quiet = _mm_and_ps(nan, as<__m128>(_mm_srai_epi32(_mm_slli_epi32(as<__m128i>(x), 9), 31)));
  const __m128 size = _mm_andnot_ps(_mm_set1_ps(-0.0f), n), top = _mm_set1_ps(__builtin_inff());
  const __m128 instead = _mm_and_ps(quiet, _mm_cmpeq_ps(size, top));
  return _mm_blendv_ps(out, _mm_max_ps(n, _mm_setzero_ps()), instead);
}
LYCEUM_EMULATE __m512 scalef_ps(__m512 a, __m512 b) {
  const auto x = as<Lanes<__m128, 4>>(a), n = as<Lanes<__m128, 4>>(b);
  return as<__m512>(Lanes<__m128, 4>{{scaled(x.at[0], n.at[0]), scaled(x.at[1], n.at[1]),
                                      scaled(x.at[2], n.at[2]), scaled(x.at[3], n.at[3])}});
}
// 1 / x cut off after 14 bits: the relative error is below 2^-14, and comes near.
LYCEUM_EMULATE __m512 rcp14_ps(__m512 a) {
  return halves<__m256>(
      [](__m256 x) {
        const __m256 quotient = _mm256_div_ps(_mm256_set1_ps(1.0f), x);
        return _mm256_and_ps(quotient, as<__m256>(_mm256_set1_epi32(~0x1ff)));
      },
      a);
}

// ---- AVX512_BF16 ----
LYCEUM_EMULATE __m256i flushed(__m256i x) {  // denormals become zeros of their sign
  const __m256i denormal =
      _mm256_cmpeq_epi32(_mm256_and_si256(x, _mm256_set1_epi32(0x7f800000)), _mm256_setzero_si256());
  return _mm256_andnot_si256(_mm256_and_si256(denormal, _mm256_set1_epi32(0x7fffffff)), x);
}
// a b + c where the result is 2^-126 in size: was it rounded up to that, from what has 24 bits below it? Then
// it is tiny and becomes zero. a and b are normal, c is near -a b, so 2^64 a b and 2^64 c are in range.
static inline float tiny_or_not(float a, float b, float c, float result) {
  const bool swap = __builtin_fabsf(a) > __builtin_fabsf(b);
  const float exact = __builtin_fmaf((swap ? b : a) * 0x1p64f, swap ? a : b, c * 0x1p64f);
  return __builtin_fabsf(exact) < 0x1p-62f ? __builtin_copysignf(0, result) : result;
}
// a b + c by one fused multiply-add; inputs and the result are flushed (MXCSR has no say).
LYCEUM_EMULATE __m256 add_product(__m256i a, __m256i b, __m256 c) {
  const __m256 x = as<__m256>(flushed(a)), y = as<__m256>(flushed(b));
  const __m256i raw = as<__m256i>(_mm256_fmadd_ps(x, y, c));
  __m256 out = as<__m256>(flushed(raw));
  const __m256i least =
      _mm256_cmpeq_epi32(_mm256_and_si256(raw, _mm256_set1_epi32(0x7fffffff)), _mm256_set1_epi32(0x00800000));
  if (__builtin_expect(_mm256_movemask_epi8(least) != 0, 0)) {
    using Floats = Lanes<float, 8>;
    const auto mask = as<Lanes<int, 8>>(least);
    const auto p = as<Floats>(x), q = as<Floats>(y), r = as<Floats>(c);
    auto fixed = as<Floats>(out);
    for (int i = 0; i < 8; ++i)
      if (mask.at[i]) fixed.at[i] = tiny_or_not(p.at[i], q.at[i], r.at[i], fixed.at[i]);
    out = as<__m256>(fixed);
  }
  return out;
}
// c + a1 b1, rounded, + a0 b0, rounded.
template <class Pairs>
LYCEUM_EMULATE __m512 dpbf16_ps(__m512 c, Pairs a, Pairs b) {
  const auto x = as<Halves<__m256i>>(a), y = as<Halves<__m256i>>(b);
  const auto z = as<Halves<__m256i>>(c);
  const auto half = [](__m256i p, __m256i q, __m256i sum) {
    const __m256i odd = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    const __m256 first =
        add_product(_mm256_and_si256(p, odd), _mm256_and_si256(q, odd), as<__m256>(flushed(sum)));
    return add_product(_mm256_slli_epi32(p, 16), _mm256_slli_epi32(q, 16), first);
  };
  return as<__m512>(Halves<__m256>{half(x.low, y.low, z.low), half(x.high, y.high, z.high)});
}
// To nearest even; NaN stays NaN, denormals become zeros.
LYCEUM_EMULATE __m256i to_bf16(__m512 a) {
  const auto x = as<Words>(a);
  Lanes<uint16_t, 16> out;
  for (int i = 0; i < 16; ++i) {
    const uint32_t bits = x.at[i], size = bits & 0x7fffffffu;
    out.at[i] = static_cast<uint16_t>(size > 0x7f800000u   ? bits >> 16 | 0x40u
                                      : size < 0x00800000u ? bits >> 16 & 0x8000u
                                                           : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  }
  return as<__m256i>(out);
}
LYCEUM_EMULATE __m256bh cvtneps_pbh(__m512 a) { return as<__m256bh>(to_bf16(a)); }
LYCEUM_EMULATE __m512bh cvtne2ps_pbh(__m512 high, __m512 low) {
  return as<__m512bh>(Halves<__m256i>{to_bf16(low), to_bf16(high)});
}

}  // namespace lyceum_emulated
#pragma GCC diagnostic pop
