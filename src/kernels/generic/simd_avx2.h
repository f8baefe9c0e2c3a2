// 8 floats in a register, by AVX2 + FMA + F16C. The words are explained in simd_avx512.h.

constexpr int64_t kLanes = 8;
using F = __m256;
using I = __m256i;

struct Full {};
struct Tail {
  int n;
  explicit Tail(int64_t count) : n(static_cast<int>(count)) {}
  __m256i mask() const {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

static inline F splat(float x) { return _mm256_set1_ps(x); }
static inline F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
static inline F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
static inline F smaller(F a, F b) { return _mm256_min_ps(a, b); }
static inline F larger(F a, F b) { return _mm256_max_ps(a, b); }
static inline F root(F x) { return _mm256_sqrt_ps(x); }
static inline F select_at_most(F a, F b, F yes, F no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LE_OQ));
}

static inline F load(const float* p, Full) { return _mm256_loadu_ps(p); }
static inline F load(const float* p, Tail t) { return _mm256_maskload_ps(p, t.mask()); }
static inline void store(float* p, F x, Full) { _mm256_storeu_ps(p, x); }
static inline void store(float* p, F x, Tail t) { _mm256_maskstore_ps(p, t.mask(), x); }

// 16-bit elements have no masked loads here: tails go through 16 bytes of stack.
static inline __m128i load_16(const void* p, Full) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
static inline __m128i load_16(const void* p, Tail t) {
  alignas(16) uint16_t lanes[8] = {};
  for (int i = 0; i < t.n; ++i) lanes[i] = static_cast<const uint16_t*>(p)[i];
  return _mm_load_si128(reinterpret_cast<const __m128i*>(lanes));
}
static inline void store_16(void* p, __m128i x, Full) { _mm_storeu_si128(static_cast<__m128i*>(p), x); }
static inline void store_16(void* p, __m128i x, Tail t) {
  alignas(16) uint16_t lanes[8];
  _mm_store_si128(reinterpret_cast<__m128i*>(lanes), x);
  for (int i = 0; i < t.n; ++i) static_cast<uint16_t*>(p)[i] = lanes[i];
}
static inline __m128i low_halves(I x) {  // the low 16 bits of each lane
  x = _mm256_and_si256(x, _mm256_set1_epi32(0xffff));
  return _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
}
static inline __m128i narrow(F x) {
  const I bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
  const I odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const I rounded =
      _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
  const I quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
  return low_halves(
      _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q))));
}
template <class Tag>
static inline F load(const bf16* p, Tag t) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16(p, t)), 16));
}
template <class Tag>
static inline void store(bf16* p, F x, Tag t) {
  store_16(p, narrow(x), t);
}
template <class Tag>
static inline F load(const half* p, Tag t) {
  return _mm256_cvtph_ps(load_16(p, t));
}
template <class Tag>
static inline void store(half* p, F x, Tag t) {
  store_16(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), t);
}

static inline float lanes_sum(F x) {
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}
static inline float lanes_max(F x) {
  __m128 b = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  b = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

static inline F nearest(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline F power_of_two(I n) {  // n in [-126, 127]
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
// In two factors, so that results may be denormal or overflow; n in [-252, 252].
static inline F times_power_of_two(F x, F n) {
  const I whole = _mm256_cvtps_epi32(n), first = _mm256_srai_epi32(whole, 1);
  return x * power_of_two(first) * power_of_two(_mm256_sub_epi32(whole, first));
}
static inline F fraction(F x) {
  const F bounded = larger(splat(-200.0f), x);
  return bounded - _mm256_floor_ps(bounded);
}
static inline F times_power_of_two_floor(F p, F x) {  // below 2^-199: 0
  const F bounded = smaller(splat(200.0f), larger(splat(-200.0f), x));
  const F y = times_power_of_two(p, _mm256_floor_ps(bounded));
  return _mm256_blendv_ps(y, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

static inline void quadrant(F n, F sine_r, F cosine_r, F* sine, F* cosine) {
  const I q = _mm256_cvtps_epi32(n), minus = _mm256_set1_epi32(INT32_MIN);
  const F swap = _mm256_castsi256_ps(_mm256_slli_epi32(q, 31));
  const I s = _mm256_and_si256(_mm256_slli_epi32(q, 30), minus);
  const I c = _mm256_and_si256(_mm256_slli_epi32(_mm256_add_epi32(q, _mm256_set1_epi32(1)), 30), minus);
  *sine = _mm256_xor_ps(_mm256_blendv_ps(sine_r, cosine_r, swap), _mm256_castsi256_ps(s));
  *cosine = _mm256_xor_ps(_mm256_blendv_ps(cosine_r, sine_r, swap), _mm256_castsi256_ps(c));
}
static inline F from_int(const int32_t* p) {
  return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

static inline void split_pairs(F low, F high, F* even, F* odd) {
  const __m256d e = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88));
  const __m256d o = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0xdd));
  *even = _mm256_castpd_ps(_mm256_permute4x64_pd(e, 0xd8));
  *odd = _mm256_castpd_ps(_mm256_permute4x64_pd(o, 0xd8));
}
static inline void join_pairs(F even, F odd, F* low, F* high) {
  const F l = _mm256_unpacklo_ps(even, odd), h = _mm256_unpackhi_ps(even, odd);
  *low = _mm256_permute2f128_ps(l, h, 0x20);
  *high = _mm256_permute2f128_ps(l, h, 0x31);
}

static inline I order_keys(F x) {
  x = _mm256_blendv_ps(x, splat(-__builtin_inff()), _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const I bits = _mm256_castps_si256(_mm256_add_ps(x, _mm256_setzero_ps()));
  return _mm256_xor_si256(bits, _mm256_srli_epi32(_mm256_srai_epi32(bits, 31), 1));
}
static inline I load_keys(const int32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
static inline void store_keys(int32_t* p, I x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
static inline I larger_keys(I a, I b) { return _mm256_max_epi32(a, b); }
static inline I splat_key(int32_t x) { return _mm256_set1_epi32(x); }
static inline unsigned equal_keys(I a, I b) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b))));
}
static inline unsigned above_keys(I a, I b) {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(a, b))));
}
static inline I drop_key(I x, unsigned at, int j) {
  const I lane = _mm256_set1_epi32(static_cast<int>(at) - 8 * j);
  const I here = _mm256_cmpeq_epi32(lane, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_blendv_epi8(x, _mm256_set1_epi32(INT32_MIN), here);
}
static inline int32_t lanes_max_key(I x) {
  __m128i b = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  b = _mm_max_epi32(b, _mm_shuffle_epi32(b, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(b, _mm_shuffle_epi32(b, 0xb1)));
}

template <class Tag>
static inline F load_master(const bf16* w, const int16_t* r, Tag t) {
  const I high = _mm256_slli_epi32(_mm256_cvtepu16_epi32(load_16(w, t)), 16);
  return _mm256_castsi256_ps(_mm256_add_epi32(high, _mm256_cvtepi16_epi32(load_16(r, t))));
}
template <class Tag>
static inline void store_master(bf16* w, int16_t* r, F x, Tag t) {
  const I bits = _mm256_castps_si256(x);
  store_16(w, low_halves(_mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x8000)), 16)), t);
  store_16(r, low_halves(bits), t);
}

struct Doubles {
  __m256d a = _mm256_setzero_pd(), b = _mm256_setzero_pd();
};
static inline void add_squares(Doubles* sum, F x) {
  const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
  const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
  sum->a = _mm256_fmadd_pd(low, low, sum->a);
  sum->b = _mm256_fmadd_pd(high, high, sum->b);
}
static inline double total(const Doubles& sum) {
  alignas(32) double lanes[4];
  _mm256_store_pd(lanes, sum.a + sum.b);
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

static inline __attribute__((always_inline)) void transpose(F* r) {
  F t[8], u[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {  // u[i + c]: columns 4 lane + c of rows i .. i + 3
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
    r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
  }
}

static inline void split_float(F x, F* m, F* e) {
  const I bits = _mm256_castps_si256(x), shift = _mm256_set1_epi32(0x3f400000);
  const I exponent = _mm256_srai_epi32(_mm256_sub_epi32(bits, shift), 23);
  *m = _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23)));
  *e = _mm256_cvtepi32_ps(exponent);
}

static inline F pack_words_even(F a, F b) {  // see simd_avx512.h
  const I one = _mm256_set1_epi32(1), bias = _mm256_set1_epi32(0x7fff);
  const I x = _mm256_castps_si256(a), y = _mm256_castps_si256(b);
  const I low = _mm256_srli_epi32(x, 16), high = _mm256_srli_epi32(y, 16);
  const I low_up = _mm256_add_epi32(_mm256_add_epi32(x, bias), _mm256_and_si256(low, one));
  const I high_up = _mm256_add_epi32(_mm256_add_epi32(y, bias), _mm256_and_si256(high, one));
  return _mm256_castsi256_ps(_mm256_blend_epi16(_mm256_srli_epi32(low_up, 16), high_up, 0xaa));
}
