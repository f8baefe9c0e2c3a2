// Optimisers: one step over all parameters, clipping folded in, state in the physical order of each
// parameter.
#pragma once

#include <memory>

#include "base/fields.h"
#include "tensor/parameter.h"

namespace lyceum {

struct OptimizerOptions {
  std::string name = "adamw";
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;
  bool decay_vectors = false;  // norms and biases too
  void fields(Fields& f);
};

// A tensor of optimiser state for the checkpoint: f32, in the physical order of its parameter.
struct StateTensor {
  std::string name;  // "<parameter>.m"
  const Parameter* parameter;
  Tensor values;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Updates every parameter that has a gradient, multiplying gradients by `gradient_scale` first, and leaves
  // the gradients zero. lr: this step's learning rate.
  virtual void step(double lr, double gradient_scale) = 0;
  virtual std::vector<StateTensor> state() const = 0;
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }

 protected:
  int64_t steps_ = 0;  // taken so far
};

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const std::vector<Parameter*>& parameters);

// Root of the sum of squares of all gradients; infinite or NaN if any element is.
double gradient_norm(const std::vector<Parameter*>& parameters);

}  // namespace lyceum
