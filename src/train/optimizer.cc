#include "train/optimizer.h"

#include <cmath>

#include "kernels/optimizer.h"

namespace lyceum {
namespace {

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerOptions& options, const std::vector<Parameter*>& parameters) : options_(options) {
    for (Parameter* p : parameters)
      if (p->grad)
        slots_.push_back(
            {p, Tensor::zeros(p->value.shape(), DType::kF32), Tensor::zeros(p->value.shape(), DType::kF32)});
  }

  void step(double lr, double gradient_scale) override {
    ++steps_;
    kernels::AdamStep step;
    step.lr = static_cast<float>(lr);
    step.beta1 = static_cast<float>(options_.beta1), step.beta2 = static_cast<float>(options_.beta2);
    step.eps = static_cast<float>(options_.eps);
    step.correction1 = static_cast<float>(1 - std::pow(options_.beta1, static_cast<double>(steps_)));
    step.correction2 = static_cast<float>(1 - std::pow(options_.beta2, static_cast<double>(steps_)));
    step.gradient_scale = static_cast<float>(gradient_scale);
    for (const Slot& s : slots_) {
      Parameter& p = *s.parameter;
      step.weight_decay =
          p.decay || options_.decay_vectors ? static_cast<float>(options_.weight_decay) : 0.0f;
      if (p.residual)
        kernels::adamw(p.physical(), step, p.value.as<bf16>(), p.residual.as<int16_t>(), p.grad.f32(),
                       s.m.f32(), s.v.f32());
      else kernels::adamw(p.physical(), step, p.value.f32(), p.grad.f32(), s.m.f32(), s.v.f32());
    }
  }

  std::vector<StateTensor> state() const override {
    std::vector<StateTensor> out;
    for (const Slot& s : slots_) {
      out.push_back({s.parameter->name + ".m", s.parameter, s.m});
      out.push_back({s.parameter->name + ".v", s.parameter, s.v});
    }
    return out;
  }

 private:
  struct Slot {
    Parameter* parameter;
    Tensor m, v;
  };
  OptimizerOptions options_;
  std::vector<Slot> slots_;
};

}  // namespace

void OptimizerOptions::fields(Fields& f) {
  const bool adam = name == "adamw";
  f.add("name", name, "which optimiser", one_of({"adamw"}));
  f.add("beta1", beta1, "decay of the first moment", at_least(0), below(1),
        effective(adam, "only adamw has it"));
  f.add("beta2", beta2, "decay of the second moment", at_least(0), below(1));
  f.add("eps", eps, "added to the root of the second moment", above(0));
  f.add("weight_decay", weight_decay, "decoupled weight decay", at_least(0));
  f.add("decay_vectors", decay_vectors, "decay norms and biases too");
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const std::vector<Parameter*>& parameters) {
  check(options.name == "adamw", "optimizer", "unknown optimiser \"", options.name, "\"; known: adamw");
  return std::make_unique<AdamW>(options, parameters);
}

double gradient_norm(const std::vector<Parameter*>& parameters) {
  double sum = 0;
  for (const Parameter* p : parameters)
    if (p->grad) sum += kernels::sum_of_squares(p->grad.elements(), p->grad.f32());
  return std::sqrt(sum);
}

}  // namespace lyceum
