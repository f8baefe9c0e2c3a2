#include "nn/latent_attention.h"

#include <cmath>
#include <cstring>

namespace lyceum {
namespace {

constexpr NormOptions kInnerNorm = {NormOptions::Kind::kRms, 1e-6};

// The first rows of what a sequence keeps.
Tensor first_rows(const Tensor& x, int64_t rows) {
  if (x.rows() == rows) return x;
  Tensor out({rows, x.width()}, x.type());
  std::memcpy(out.data(), x.data(), out.bytes());
  return out;
}

}  // namespace

LatentAttention::LatentAttention(const LatentOptions& o, const std::string& prefix, ParameterList& parameters)
    : options_(o), frequencies_(inverse_frequencies(o.rope, o.d_rope)) {
  const int64_t q_width = o.n_heads * (o.d_nope + o.d_rope);
  const auto matrix = [&](const char* name, int64_t out, int64_t in) {
    return parameters.matrix(prefix + name + ".weight", {out, in});
  };
  const auto norm = [&](const char* name, int64_t width) {
    return std::make_unique<Norm>(kInnerNorm, prefix + name, width, parameters);
  };
  if (o.q_rank > 0) {
    q_a_ = matrix(".q_a_proj", o.q_rank, o.d_model);
    if (o.bias) q_a_bias_ = parameters.vector(prefix + ".q_a_proj.bias", o.q_rank);
    q_norm_ = norm(".q_a_layernorm", o.q_rank);
    q_b_ = matrix(".q_b_proj", q_width, o.q_rank);
  } else {
    q_ = matrix(".q_proj", q_width, o.d_model);
  }
  kv_a_ = matrix(".kv_a_proj", o.kv_rank, o.d_model);
  k_rope_ = matrix(".k_rope_proj", o.d_rope, o.d_model);
  kv_norm_ = norm(".kv_a_layernorm", o.kv_rank);
  k_b_ = matrix(".k_b_proj", o.n_heads * o.d_nope, o.kv_rank);
  v_b_ = matrix(".v_b_proj", o.n_heads * o.d_value, o.kv_rank);
  o_ = matrix(".o_proj", o.d_model, o.n_heads * o.d_value);
  if (!o.bias) return;
  kv_a_bias_ = parameters.vector(prefix + ".kv_a_proj.bias", o.kv_rank);
  k_rope_bias_ = parameters.vector(prefix + ".k_rope_proj.bias", o.d_rope);
  o_bias_ = parameters.vector(prefix + ".o_proj.bias", o.d_model);
}

Tensor LatentAttention::forward(Context& c, const Tensor& x, const Tensor& queries, int64_t layer) const {
  const LatentOptions& o = options_;
  Tape& tape = c.tape;
  const int64_t width = o.d_nope + o.d_rope;
  Tensor q = q_ ? ops::linear(tape, queries, *q_)
                : ops::linear(tape, q_norm_->forward(c, ops::linear(tape, queries, *q_a_, q_a_bias_)), *q_b_);
  ops::RopeSpec rope{o.n_heads, width, o.d_rope, true, rope_amplitude(o.rope), frequencies_.data()};
  q = ops::rope(tape, q, rope, c.batch.positions);
  Tensor latent = kv_norm_->forward(c, ops::linear(tape, x, *kv_a_, kv_a_bias_));
  rope.n_heads = 1, rope.d_head = o.d_rope;
  Tensor rotated = ops::rope(tape, ops::linear(tape, x, *k_rope_, k_rope_bias_), rope, c.batch.positions);

  kernels::AttentionShape shape;
  shape.n_heads = shape.n_kv_heads = o.n_heads;
  shape.d_head = width, shape.d_value = o.d_value;
  const double m =
      o.rope.scaling == "yarn" && o.rope.mscale_all != 0 ? yarn_mscale(o.rope.factor, o.rope.mscale_all) : 1;
  shape.scale = static_cast<float>(m * m / std::sqrt(static_cast<double>(width)));
  std::vector<int32_t> offsets;
  continue_sequence(c, layer, &latent, &rotated, &shape, &offsets);
  if (c.state) {
    const int64_t seen = c.state->length + x.rows();
    latent = first_rows(latent, seen), rotated = first_rows(rotated, seen);
  }
  const Tensor k = ops::join_heads(tape, rotated, ops::linear(tape, latent, *k_b_), o.n_heads);
  const Tensor v = ops::linear(tape, latent, *v_b_);
  return ops::linear(tape, ops::attention(tape, q, k, v, shape), *o_, o_bias_);
}

}  // namespace lyceum
