// Latent attention of a sequence that goes on (DeepSeek-V2, section 2.1.2), without expanding the rows that
// it keeps: W_kb moves to the queries and W_vb behind the sum, so that all heads look at the same narrow
// rows.
//   q_n . (W_kb latent) = (W_kb^T q_n) . latent;   sum of a_j W_vb latent_j = W_vb (sum of a_j latent_j)
// One new token costs what the kept rows are wide, and no longer heads times their expansion.
#pragma once

#include "kernels/attention.h"
#include "tensor/parameter.h"

namespace lyceum {

struct LatentRows {
  int64_t n_heads = 0, kv_rank = 0, d_nope = 0, d_rope = 0, d_value = 0;
};

// Whether heads of these widths can be told apart in packed matrices.
bool can_decode_latent(const LatentRows& widths);

// q [tokens, n_heads * (d_rope + d_nope)], the rotated part of a head first; kept [seen, d_rope + kv_rank],
// the rotated key and the latent row; k_b [n_heads * d_nope, kv_rank], v_b [n_heads * d_value, kv_rank];
// offsets and scale from `shape` -> [tokens, n_heads * d_value]
Tensor decode_latent(const LatentRows& widths, const kernels::AttentionShape& shape, const Tensor& q,
                     const Tensor& kept, const Parameter& k_b, const Parameter& v_b);

}  // namespace lyceum
