// Optimisers: one step over all parameters, clipping folded in, state in the physical order of each
// parameter.
#pragma once

#include <memory>

#include "base/fields.h"
#include "tensor/parameter.h"

namespace lyceum {

struct OptimizerOptions {
  std::string name = "adamw";
  double lr = 4e-4;  // peak; the schedule multiplies it
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;
  double embedding_lr = 1, output_lr = 1;  // factors of lr for the table of tokens, the output matrix
  bool decay_vectors = false;              // norms and biases too
  double momentum = 0.95;                  // of muon
  bool nesterov = true;
  int64_t newton_schulz = 5;
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
  virtual void set_steps(int64_t steps) { steps_ = steps; }

 protected:
  int64_t steps_ = 0;  // taken so far
};

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const std::vector<Parameter*>& parameters);

// Bytes of state that an optimiser of these options keeps for a parameter.
int64_t optimizer_state_bytes(const OptimizerOptions& options, const Parameter& parameter);

// Root of the sum of squares of all gradients; infinite or NaN if any element is. Reads those gradients whose
// sum their product has not left (Parameter::squares): embeddings, vectors, small matrices of routers.
double gradient_norm(const std::vector<Parameter*>& parameters);

// Name of the first parameter whose gradient is not finite; "" if all are.
std::string non_finite_gradient(const std::vector<Parameter*>& parameters);

}  // namespace lyceum
