// Attention at the amx_emulated level: products on emulated tiles. The logic of
// attention_amx.cc on any CPU, bit for bit.

#include "kernels/attention_table.h"

namespace lyceum::kernels {
namespace attention_amx_emulated {
namespace {
constexpr int64_t kBlock = 32, kKeys = 128, kQueries = 64;  // see generic/attention_forward.h, _gradient.h
#include "kernels/generic/simd_portable.h"
// clang-format: the order matters
#include "kernels/generic/maths.h"
#include "kernels/generic/tiles_emulated.h"
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
}  // namespace attention_amx_emulated

constinit const AttentionTable kAttentionAmxEmulated = {
    true, attention_amx_emulated::forward_bytes, attention_amx_emulated::forward,
    attention_amx_emulated::gradient_bytes, attention_amx_emulated::gradient};

}  // namespace lyceum::kernels
