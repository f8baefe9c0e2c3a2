// The products by AVX-512 multiply-adds in f32: 6 rows x 4 panels in 24 registers.
#include <immintrin.h>

#include "kernels/product_pack_avx512.h"
#include "kernels/product_pack_f32.h"
#include "kernels/product_vector.h"

namespace lyceum::kernels {
namespace {

struct Fma512 {
  using Vec = __m512;
  static constexpr int kLanes = 16, kRows = 6, kTile = 4, kPanels = 4, kDepth = 256;
  static constexpr bool kPairs = false;
  LYCEUM_INLINE Vec zero() { return _mm512_setzero_ps(); }
  LYCEUM_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
  LYCEUM_INLINE void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
  LYCEUM_INLINE Vec broadcast(const float* p) { return _mm512_set1_ps(*p); }
  LYCEUM_INLINE Vec multiply_add(Vec x, Vec b, Vec c) { return _mm512_fmadd_ps(x, b, c); }
};

void transpose_block(const uint32_t* from, uint32_t* to) {
  __m512i v[16];
  for (int i = 0; i < 16; ++i) v[i] = _mm512_loadu_si512(from + 16 * i);
  transpose_words(v);
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + 16 * i, v[i]);
}

}  // namespace

constinit const ProductTable kProductsAvx512 = {
    .name = "avx512",
    .operand = DType::kF32,
    .row_block = Fma512::kRows,
    .panels = Fma512::kPanels,
    .k_step = 1,
    .tiled = false,
    .begin = no_state,
    .end = no_state,
    .pack_rows = pack_rows_f32,
    .pack_columns = pack_strips_f32<Fma512::kRows>,
    .pack_panels = pack_panels_f32,
    .transpose = transpose_f32<transpose_block>,
    .overlaps = false,
    .sweep = sweep_vectors<Fma512>,
    .scratch_floats = vectors_scratch<Fma512>,
    .peak = vector_peak<Fma512>,
    .peak_flops = kVectorPeakFlops<Fma512>,
    .activation_gradient = activation_gradient_rows,
    .combine = combine_rows,
    .log_sum_exp = log_sum_exp_row,
    .scale_row = scale_row,
};

}  // namespace lyceum::kernels
