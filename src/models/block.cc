#include "models/block.h"

namespace lyceum {
namespace {

AttentionOptions attention_options(const ModelConfig& c, int64_t layer) {
  AttentionOptions o;
  o.d_model = c.d_model, o.n_heads = c.n_heads, o.n_kv_heads = c.kv_heads(), o.d_head = c.head_width();
  o.qk_norm = c.qk_norm, o.norm_eps = c.norm_eps, o.clip_qkv = c.clip_qkv;
  o.qkv_bias = c.qkv_bias, o.out_bias = c.out_bias;
  o.window = c.window_of(layer), o.rope = c.rope;
  return o;
}

MoeOptions moe_options(const ModelConfig& c, int64_t layer) {
  MoeOptions o;
  o.router = c.routing;
  o.router.router = c.router, o.router.d_model = c.d_model, o.router.n_experts = c.n_experts;
  o.router.top_k = c.top_k, o.router.renormalise = c.renormalise, o.router.vocab = c.vocab;
  o.router.layer = layer;
  o.d_ff = c.d_ff, o.activation = c.activation;
  return o;
}

}  // namespace

Block::Block(const ModelConfig& c, int64_t layer, const std::string& prefix, ParameterList& parameters)
    : form_(c.block), layer_(layer) {
  const NormOptions norm{c.norm, c.norm_eps};
  const bool post = form_ == ModelConfig::BlockForm::kPostNorm;
  const auto add_norm = [&](const char* name) {
    return std::make_unique<Norm>(norm, prefix + name, c.d_model, parameters);
  };
  attention_norm_ = add_norm(post ? "post_attention_layernorm" : "input_layernorm");
  attention_ = std::make_unique<Attention>(attention_options(c, layer), prefix + "self_attn", parameters);
  feed_forward_norm_ = add_norm(post ? "post_feedforward_layernorm" : "post_attention_layernorm");
  if (c.sparse_layer(layer))
    sparse_ = std::make_unique<MoeLayer>(moe_options(c, layer), prefix + "mlp", parameters);
  else
    dense_ = std::make_unique<FeedForward>(
        FeedForwardOptions{c.d_model, c.dense_width(), c.activation, c.feed_forward_bias, c.gated},
        prefix + "mlp", parameters);
}

Tensor Block::attend(Context& c, const Tensor& x) const {
  if (form_ == ModelConfig::BlockForm::kPostNorm)
    return attention_norm_->forward(c, attention_->forward(c, x, layer_));
  return attention_->forward(c, attention_norm_->forward(c, x), layer_);
}

Tensor Block::feed(Context& c, const Tensor& x, std::vector<Routing>& routings) const {
  const bool post = form_ == ModelConfig::BlockForm::kPostNorm;
  const Tensor in = post ? x : feed_forward_norm_->forward(c, x);
  const Tensor y = sparse_ ? sparse_->forward(c, in, layer_, routings) : dense_->forward(c, in);
  return post ? feed_forward_norm_->forward(c, y) : y;
}

// pre and post: h = x + attend(x);  y = h + feed(h).     parallel: y = x + attend(x) + feed(x)
Tensor Block::forward(Context& c, const Tensor& x, std::vector<Routing>& routings) const {
  const Tensor h = ops::add(c.tape, x, attend(c, x));
  const Tensor& in = form_ == ModelConfig::BlockForm::kParallel ? x : h;
  return ops::add(c.tape, h, feed(c, in, routings));
}

}  // namespace lyceum
