// Blockwise causal attention over packed sequences, forward and gradient (Dao 2023, arXiv:2307.08691): never
// a whole score matrix, f32 statistics, bf16 or f32 rows. Threaded over (sequence, head, block of queries);
// the gradients of k and v are summed in a fixed order.
#pragma once

#include "kernels/types.h"

namespace lyceum::kernels {

struct AttentionShape {
  int64_t n_heads = 0, n_kv_heads = 0;  // n_heads is a multiple of n_kv_heads
  int64_t d_head = 0, d_value = 0;      // widths of q/k and of v
  float scale = 1;                      // of q.k
  int64_t window = 0;                   // 0: all before; w: itself and the w - 1 before
  bool causal = true;
  const float* sinks = nullptr;  // nullable [n_heads]: one extra logit per head whose weight is dropped
  // Nullable [n_heads, bias_span]: added to scale * q.k where the query stands d keys after the key (before
  // it: d < 0) is bias[head][bias_zero + d]; 0 outside. T5's relative positions are this, expanded.
  const float* bias = nullptr;
  int64_t bias_span = 0, bias_zero = 0;

  // Offsets of each sequence in the rows of q and of k/v. The last query stands at the last key, so a
  // decoding step (one query, many keys) and a training batch (equal offsets) are the same call.
  int64_t sequences = 0;
  const int32_t* q_offsets = nullptr;  // [sequences + 1]
  const int32_t* k_offsets = nullptr;  // [sequences + 1]
};

// out[t, head] = softmax(scale * q k^T + mask) v;  logsumexp [tokens, n_heads] f32 saved (nullable).
// q [tokens, n_heads * d_head], k [keys, n_kv_heads * d_head], v [keys, n_kv_heads * d_value],
// out [tokens, n_heads * d_value]
void attention(const AttentionShape& shape, ConstRows q, ConstRows k, ConstRows v, Rows out,
               float* logsumexp);

// dq, dk, dv are written (not accumulated); dsinks [n_heads] and dbias [n_heads, bias_span] accumulated,
// nullable.
void attention_gradient(const AttentionShape& shape, ConstRows q, ConstRows k, ConstRows v, ConstRows out,
                        const float* logsumexp, ConstRows dout, Rows dq, Rows dk, Rows dv, float* dsinks,
                        float* dbias = nullptr);

}  // namespace lyceum::kernels
