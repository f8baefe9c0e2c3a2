// Softmax top-k routing, token choice, dropless.
//   l = x W_r^T                     [tokens, n_experts] f32, whatever x is
//   p = softmax(l)
//   chosen = the k largest of p     ties to the lower expert id
//   g_j = scale * p_j               or  scale * p_j / sum of the chosen  with `renormalise`
// Shazeer et al. 2017, arXiv:1701.06538 (without noise); OLMoE, arXiv:2409.02060 (k = 8 of 64, gates as they
// are); Mixtral, arXiv:2401.04088 (k = 2 of 8, renormalised, which equals softmax over the chosen logits).
// Cost: one [tokens, d_model] x [d_model, n_experts] product in f32.
#include "kernels/rowwise.h"
#include "moe/router.h"

namespace lyceum {
namespace {

class SoftmaxTopK : public Router {
 public:
  SoftmaxTopK(const RouterOptions& options, const std::string& prefix, ParameterList& parameters)
      : options_(options),
        weight_(parameters.matrix_f32(prefix + ".gate.weight", {options.n_experts, options.d_model})) {}

  Routing route(Context& c, const Tensor& x, int64_t layer) const override {
    Routing r;
    r.layer = layer, r.tokens = x.rows(), r.n_experts = options_.n_experts, r.top_k = options_.top_k;
    r.logits = ops::linear(c.tape, x, *weight_, nullptr, DType::kF32);
    r.probs = ops::softmax(c.tape, r.logits);
    r.expert = Tensor({r.tokens, r.top_k}, DType::kI32);
    kernels::top_k(r.tokens, r.n_experts, r.top_k, r.probs.f32(), nullptr, r.expert.i32());
    r.gate = ops::chosen_gates(c.tape, r.probs, r.expert, options_.renormalise,
                               static_cast<float>(options_.gate_scale));
    r.first = uniform_first(r.tokens, r.top_k);
    return r;
  }

 private:
  RouterOptions options_;
  Parameter* weight_;
};

}  // namespace

std::unique_ptr<Router> make_softmax_top_k(const RouterOptions& options, const std::string& prefix,
                                           ParameterList& parameters) {
  return std::make_unique<SoftmaxTopK>(options, prefix, parameters);
}

}  // namespace lyceum
