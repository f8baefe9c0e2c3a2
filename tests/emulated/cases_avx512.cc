// One call of every intrinsic that immintrin.h emulates. Compiled twice: over the emulation, and over the
// compiler's header with the flags of AVX-512 (so nothing weak may leave this file);
// emulated_intrinsics_test.cc compares.
#include "cases.h"

#include <immintrin.h>

namespace lyceum_emulated {
namespace {

using In = const CaseInput&;
using Out = CaseOutput*;

__attribute__((always_inline)) inline __m512 f(const unsigned char* p) { return _mm512_loadu_ps(p); }
__attribute__((always_inline)) inline __m512i i(const unsigned char* p) { return _mm512_loadu_si512(p); }
__attribute__((always_inline)) inline __m512d d(const unsigned char* p) {
  return _mm512_castps_pd(_mm512_loadu_ps(p));
}
__attribute__((always_inline)) inline __m256i h(const unsigned char* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
template <class T>
__attribute__((always_inline)) inline void put(Out out, const T& value) {
  __builtin_memcpy(out->bytes, &value, sizeof value);
}
__attribute__((always_inline)) inline __m512bh pairs(const unsigned char* p) {
  __m512bh x;
  __builtin_memcpy(&x, p, 64);
  return x;
}

constexpr Case kCases[] = {
    {"_mm512_add_ps", Equal::kFloats, [](In n, Out o) { put(o, _mm512_add_ps(f(n.a), f(n.b))); }},
    {"_mm512_min_ps", Equal::kFloats, [](In n, Out o) { put(o, _mm512_min_ps(f(n.a), f(n.b))); }},
    {"_mm512_max_ps", Equal::kFloats, [](In n, Out o) { put(o, _mm512_max_ps(f(n.a), f(n.b))); }},
    {"_mm512_sqrt_ps", Equal::kFloats, [](In n, Out o) { put(o, _mm512_sqrt_ps(f(n.a))); }},
    {"_mm512_fmadd_ps", Equal::kFloats, [](In n, Out o) { put(o, _mm512_fmadd_ps(f(n.a), f(n.b), f(n.c))); }},
    {"_mm512_fnmadd_ps", Equal::kFloats,
     [](In n, Out o) { put(o, _mm512_fnmadd_ps(f(n.a), f(n.b), f(n.c))); }},
    {"_mm512_fmadd_pd", Equal::kDoubles,
     [](In n, Out o) { put(o, _mm512_fmadd_pd(d(n.a), d(n.b), d(n.c))); }},
    {"_mm512_xor_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_xor_ps(f(n.a), f(n.b))); }},
    {"_mm512_cmp_ps_mask", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_cmp_ps_mask(f(n.a), f(n.b), _CMP_LE_OQ)); }},
    {"_mm512_cmp_ps_mask", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_cmp_ps_mask(f(n.a), f(n.b), _CMP_UNORD_Q)); }},
    {"_mm512_cmp_ps_mask", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_cmp_ps_mask(f(n.a), f(n.b), _CMP_LT_OQ)); }},
    {"_mm512_cmp_ps_mask", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_cmp_ps_mask(f(n.a), f(n.b), _CMP_EQ_OQ)); }},
    {"_mm512_unpacklo_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_unpacklo_ps(f(n.a), f(n.b))); }},
    {"_mm512_unpacklo_pd", Equal::kBits, [](In n, Out o) { put(o, _mm512_unpacklo_pd(d(n.a), d(n.b))); }},
    {"_mm512_unpacklo_epi16", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_unpacklo_epi16(i(n.a), i(n.b))); }},
    {"_mm512_unpacklo_epi32", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_unpacklo_epi32(i(n.a), i(n.b))); }},
    {"_mm512_unpacklo_epi64", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_unpacklo_epi64(i(n.a), i(n.b))); }},
    {"_mm512_unpackhi_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_unpackhi_ps(f(n.a), f(n.b))); }},
    {"_mm512_unpackhi_pd", Equal::kBits, [](In n, Out o) { put(o, _mm512_unpackhi_pd(d(n.a), d(n.b))); }},
    {"_mm512_unpackhi_epi16", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_unpackhi_epi16(i(n.a), i(n.b))); }},
    {"_mm512_unpackhi_epi32", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_unpackhi_epi32(i(n.a), i(n.b))); }},
    {"_mm512_unpackhi_epi64", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_unpackhi_epi64(i(n.a), i(n.b))); }},
    {"_mm512_cvtps_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_cvtps_epi32(f(n.a))); }},
    {"_mm512_cvtepi32_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_cvtepi32_ps(i(n.a))); }},
    {"_mm512_cvtps_pd", Equal::kDoubles,
     [](In n, Out o) { put(o, _mm512_cvtps_pd(_mm512_castps512_ps256(f(n.a)))); }},
    {"_mm512_cvtph_ps", Equal::kFloats, [](In n, Out o) { put(o, _mm512_cvtph_ps(h(n.a))); }},
    {"_mm512_cvtps_ph", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_cvtps_ph(f(n.a), _MM_FROUND_TO_NEAREST_INT)); }},
    {"_mm512_roundscale_ps", Equal::kFloats,
     [](In n, Out o) {
       put(o, _mm512_roundscale_ps(f(n.a), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
     }},
    {"_mm512_reduce_ps", Equal::kFloats,
     [](In n, Out o) { put(o, _mm512_reduce_ps(f(n.a), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)); }},
    {"_mm512_scalef_ps", Equal::kFloats, [](In n, Out o) { put(o, _mm512_scalef_ps(f(n.a), f(n.b))); }},
    {"_mm512_rcp14_ps", Equal::kNear, [](In n, Out o) { put(o, _mm512_rcp14_ps(f(n.a))); }},
    {"_mm512_set1_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_set1_ps(static_cast<float>(n.a[0]))); }},
    {"_mm512_set1_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_set1_epi32(n.a[0] - 128)); }},
    {"_mm512_setzero_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_setzero_ps()); }},
    {"_mm512_setzero_pd", Equal::kBits, [](In n, Out o) { put(o, _mm512_setzero_pd()); }},
    {"_mm512_setzero_si512", Equal::kBits, [](In n, Out o) { put(o, _mm512_setzero_si512()); }},
    {"_mm512_setr_epi32", Equal::kBits,
     [](In n, Out o) {
       put(o, _mm512_setr_epi32(n.a[0] - 9, n.a[1] - 9, n.a[2] - 9, n.a[3] - 9, n.a[4] - 9, n.a[5] - 9,
                                n.a[6] - 9, n.a[7] - 9, n.a[8] - 9, n.a[9] - 9, n.a[10] - 9, n.a[11] - 9,
                                n.a[12] - 9, n.a[13] - 9, n.a[14] - 9, n.a[15] - 9));
     }},
    {"_mm512_setr_epi64", Equal::kBits,
     [](In n, Out o) {
       put(o, _mm512_setr_epi64(n.a[0] - 9, n.a[1] - 9, n.a[2] - 9, n.a[3] - 9, n.a[4] - 9, n.a[5] - 9,
                                n.a[6] - 9, n.a[7] - 9));
     }},
    {"_mm512_broadcast_i32x4", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_broadcast_i32x4(_mm256_castsi256_si128(h(n.a)))); }},
    {"_mm512_castps_si512", Equal::kBits, [](In n, Out o) { put(o, _mm512_castps_si512(f(n.a))); }},
    {"_mm512_castps_pd", Equal::kBits, [](In n, Out o) { put(o, _mm512_castps_pd(f(n.a))); }},
    {"_mm512_castps512_ps256", Equal::kBits, [](In n, Out o) { put(o, _mm512_castps512_ps256(f(n.a))); }},
    {"_mm512_castsi512_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_castsi512_ps(i(n.a))); }},
    {"_mm512_castsi512_si256", Equal::kBits, [](In n, Out o) { put(o, _mm512_castsi512_si256(i(n.a))); }},
    {"_mm512_castpd_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_castpd_ps(d(n.a))); }},
    {"_mm512_extractf32x8_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_extractf32x8_ps(f(n.a), 0)); }},
    {"_mm512_extracti32x8_epi32", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_extracti32x8_epi32(i(n.a), 0)); }},
    {"_mm512_extractf32x8_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_extractf32x8_ps(f(n.a), 1)); }},
    {"_mm512_extracti32x8_epi32", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_extracti32x8_epi32(i(n.a), 1)); }},
    {"_mm512_add_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_add_epi32(i(n.a), i(n.b))); }},
    {"_mm512_sub_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_sub_epi32(i(n.a), i(n.b))); }},
    {"_mm512_max_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_max_epi32(i(n.a), i(n.b))); }},
    {"_mm512_and_si512", Equal::kBits, [](In n, Out o) { put(o, _mm512_and_si512(i(n.a), i(n.b))); }},
    {"_mm512_or_si512", Equal::kBits, [](In n, Out o) { put(o, _mm512_or_si512(i(n.a), i(n.b))); }},
    {"_mm512_xor_si512", Equal::kBits, [](In n, Out o) { put(o, _mm512_xor_si512(i(n.a), i(n.b))); }},
    {"_mm512_shuffle_epi8", Equal::kBits, [](In n, Out o) { put(o, _mm512_shuffle_epi8(i(n.a), i(n.b))); }},
    {"_mm512_cmpeq_epi32_mask", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_cmpeq_epi32_mask(i(n.a), i(n.b))); }},
    {"_mm512_cmpgt_epi32_mask", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_cmpgt_epi32_mask(i(n.a), i(n.b))); }},
    {"_mm512_test_epi32_mask", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_test_epi32_mask(i(n.a), i(n.b))); }},
    {"_mm512_slli_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_slli_epi32(i(n.a), 1)); }},
    {"_mm512_slli_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_slli_epi32(i(n.a), 16)); }},
    {"_mm512_slli_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_slli_epi32(i(n.a), 31)); }},
    {"_mm512_srli_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_srli_epi32(i(n.a), 1)); }},
    {"_mm512_srli_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_srli_epi32(i(n.a), 16)); }},
    {"_mm512_srli_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_srli_epi32(i(n.a), 31)); }},
    {"_mm512_srai_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_srai_epi32(i(n.a), 1)); }},
    {"_mm512_srai_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_srai_epi32(i(n.a), 16)); }},
    {"_mm512_srai_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_srai_epi32(i(n.a), 31)); }},
    {"_mm512_mask_or_epi32", Equal::kBits,
     [](In n, Out o) {
       put(o, _mm512_mask_or_epi32(i(n.a), static_cast<__mmask16>(n.mask), i(n.b), i(n.c)));
     }},
    {"_mm512_mask_mov_epi32", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_mask_mov_epi32(i(n.a), static_cast<__mmask16>(n.mask), i(n.b))); }},
    {"_mm512_mask_blend_ps", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_mask_blend_ps(static_cast<__mmask16>(n.mask), f(n.a), f(n.b))); }},
    {"_mm512_mask_blend_epi16", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_mask_blend_epi16(static_cast<__mmask32>(n.mask), i(n.a), i(n.b))); }},
    {"_mm512_cvtepu16_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_cvtepu16_epi32(h(n.a))); }},
    {"_mm512_cvtepi16_epi32", Equal::kBits, [](In n, Out o) { put(o, _mm512_cvtepi16_epi32(h(n.a))); }},
    {"_mm512_cvtepi32_epi16", Equal::kBits, [](In n, Out o) { put(o, _mm512_cvtepi32_epi16(i(n.a))); }},
    {"_mm512_shuffle_i32x4", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_shuffle_i32x4(i(n.a), i(n.b), 0x88)); }},
    {"_mm512_shuffle_f32x4", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_shuffle_f32x4(f(n.a), f(n.b), 0x88)); }},
    {"_mm512_shuffle_i32x4", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_shuffle_i32x4(i(n.a), i(n.b), 0xdd)); }},
    {"_mm512_shuffle_f32x4", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_shuffle_f32x4(f(n.a), f(n.b), 0xdd)); }},
    {"_mm512_shuffle_i32x4", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_shuffle_i32x4(i(n.a), i(n.b), 0x1b)); }},
    {"_mm512_shuffle_f32x4", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_shuffle_f32x4(f(n.a), f(n.b), 0x1b)); }},
    {"_mm512_permutex2var_epi64", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_permutex2var_epi64(i(n.a), i(n.c), i(n.b))); }},
    {"_mm512_permutex2var_ps", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_permutex2var_ps(f(n.a), i(n.c), f(n.b))); }},
    {"_mm512_loadu_ps", Equal::kBits, [](In n, Out o) { put(o, _mm512_loadu_ps(n.a + 5)); }},
    {"_mm512_loadu_si512", Equal::kBits, [](In n, Out o) { put(o, _mm512_loadu_si512(n.a + 7)); }},
    {"_mm512_storeu_ps", Equal::kBits, [](In n, Out o) { _mm512_storeu_ps(o->bytes + 3, f(n.a)); }},
    {"_mm512_storeu_si512", Equal::kBits, [](In n, Out o) { _mm512_storeu_si512(o->bytes + 3, i(n.a)); }},
    {"_mm512_store_si512", Equal::kBits, [](In n, Out o) { _mm512_store_si512(o->bytes, i(n.a)); }},
    {"_mm512_store_pd", Equal::kBits, [](In n, Out o) { _mm512_store_pd(o->bytes, d(n.a)); }},
    {"_mm512_maskz_loadu_ps", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_maskz_loadu_ps(static_cast<__mmask16>(n.mask), n.a + 4)); }},
    {"_mm512_maskz_loadu_epi16", Equal::kBits,
     [](In n, Out o) { put(o, _mm512_maskz_loadu_epi16(static_cast<__mmask32>(n.mask), n.a + 2)); }},
    {"_mm256_maskz_loadu_epi16", Equal::kBits,
     [](In n, Out o) { put(o, _mm256_maskz_loadu_epi16(static_cast<__mmask16>(n.mask), n.a + 2)); }},
    {"_mm_maskz_loadu_epi16", Equal::kBits,
     [](In n, Out o) { put(o, _mm_maskz_loadu_epi16(static_cast<__mmask8>(n.mask), n.a + 2)); }},
    {"_mm256_mask_storeu_epi32", Equal::kBits,
     [](In n, Out o) { _mm256_mask_storeu_epi32(o->bytes + 4, static_cast<__mmask8>(n.mask), h(n.a)); }},
    {"_mm512_mask_storeu_ps", Equal::kBits,
     [](In n, Out o) { _mm512_mask_storeu_ps(o->bytes + 4, static_cast<__mmask16>(n.mask), f(n.a)); }},
    {"_mm512_mask_storeu_epi32", Equal::kBits,
     [](In n, Out o) { _mm512_mask_storeu_epi32(o->bytes + 4, static_cast<__mmask16>(n.mask), i(n.a)); }},
    {"_mm512_mask_storeu_epi16", Equal::kBits,
     [](In n, Out o) { _mm512_mask_storeu_epi16(o->bytes + 2, static_cast<__mmask32>(n.mask), i(n.a)); }},
    {"_mm256_mask_storeu_epi16", Equal::kBits,
     [](In n, Out o) { _mm256_mask_storeu_epi16(o->bytes + 2, static_cast<__mmask16>(n.mask), h(n.a)); }},
    {"_mm512_dpbf16_ps", Equal::kFloats,
     [](In n, Out o) { put(o, _mm512_dpbf16_ps(f(n.c), pairs(n.a), pairs(n.b))); }},
    {"_mm512_cvtneps_pbh", Equal::kBits, [](In n, Out o) { put(o, _mm512_cvtneps_pbh(f(n.a))); }},
    {"_mm512_cvtne2ps_pbh", Equal::kBits, [](In n, Out o) { put(o, _mm512_cvtne2ps_pbh(f(n.a), f(n.b))); }},
};

}  // namespace

extern const Cases LYCEUM_CASES;
constinit const Cases LYCEUM_CASES = {kCases, sizeof kCases / sizeof *kCases};

}  // namespace lyceum_emulated
