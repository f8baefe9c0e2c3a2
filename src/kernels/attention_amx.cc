// Attention at the amx level: products on AMX tiles. Compiled with that
// level's flags: nothing but the table may leave this file.
#include <immintrin.h>

#include "kernels/attention_table.h"

namespace lyceum::kernels {
namespace attention_amx {
namespace {
constexpr int64_t kBlock = 32, kKeys = 128, kQueries = 64;  // see generic/attention_forward.h, _gradient.h
#include "kernels/generic/simd_avx512.h"
// clang-format: the order matters
#include "kernels/generic/maths.h"
#ifdef LYCEUM_EMULATED_ISA
#include "kernels/generic/tiles_emulated.h"
#else
#include "kernels/generic/tiles_amx.h"
#endif
// clang-format: the order matters
#include "kernels/generic/attention_tiles.h"
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
}  // namespace attention_amx

constinit const AttentionTable kAttentionAmx = {true, attention_amx::forward_bytes, attention_amx::forward,
                                                attention_amx::gradient_bytes, attention_amx::gradient};

}  // namespace lyceum::kernels
