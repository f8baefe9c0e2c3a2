#include "nn/feed_forward.h"

namespace lyceum {

FeedForward::FeedForward(const FeedForwardOptions& o, const std::string& prefix, ParameterList& parameters) {
  weights_.up = parameters.matrix(prefix + ".gate_up_proj.weight", {2 * o.d_ff, o.d_model}, 2);
  weights_.down = parameters.matrix(prefix + ".down_proj.weight", {o.d_model, o.d_ff});
  weights_.activation = o.activation;
  if (o.bias) {
    weights_.up_bias = parameters.vectors(prefix + ".gate_up_proj.bias", {2 * o.d_ff});
    weights_.down_bias = parameters.vectors(prefix + ".down_proj.bias", {o.d_model});
  }
}

}  // namespace lyceum
