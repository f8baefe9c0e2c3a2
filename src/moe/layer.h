// The sparse feed-forward layer: route, dispatch, experts, combine.
#pragma once

#include "moe/router.h"

namespace lyceum {

struct MoeOptions {
  RouterOptions router;
  int64_t d_ff = 0;  // of one expert
  Activation activation = Activation::kSilu;
};

class MoeLayer {
 public:
  // Parameters <prefix>.gate.weight, <prefix>.experts.gate_up_proj [n_experts, 2 d_ff, d_model] (gate rows
  // first) and <prefix>.experts.down_proj [n_experts, d_model, d_ff]; files hold them expert by expert or
  // fused.
  MoeLayer(const MoeOptions& options, const std::string& prefix, ParameterList& parameters);
  // x [tokens, d_model] -> [tokens, d_model]; the routing is appended to `routings`.
  Tensor forward(Context& context, const Tensor& x, int64_t layer, std::vector<Routing>& routings) const;

 private:
  std::unique_ptr<Router> router_;
  ops::FeedForwardWeights experts_;
};

}  // namespace lyceum
