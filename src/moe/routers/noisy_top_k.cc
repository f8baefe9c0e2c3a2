// Noisy top-k gating (Shazeer et al. 2017, arXiv:1701.06538).
//   H = x W_g + z * (softplus(x W_n) + noise_floor),  z ~ N(0, 1) in training, no noise in evaluation
//   G = softmax over the k largest H
//   importance loss = CV^2(sum over tokens of G),  load loss = CV^2(smooth load), see noisy.h
// W_g and W_n start at zero, so that at first the noise alone spreads the load. Parameters
// <prefix>.gate.weight and .gate.noise.weight [n_experts, d_model]. The published coefficients are 0.1 each
// for language models (balance.importance_coefficient, balance.load_coefficient). noise_floor: 0 in the
// paper, 0.01 in fastmoe.
#include "moe/routers/noisy.h"
#include "moe/routers/stacked_products.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class NoisyTopK : public TokenChoice {
 public:
  NoisyTopK(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : TokenChoice(o, prefix, parameters, {false, ops::GateSum::kChosen}, NoProduct{}),
        products_(o, {{prefix + ".gate", o.n_experts}, {prefix + ".gate.noise", o.n_experts}}, parameters) {
    for (const char* name : {".gate.weight", ".gate.noise.weight"})
      parameters.find(prefix + name)->starts_at_zero = true;
  }

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    const bool noisy = c.phase == Phase::kTraining;
    const auto y = products_.forward(c, x, noisy ? 2 : 1);
    const Tensor &clean = y[0], &raw = y[1];
    if (!noisy) return route_logits(c, clean, layer);
    const float floor = static_cast<float>(options_.noise_floor);
    const Tensor z = noise_->normal(c, layer, NoiseUse::kLogits, x.rows(), options_.n_experts);
    Routing r = route_logits(c, noisy_logits(c.tape, clean, raw, z, floor), layer);
    r.load_loss =
        cv_squared(c.tape, smooth_load(c.tape, clean, raw, r.logits, {options_.top_k, 1, floor, {}}));
    r.importance = cv_squared(c.tape, importance_of(c.tape, r.gate, r.expert, r.n_experts));
    return r;
  }

 private:
  StackedProducts products_;
};

}  // namespace

std::unique_ptr<Router> make_noisy_top_k(const RouterOptions& o, const std::string& prefix,
                                         ParameterList& parameters) {
  return std::make_unique<NoisyTopK>(o, prefix, parameters);
}

}  // namespace lyceum
