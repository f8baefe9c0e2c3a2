// Losses that keep experts equally busy. They belong to the model, not to the router: published forms pool
// over layers.
//
// With R = all (layer, token) rows, c_{l,e} = edges of expert e in layer l, p = softmax of the router's
// logits, L layers, T tokens of the micro-batch, E experts, k experts a token:
//
//   huggingface   E * sum_e f_e P_e,  f_e = sum_l c_{l,e} / (L T),  P_e = mean of p over all rows      k at
//   balance
//                 (transformers, load_balancing_loss_func; pools layers before multiplying)
//   megablocks    E / (L T k) * sum_l sum_e c_{l,e} * mean_t p_{l,t,e}                                 1 at
//   balance
//                 (what OLMoE was trained with; systems.md section 2.3)
//   paper         mean over layers of E * sum_e (c_{l,e} / T) * mean_t p_{l,t,e}                       k at
//   balance
//                 (OLMoE, arXiv:2409.02060, equation 3; Shazeer et al., Fedus et al.)
//
// Gradients flow through p only. The router z-loss (Zoph et al. 2022, arXiv:2202.08906) is the mean of
// logsumexp^2:
//   paper  sum_{l,t} logsumexp^2 / (L T);        megablocks  / (L T k), as OLMoE's code divides
#pragma once

#include "moe/router.h"

namespace lyceum {

enum class BalanceForm { kHuggingFace, kMegaBlocks, kPaper };
BalanceForm balance_form(const std::string& name);  // huggingface, megablocks, paper
const std::vector<std::string>& balance_form_names();

struct BalanceOptions {
  BalanceForm form = BalanceForm::kMegaBlocks;
  double balance_coefficient = 0.01;
  double z_coefficient = 0.001;
};

struct BalanceLosses {
  double balance = 0, z = 0;             // without coefficients
  std::vector<double> balance_by_layer;  // each layer by itself, 1 at balance, for the log
  std::vector<double> z_by_layer;        // each layer's mean of logsumexp^2
};

// A root: the losses of all layers with a router; their gradients times coefficient * weight go to the
// logits. `weight` is this micro-batch's share of the step.
BalanceLosses balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& options,
                             double weight);
// The same into `out`, whose memory is used again.
void balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& options,
                    double weight, BalanceLosses& out);

}  // namespace lyceum
