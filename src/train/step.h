// One step of training up to the gradient: forward and backward of its micro-batches, statistics of routing.
// The trainer and `replay` run the same code.
#pragma once

#include <vector>

#include "models/model.h"
#include "moe/balance.h"

namespace lyceum {

struct StepOptions {
  DType activations = DType::kF32;
  bool recompute = false;
  BalanceOptions balance;
  uint64_t seed = 0;
};

// Routing of one layer over all micro-batches of a step.
struct LayerLoad {
  std::vector<double> load;         // [n_experts] kept edges
  std::vector<double> chosen;       // [n_experts] edges, before capacity dropped any
  std::vector<double> probability;  // [n_experts] sum over tokens of the router's softmax
  double tokens = 0, edges = 0, balance = 0, z = 0;

  double max_over_mean() const;
  double entropy() const;  // nats, of the mean distribution; ln(n_experts) = even
  double dead() const;     // experts without a token
  double dropped() const;  // share of edges without room
};

struct StepGradient {
  double loss = 0;  // mean negative log-likelihood over the step's token weight
  double balance = 0, z = 0, importance = 0, load = 0;
  int64_t tokens = 0;
  double attention_pairs = 0;  // sum over sequences of length^2
  std::vector<LayerLoad> layers;

  Model::Output output;  // of the last micro-batch; kept for its memory, empty between steps
  BalanceLosses losses, encoder_losses;
};

// Adds the gradient of
//   sum over micro-batches of  sum_t w_t / W  nll_t  +  (balance and z losses) / micro-batches
// to the parameters' gradients, W being the token weight of the whole step (never a mean of means), and fills
// `result`, whose memory is used again. Batches' weights are divided by W in place.
void step_gradient(const Model& model, const StepOptions& options, int64_t step, std::vector<Batch>& batches,
                   StepGradient& result, Taps* taps = nullptr);

// Floating-point operations of a training step:
//   6 tokens (parameters that multiply each token: attention, routers, top_k experts, output matrix)
//   + 6 layers q_width sum over sequences length^2      (causal attention: half of the score matrix)
double step_flops(const Model& model, int64_t tokens, double attention_pairs);
// The parameters in the first line: all but embedding and vectors, experts counted top_k / n_experts.
int64_t active_matrix_parameters(const Model& model);

}  // namespace lyceum
