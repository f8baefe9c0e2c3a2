// Sixteen floats as one value, in two registers of AVX2: the words of sixteen_vector.h. (A vector of 64 bytes
// is no register here: the compiler keeps it in memory and picks it apart, which cost more than the products
// of a narrow matrix.)

struct V {
  __m256 a, b;
};

LYCEUM_INLINE V splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
LYCEUM_INLINE V operator+(V x, V y) { return {x.a + y.a, x.b + y.b}; }
LYCEUM_INLINE V operator-(V x, V y) { return {x.a - y.a, x.b - y.b}; }
LYCEUM_INLINE V operator*(V x, V y) { return {x.a * y.a, x.b * y.b}; }
LYCEUM_INLINE V operator/(V x, V y) { return {x.a / y.a, x.b / y.b}; }
LYCEUM_INLINE V operator-(V x) { return {-x.a, -x.b}; }
LYCEUM_INLINE V operator+(V x, float y) { return x + splat(y); }
LYCEUM_INLINE V operator-(V x, float y) { return x - splat(y); }
LYCEUM_INLINE V operator*(V x, float y) { return x * splat(y); }
LYCEUM_INLINE V operator+(float x, V y) { return splat(x) + y; }
LYCEUM_INLINE V operator-(float x, V y) { return splat(x) - y; }
LYCEUM_INLINE V operator*(float x, V y) { return splat(x) * y; }
LYCEUM_INLINE V operator/(float x, V y) { return splat(x) / y; }
LYCEUM_INLINE V& operator+=(V& x, V y) { return x = x + y; }
LYCEUM_INLINE V& operator*=(V& x, V y) { return x = x * y; }
LYCEUM_INLINE V& operator*=(V& x, float y) { return x = x * splat(y); }

LYCEUM_INLINE V load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
LYCEUM_INLINE void store(float* p, V v) { _mm256_storeu_ps(p, v.a), _mm256_storeu_ps(p + 8, v.b); }

LYCEUM_INLINE __m256 widened(const bf16* p) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}
LYCEUM_INLINE V load(const bf16* p) { return {widened(p), widened(p + 8)}; }

// Round to nearest even; NaN stays NaN (to_bf16 of types.h): the high halves of 8 values.
LYCEUM_INLINE __m256i rounded(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x), high = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
  const __m256i up =
      _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(up, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
LYCEUM_INLINE void store(bf16* p, V v) {
  const __m256i halves = _mm256_packus_epi32(rounded(v.a), rounded(v.b));  // within 128-bit lanes
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(halves, 0xd8));
}
LYCEUM_INLINE void store_two(bf16* p, V low, V high) { store(p, low), store(p + 16, high); }

LYCEUM_INLINE __m256 select_less(__m256 a, __m256 b, __m256 yes, __m256 no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
LYCEUM_INLINE V select_less(V x, V y, V yes, V no) {
  return {select_less(x.a, y.a, yes.a, no.a), select_less(x.b, y.b, yes.b, no.b)};
}
LYCEUM_INLINE V clamped(V x, float low, float high) {  // the second operand wins where one is NaN
  const __m256 l = _mm256_set1_ps(low), h = _mm256_set1_ps(high);
  return {_mm256_min_ps(h, _mm256_max_ps(l, x.a)), _mm256_min_ps(h, _mm256_max_ps(l, x.b))};
}

LYCEUM_INLINE V reciprocal(V x) { return 1.0f / x; }

LYCEUM_INLINE __m256 times_power_of_two(__m256 x, __m256 shifted, __m256 magic) {
  const __m256i n = _mm256_sub_epi32(_mm256_castps_si256(shifted), _mm256_castps_si256(magic));
  return x * _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
LYCEUM_INLINE V times_power_of_two(V x, V shifted, V magic) {
  return {times_power_of_two(x.a, shifted.a, magic.a), times_power_of_two(x.b, shifted.b, magic.b)};
}

LYCEUM_INLINE void load_pairs(const uint32_t* p, V* even, V* odd) {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8));
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  *even = {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
  *odd = {_mm256_castsi256_ps(_mm256_and_si256(low, upper)),
          _mm256_castsi256_ps(_mm256_and_si256(high, upper))};
}

LYCEUM_INLINE V interleave(__m256 x, __m256 y) {
  const __m256 l = _mm256_unpacklo_ps(x, y), h = _mm256_unpackhi_ps(x, y);
  return {_mm256_permute2f128_ps(l, h, 0x20), _mm256_permute2f128_ps(l, h, 0x31)};
}
LYCEUM_INLINE V interleave_low(V x, V y) { return interleave(x.a, y.a); }
LYCEUM_INLINE V interleave_high(V x, V y) { return interleave(x.b, y.b); }
