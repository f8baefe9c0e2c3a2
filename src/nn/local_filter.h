// Localised filtering (Yuan 2.0, arXiv:2311.15786): two causal convolutions over two rows each, a residual
// and a norm, before queries and keys are taken.
//   c1[t] = A1 h[t-1] + B1 h[t] + b1,  h[-1] = 0;      c2[t] = A2 c1[t-1] + B2 c1[t] + b2,  c1[-1] = 0
//   filtered[t] = RMSNorm(c2[t] + h[t]), epsilon 1e-6
// A sequence that goes on keeps its last h and its last c1.
#pragma once

#include "nn/norm.h"

namespace lyceum {

class LocalFilter {
 public:
  // Parameters <prefix>.conv1 [width / 2, 2 width] (weights of h[t-1] before those of h[t]), .conv2 [width,
  // width], their biases, <prefix>.output_layernorm.
  LocalFilter(int64_t width, const std::string& prefix, ParameterList& parameters);
  Tensor forward(Context& context, const Tensor& h, int64_t layer) const;

 private:
  Parameter *conv1_, *conv2_, *bias1_, *bias2_;
  Norm norm_;
};

}  // namespace lyceum
