// Attention at the avx512_bf16 level: products by vdpbf16ps. Compiled with that
// level's flags: nothing but the table may leave this file.
#include <immintrin.h>

#include "kernels/attention_table.h"

namespace lyceum::kernels {
namespace attention_avx512_bf16 {
namespace {
constexpr int64_t kBlock = 32, kKeys = 128, kQueries = 64;  // see generic/attention_forward.h, _gradient.h
#include "kernels/generic/simd_avx512.h"
// clang-format: the order matters
#include "kernels/generic/maths.h"
using E = bf16;
constexpr int kRegisterRows = 8;
static inline F dot(F a, F b, F c) {
  LYCEUM_OPAQUE(a);
  return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
#include "kernels/generic/attention_lanes.h"
// clang-format: the order matters
#include "kernels/generic/any_row.h"
// clang-format: the order matters
#include "kernels/generic/attention_pack_bf16.h"
// clang-format: the order matters
#include "kernels/generic/attention_common.h"
// clang-format: the order matters
#include "kernels/generic/attention_forward.h"
// clang-format: the order matters
#include "kernels/generic/attention_gradient.h"
}  // namespace
}  // namespace attention_avx512_bf16

constinit const AttentionTable kAttentionAvx512Bf16 = {
    true, attention_avx512_bf16::forward_bytes, attention_avx512_bf16::forward,
    attention_avx512_bf16::gradient_bytes, attention_avx512_bf16::gradient};

}  // namespace lyceum::kernels
