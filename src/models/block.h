// One block of a stack: attention and a feed-forward network, dense or sparse, joined as the family joins
// them; with attention across to an encoder's rows in the decoder of an encoder-decoder model.
#pragma once

#include "models/config.h"

namespace lyceum {

// The stack that a block is part of.
struct StackForm {
  bool encoder = false;  // every position sees every other
  bool cross = false;    // and the rows of an encoder
  std::shared_ptr<const RelativeBias> bias = nullptr;
};

struct BlockInput {
  Tensor x;        // [tokens, d_model] the residual stream
  Tensor queries;  // empty, or rows that ask instead of the normed x (PanGu's query layer)
  Tensor memory;   // [source tokens, d_model] of the encoder, with StackForm::cross
};

class Block {
 public:
  // Parameters are named <prefix>self_attn..., <prefix>mlp... and so on.
  Block(const ModelConfig& config, int64_t layer, const std::string& prefix, const StackForm& form,
        ParameterList& parameters);

  // [tokens, d_model]; the routing of a sparse block is appended to `routings`.
  Tensor forward(Context& context, const BlockInput& in, std::vector<Routing>& routings) const;
  Router* router() const { return sparse_ ? &sparse_->router() : nullptr; }  // null in a dense block

 private:
  Tensor added(Context& context, const Tensor& x, const Tensor& branch) const;
  Tensor attend(Context& context, const BlockInput& in) const;
  Tensor feed(Context& context, const Tensor& x, std::vector<Routing>& routings) const;

  ModelConfig::BlockForm form_;
  float residual_scale_;
  int64_t layer_;
  std::unique_ptr<Norm> attention_norm_, cross_norm_, feed_forward_norm_, extra_norm_;
  std::unique_ptr<AttentionLayer> attention_, cross_;
  std::unique_ptr<FeedForward> dense_, extra_;
  std::unique_ptr<MoeLayer> sparse_;
};

}  // namespace lyceum
