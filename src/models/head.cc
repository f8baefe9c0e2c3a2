// The output matrix of a model: what the trainer, the evaluation and the sampler ask of it.
#include "kernels/head.h"

#include "models/model.h"

namespace lyceum {

Tensor Model::logits(Tape& tape, const Tensor& hidden) const {
  const Tensor y = ops::linear(tape, hidden, *head_, head_bias_, DType::kF32);
  return config_.logit_scale == 1 ? y : ops::scaled(tape, y, static_cast<float>(config_.logit_scale));
}

ops::LogProb Model::log_prob(Tape& tape, const Tensor& hidden, const std::vector<int32_t>& targets) const {
  return ops::linear_log_prob(tape, hidden, *head_, static_cast<float>(config_.logit_scale), targets,
                              head_bias_);
}

std::vector<int32_t> Model::best_ids(const Tensor& hidden) const {
  const size_t n = static_cast<size_t>(hidden.rows());
  std::vector<int32_t> targets(n, -1), best(n);
  std::vector<float> log_prob(n), logsumexp(n);
  kernels::Weights w = head_->weights();
  if (head_bias_) w.bias = head_bias_->value.f32();
  kernels::linear_log_prob(hidden.rows(), hidden.as_rows(), w, 1, targets.data(), log_prob.data(),
                           logsumexp.data(), best.data());
  return best;
}

ops::CrossEntropy Model::cross_entropy(Tape& tape, const Tensor& hidden, const std::vector<int32_t>& targets,
                                       const std::vector<float>& weights, float z_weight) const {
  return ops::linear_cross_entropy(tape, hidden, *head_, static_cast<float>(config_.logit_scale), targets,
                                   weights, z_weight, head_bias_);
}

}  // namespace lyceum
