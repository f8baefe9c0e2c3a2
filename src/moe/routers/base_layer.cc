// BASE layers (Lewis et al. 2021, arXiv:2103.16716): balanced assignment, no balance loss.
//   s = x W_r^T                                                       [tokens, n_experts]
//   training    the assignment that maximises sum_t s[t, a(t)] with the same number of tokens for every
//   expert
//               of the micro-batch (an auction, auction.h; the remainder adds at most one token to an expert)
//   evaluation  a(t) = argmax s[t]
//   gate = sigmoid(s[t, a(t)])
// A training step therefore looks at tokens that come later; generation does not.
#include "kernels/rowwise.h"
#include "moe/routers/auction.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class BaseLayer : public TokenChoice {
 public:
  BaseLayer(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : TokenChoice(o, prefix, parameters, {true, ops::GateSum::kNone}) {
    check(o.top_k == 1, "router", "base gives each token one expert: top_k must be 1, found ", o.top_k);
  }

 protected:
  void choose(Context& c, const Tensor& scores, Routing& r) const override {
    if (c.phase == Phase::kTraining) balanced_assignment(r.logits, r.expert.i32());
    else kernels::top_k(r.tokens, r.n_experts, 1, r.logits.f32(), nullptr, r.expert.i32());
  }
};

}  // namespace

std::unique_ptr<Router> make_base(const RouterOptions& o, const std::string& prefix,
                                  ParameterList& parameters) {
  return std::make_unique<BaseLayer>(o, prefix, parameters);
}

}  // namespace lyceum
