// Softmax top-k routing, token choice; dropless unless a capacity is set.
//   l = x W_r^T (+ b)               [tokens, n_experts] f32, whatever x is
//   p = softmax(l)
//   chosen = the k largest of p     ties to the lower expert id; with `groups` inside the best kept_groups
//   g_j = scale * p_j               or  scale * p_j / sum of the chosen  with `renormalise`
// Shazeer et al. 2017, arXiv:1701.06538 (without noise). What families set:
//   OLMoE (arXiv:2409.02060), Qwen2-MoE   gates as they are;  Qwen3-MoE  renormalise
//   Mixtral (arXiv:2401.04088)            renormalise, which equals a softmax over the chosen logits
//   gpt-oss, GraniteMoE                   the k largest logits, softmax over them: renormalise; gpt-oss with
//                                         bias
//   DeepSeek-V2 (arXiv:2405.04434)        groups = n_group, kept_groups = topk_group, group_score = max,
//                                         gate_scale = routed_scaling_factor
// Cost: one [tokens, d_model] x [d_model, n_experts] product in f32.
#include "moe/routers/token_choice.h"

namespace lyceum {

std::unique_ptr<Router> make_softmax_top_k(const RouterOptions& o, const std::string& prefix,
                                           ParameterList& parameters) {
  const auto sum = o.renormalise ? ops::GateSum::kChosen : ops::GateSum::kNone;
  return std::make_unique<TokenChoice>(o, prefix, parameters, TokenChoice::Form{false, sum});
}

}  // namespace lyceum
