// The sparse feed-forward layer: route, dispatch, experts, combine; and the experts that every token uses.
//   y = sum over the kept edges of g_e FFN_e(x)  (+ shared(x), or + sigmoid(w_s x) shared(x))
#pragma once

#include "moe/router.h"
#include "nn/feed_forward.h"

namespace lyceum {

struct MoeOptions {
  RouterOptions router;
  int64_t d_ff = 0;  // of one expert
  Activation activation = Activation::kSilu;
  float activation_limit = 0;  // of kClampedSwiglu; 0: none
  bool expert_bias = false;    // of both products of an expert (gpt-oss)
  bool gated = true;           // gate and up; false: one matrix before the activation (Switch, PanGu)
  // Shared experts (DeepSeekMoE, arXiv:2401.06066): one network of this inner width that sees every token; 0:
  // none. Several shared experts are one of their summed width.
  int64_t shared_d_ff = 0;
  bool shared_gate = false;                   // times sigmoid(w x), w [1, d_model] (Qwen2-MoE)
  std::string shared_name = "shared_expert";  // "shared_experts" for DeepSeek's names
};

class MoeLayer {
 public:
  // Parameters of the router under <prefix>.gate, and
  //   <prefix>.experts.gate_up_proj [n_experts, 2 d_ff, d_model] (gate rows first; [n_experts, d_ff, d_model]
  //   without gate) and .down_proj [n_experts, d_model, d_ff]; with expert_bias also .gate_up_proj_bias
  //   [n_experts, 2 d_ff] and .down_proj_bias [n_experts, d_model]
  //   <prefix>.<shared_name>.gate_up_proj.weight, .down_proj.weight; <prefix>.shared_expert_gate.weight
  // Files hold experts one by one or fused.
  MoeLayer(const MoeOptions& options, const std::string& prefix, ParameterList& parameters);
  // x [tokens, d_model] -> [tokens, d_model]; the routing is appended to `routings`.
  Tensor forward(Context& context, const Tensor& x, int64_t layer, std::vector<Routing>& routings) const;
  Router& router() const { return *router_; }

 private:
  std::unique_ptr<Router> router_;
  ops::FeedForwardWeights experts_;
  float expert_dropout_;
  std::unique_ptr<FeedForward> shared_;
  Parameter* shared_gate_ = nullptr;
};

}  // namespace lyceum
