#include "nn/attention.h"

#include <cmath>
#include <cstring>

namespace lyceum {

Attention::Attention(const AttentionOptions& o, const std::string& prefix, ParameterList& parameters)
    : options_(o) {
  check(o.n_heads > 0 && o.n_kv_heads > 0 && o.n_heads % o.n_kv_heads == 0, "attention", o.n_heads,
        " heads do not divide into ", o.n_kv_heads, " key-value heads");
  const int64_t q_width = o.n_heads * o.d_head, kv_width = o.n_kv_heads * o.d_head;
  frequencies_ = inverse_frequencies(o.rope, rotary_width(o.rope, o.d_head));
  q_ = parameters.matrix(prefix + ".q_proj.weight", {q_width, o.d_model});
  k_ = parameters.matrix(prefix + ".k_proj.weight", {kv_width, o.d_model});
  v_ = parameters.matrix(prefix + ".v_proj.weight", {kv_width, o.d_model});
  o_ = parameters.matrix(prefix + ".o_proj.weight", {o.d_model, q_width});
  if (o.qkv_bias) {
    q_bias_ = parameters.vector(prefix + ".q_proj.bias", q_width);
    k_bias_ = parameters.vector(prefix + ".k_proj.bias", kv_width);
    v_bias_ = parameters.vector(prefix + ".v_proj.bias", kv_width);
  }
  if (o.out_bias) o_bias_ = parameters.vector(prefix + ".o_proj.bias", o.d_model);
  if (o.qk_norm != AttentionOptions::QkNorm::kNone) {
    const bool full = o.qk_norm == AttentionOptions::QkNorm::kFull;
    q_norm_ = parameters.vector(prefix + ".q_norm.weight", full ? q_width : o.d_head);
    k_norm_ = parameters.vector(prefix + ".k_norm.weight", full ? kv_width : o.d_head);
  }
}

Tensor Attention::forward(Context& c, const Tensor& x, int64_t layer) const {
  const AttentionOptions& o = options_;
  Tape& tape = c.tape;
  Tensor q = ops::linear(tape, x, *q_, q_bias_), k = ops::linear(tape, x, *k_, k_bias_),
         v = ops::linear(tape, x, *v_, v_bias_);
  if (q_norm_) {
    q = normed(c, q, q_norm_, o.n_heads);
    k = normed(c, k, k_norm_, o.n_kv_heads);
  }
  if (o.clip_qkv > 0) {
    const float bound = static_cast<float>(o.clip_qkv);
    q = ops::clamp(tape, q, bound), k = ops::clamp(tape, k, bound), v = ops::clamp(tape, v, bound);
  }
  ops::RopeSpec rope{o.n_heads,
                     o.d_head,
                     rotary_width(o.rope, o.d_head),
                     o.rope.interleaved,
                     rope_amplitude(o.rope),
                     frequencies_.data()};
  q = ops::rope(tape, q, rope, c.batch.positions);
  rope.n_heads = o.n_kv_heads;
  k = ops::rope(tape, k, rope, c.batch.positions);

  kernels::AttentionShape shape;
  shape.n_heads = o.n_heads, shape.n_kv_heads = o.n_kv_heads;
  shape.d_head = shape.d_value = o.d_head;
  shape.scale = static_cast<float>(o.scale > 0 ? o.scale : 1 / std::sqrt(static_cast<double>(o.d_head)));
  shape.window = o.window;
  shape.sequences = c.batch.sequences();
  shape.q_offsets = shape.k_offsets = c.batch.offsets.data();
  if (!c.state) return ops::linear(tape, ops::attention(tape, q, k, v, shape), *o_, o_bias_);

  // Decoding: the new keys and values join those of the sequence, and the new queries see them all.
  SequenceState& state = *c.state;
  check(shape.sequences == 1 && !tape.recording(), "attention",
        "a state belongs to one sequence that is not trained");
  const int64_t past = state.length, fresh = x.rows();
  check(past + fresh <= state.capacity, "attention", "the sequence would have ", past + fresh,
        " tokens, room is for ", state.capacity);
  SequenceState::Layer& cache = state.layers[static_cast<size_t>(layer)];
  if (!cache.k) {
    cache.k = Tensor({state.capacity, k.width()}, k.type());
    cache.v = Tensor({state.capacity, v.width()}, v.type());
  }
  const auto append = [&](const Tensor& to, const Tensor& from) {
    std::memcpy(
        static_cast<char*>(to.data()) + static_cast<size_t>(past * to.width()) * dtype_size(to.type()),
        from.data(), from.bytes());
  };
  append(cache.k, k);
  append(cache.v, v);
  const int32_t k_offsets[2] = {0, static_cast<int32_t>(past + fresh)};
  shape.k_offsets = k_offsets;
  return ops::linear(tape, ops::attention(tape, q, cache.k, cache.v, shape), *o_, o_bias_);
}

Tensor Attention::normed(Context& c, const Tensor& x, Parameter* weight, int64_t heads) const {
  const float eps = static_cast<float>(options_.norm_eps);
  if (options_.qk_norm == AttentionOptions::QkNorm::kFull) return ops::rms_norm(c.tape, x, weight, eps);
  const Tensor by_head = ops::reshape(c.tape, x, {x.rows() * heads, options_.d_head});
  return ops::reshape(c.tape, ops::rms_norm(c.tape, by_head, weight, eps), x.shape());
}

}  // namespace lyceum
