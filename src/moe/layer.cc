#include "moe/layer.h"

#include "moe/dispatch.h"

namespace lyceum {

MoeLayer::MoeLayer(const MoeOptions& o, const std::string& prefix, ParameterList& parameters)
    : expert_dropout_(static_cast<float>(o.router.expert_dropout)) {
  check(o.router.top_k >= 1 && o.router.top_k <= o.router.n_experts, "moe",
        "top_k must be 1 to the number of experts (", o.router.n_experts, "), found ", o.router.top_k);
  check(o.d_ff > 0, "moe", "d_ff of an expert must be positive, found ", o.d_ff);
  router_ = make_router(o.router, prefix, parameters);
  const int64_t n = o.router.n_experts, d_model = o.router.d_model;
  const NetworkRows rows = network_rows(o.activation, o.gated, o.d_ff);
  const std::string up = prefix + ".experts.gate_up_proj", down = prefix + ".experts.down_proj";
  experts_.up = parameters.matrix(up, {n, rows.rows, d_model}, rows.parts);
  experts_.down = parameters.matrix(down, {n, d_model, o.d_ff});
  if (o.expert_bias) {
    experts_.up_bias = parameters.vectors(up + "_bias", {n, rows.rows});
    experts_.down_bias = parameters.vectors(down + "_bias", {n, d_model});
    experts_.up_bias->starts_at_zero = experts_.down_bias->starts_at_zero = true;
    experts_.up_bias->decay = experts_.down_bias->decay = true;  // stacks of two dimensions decay
  }
  experts_.activation = o.activation, experts_.limit = o.activation_limit;
  if (o.shared_d_ff > 0) {
    shared_ = std::make_unique<FeedForward>(FeedForwardOptions{d_model, o.shared_d_ff, o.activation},
                                            prefix + "." + o.shared_name, parameters);
    if (o.shared_gate)
      shared_gate_ = parameters.matrix_f32(prefix + ".shared_expert_gate.weight", {1, d_model});
  }
}

Tensor MoeLayer::forward(Context& c, const Tensor& x, int64_t layer, std::vector<Routing>& routings) const {
  const Routing routing = router_->route(c, x, layer);
  if (routing.logits) c.tap("router_logits", layer, routing.logits);
  c.tap("router_experts", layer, routing.expert);
  c.tap("router_gates", layer, routing.gate);
  if (routing.kept) c.tap("router_kept", layer, routing.kept);
  ops::Dropout dropout;
  if (expert_dropout_ > 0 && c.phase == Phase::kTraining)
    dropout = {expert_dropout_, noise_key(c, layer, NoiseUse::kDropout)};
  Tensor y = ops::routed_feed_forward(c.tape, x, dispatch(routing), routing.gate, experts_, dropout);
  if (shared_) {
    Tensor shared = shared_->forward(c, x);
    if (shared_gate_) {
      const Tensor gate = ops::sigmoid(c.tape, ops::linear(c.tape, x, *shared_gate_, nullptr, DType::kF32));
      shared = ops::scale_rows(c.tape, shared, gate);
    }
    y = ops::add(c.tape, y, shared);
  }
  routings.push_back(routing);
  return y;
}

}  // namespace lyceum
