// Forced-uniform routing, FOR BENCHMARKS ONLY: product, softmax and gates are those of softmax_top_k, and
// then the experts are replaced: token t goes to experts (t k + j + offset of the layer) mod n_experts. Every
// expert is exactly as busy as any other, nothing about the choice is learned, and a model trained with it is
// worth nothing. Says so in the log when it is made.
#include "base/log.h"
#include "moe/routers/token_choice.h"

namespace lyceum {
namespace {

class ForcedUniform : public TokenChoice {
 public:
  ForcedUniform(const RouterOptions& o, const std::string& prefix, ParameterList& parameters)
      : TokenChoice(o, prefix, parameters, {false, ops::GateSum::kChosen}) {
    log_warn("router", "FORCED UNIFORM ROUTING in ", prefix,
             ": experts are chosen by position, whatever the router says; for benchmarks only");
  }

 protected:
  void choose(Context&, const Tensor&, Routing& r) const override {
    for (int64_t e = 0; e < r.edges(); ++e)
      r.expert.i32()[e] = static_cast<int32_t>((e + r.layer) % r.n_experts);
  }
};

}  // namespace

std::unique_ptr<Router> make_forced_uniform(const RouterOptions& o, const std::string& prefix,
                                            ParameterList& parameters) {
  return std::make_unique<ForcedUniform>(o, prefix, parameters);
}

}  // namespace lyceum
