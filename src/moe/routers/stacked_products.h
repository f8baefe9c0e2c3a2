// Several matrices over the same rows as one product: routers that ask their input more than once (query, key
// and value; scores and noise; groups and experts) would else read it, and add to its gradient, once for
// each.
#pragma once

#include <array>

#include "moe/router.h"

namespace lyceum {

class StackedProducts {
 public:
  static constexpr size_t kMost = 4;
  struct Matrix {
    std::string name;  // of the parameter <name>.weight [outputs, d_model]
    int64_t outputs;
  };
  // Of one dtype each: f32, or with precision = bf16 as the model's others are.
  StackedProducts(const RouterOptions& options, const std::vector<Matrix>& matrices,
                  ParameterList& parameters);
  // x W_i^T [tokens, outputs] f32 of the first `n` matrices; the others stay empty.
  std::array<Tensor, kMost> forward(Context& context, const Tensor& x, size_t n = kMost) const;

 private:
  bool narrow_;
  std::vector<Parameter*> weights_;
};

}  // namespace lyceum
