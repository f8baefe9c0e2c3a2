// 16 floats in a register, by AVX-512 (F, BW, VL, DQ). The three simd_*.h headers define the same words; the
// generic/ bodies are written in them. Included inside the unnamed namespace of an ISA file, after
// <immintrin.h>: nothing here may be included elsewhere or leave a weak symbol.
//
// Rows are walked by each(): whole registers with the tag Full, the rest with a Tail that touches no byte
// outside the row.

constexpr int64_t kLanes = 16;
using F = __m512;
using I = __m512i;

struct Full {};
struct Tail {
  __mmask16 mask;
  explicit Tail(int64_t n) : mask(static_cast<__mmask16>((1u << n) - 1)) {}
};

static inline F splat(float x) { return _mm512_set1_ps(x); }
static inline F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
static inline F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a b
static inline F smaller(F a, F b) { return _mm512_min_ps(a, b); }          // b if one is NaN
static inline F larger(F a, F b) { return _mm512_max_ps(a, b); }           // b if one is NaN
static inline F root(F x) { return _mm512_sqrt_ps(x); }

static inline F select_at_most(F a, F b, F yes, F no) {  // a <= b ? yes : no
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LE_OQ), no, yes);
}

static inline F load(const float* p, Full) { return _mm512_loadu_ps(p); }
static inline F load(const float* p, Tail t) { return _mm512_maskz_loadu_ps(t.mask, p); }
static inline void store(float* p, F x, Full) { _mm512_storeu_ps(p, x); }
static inline void store(float* p, F x, Tail t) { _mm512_mask_storeu_ps(p, t.mask, x); }

static inline F widen(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
static inline __m256i narrow(F x) {  // to bf16, round to nearest even; NaN stays NaN
  const I bits = _mm512_castps_si512(x), one = _mm512_set1_epi32(1);
  const I odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
  I out = _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  out = _mm512_mask_or_epi32(out, nan, _mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  return _mm512_cvtepi32_epi16(out);
}
static inline F load(const bf16* p, Full) {
  return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
static inline F load(const bf16* p, Tail t) { return widen(_mm256_maskz_loadu_epi16(t.mask, p)); }
static inline void store(bf16* p, F x, Full) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(x));
}
static inline void store(bf16* p, F x, Tail t) { _mm256_mask_storeu_epi16(p, t.mask, narrow(x)); }

static inline F load(const half* p, Full) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
static inline F load(const half* p, Tail t) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(t.mask, p)); }
static inline void store(half* p, F x, Full) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
static inline void store(half* p, F x, Tail t) {
  _mm256_mask_storeu_epi16(p, t.mask, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

// Sum and maximum of the lanes, in the order of a tree: lanes i and i + 8, then + 4, + 2, + 1.
static inline float lanes_sum(F x) {
  __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
static inline float lanes_max(F x) {
  __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

static inline F nearest(F x) {  // whole number, ties to even
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline F times_power_of_two(F x, F n) { return _mm512_scalef_ps(x, n); }  // x 2^n, n whole
// x - floor(x), 0 for infinities; then p 2^floor(x).
static inline F fraction(F x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
static inline F times_power_of_two_floor(F p, F x) { return _mm512_scalef_ps(p, x); }

// sin and cos of pi/2 n + r from the two values of r: quadrants swap and negate.
static inline void quadrant(F n, F sine_r, F cosine_r, F* sine, F* cosine) {
  const I q = _mm512_cvtps_epi32(n);
  const __mmask16 swap = _mm512_test_epi32_mask(q, _mm512_set1_epi32(1));
  const I minus = _mm512_set1_epi32(INT32_MIN);
  const I s = _mm512_and_si512(_mm512_slli_epi32(q, 30), minus);  // bit 1 of q
  const I c = _mm512_and_si512(_mm512_slli_epi32(_mm512_add_epi32(q, _mm512_set1_epi32(1)), 30), minus);
  *sine = _mm512_xor_ps(_mm512_mask_blend_ps(swap, sine_r, cosine_r), _mm512_castsi512_ps(s));
  *cosine = _mm512_xor_ps(_mm512_mask_blend_ps(swap, cosine_r, sine_r), _mm512_castsi512_ps(c));
}
static inline F from_int(const int32_t* p) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(p)); }

// Even and odd elements of two registers, and back.
static inline void split_pairs(F low, F high, F* even, F* odd) {
  const I e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  *even = _mm512_permutex2var_ps(low, e, high);
  *odd = _mm512_permutex2var_ps(low, _mm512_add_epi32(e, _mm512_set1_epi32(1)), high);
}
static inline void join_pairs(F even, F odd, F* low, F* high) {
  const I l = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  *low = _mm512_permutex2var_ps(even, l, odd);
  *high = _mm512_permutex2var_ps(even, _mm512_add_epi32(l, _mm512_set1_epi32(8)), odd);
}

// Keys that order as floats do, -0 like 0, NaN like -infinity; INT32_MIN is free as a mark.
static inline I order_keys(F x) {
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  x = _mm512_add_ps(_mm512_mask_blend_ps(nan, x, splat(-__builtin_inff())), _mm512_setzero_ps());
  const I bits = _mm512_castps_si512(x);
  return _mm512_xor_si512(bits, _mm512_srli_epi32(_mm512_srai_epi32(bits, 31), 1));
}
static inline I load_keys(const int32_t* p) { return _mm512_loadu_si512(p); }
static inline void store_keys(int32_t* p, I x) { _mm512_storeu_si512(p, x); }
static inline I larger_keys(I a, I b) { return _mm512_max_epi32(a, b); }
static inline I splat_key(int32_t x) { return _mm512_set1_epi32(x); }
static inline unsigned equal_keys(I a, I b) { return _mm512_cmpeq_epi32_mask(a, b); }
static inline unsigned above_keys(I a, I b) { return _mm512_cmpgt_epi32_mask(a, b); }
// Register j of a row: the row's key `at` becomes INT32_MIN if it is here. No branch.
static inline I drop_key(I x, unsigned at, int j) {
  const __mmask16 here = static_cast<__mmask16>(uint64_t{1} << at >> (16 * j));
  return _mm512_mask_mov_epi32(x, here, _mm512_set1_epi32(INT32_MIN));
}
static inline int32_t lanes_max_key(I x) {
  __m256i a = _mm256_max_epi32(_mm512_castsi512_si256(x), _mm512_extracti32x8_epi32(x, 1));
  __m128i b = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  b = _mm_max_epi32(b, _mm_shuffle_epi32(b, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}

// A bf16 weight and its residual are the float (weight << 16) + residual; see optimizer.h.
static inline F load_master(const bf16* w, const int16_t* r, Full) {
  const I high =
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w))), 16);
  const I low = _mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(r)));
  return _mm512_castsi512_ps(_mm512_add_epi32(high, low));
}
static inline F load_master(const bf16* w, const int16_t* r, Tail t) {
  const I high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(t.mask, w)), 16);
  return _mm512_castsi512_ps(
      _mm512_add_epi32(high, _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(t.mask, r))));
}
static inline __m256i master_high(I bits) {
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)), 16));
}
static inline void store_master(bf16* w, int16_t* r, F x, Full) {
  const I bits = _mm512_castps_si512(x);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(w), master_high(bits));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(r), _mm512_cvtepi32_epi16(bits));
}
static inline void store_master(bf16* w, int16_t* r, F x, Tail t) {
  const I bits = _mm512_castps_si512(x);
  _mm256_mask_storeu_epi16(w, t.mask, master_high(bits));
  _mm256_mask_storeu_epi16(r, t.mask, _mm512_cvtepi32_epi16(bits));
}

// Sum of squares in double: 16 floats into two accumulators of 8.
struct Doubles {
  __m512d a = _mm512_setzero_pd(), b = _mm512_setzero_pd();
};
static inline void add_squares(Doubles* sum, F x) {
  const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
  const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
  sum->a = _mm512_fmadd_pd(low, low, sum->a);
  sum->b = _mm512_fmadd_pd(high, high, sum->b);
}
static inline double total(const Doubles& sum) {
  alignas(64) double lanes[8];
  _mm512_store_pd(lanes, sum.a + sum.b);
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// The 16 x 16 words of r transposed in place.
static inline __attribute__((always_inline)) void transpose(F* r) {
  F t[16], u[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // u[i + c]: columns 4 lane + c of rows i .. i + 3
    const __m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]);
    const __m512d c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);
    u[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    u[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    u[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    u[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const F a = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88),
            b = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88);
    const F d = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd),
            e = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
    r[c] = _mm512_shuffle_f32x4(a, b, 0x88);
    r[8 + c] = _mm512_shuffle_f32x4(a, b, 0xdd);
    r[4 + c] = _mm512_shuffle_f32x4(d, e, 0x88);
    r[12 + c] = _mm512_shuffle_f32x4(d, e, 0xdd);
  }
}

// x = m 2^e with m in [0.75, 1.5), for normal x above 0.
static inline void split_float(F x, F* m, F* e) {
  const I bits = _mm512_castps_si512(x), shift = _mm512_set1_epi32(0x3f400000);
  const I exponent = _mm512_srai_epi32(_mm512_sub_epi32(bits, shift), 23);
  *m = _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(exponent, 23)));
  *e = _mm512_cvtepi32_ps(exponent);
}

// Words of two bf16: elements i of rows a and b (b may be null: zeros); a and b rounded to nearest, halves
// up.
template <class Tag>
static inline F interleave(const bf16* a, const bf16* b, Tag t) {
  const I low = _mm512_srli_epi32(_mm512_castps_si512(load(a, t)), 16);
  return _mm512_castsi512_ps(b ? _mm512_or_si512(low, _mm512_castps_si512(load(b, t))) : low);
}
static inline F pack_words(F a, F b) {
  const I half_up = _mm512_set1_epi32(0x8000);
  const I low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(a), half_up), 16);
  const I high = _mm512_add_epi32(_mm512_castps_si512(b), half_up);
  return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaau, low, high));
}
// The same, rounded to nearest even.
static inline F pack_words_even(F a, F b) {
  const I one = _mm512_set1_epi32(1), bias = _mm512_set1_epi32(0x7fff);
  const I x = _mm512_castps_si512(a), y = _mm512_castps_si512(b);
  const I low = _mm512_srli_epi32(x, 16), high = _mm512_srli_epi32(y, 16);
  const I low_up = _mm512_add_epi32(_mm512_add_epi32(x, bias), _mm512_and_si512(low, one));
  const I high_up = _mm512_add_epi32(_mm512_add_epi32(y, bias), _mm512_and_si512(high, one));
  return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(low_up, 16), high_up));
}
