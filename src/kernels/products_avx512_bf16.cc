// The products by the bf16 dot product of AVX512_BF16: 6 rows x 4 panels, two k a step. Full speed on AMD Zen
// 4 and 5; slower than f32 multiply-adds on Intel, where AMX or avx512 is chosen instead.
#include <immintrin.h>

#include "kernels/product_pack_avx512.h"
#include "kernels/product_vector.h"

namespace lyceum::kernels {
namespace {

struct Dot512 {
  using Vec = __m512;
  static constexpr int kLanes = 16, kRows = 6, kTile = 4, kPanels = 4, kDepth = 256;
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

// Strips [columns / kRows][k / 2][kRows] of pairs of slots; see pack_strips_f32. Eight pairs are stored at a
// time, the ones too many under the next slots'.
void pack_strips_pairs(const PackColumns& p, void* a) {
  constexpr int64_t kSlots = 32;
  for (int64_t begin = 0; begin < p.k; begin += kSlots) {
    const int64_t end = begin + kSlots < p.k ? begin + kSlots : p.k;
    for (int64_t c = 0; c < p.columns; c += Dot512::kRows) {
      const __mmask8 mask = static_cast<__mmask8>(first_words(p.columns - c < 8 ? p.columns - c : 8));
      uint32_t* to = static_cast<uint32_t*>(a) + c * p.k / 2 + begin / 2 * Dot512::kRows;
      const auto words = [&](int64_t s) {
        return s < p.slots ? _mm_maskz_loadu_epi16(mask, slot_row(p, s) + c) : _mm_setzero_si128();
      };
      for (int64_t s = begin; s < end; s += 2, to += Dot512::kRows) {
        const __m128i x = words(s), y = words(s + 1);
        const __m256i pairs = _mm256_set_m128i(_mm_unpackhi_epi16(x, y), _mm_unpacklo_epi16(x, y));
        _mm256_mask_storeu_epi32(to, s + 2 < p.k ? 0xff : (1 << Dot512::kRows) - 1, pairs);
      }
    }
  }
}

}  // namespace

constinit const ProductTable kProductsAvx512Bf16 = {
    .name = "avx512_bf16",
    .operand = DType::kBF16,
    .row_block = Dot512::kRows,
    .panels = Dot512::kPanels,
    .k_step = 2,
    .tiled = false,
    .begin = no_state,
    .end = no_state,
    .pack_rows = pack_rows_pairs,
    .pack_columns = pack_strips_pairs,
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
