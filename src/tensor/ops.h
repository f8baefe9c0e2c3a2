// Every differentiable op, one line of equation and shapes each. Forward and gradient of an op stand in one
// function (tensor/ops/*.cc) with the algebra above it. Ops are coarse, so the tape costs nothing. Each has a
// gradient check in tests/ops_test.cc; the suite fails when one is recorded that has none.
//
// x, y: activations [rows, width], f32 or bf16. Parameters: f32 or bf16; their gradients are f32.
#pragma once

#include <memory>

#include "base/random.h"
#include "kernels/attention.h"
#include "tensor/parameter.h"
#include "tensor/tape.h"

namespace lyceum::ops {

// y[t] = table[ids[t]]                                            table [vocab, width] -> y [tokens, width]
// of `type`
Tensor embedding(Tape& tape, const std::vector<int32_t>& ids, Parameter& table, DType type);

// y = x * inv * w, inv = 1 / sqrt(mean(x^2) + eps) by rows. Zhang & Sennrich 2019, arXiv:1910.07467. w
// nullable.
Tensor rms_norm(Tape& tape, const Tensor& x, Parameter* w, float eps);

// y = (x - mean) / sqrt(var + eps) * w + b by rows. Ba et al. 2016, arXiv:1607.06450. w, b nullable.
Tensor layer_norm(Tape& tape, const Tensor& x, Parameter* w, Parameter* b, float eps);

// y = x W^T + b                               W [out, in], b [out] nullable -> y [rows, out] of `type`
// (default: x's)
Tensor linear(Tape& tape, const Tensor& x, Parameter& w, Parameter* b = nullptr);
Tensor linear(Tape& tape, const Tensor& x, Parameter& w, Parameter* b, DType type);

// y = factor * x
Tensor scaled(Tape& tape, const Tensor& x, float factor);

// y = a + b
Tensor add(Tape& tape, const Tensor& a, const Tensor& b);

// The same elements under another shape (a copy of the handle's rows; the gradient is handed back).
Tensor reshape(Tape& tape, const Tensor& x, Shape shape);

// y = min(max(x, -bound), bound); no gradient beyond the bound.
Tensor clamp(Tape& tape, const Tensor& x, float bound);

// y[t] = [x[t - 1], x[t]] within each sequence; before its first row stands `before` [1, width], or zeros.
Tensor with_previous(Tape& tape, const Tensor& x, const std::vector<int32_t>& offsets,
                     const Tensor& before = {});

// y[t] = for each head h [shared[t], own[t, h]]                shared [tokens, a], own [tokens, n_heads * b]
// -> [tokens, n_heads * (a + b)]
Tensor join_heads(Tape& tape, const Tensor& shared, const Tensor& own, int64_t n_heads);

// y[t, i] = x[t, i] w[i] + b[i]                                                            w, b [width]
Tensor scale_columns(Tape& tape, const Tensor& x, Parameter& w, Parameter& b);

// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) of the first `rotary` dims of each head.
struct RopeSpec {
  int64_t n_heads = 0, d_head = 0, rotary = 0;
  bool interleaved = false;                               // pairs (2i, 2i+1) instead of (i, i + rotary/2)
  float scale = 1;                                        // of cos and sin (YaRN)
  std::shared_ptr<const std::vector<float>> frequencies;  // [rotary / 2], inverse
  bool coarse = false;  // position, angle, cosine and sine are each rounded to bf16
};
Tensor rope(Tape& tape, const Tensor& x, const RopeSpec& spec, const std::vector<int32_t>& positions);

// out = softmax(scale * q k^T + mask) v over packed sequences; see kernels/attention.h. The shape's offsets
// must outlive the tape. q, k, v [tokens, heads * width] -> [tokens, n_heads * d_value]
// `extra`: parameters of the scores. sinks [n_heads], one logit more per head whose weight is dropped; a
// table [buckets, n_heads] whose row bucket[d + zero] is added where the query stands d keys after the key
// (`bucket` covers every distance of the call).
struct AttentionExtra {
  Parameter* sinks = nullptr;
  Parameter* table = nullptr;
  std::vector<int32_t> bucket;
  int64_t zero = 0;
};
Tensor attention(Tape& tape, const Tensor& q, const Tensor& k, const Tensor& v,
                 const kernels::AttentionShape& shape, const AttentionExtra& extra = {});

// Which rows go to which experts: the kept edges of a routing, regrouped by expert (moe/dispatch.h makes it).
struct Slots {
  int64_t tokens = 0, n_experts = 1;
  Tensor group_first;  // i32 [n_experts + 1] slots of each expert
  Tensor token;        // i32 [slots] source row of a slot
  Tensor edge_first;   // i32 [tokens + 1] edges of each token
  Tensor edge_slot;    // i32 [edges] slot of an edge, or -1 when it was dropped
  Tensor slot_edge;    // i32 [slots] edge of a slot
  int64_t slots() const { return token ? token.elements() : 0; }
};
// The feed-forward network of every token by its experts, one op over all edges (dropless, ragged):
//   h_s = act(x_t W_gate[e]^T) * (x_t W_up[e]^T);   y_t = sum over edges of gate * (h_s W_down[e]^T +
//   b_down[e])
// up [n_experts, parts * d_ff, d_model] (gate rows first; parts = 1: plain activation, or all rows of one
// that takes several, kernels/expert_rows.h), down [n_experts, d_model, d_ff]; gate [edges] f32 (empty: all
// 1); biases nullable, [n_experts, parts * d_ff], [n_experts, d_model].
struct FeedForwardWeights {
  Parameter* up = nullptr;
  Parameter* down = nullptr;
  Parameter* up_bias = nullptr;
  Parameter* down_bias = nullptr;
  Activation activation = Activation::kSilu;
  float limit = 0;  // kClampedSwiglu; 0: none
};
// Dropout inside the experts: h_s becomes h_s * mask_s / (1 - rate), mask a function of key, edge and
// element.
struct Dropout {
  float rate = 0;
  RandomKey key;
};
Tensor routed_feed_forward(Tape& tape, const Tensor& x, const Slots& slots, const Tensor& gate,
                           const FeedForwardWeights& w, const Dropout& dropout = {});
// The same for a dense layer: one expert that sees every row with gate 1.
Tensor feed_forward(Tape& tape, const Tensor& x, const FeedForwardWeights& w);

// p = softmax(x) by rows, f32. `logsumexp`, where wanted, gets f32 [rows], which carries no gradient.
Tensor softmax(Tape& tape, const Tensor& x, Tensor* logsumexp = nullptr);

// y = 1 / (1 + exp(-x)), f32.
Tensor sigmoid(Tape& tape, const Tensor& x);

// y[t] = x[t] / (sum of x[t] + 1e-20), f32.
Tensor normalise_rows(Tape& tape, const Tensor& x);

// y[t] = s[t] * x[t]                                       x [rows, width], s [rows, 1] f32
Tensor scale_rows(Tape& tape, const Tensor& x, const Tensor& s);

// y = x rounded to bf16, kept as f32; the gradient is rounded likewise.
Tensor round_to_bf16(Tape& tape, const Tensor& x);

// Edges of a bipartite graph, sorted by token (moe/router.h): those of token t are first[t] .. first[t + 1].
struct Edges {
  Tensor first;   // i32 [tokens + 1]
  Tensor expert;  // i32, `first[tokens]` elements under any shape
  Tensor kept;    // u8 [edges]; empty: all
};
// What a token's gates are divided by: nothing, the sum over its edges, the sum over those that were kept.
enum class GateSum : uint8_t { kNone, kChosen, kKept };
// gate[e] = scale * p[t, expert[e]], divided by the sum over the token's edges (+ 1e-20) where asked; under
// kKept a dropped edge has gate 0.              p [tokens, n_experts] f32 -> f32 of the shape of edges.expert
Tensor chosen_gates(Tape& tape, const Tensor& p, const Edges& edges, GateSum sum, float scale);

// log_prob[t] = log softmax(scale * (x W^T + b))[t, targets[t]], logsumexp[t]; targets < 0 give 0.     f32
// [tokens] each
struct LogProb {
  Tensor log_prob, logsumexp;
};
LogProb linear_log_prob(Tape& tape, const Tensor& x, Parameter& w, float scale,
                        const std::vector<int32_t>& targets, Parameter* b = nullptr);

// A root: cross-entropy  -sum_t weight[t] * log_prob[t]  and  sum_t z_weight * weight[t] * logsumexp[t]^2,
// whose gradient with respect to x and W is taken in the same pass (upstream is 1). Returns sums in double.
struct CrossEntropy {
  double loss = 0, z_loss = 0;  // weighted sums, z_loss without z_weight
  Tensor log_prob;              // f32 [tokens]
};
CrossEntropy linear_cross_entropy(Tape& tape, const Tensor& x, Parameter& w, float scale,
                                  const std::vector<int32_t>& targets, const std::vector<float>& weights,
                                  float z_weight, Parameter* b = nullptr);

// A root for tests: sum of x * g, whose gradient is g.
double inner_product(Tape& tape, const Tensor& x, const Tensor& g);

}  // namespace lyceum::ops
