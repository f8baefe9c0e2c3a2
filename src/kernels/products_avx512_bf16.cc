// The products by the bf16 dot product of AVX512_BF16: 6 rows x 4 panels, two k a step. Full speed on AMD Zen
// 4 and 5; slower than f32 multiply-adds on Intel, where AMX or avx512 is chosen instead.
#include <immintrin.h>

#include "kernels/product_pack_avx512.h"
#include "kernels/product_vector.h"

namespace lyceum::kernels {
namespace {

struct Dot512 {
  using Vec = __m512;
  static constexpr int kLanes = 16, kRows = 6, kTile = 4, kPanels = 4;
  static constexpr bool kPairs = true;
  LYCEUM_INLINE Vec zero() { return _mm512_setzero_ps(); }
  LYCEUM_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
  LYCEUM_INLINE void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
  LYCEUM_INLINE Vec broadcast(const float* p) { return _mm512_set1_ps(*p); }
  LYCEUM_INLINE Vec multiply_add(Vec x, Vec b, Vec c) {
    LYCEUM_OPAQUE(x);
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(b));
  }
};

// Rows as they are, [row][a_stride] pairs.
void pack_rows_pairs(const PackRows& p, void* a, int64_t a_stride) {
  for (int64_t r = 0; r < p.rows; ++r) {
    bf16* to = static_cast<bf16*>(a) + r * a_stride * 2;
    const bf16* row = static_cast<const bf16*>(p.x.data) + source_row(p.gather, p.first + r) * p.x.stride;
    for (int i = 0; i < p.segments; to += p.segment[i++].padded)
      for (int64_t k = 0; k < p.segment[i].padded; k += 32) {
        const __m512i v =
            _mm512_maskz_loadu_epi16(first_words(p.segment[i].width - k), row + p.segment[i].begin + k);
        _mm512_mask_storeu_epi16(to + k, first_words(p.segment[i].padded - k), v);
      }
  }
}

// Pairs of slots: [k / 2][a_stride] of [column][2].
void pack_columns_pairs(const PackColumns& p, void* a, int64_t a_stride) {
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  for (int64_t s = 0; s < p.k; s += 2) {
    uint32_t* to = static_cast<uint32_t*>(a) + s / 2 * a_stride;
    for (int64_t c = 0; c < p.columns; c += 32, to += 32) {
      const __mmask32 mask = first_words(p.columns - c);
      const __m512i x = slot_words(p, s, c, mask), y = slot_words(p, s + 1, c, mask);
      const __m512i low = _mm512_unpacklo_epi16(x, y), high = _mm512_unpackhi_epi16(x, y);
      const int64_t left = p.columns - c;
      _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(first_words(left < 16 ? left : 16)),
                               _mm512_permutex2var_epi64(low, first, high));
      if (left > 16)
        _mm512_mask_storeu_epi32(to + 16, static_cast<__mmask16>(first_words(left < 32 ? left - 16 : 16)),
                                 _mm512_permutex2var_epi64(low, second, high));
    }
  }
}

}  // namespace

constinit const ProductTable kProductsAvx512Bf16 = {
    .name = "avx512_bf16",
    .operand = DType::kBF16,
    .row_block = 6,
    .panels = 4,
    .k_step = 2,
    .tiled = false,
    .begin = no_state,
    .end = no_state,
    .pack_rows = pack_rows_pairs,
    .pack_columns = pack_columns_pairs,
    .pack_panels = pack_panels_bf16,
    .transpose = transpose_bf16,
    .overlaps = false,
    .sweep = sweep_vectors<Dot512>,
    .scratch_floats = vectors_scratch<Dot512>,
    .peak = vector_peak<Dot512>,
    .peak_flops = kVectorPeakFlops<Dot512>,
    .activation_gradient = activation_gradient_rows,
    .combine = combine_rows,
    .log_sum_exp = log_sum_exp_row,
    .scale_row = scale_row,
};

}  // namespace lyceum::kernels
