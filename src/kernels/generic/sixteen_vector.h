// Sixteen floats as one value, by the compiler's vector extension: one register where the level has 512 bits,
// whatever the compiler makes of it elsewhere (the emulated tiles). sixteen_pair.h defines the same words.
// Included by product_simd.h inside its namespace.

typedef float V __attribute__((vector_size(64)));
typedef int32_t VI __attribute__((vector_size(64)));
typedef uint32_t VU __attribute__((vector_size(64)));
typedef uint16_t VH __attribute__((vector_size(32)));

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
LYCEUM_INLINE void store_two(bf16* p, V low, V high) {
#ifdef __AVX512BF16__
  const __m512bh all = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(high), reinterpret_cast<__m512>(low));
  __builtin_memcpy(p, &all, 64);
#else
  store(p, low), store(p + 16, high);
#endif
}

// a < b ? yes : no.
LYCEUM_INLINE V select_less(V a, V b, V yes, V no) { return a < b ? yes : no; }
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

// x 2^n, where the whole number n stands in the low bits of n + magic = `shifted`.
LYCEUM_INLINE V times_power_of_two(V x, V shifted, V magic) {
  const VI power = (reinterpret_cast<VI>(shifted) - reinterpret_cast<VI>(magic) + 127) << 23;
  return x * reinterpret_cast<V>(power);
}

// Sixteen pairs of bf16: the first and the second of each.
LYCEUM_INLINE void load_pairs(const uint32_t* p, V* even, V* odd) {
  VU pairs;
  __builtin_memcpy(&pairs, p, 64);
  *even = reinterpret_cast<V>(pairs << 16);
  *odd = reinterpret_cast<V>(pairs & 0xffff0000u);
}

// a0 b0 a1 b1 .. a7 b7 and a8 b8 .. a15 b15.
LYCEUM_INLINE V interleave_low(V a, V b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
LYCEUM_INLINE V interleave_high(V a, V b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
