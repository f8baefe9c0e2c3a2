#include "nn/feed_forward.h"

#include "kernels/expert_rows.h"

namespace lyceum {

NetworkRows network_rows(Activation activation, bool gated, int64_t d_ff) {
  if (const int64_t n = kernels::composite_parts(activation)) return {n * d_ff, n == 2 ? 2 : 1};
  const int64_t parts = gated ? 2 : 1;
  return {parts * d_ff, parts};
}

FeedForward::FeedForward(const FeedForwardOptions& o, const std::string& prefix, ParameterList& parameters) {
  const std::string up = prefix + (o.gated ? ".gate_up_proj" : ".up_proj");
  const NetworkRows rows = network_rows(o.activation, o.gated, o.d_ff);
  weights_.up = parameters.matrix(up + ".weight", {rows.rows, o.d_model}, rows.parts);
  weights_.down = parameters.matrix(prefix + ".down_proj.weight", {o.d_model, o.d_ff});
  weights_.activation = o.activation;
  if (o.bias) {
    weights_.up_bias = parameters.vectors(up + ".bias", {rows.rows});
    weights_.down_bias = parameters.vectors(prefix + ".down_proj.bias", {o.d_model});
  }
}

}  // namespace lyceum
