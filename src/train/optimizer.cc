#include "train/optimizer.h"

#include <cmath>

#include "kernels/optimizer.h"
#include "train/muon.h"

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
    step.beta1 = static_cast<float>(options_.beta1), step.beta2 = static_cast<float>(options_.beta2);
    step.eps = static_cast<float>(options_.eps);
    step.correction1 = static_cast<float>(1 - std::pow(options_.beta1, static_cast<double>(steps_)));
    step.correction2 = static_cast<float>(1 - std::pow(options_.beta2, static_cast<double>(steps_)));
    step.gradient_scale = static_cast<float>(gradient_scale);
    for (const Slot& s : slots_) {
      Parameter& p = *s.parameter;
      step.lr = static_cast<float>(lr * rate_of(p));
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
  double rate_of(const Parameter& p) const {
    if (p.name == "model.embed_tokens.weight") return options_.embedding_lr;
    return p.name == "lm_head.weight" ? options_.output_lr : 1;
  }

  struct Slot {
    Parameter* parameter;
    Tensor m, v;
  };
  OptimizerOptions options_;
  std::vector<Slot> slots_;
};

// Muon for the matrices, AdamW for embeddings, the output matrix, routers and vectors.
class MuonAndAdamW : public Optimizer {
 public:
  MuonAndAdamW(const OptimizerOptions& options, const std::vector<Parameter*>& parameters)
      : muon_(options, split(parameters, true)), rest_(options, split(parameters, false)) {}

  void step(double lr, double gradient_scale) override {
    ++steps_;
    muon_.step(lr, gradient_scale);
    rest_.step(lr, gradient_scale);
  }
  std::vector<StateTensor> state() const override {
    std::vector<StateTensor> out = muon_.state(), rest = rest_.state();
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  }
  void set_steps(int64_t steps) override {
    steps_ = steps;
    rest_.set_steps(steps);
  }

 private:
  static std::vector<Parameter*> split(const std::vector<Parameter*>& all, bool muon) {
    std::vector<Parameter*> out;
    for (Parameter* p : all)
      if (p->grad && muon_takes(*p) == muon) out.push_back(p);
    return out;
  }
  Muon muon_;
  AdamW rest_;
};

}  // namespace

void OptimizerOptions::fields(Fields& f) {
  const bool muon = name == "muon";
  const std::string only = "only muon has it";
  f.add("name", name, "adamw, or muon for the matrices with adamw for the rest", one_of({"adamw", "muon"}));
  f.add("lr", lr, "peak learning rate", at_least(0));
  f.add("beta1", beta1, "adamw: decay of the first moment", at_least(0), below(1));
  f.add("beta2", beta2, "adamw: decay of the second moment", at_least(0), below(1));
  f.add("eps", eps, "adamw: added to the root of the second moment", above(0));
  f.add("weight_decay", weight_decay, "decoupled weight decay", at_least(0));
  f.add("embedding_lr", embedding_lr, "learning rate of the table of tokens, as a factor of lr", above(0));
  f.add("output_lr", output_lr, "learning rate of the output matrix, as a factor of lr", above(0));
  f.add("decay_vectors", decay_vectors, "decay norms and biases too");
  f.add("momentum", momentum, "decay of muon's momentum", at_least(0), below(1), effective(muon, only));
  f.add("nesterov", nesterov, "look ahead by one step of momentum", effective(muon, only));
  f.add("newton_schulz", newton_schulz, "iterations of the orthogonalisation", at_least(1), at_most(20),
        effective(muon, only));
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const std::vector<Parameter*>& parameters) {
  if (options.name == "adamw") return std::make_unique<AdamW>(options, parameters);
  if (options.name == "muon") return std::make_unique<MuonAndAdamW>(options, parameters);
  fail(ErrorKind::kInvalidArgument, "optimizer", "unknown optimiser \"", options.name,
       "\"; known: adamw, muon");
}

int64_t optimizer_state_bytes(const OptimizerOptions& options, const Parameter& p) {
  return p.physical() * (options.name == "muon" && muon_takes(p) ? 4 : 8);
}

double gradient_norm(const std::vector<Parameter*>& parameters) {
  double sum = 0;
  for (const Parameter* p : parameters)
    if (p->grad)
      sum += std::isnan(p->squares) ? kernels::sum_of_squares(p->grad.elements(), p->grad.f32()) : p->squares;
  return std::sqrt(sum);
}

std::string non_finite_gradient(const std::vector<Parameter*>& parameters) {
  for (const Parameter* p : parameters)
    if (p->grad && !std::isfinite(kernels::sum_of_squares(p->grad.elements(), p->grad.f32()))) return p->name;
  return "";
}

}  // namespace lyceum
