// One block of a stack: attention and a feed-forward network, dense or sparse, joined as the family joins
// them.
#pragma once

#include "models/config.h"

namespace lyceum {

class Block {
 public:
  // Parameters are named <prefix>self_attn..., <prefix>mlp... and so on.
  Block(const ModelConfig& config, int64_t layer, const std::string& prefix, ParameterList& parameters);

  // x [tokens, d_model] -> [tokens, d_model]; the routing of a sparse block is appended to `routings`.
  Tensor forward(Context& context, const Tensor& x, std::vector<Routing>& routings) const;
  Router* router() const { return sparse_ ? &sparse_->router() : nullptr; }  // null in a dense block

 private:
  Tensor attend(Context& context, const Tensor& x) const;
  Tensor feed(Context& context, const Tensor& x, std::vector<Routing>& routings) const;

  ModelConfig::BlockForm form_;
  int64_t layer_;
  std::unique_ptr<Norm> attention_norm_, feed_forward_norm_;
  std::unique_ptr<AttentionLayer> attention_;
  std::unique_ptr<FeedForward> dense_;
  std::unique_ptr<MoeLayer> sparse_;
};

}  // namespace lyceum
