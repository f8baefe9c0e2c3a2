#include "moe/layer.h"

#include "moe/dispatch.h"

namespace lyceum {

MoeLayer::MoeLayer(const MoeOptions& o, const std::string& prefix, ParameterList& parameters) {
  check(o.router.top_k >= 1 && o.router.top_k <= o.router.n_experts, "moe",
        "top_k must be 1 to the number of experts (", o.router.n_experts, "), found ", o.router.top_k);
  check(o.d_ff > 0, "moe", "d_ff of an expert must be positive, found ", o.d_ff);
  router_ = find_router(o.router.router).make(o.router, prefix, parameters);
  const int64_t n = o.router.n_experts, d_model = o.router.d_model;
  experts_.up = parameters.matrix(prefix + ".experts.gate_up_proj", {n, 2 * o.d_ff, d_model}, 2);
  experts_.down = parameters.matrix(prefix + ".experts.down_proj", {n, d_model, o.d_ff});
  experts_.activation = o.activation;
}

Tensor MoeLayer::forward(Context& c, const Tensor& x, int64_t layer, std::vector<Routing>& routings) const {
  const Routing routing = router_->route(c, x, layer);
  if (routing.logits) c.tap("router_logits", layer, routing.logits);
  c.tap("router_experts", layer, routing.expert);
  c.tap("router_gates", layer, routing.gate);
  const Tensor y = ops::routed_feed_forward(c.tape, x, dispatch(routing), routing.gate, experts_);
  routings.push_back(routing);
  return y;
}

}  // namespace lyceum
