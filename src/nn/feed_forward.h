// The dense feed-forward network: gated, W_down( act(W_gate x) * (W_up x) ), or plain, W_down( act(W_up x) ).
#pragma once

#include "nn/context.h"

namespace lyceum {

struct FeedForwardOptions {
  int64_t d_model = 0, d_ff = 0;
  Activation activation = Activation::kSilu;
  bool bias = false;
  bool gated = true;
};

// Rows of the first matrix of a network of inner width d_ff, and in how many parts its layout has them.
struct NetworkRows {
  int64_t rows, parts;
};
NetworkRows network_rows(Activation activation, bool gated, int64_t d_ff);

class FeedForward {
 public:
  // Parameters <prefix>.gate_up_proj (gate rows first; files hold gate_proj and up_proj) or <prefix>.up_proj,
  // and <prefix>.down_proj.
  FeedForward(const FeedForwardOptions& options, const std::string& prefix, ParameterList& parameters);
  Tensor forward(Context& context, const Tensor& x) const {
    return ops::feed_forward(context.tape, x, weights_);
  }

 private:
  ops::FeedForwardWeights weights_;
};

}  // namespace lyceum
