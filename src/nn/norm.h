// The norms of the published decoders behind one name.
#pragma once

#include "nn/context.h"

namespace lyceum {

struct NormOptions {
  enum class Kind { kRms, kLayer, kLayerPlain } kind = Kind::kRms;  // kLayerPlain: no weight, no bias (OLMo)
  double eps = 1e-5;
};

class Norm {
 public:
  Norm(const NormOptions& options, const std::string& name, int64_t width, ParameterList& parameters);
  Tensor forward(Context& context, const Tensor& x) const;

 private:
  NormOptions options_;
  Parameter *weight_ = nullptr, *bias_ = nullptr;
};

}  // namespace lyceum
