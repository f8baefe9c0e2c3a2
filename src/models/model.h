// A decoder-only model: embedding, blocks, final norm, output matrix. One forward for training, evaluation
// and serving.
#pragma once

#include "models/config.h"
#include "moe/layer.h"
#include "nn/context.h"

namespace lyceum {

class Model {
 public:
  // `weights`: dtype of the matrices, f32 or bf16. Parameters are zero until initialise() or load_weights().
  Model(const ModelConfig& config, DType weights);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  struct Output {
    Tensor hidden;                  // [tokens, d_model] after the final norm: the input of head()
    std::vector<Routing> routings;  // one for each sparse layer
  };
  // With `recompute`, a block keeps only its input and is computed again in the backward pass.
  Output forward(Context& context, bool recompute = false) const;
  // The same into `out`, whose memory is used again.
  void forward(Context& context, Output& out, bool recompute) const;

  // Truncated normal (config.init_std, cut at config.init_cut) for matrices and embeddings, 1 for norm
  // weights, 0 for biases. Each element is a function of key, parameter and logical position only.
  void initialise(RandomKey key);
  // Gradients and exact masters, for training.
  void enable_gradients();

  const ModelConfig& config() const { return config_; }
  Parameter& head() const { return *head_; }  // [vocab, d_model], the embedding itself when tied
  std::vector<Parameter*> parameters() const { return parameters_.all(); }
  DType weight_type() const { return weights_; }
  // Room for one sequence of up to `capacity` tokens.
  SequenceState new_state(int64_t capacity) const;

 private:
  struct Block {
    Norm attention_norm;
    Attention attention;
    Norm feed_forward_norm;
    std::unique_ptr<FeedForward> dense;
    std::unique_ptr<MoeLayer> sparse;
  };
  Tensor block_forward(Context& context, const Tensor& x, int64_t layer,
                       std::vector<Routing>& routings) const;
  Tensor recomputed_block(Context& context, const Tensor& x, int64_t layer,
                          std::vector<Routing>& routings) const;

  ModelConfig config_;
  DType weights_;
  ParameterList parameters_;
  Parameter *embedding_ = nullptr, *head_ = nullptr;
  std::vector<Block> blocks_;
  std::unique_ptr<Norm> norm_;
  mutable std::vector<Routing> spare_;  // of one recomputed block; training is one thread's work
};

}  // namespace lyceum
