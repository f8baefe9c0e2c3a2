// The products by AVX2 multiply-adds in f32: 6 rows x 1 panel in 12 of the 16 registers.
#include <immintrin.h>

#include "kernels/product_pack_f32.h"
#include "kernels/product_vector.h"

namespace lyceum::kernels {
namespace {

struct Fma256 {
  using Vec = __m256;
  static constexpr int kLanes = 8, kRows = 6, kTile = 1, kPanels = 2, kDepth = 160;
  static constexpr bool kPairs = false;
  LYCEUM_INLINE Vec zero() { return _mm256_setzero_ps(); }
  LYCEUM_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
  LYCEUM_INLINE void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
  LYCEUM_INLINE Vec broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  LYCEUM_INLINE Vec multiply_add(Vec x, Vec b, Vec c) { return _mm256_fmadd_ps(x, b, c); }
};

// 8 x 8 words: rows `from` 16 words apart to rows `to` 16 words apart.
LYCEUM_INLINE void transpose_quarter(const uint32_t* from, uint32_t* to) {
  __m256 v[8], t[8];
  for (int i = 0; i < 8; ++i) v[i] = _mm256_loadu_ps(reinterpret_cast<const float*>(from) + 16 * i);
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {  // v[i + q], lane l: column 4 l + q of rows i .. i + 3
    v[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    v[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    v[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    v[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int q = 0; q < 4; ++q) {
    _mm256_storeu_ps(reinterpret_cast<float*>(to) + 16 * q, _mm256_permute2f128_ps(v[q], v[4 + q], 0x20));
    _mm256_storeu_ps(reinterpret_cast<float*>(to) + 16 * (4 + q),
                     _mm256_permute2f128_ps(v[q], v[4 + q], 0x31));
  }
}

void transpose_block(const uint32_t* from, uint32_t* to) {
  for (int i = 0; i < 16; i += 8)
    for (int j = 0; j < 16; j += 8) transpose_quarter(from + 16 * i + j, to + 16 * j + i);
}

}  // namespace

constinit const ProductTable kProductsAvx2 = {
    .name = "avx2",
    .operand = DType::kF32,
    .row_block = Fma256::kRows,
    .panels = Fma256::kPanels,
    .k_step = 1,
    .tiled = false,
    .begin = no_state,
    .end = no_state,
    .pack_rows = pack_rows_f32,
    .pack_columns = pack_strips_f32<Fma256::kRows>,
    .pack_panels = pack_panels_f32,
    .transpose = transpose_f32<transpose_block>,
    .overlaps = false,
    .sweep = sweep_vectors<Fma256>,
    .scratch_floats = vectors_scratch<Fma256>,
    .peak = vector_peak<Fma256>,
    .peak_flops = kVectorPeakFlops<Fma256>,
    .activation_gradient = activation_gradient_rows,
    .combine = combine_rows,
    .log_sum_exp = log_sum_exp_row,
    .scale_row = scale_row,
};

}  // namespace lyceum::kernels
