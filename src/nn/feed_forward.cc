#include "nn/feed_forward.h"

namespace lyceum {

FeedForward::FeedForward(const FeedForwardOptions& o, const std::string& prefix, ParameterList& parameters) {
  const std::string up = prefix + (o.gated ? ".gate_up_proj" : ".up_proj");
  const int64_t parts = o.gated ? 2 : 1;
  weights_.up = parameters.matrix(up + ".weight", {parts * o.d_ff, o.d_model}, parts);
  weights_.down = parameters.matrix(prefix + ".down_proj.weight", {o.d_model, o.d_ff});
  weights_.activation = o.activation;
  if (o.bias) {
    weights_.up_bias = parameters.vectors(up + ".bias", {parts * o.d_ff});
    weights_.down_bias = parameters.vectors(prefix + ".down_proj.bias", {o.d_model});
  }
}

}  // namespace lyceum
