// Attention at the avx2 level: f32 products by FMA. Compiled with that
// level's flags: nothing but the table may leave this file.
#include <immintrin.h>

#include "kernels/attention_table.h"

namespace lyceum::kernels {
namespace attention_avx2 {
namespace {
constexpr int64_t kBlock = 32, kKeys = 128, kQueries = 64;  // see generic/attention_forward.h, _gradient.h
#include "kernels/generic/simd_avx2.h"
// clang-format: the order matters
#include "kernels/generic/maths.h"
using E = float;
constexpr int kRegisterRows = 6;  // 12 sums: with 8, the latency of the multiply-add leaves no slack
static inline F dot(F a, F b, F c) { return fma(a, b, c); }
#include "kernels/generic/attention_lanes.h"
// clang-format: the order matters
#include "kernels/generic/any_row.h"
// clang-format: the order matters
#include "kernels/generic/attention_pack_f32.h"
// clang-format: the order matters
#include "kernels/generic/attention_common.h"
// clang-format: the order matters
#include "kernels/generic/attention_forward.h"
// clang-format: the order matters
#include "kernels/generic/attention_gradient.h"
}  // namespace
}  // namespace attention_avx2

constinit const AttentionTable kAttentionAvx2 = {false, attention_avx2::forward_bytes,
                                                 attention_avx2::forward, attention_avx2::gradient_bytes,
                                                 attention_avx2::gradient};

}  // namespace lyceum::kernels
