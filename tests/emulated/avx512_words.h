// The AVX-512 intrinsics of src/kernels in AVX2: moving, masking and integers. See immintrin.h beside this
// file. A register is worked on as two halves where the instruction stays within 128 bits, else lane by lane.
// A masked access touches no byte outside its mask, an aligned one traps on what is not aligned.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define LYCEUM_EMULATE static inline __attribute__((always_inline, unused))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // vectors as template arguments
namespace lyceum_emulated {

template <class To, class From>
LYCEUM_EMULATE To as(const From& x) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &x, sizeof to);
  return to;
}
template <class Half>
struct Halves {
  Half low, high;
};
// f on both halves of registers of 512 bits, taken as __m256, __m256i or __m256d.
template <class Half, class Whole, class F>
LYCEUM_EMULATE Whole halves(F f, const Whole& a) {
  const auto x = as<Halves<Half>>(a);
  return as<Whole>(Halves<Half>{f(x.low), f(x.high)});
}
template <class Half, class Whole, class F>
LYCEUM_EMULATE Whole halves(F f, const Whole& a, const Whole& b) {
  const auto x = as<Halves<Half>>(a), y = as<Halves<Half>>(b);
  return as<Whole>(Halves<Half>{f(x.low, y.low), f(x.high, y.high)});
}
template <class Half, class Whole, class F>
LYCEUM_EMULATE Whole halves(F f, const Whole& a, const Whole& b, const Whole& c) {
  const auto x = as<Halves<Half>>(a), y = as<Halves<Half>>(b), z = as<Halves<Half>>(c);
  return as<Whole>(Halves<Half>{f(x.low, y.low, z.low), f(x.high, y.high, z.high)});
}
template <class Element, int kCount>
struct Lanes {
  Element at[kCount];
};
using Words = Lanes<uint32_t, 16>;
using Shorts = Lanes<uint16_t, 32>;
using Quads = Lanes<uint64_t, 8>;

// ---- memory ----
template <class Whole>
LYCEUM_EMULATE Whole load(const void* p) {
  Whole x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
template <class Whole>
LYCEUM_EMULATE void store(void* p, const Whole& x) {
  __builtin_memcpy(p, &x, sizeof x);
}
template <class Whole>
LYCEUM_EMULATE void store_aligned(void* p, const Whole& x) {
  if (reinterpret_cast<uintptr_t>(p) % sizeof x) __builtin_trap();
  __builtin_memcpy(p, &x, sizeof x);
}
template <class Element, class Whole>
LYCEUM_EMULATE Whole load_masked(uint64_t mask, const void* p) {
  constexpr int kCount = sizeof(Whole) / sizeof(Element);
  if (mask == (uint64_t{1} << kCount) - 1) return load<Whole>(p);
  Lanes<Element, kCount> x{};
  for (int i = 0; i < kCount; ++i)
    if (mask >> i & 1)
      __builtin_memcpy(&x.at[i], static_cast<const char*>(p) + i * sizeof(Element), sizeof(Element));
  return as<Whole>(x);
}
template <class Element, class Whole>
LYCEUM_EMULATE void store_masked(void* p, uint64_t mask, const Whole& v) {
  constexpr int kCount = sizeof(Whole) / sizeof(Element);
  if (mask == (uint64_t{1} << kCount) - 1) return store(p, v);
  const auto x = as<Lanes<Element, kCount>>(v);
  for (int i = 0; i < kCount; ++i)
    if (mask >> i & 1)
      __builtin_memcpy(static_cast<char*>(p) + i * sizeof(Element), &x.at[i], sizeof(Element));
}
LYCEUM_EMULATE __m512 loadu_ps(const void* p) { return load<__m512>(p); }
LYCEUM_EMULATE void storeu_ps(void* p, __m512 x) { store(p, x); }
LYCEUM_EMULATE void store_pd(void* p, __m512d x) { store_aligned(p, x); }
LYCEUM_EMULATE __m512i loadu_si512(const void* p) { return load<__m512i>(p); }
LYCEUM_EMULATE void storeu_si512(void* p, __m512i x) { store(p, x); }
LYCEUM_EMULATE void store_si512(void* p, __m512i x) { store_aligned(p, x); }
LYCEUM_EMULATE __m512 maskz_loadu_ps(__mmask16 k, const void* p) {
  return load_masked<uint32_t, __m512>(k, p);
}
LYCEUM_EMULATE __m512i maskz_loadu_epi16(__mmask32 k, const void* p) {
  return load_masked<uint16_t, __m512i>(k, p);
}
LYCEUM_EMULATE __m256i maskz_loadu_epi16_256(__mmask16 k, const void* p) {
  return load_masked<uint16_t, __m256i>(k, p);
}
LYCEUM_EMULATE __m128i maskz_loadu_epi16_128(__mmask8 k, const void* p) {
  return load_masked<uint16_t, __m128i>(k, p);
}
LYCEUM_EMULATE void mask_storeu_epi32_256(void* p, __mmask8 k, __m256i x) { store_masked<uint32_t>(p, k, x); }
LYCEUM_EMULATE void mask_storeu_ps(void* p, __mmask16 k, __m512 x) { store_masked<uint32_t>(p, k, x); }
LYCEUM_EMULATE void mask_storeu_epi16(void* p, __mmask32 k, __m512i x) { store_masked<uint16_t>(p, k, x); }
LYCEUM_EMULATE void mask_storeu_epi32(void* p, __mmask16 k, __m512i x) { store_masked<uint32_t>(p, k, x); }
LYCEUM_EMULATE void mask_storeu_epi16_256(void* p, __mmask16 k, __m256i x) {
  store_masked<uint16_t>(p, k, x);
}

// ---- constants and other names of the same bits ----
LYCEUM_EMULATE __m512i setzero_si512() { return as<__m512i>(Words{}); }
LYCEUM_EMULATE __m512i set1_epi32(int x) {
  const __m256i half = _mm256_set1_epi32(x);
  return as<__m512i>(Halves<__m256i>{half, half});
}
template <class... Int>
LYCEUM_EMULATE __m512i setr_epi32(Int... x) {
  return as<__m512i>(Words{{static_cast<uint32_t>(x)...}});
}
template <class... Int>
LYCEUM_EMULATE __m512i setr_epi64(Int... x) {
  return as<__m512i>(Quads{{static_cast<uint64_t>(x)...}});
}
LYCEUM_EMULATE __m512i broadcast_i32x4(__m128i x) { return as<__m512i>(Lanes<__m128i, 4>{{x, x, x, x}}); }
template <int kPart>
LYCEUM_EMULATE __m256i extracti32x8_epi32(__m512i x) {
  return kPart ? as<Halves<__m256i>>(x).high : as<Halves<__m256i>>(x).low;
}
template <int kPart>
LYCEUM_EMULATE __m256 extractf32x8_ps(__m512 x) {
  return kPart ? as<Halves<__m256>>(x).high : as<Halves<__m256>>(x).low;
}

LYCEUM_EMULATE __m256i castsi512_si256(__m512i x) { return as<Halves<__m256i>>(x).low; }
LYCEUM_EMULATE __m256 castps512_ps256(__m512 x) { return as<Halves<__m256>>(x).low; }
LYCEUM_EMULATE __m512i castps_si512(__m512 x) { return as<__m512i>(x); }
LYCEUM_EMULATE __m512 castsi512_ps(__m512i x) { return as<__m512>(x); }
LYCEUM_EMULATE __m512d castps_pd(__m512 x) { return as<__m512d>(x); }
LYCEUM_EMULATE __m512 castpd_ps(__m512d x) { return as<__m512>(x); }

// ---- masks ----
LYCEUM_EMULATE __m256i spread(unsigned mask8) {  // bit i as all bits of word i
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(mask8)), bit), bit);
}
LYCEUM_EMULATE __m512i spread16(__mmask16 k) {
  return as<__m512i>(Halves<__m256i>{spread(k & 255), spread(k >> 8)});
}
LYCEUM_EMULATE __mmask16 signs(__m512i x) {
  const auto h = as<Halves<__m256>>(x);
  return static_cast<__mmask16>(_mm256_movemask_ps(h.low) | _mm256_movemask_ps(h.high) << 8);
}
// k ? b : a, word by word.
LYCEUM_EMULATE __m512i mask_mov_epi32(__m512i a, __mmask16 k, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y, __m256i m) { return _mm256_blendv_epi8(x, y, m); }, a, b,
                         spread16(k));
}
LYCEUM_EMULATE __m512 mask_blend_ps(__mmask16 k, __m512 a, __m512 b) {
  return as<__m512>(mask_mov_epi32(as<__m512i>(a), k, as<__m512i>(b)));
}
LYCEUM_EMULATE __m512i mask_blend_epi16(__mmask32 k, __m512i a, __m512i b) {
  const auto x = as<Shorts>(a), y = as<Shorts>(b);
  Shorts out;
  for (int i = 0; i < 32; ++i) out.at[i] = k >> i & 1 ? y.at[i] : x.at[i];
  return as<__m512i>(out);
}

// ---- arithmetic on words ----
LYCEUM_EMULATE __m512i add_epi32(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_add_epi32(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i sub_epi32(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_sub_epi32(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i max_epi32(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_max_epi32(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i and_si512(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_and_si256(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i or_si512(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_or_si256(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i xor_si512(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_xor_si256(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i mask_or_epi32(__m512i other, __mmask16 k, __m512i a, __m512i b) {
  return mask_mov_epi32(other, k, or_si512(a, b));
}
LYCEUM_EMULATE __m512i slli_epi32(__m512i a, unsigned n) {
  return halves<__m256i>([n](__m256i x) { return _mm256_slli_epi32(x, static_cast<int>(n)); }, a);
}
LYCEUM_EMULATE __m512i srli_epi32(__m512i a, unsigned n) {
  return halves<__m256i>([n](__m256i x) { return _mm256_srli_epi32(x, static_cast<int>(n)); }, a);
}
LYCEUM_EMULATE __m512i srai_epi32(__m512i a, unsigned n) {
  return halves<__m256i>([n](__m256i x) { return _mm256_srai_epi32(x, static_cast<int>(n)); }, a);
}
LYCEUM_EMULATE __mmask16 cmpeq_epi32_mask(__m512i a, __m512i b) {
  return signs(halves<__m256i>([](__m256i x, __m256i y) { return _mm256_cmpeq_epi32(x, y); }, a, b));
}
LYCEUM_EMULATE __mmask16 cmpgt_epi32_mask(__m512i a, __m512i b) {
  return signs(halves<__m256i>([](__m256i x, __m256i y) { return _mm256_cmpgt_epi32(x, y); }, a, b));
}
LYCEUM_EMULATE __mmask16 test_epi32_mask(__m512i a, __m512i b) {  // a & b is not 0
  return static_cast<__mmask16>(~cmpeq_epi32_mask(and_si512(a, b), setzero_si512()));
}

// ---- widths ----
LYCEUM_EMULATE __m512i cvtepu16_epi32(__m256i x) {
  return as<__m512i>(Halves<__m256i>{_mm256_cvtepu16_epi32(_mm256_castsi256_si128(x)),
                                     _mm256_cvtepu16_epi32(_mm256_extracti128_si256(x, 1))});
}
LYCEUM_EMULATE __m512i cvtepi16_epi32(__m256i x) {
  return as<__m512i>(Halves<__m256i>{_mm256_cvtepi16_epi32(_mm256_castsi256_si128(x)),
                                     _mm256_cvtepi16_epi32(_mm256_extracti128_si256(x, 1))});
}
LYCEUM_EMULATE __m256i cvtepi32_epi16(__m512i x) {  // the low halves
  const auto words = as<Shorts>(x);
  Lanes<uint16_t, 16> out;
  for (int i = 0; i < 16; ++i) out.at[i] = words.at[2 * i];
  return as<__m256i>(out);
}

// ---- permutations ----
LYCEUM_EMULATE __m512i unpacklo_epi16(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_unpacklo_epi16(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i unpackhi_epi16(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_unpackhi_epi16(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i unpacklo_epi32(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_unpacklo_epi32(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i unpackhi_epi32(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_unpackhi_epi32(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i unpacklo_epi64(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_unpacklo_epi64(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i unpackhi_epi64(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_unpackhi_epi64(x, y); }, a, b);
}
LYCEUM_EMULATE __m512i shuffle_epi8(__m512i a, __m512i b) {
  return halves<__m256i>([](__m256i x, __m256i y) { return _mm256_shuffle_epi8(x, y); }, a, b);
}
// Two pieces of 128 bits of a, then two of b, each chosen by two bits.
template <int kHow>
LYCEUM_EMULATE __m512i shuffle_i32x4(__m512i a, __m512i b) {
  const auto x = as<Lanes<__m128i, 4>>(a), y = as<Lanes<__m128i, 4>>(b);
  return as<__m512i>(
      Lanes<__m128i, 4>{{x.at[kHow & 3], x.at[kHow >> 2 & 3], y.at[kHow >> 4 & 3], y.at[kHow >> 6 & 3]}});
}
template <int kHow>
LYCEUM_EMULATE __m512 shuffle_f32x4(__m512 a, __m512 b) {
  return as<__m512>(shuffle_i32x4<kHow>(as<__m512i>(a), as<__m512i>(b)));
}
LYCEUM_EMULATE __m512i permutex2var_epi64(__m512i a, __m512i index, __m512i b) {
  const auto x = as<Quads>(a), y = as<Quads>(b), at = as<Quads>(index);
  Quads out;
  for (int i = 0; i < 8; ++i) out.at[i] = (at.at[i] & 8 ? y : x).at[at.at[i] & 7];
  return as<__m512i>(out);
}
LYCEUM_EMULATE __m512 permutex2var_ps(__m512 a, __m512i index, __m512 b) {
  const auto x = as<Words>(a), y = as<Words>(b), at = as<Words>(index);
  Words out;
  for (int i = 0; i < 16; ++i) out.at[i] = (at.at[i] & 16 ? y : x).at[at.at[i] & 15];
  return as<__m512>(out);
}

}  // namespace lyceum_emulated
#pragma GCC diagnostic pop
