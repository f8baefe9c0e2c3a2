// Switch routing: one expert a token, with jitter in training and a capacity.
//   p = softmax(W_r jitter(x)),  e = argmax p,  gate = p_e
//   the token is dropped (its expert adds nothing, the residual passes) if the expert has no place left;
//   places = floor(capacity_factor * G / n_experts), in token order
// Fedus et al. 2021, arXiv:2101.03961: jitter 0.01, capacity_factor 1 to 1.25, product and softmax in f32.
// transformers' SwitchTransformers sets: capacity = fixed, capacity_tokens = expert_capacity, group =
// sequence, jitter = router_jitter_noise. routing.kept is its mask; a dropped token's gate stays its
// probability.
#include "moe/routers/token_choice.h"

namespace lyceum {

std::unique_ptr<Router> make_switch(const RouterOptions& o, const std::string& prefix,
                                    ParameterList& parameters) {
  check(o.top_k == 1, "router", "switch routes each token to one expert: top_k must be 1, found ", o.top_k);
  return std::make_unique<TokenChoice>(o, prefix, parameters, TokenChoice::Form{});
}

}  // namespace lyceum
