#include "nn/attention.h"

#include <cmath>
#include <cstring>

namespace lyceum {

Attention::Attention(const AttentionOptions& o, const std::string& prefix, ParameterList& parameters,
                     std::shared_ptr<const RelativeBias> bias)
    : options_(o), bias_(std::move(bias)) {
  check(o.n_heads > 0 && o.n_kv_heads > 0 && o.n_heads % o.n_kv_heads == 0, "attention", o.n_heads,
        " heads do not divide into ", o.n_kv_heads, " key-value heads");
  const int64_t q_width = o.n_heads * o.d_head, kv_width = o.n_kv_heads * o.d_head;
  if (o.rotary && !o.cross) rotary_ = Rotary(o.rope, rotary_width(o.rope, o.d_head));
  if (o.filtered) filter_ = std::make_unique<LocalFilter>(o.d_model, prefix + ".lf_gate", parameters);
  if (o.shared_qk) {
    q_ = k_ = parameters.matrix(prefix + ".qk_proj.weight", {q_width, o.d_model});
    q_scale_ = parameters.vector(prefix + ".q_scale.weight", q_width);
    k_scale_ = parameters.vector(prefix + ".k_scale.weight", q_width);
    q_bias_ = parameters.vector(prefix + ".q_scale.bias", q_width);
    k_bias_ = parameters.vector(prefix + ".k_scale.bias", q_width);
    for (Parameter* p : {q_scale_, k_scale_, q_bias_, k_bias_}) p->decay = true;  // files hold [2, width]
  } else {
    q_ = parameters.matrix(prefix + ".q_proj.weight", {q_width, o.d_model});
    k_ = parameters.matrix(prefix + ".k_proj.weight", {kv_width, o.d_model});
  }
  v_ = parameters.matrix(prefix + ".v_proj.weight", {kv_width, o.d_model});
  o_ = parameters.matrix(prefix + ".o_proj.weight", {o.d_model, q_width});
  if (o.qkv_bias) {
    q_bias_ = parameters.vector(prefix + ".q_proj.bias", q_width);
    k_bias_ = parameters.vector(prefix + ".k_proj.bias", kv_width);
    v_bias_ = parameters.vector(prefix + ".v_proj.bias", kv_width);
  }
  if (o.out_bias) o_bias_ = parameters.vector(prefix + ".o_proj.bias", o.d_model);
  if (o.sinks) sinks_ = parameters.vector(prefix + ".sinks", o.n_heads);
  if (o.qk_norm != AttentionOptions::QkNorm::kNone) {
    const bool full = o.qk_norm == AttentionOptions::QkNorm::kFull;
    q_norm_ = parameters.vector(prefix + ".q_norm.weight", full ? q_width : o.d_head);
    k_norm_ = parameters.vector(prefix + ".k_norm.weight", full ? kv_width : o.d_head);
  }
}

// Values come from x itself, queries and keys from the filtered rows where there is a filter.
void Attention::project(Context& c, const Tensor& x, const Tensor& queries, int64_t layer, Tensor* q,
                        Tensor* k, Tensor* v) const {
  const AttentionOptions& o = options_;
  Tape& tape = c.tape;
  *v = ops::linear(tape, x, *v_, v_bias_);
  const Tensor keys = filter_ ? filter_->forward(c, x, layer) : x;
  const Tensor& ask = filter_ ? keys : queries;
  if (o.shared_qk) {
    const Tensor s = ops::linear(tape, keys, *q_);
    *q = ops::scale_columns(tape, s, *q_scale_, *q_bias_);
    *k = ops::scale_columns(tape, s, *k_scale_, *k_bias_);
  } else {
    *q = ops::linear(tape, ask, *q_, q_bias_);
    *k = ops::linear(tape, keys, *k_, k_bias_);
  }
  if (q_norm_) {
    *q = normed(c, *q, q_norm_, o.n_heads);
    *k = normed(c, *k, k_norm_, o.n_kv_heads);
  }
  if (o.clip_qkv > 0) {
    const float bound = static_cast<float>(o.clip_qkv);
    *q = ops::clamp(tape, *q, bound), *k = ops::clamp(tape, *k, bound), *v = ops::clamp(tape, *v, bound);
  }
  if (rotary_) {
    const std::vector<int32_t>& positions = c.batch.positions;
    *q = ops::rope(tape, *q, rotary_.spec(o.n_heads, o.d_head, positions), positions);
    *k = ops::rope(tape, *k, rotary_.spec(o.n_kv_heads, o.d_head, positions), positions);
  }
}

Tensor Attention::forward(Context& c, const Tensor& x, const Tensor& queries, int64_t layer) const {
  const AttentionOptions& o = options_;
  kernels::AttentionShape shape;
  shape.n_heads = o.n_heads, shape.n_kv_heads = o.n_kv_heads;
  shape.d_head = shape.d_value = o.d_head;
  shape.scale = static_cast<float>(o.scale > 0 ? o.scale : 1 / std::sqrt(static_cast<double>(o.d_head)));
  shape.window = o.window;
  shape.causal = o.causal && !o.cross;

  Tensor q, k, v;
  std::vector<int32_t> offsets;
  if (!o.cross) {
    project(c, x, queries, layer, &q, &k, &v);
    continue_sequence(c, layer, &k, &v, &shape, &offsets);
  } else {
    q = ops::linear(c.tape, queries, *q_, q_bias_);
    Tensor *kept_k = nullptr, *kept_v = nullptr;  // a source is read once
    if (c.state)
      kept_k = &c.state->layers[static_cast<size_t>(layer)].source_k,
      kept_v = &c.state->layers[static_cast<size_t>(layer)].source_v;
    const bool known = kept_k && *kept_k;
    k = known ? *kept_k : ops::linear(c.tape, x, *k_, k_bias_);
    v = known ? *kept_v : ops::linear(c.tape, x, *v_, v_bias_);
    if (kept_k) *kept_k = k, *kept_v = v;
    shape.sequences = c.batch.sequences();
    shape.q_offsets = c.batch.offsets.data();
    offsets = {0, static_cast<int32_t>(k.rows())};
    shape.k_offsets = c.state ? offsets.data() : c.batch.source.at(0).offsets.data();
  }
  ops::AttentionExtra extra;
  extra.sinks = sinks_;
  if (bias_) bias_->describe(shape, &extra);
  return ops::linear(c.tape, ops::attention(c.tape, q, k, v, shape, extra), *o_, o_bias_);
}

void continue_sequence(Context& c, int64_t layer, Tensor* k, Tensor* v, kernels::AttentionShape* shape,
                       std::vector<int32_t>* offsets) {
  const std::vector<int32_t>& spans = c.spans ? *c.spans : c.batch.offsets;
  shape->sequences = static_cast<int64_t>(spans.size()) - 1;
  shape->q_offsets = shape->k_offsets = spans.data();
  if (!c.state) return;
  SequenceState& state = *c.state;
  check(c.batch.sequences() == 1 && !c.tape.recording(), "attention",
        "a state belongs to one sequence that is not trained");
  const int64_t past = state.length, fresh = k->rows();
  check(past + fresh <= state.capacity, "attention", "the sequence would have ", past + fresh,
        " tokens, room is for ", state.capacity);
  SequenceState::Layer& cache = state.layers[static_cast<size_t>(layer)];
  const auto append = [&](Tensor& kept, Tensor* rows) {
    if (!rows) return;
    if (!kept) kept = Tensor({state.capacity, rows->width()}, rows->type());
    std::memcpy(
        static_cast<char*>(kept.data()) + static_cast<size_t>(past * kept.width()) * dtype_size(kept.type()),
        rows->data(), rows->bytes());
    *rows = kept;
  };
  append(cache.k, k), append(cache.v, v);
  offsets->assign(spans.begin(), spans.end());
  for (int32_t& at : *offsets) at += static_cast<int32_t>(past);
  offsets->front() = static_cast<int32_t>(state.span_begin);
  shape->k_offsets = offsets->data();
}

Tensor Attention::normed(Context& c, const Tensor& x, Parameter* weight, int64_t heads) const {
  const float eps = static_cast<float>(options_.norm_eps);
  if (options_.qk_norm == AttentionOptions::QkNorm::kFull) return ops::rms_norm(c.tape, x, weight, eps);
  const Tensor by_head = ops::reshape(c.tape, x, {x.rows() * heads, options_.d_head});
  return ops::reshape(c.tape, ops::rms_norm(c.tape, by_head, weight, eps), x.shape());
}

}  // namespace lyceum
