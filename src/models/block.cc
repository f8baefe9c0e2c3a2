#include "models/block.h"

#include "nn/latent_attention.h"

namespace lyceum {
namespace {

AttentionOptions attention_options(const ModelConfig& c, int64_t layer, const StackForm& form) {
  AttentionOptions o;
  o.d_model = c.d_model, o.n_heads = c.n_heads, o.n_kv_heads = c.kv_heads(), o.d_head = c.head_width();
  o.qk_norm = c.qk_norm, o.norm_eps = c.norm_eps, o.clip_qkv = c.clip_qkv;
  o.qkv_bias = c.qkv_bias, o.out_bias = c.out_bias;
  o.window = c.window_of(layer), o.scale = c.attention_scale, o.causal = !form.encoder;
  o.rotary = c.rotary, o.sinks = c.sinks, o.rope = c.rope;
  o.filtered = c.filtered && !c.shared_qk, o.shared_qk = c.shared_qk;
  return o;
}

std::unique_ptr<AttentionLayer> make_attention(const ModelConfig& c, int64_t layer, const StackForm& form,
                                               const std::string& prefix, ParameterList& parameters) {
  if (!c.latent())
    return std::make_unique<Attention>(attention_options(c, layer, form), prefix, parameters, form.bias);
  const LatentOptions o{c.d_model, c.n_heads, c.q_rank,   c.kv_rank, c.d_nope,
                        c.d_rope,  c.d_value, c.qkv_bias, c.rope};
  return std::make_unique<LatentAttention>(o, prefix, parameters);
}

MoeOptions moe_options(const ModelConfig& c, int64_t layer) {
  MoeOptions o;
  o.router = c.routing;
  o.router.router = c.router, o.router.d_model = c.d_model, o.router.n_experts = c.n_experts;
  o.router.top_k = c.top_k, o.router.renormalise = c.renormalise, o.router.vocab = c.vocab;
  o.router.layer = layer;
  o.d_ff = c.d_ff, o.activation = c.activation, o.gated = c.gated, o.expert_bias = c.expert_bias;
  o.activation_limit = static_cast<float>(c.activation_limit);
  o.shared_d_ff = c.d_ff_shared, o.shared_gate = c.shared_gate, o.shared_name = c.shared_name;
  return o;
}

}  // namespace

Block::Block(const ModelConfig& c, int64_t layer, const std::string& prefix, const StackForm& form,
             ParameterList& parameters)
    : form_(c.block), residual_scale_(static_cast<float>(c.residual_scale)), layer_(layer) {
  const bool post = form_ == ModelConfig::BlockForm::kPostNorm;
  const auto norm = [&](const char* name) {
    return std::make_unique<Norm>(NormOptions{c.norm, c.norm_eps}, prefix + name, c.d_model, parameters);
  };
  const auto network = [&](const char* name) {
    return std::make_unique<FeedForward>(
        FeedForwardOptions{c.d_model, c.dense_width(), c.activation, c.feed_forward_bias, c.gated},
        prefix + name, parameters);
  };
  attention_norm_ = norm(post ? "post_attention_layernorm" : "input_layernorm");
  attention_ = make_attention(c, layer, form, prefix + "self_attn", parameters);
  if (form.cross) {
    AttentionOptions o = attention_options(c, layer, form);
    o.cross = true;
    cross_norm_ = norm("cross_attention_layernorm");
    cross_ = std::make_unique<Attention>(o, prefix + "cross_attn", parameters);
  }
  feed_forward_norm_ = norm(post ? "post_feedforward_layernorm" : "post_attention_layernorm");
  if (c.sparse_layer(layer, form.encoder)) {
    sparse_ = std::make_unique<MoeLayer>(moe_options(c, layer), prefix + "mlp", parameters);
    if (!c.extra_network) return;
    extra_norm_ = norm("pre_extra_mlp_layernorm");
    extra_ = network("extra_mlp");
  } else {
    dense_ = network("mlp");
  }
}

Tensor Block::attend(Context& c, const BlockInput& in) const {
  const bool post = form_ == ModelConfig::BlockForm::kPostNorm;
  const Tensor x = post ? in.x : attention_norm_->forward(c, in.x);
  const Tensor y = attention_->forward(c, x, in.queries ? in.queries : x, layer_);
  return post ? attention_norm_->forward(c, y) : y;
}

Tensor Block::feed(Context& c, const Tensor& x, std::vector<Routing>& routings) const {
  const bool post = form_ == ModelConfig::BlockForm::kPostNorm;
  const Tensor in = post ? x : feed_forward_norm_->forward(c, x);
  const Tensor y = sparse_ ? sparse_->forward(c, in, layer_, routings) : dense_->forward(c, in);
  return post ? feed_forward_norm_->forward(c, y) : y;
}

Tensor Block::added(Context& c, const Tensor& x, const Tensor& branch) const {
  return ops::add(c.tape, x, residual_scale_ == 1 ? branch : ops::scaled(c.tape, branch, residual_scale_));
}

// pre and post: h = x + attend(x) [+ across(h)];  y = h + feed(h) [+ extra(y)]
// parallel:     y = x + attend(x) + feed(x)
Tensor Block::forward(Context& c, const BlockInput& in, std::vector<Routing>& routings) const {
  Tensor h = added(c, in.x, attend(c, in));
  if (cross_) h = added(c, h, cross_->forward(c, in.memory, cross_norm_->forward(c, h), layer_));
  const Tensor& fed = form_ == ModelConfig::BlockForm::kParallel ? in.x : h;
  const Tensor y = added(c, h, feed(c, fed, routings));
  return extra_ ? added(c, y, extra_->forward(c, extra_norm_->forward(c, y))) : y;
}

}  // namespace lyceum
