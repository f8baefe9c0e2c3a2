// A model: embedding, a stack of blocks (with an encoder before it, two), output matrix. One forward for
// training, evaluation and serving.
#pragma once

#include "models/stack.h"

namespace lyceum {

class Model {
 public:
  // `weights`: dtype of the matrices, f32 or bf16. Parameters are zero until initialise() or load_weights().
  Model(const ModelConfig& config, DType weights);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  struct Output {
    Tensor hidden;                  // [tokens, d_model] after the final norm: the input of the head
    std::vector<Routing> routings;  // one for each sparse layer
    std::vector<Routing> encoder_routings;
    std::shared_ptr<std::vector<int32_t>> spans;  // of attention where not the batch's; must outlive the tape
  };
  // With `recompute`, a block keeps only its input and is computed again in the backward pass.
  Output forward(Context& context, bool recompute = false) const;
  // The same into `out`, whose memory is used again.
  void forward(Context& context, Output& out, bool recompute) const;

  // The output matrix on rows of `hidden`: all logits, or log-probabilities and losses without them.
  Tensor logits(Tape& tape, const Tensor& hidden) const;  // f32 [rows, vocab]
  ops::LogProb log_prob(Tape& tape, const Tensor& hidden, const std::vector<int32_t>& targets) const;
  std::vector<int32_t> best_ids(const Tensor& hidden) const;  // of the largest logits, ties to the lower id
  ops::CrossEntropy cross_entropy(Tape& tape, const Tensor& hidden, const std::vector<int32_t>& targets,
                                  const std::vector<float>& weights, float z_weight = 0) const;

  // Truncated normal (config.init_std, cut at config.init_cut) for matrices and embeddings, 1 for norm
  // weights, 0 for biases. Each element is a function of key, parameter and logical position only.
  void initialise(RandomKey key);
  // Gradients and exact masters, for training.
  void enable_gradients();

  const ModelConfig& config() const { return config_; }
  std::vector<Parameter*> parameters() const { return parameters_.all(); }
  std::vector<Router*> routers() const;  // of the sparse layers, in the order of Output::routings
  DType weight_type() const { return weights_; }
  // Room for one sequence of up to `capacity` tokens.
  SequenceState new_state(int64_t capacity) const;

 private:
  Tensor embed(Context& context) const;
  Tensor by_position(Context& context, Parameter& table) const;
  Tensor encode(Context& context, Output& out, bool recompute) const;

  ModelConfig config_;
  DType weights_;
  ParameterList parameters_;
  Parameter *embedding_ = nullptr, *head_ = nullptr;  // [vocab, d_model], the same when tied
  Parameter *head_bias_ = nullptr, *positions_ = nullptr, *queries_ = nullptr;
  std::unique_ptr<Stack> encoder_, decoder_;
};

}  // namespace lyceum
