#include "nn/norm.h"

namespace lyceum {

Norm::Norm(const NormOptions& options, const std::string& name, int64_t width, ParameterList& parameters)
    : options_(options) {
  if (options.kind != NormOptions::Kind::kLayerPlain) weight_ = parameters.vector(name + ".weight", width);
  if (options.kind == NormOptions::Kind::kLayer) bias_ = parameters.vector(name + ".bias", width);
}

Tensor Norm::forward(Context& c, const Tensor& x) const {
  const float eps = static_cast<float>(options_.eps);
  if (options_.kind == NormOptions::Kind::kRms) return ops::rms_norm(c.tape, x, weight_, eps);
  return ops::layer_norm(c.tape, x, weight_, bias_, eps);
}

}  // namespace lyceum
