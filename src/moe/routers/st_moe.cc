// ST-MoE's and OpenMoE's top-2 (top-k) routing.
//   p = softmax(x W_r^T) in f32, chosen = the k largest, g_j = p_j, not divided by their sum
//   all first choices take their places in token order, then all second ones; who finds none adds nothing
//   places (round) = max(capacity_minimum, round(capacity_factor * G / n_experts)): without a factor k
// Zoph et al. 2022, arXiv:2202.08906, and OpenMoE, arXiv:2402.01739, as flaxformer's code has them: groups of
// at most 4096 tokens (group = tokens), factors 1.25 and 2, minimum 4. OpenMoE's PyTorch port sets capacity =
// even (twice as many places) over the whole batch. `renormalise` divides the chosen gates by their sum
// (ColossalAI's option).
#include "moe/routers/token_choice.h"

namespace lyceum {

std::unique_ptr<Router> make_st_moe(const RouterOptions& o, const std::string& prefix,
                                    ParameterList& parameters) {
  const auto sum = o.renormalise ? ops::GateSum::kChosen : ops::GateSum::kNone;
  return std::make_unique<TokenChoice>(o, prefix, parameters, TokenChoice::Form{false, sum});
}

}  // namespace lyceum
