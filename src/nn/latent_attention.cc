#include "nn/latent_attention.h"

#include <cmath>

#include "kernels/rowwise.h"

namespace lyceum {
namespace {

constexpr NormOptions kInnerNorm = {NormOptions::Kind::kRms, 1e-6};

Tensor columns_of(const Tensor& x, int64_t rows, int64_t first, int64_t columns) {
  Tensor out({rows, columns}, x.type());
  kernels::copy_columns(rows, columns, columns_from(x.as_rows(), first), out.as_rows());
  return out;
}

Tensor side_by_side(const Tensor& a, const Tensor& b) {
  Tensor out({a.rows(), a.width() + b.width()}, a.type());
  kernels::copy_columns(a.rows(), a.width(), a.as_rows(), out.as_rows());
  kernels::copy_columns(a.rows(), b.width(), b.as_rows(), columns_from(out.as_rows(), a.width()));
  return out;
}

}  // namespace

LatentAttention::LatentAttention(const LatentOptions& o, const std::string& prefix, ParameterList& parameters)
    : options_(o), widths_{o.n_heads, o.kv_rank, o.d_nope, o.d_rope, o.d_value}, rotary_(o.rope, o.d_rope) {
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
  const std::vector<int32_t>& positions = c.batch.positions;
  q = ops::rope(tape, q, rotary_.spec(o.n_heads, width, positions), positions);
  Tensor latent = kv_norm_->forward(c, ops::linear(tape, x, *kv_a_, kv_a_bias_));
  Tensor rotated = ops::rope(tape, ops::linear(tape, x, *k_rope_, k_rope_bias_),
                             rotary_.spec(1, o.d_rope, positions), positions);

  kernels::AttentionShape shape;
  shape.n_heads = shape.n_kv_heads = o.n_heads;
  shape.d_head = width, shape.d_value = o.d_value;
  const double m =
      o.rope.scaling == "yarn" && o.rope.mscale_all != 0 ? yarn_mscale(o.rope.factor, o.rope.mscale_all) : 1;
  shape.scale = static_cast<float>(m * m / std::sqrt(static_cast<double>(width)));
  std::vector<int32_t> offsets;
  Tensor kept = c.state ? side_by_side(rotated, latent) : Tensor();
  continue_sequence(c, layer, &kept, nullptr, &shape, &offsets);
  // Expanding the kept rows once pays for many queries, not for few.
  if (c.state && 2 * x.rows() <= o.d_nope + o.d_value && can_decode_latent(widths_))
    return ops::linear(tape, decode_latent(widths_, shape, q, kept, *k_b_, *v_b_), *o_, o_bias_);
  if (c.state) {
    const int64_t seen = c.state->length + x.rows();
    rotated = columns_of(kept, seen, 0, o.d_rope), latent = columns_of(kept, seen, o.d_rope, o.kv_rank);
  }
  return ops::linear(tape, expanded(c, q, latent, rotated, shape), *o_, o_bias_);
}

Tensor LatentAttention::expanded(Context& c, const Tensor& q, const Tensor& latent, const Tensor& rotated,
                                 const kernels::AttentionShape& shape) const {
  const Tensor k = ops::join_heads(c.tape, rotated, ops::linear(c.tape, latent, *k_b_), options_.n_heads);
  const Tensor v = ops::linear(c.tape, latent, *v_b_);
  return ops::attention(c.tape, q, k, v, shape);
}

}  // namespace lyceum
