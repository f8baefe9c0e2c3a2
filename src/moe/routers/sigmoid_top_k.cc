// Sigmoid scores with a selection bias and group-limited choice.
//   s = sigmoid(x W_r^T)
//   chosen = the k largest of s + b, inside the kept_groups groups whose score is largest; the score of a
//            group is its largest s + b (max) or the sum of its two largest (top2_sum)
//   g_j = scale * s_j               or  scale * s_j / (sum of the chosen + 1e-20)  with `renormalise`
// b [n_experts] takes part in the choice only. After each optimiser step (not each micro-batch) it moves
//   b_e += rate * sign(mean load - load_e)                        (moe/balance.h; balance.bias_rate)
// DeepSeek-V3 (arXiv:2412.19437); Wang et al. 2024, arXiv:2408.15664 (loss-free balancing).
// DeepSeek-V3 sets: selection_bias, groups = n_group, kept_groups = topk_group, group_score = top2_sum,
// renormalise = norm_topk_prob, gate_scale = routed_scaling_factor. The buffer is <prefix>.gate.
// e_score_correction_bias. Edges of a token stand in falling order of s.
#include "moe/routers/token_choice.h"

namespace lyceum {

std::unique_ptr<Router> make_sigmoid_top_k(const RouterOptions& o, const std::string& prefix,
                                           ParameterList& parameters) {
  const auto sum = o.renormalise ? ops::GateSum::kChosen : ops::GateSum::kNone;
  return std::make_unique<TokenChoice>(o, prefix, parameters, TokenChoice::Form{true, sum});
}

}  // namespace lyceum
