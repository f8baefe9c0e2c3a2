// Losses that keep experts equally busy. They belong to the model, not to the router: published forms pool
// over layers.
//
// With L layers, T tokens of the micro-batch, E experts, k experts a token, c_{l,e} = edges of expert e in
// layer l (before capacity drops any), p = the router's distribution (softmax of its logits; sigmoids over
// their sum), m_{l,e} = mean over tokens of p; c_{l,s,e} and m_{l,s,e} the same for the n_s tokens of
// sequence s of S. Every form is linear in m; gradients flow through p only.
//
//   form          value                                                           at balance   source
//   huggingface   E sum_e f_e P_e, f_e = sum_l c_{l,e} / (L T), P_e = mean_l m_{l,e}      k    transformers'
//                 load_balancing_loss_func: pools layers before it multiplies
//   megablocks    E / (L T k) sum_l sum_e c_{l,e} m_{l,e}                                 1    what OLMoE was
//                 trained with; with one layer DeepSpeed's top-k form
//   paper         mean_l E sum_e (c_{l,e} / T) m_{l,e}                                    k    OLMoE,
//                 arXiv:2409.02060, equation 3; Fedus et al.; flaxformer, ColossalAI
//   switch        E / S sum_s sum_e f_{s,e} P_{s,e}, f_{s,e} = sum_l c_{l,s,e} / (L n_s), P_{s,e} = mean_l
//                 m_{l,s,e}                                                               k    transformers'
//                 SwitchTransformers: layers joined along the tokens, sequence by sequence
//   gshard        as paper, c counts first choices only                                   1    GShard,
//                 DeepSpeed top-1 and top-2, fastmoe; fairscale's is 1 / E^2 of it
//   kept          mean_l E sum_e (kept_{l,e} / K) (T m_{l,e} / K), K = kept edges         1    fastmoe's
//   Switch
//                 gate
//   sequence      mean_l mean_s E / (k n_s) sum_e c_{l,s,e} m_{l,s,e}                     1    DeepSeek-V3
//                 (arXiv:2412.19437, equation 17), whose code adds layers: coefficient times L
//   global        mean_l E sum_e C_{l,e} / (sum_e C_{l,e}) m_{l,e}                        1    Qiu et al.
//   2025,
//                 arXiv:2501.11873: C adds up c over the micro-batches of the step so far
//
// The router z-loss (Zoph et al. 2022, arXiv:2202.08906) is the mean of logsumexp^2:
//   paper  sum_{l,t} logsumexp^2 / (L T);        megablocks  / (L T k), as OLMoE's code divides
// Importance and load losses (Shazeer et al. 2017) need the router's noise; the router computes them
// (Routing::importance, load_loss) and they are averaged over layers here.
#pragma once

#include "moe/router.h"

namespace lyceum {

enum class BalanceForm { kHuggingFace, kMegaBlocks, kPaper, kSwitch, kGShard, kKept, kSequence, kGlobal };
BalanceForm balance_form(const std::string& name);
const std::vector<std::string>& balance_form_names();

struct BalanceOptions {
  BalanceForm form = BalanceForm::kMegaBlocks;
  double balance_coefficient = 0.01;
  double z_coefficient = 0.001;
  enum class ZForm { kAsForm, kPaper, kMegaBlocks } z_form = ZForm::kAsForm;  // kAsForm: megablocks with it
  double importance_coefficient = 0, load_coefficient = 0;
};

struct BalanceLosses {
  double balance = 0, z = 0;             // without coefficients
  double importance = 0, load = 0;       // likewise; of routers that have them
  std::vector<double> balance_by_layer;  // each layer by itself, 1 at balance, for the log
  std::vector<double> z_by_layer;        // each layer's mean of logsumexp^2
  std::vector<double> probability;       // [layers, n_experts] sum over tokens of the router's distribution
  // For the global form: [layers, n_experts] edges of the micro-batches since the step began.
  std::vector<double> step_load;
  void begin_step() { step_load.clear(); }
};

// A root: the losses of all layers with a router; their gradients times coefficient * weight go to the
// routers' distributions and logits. `weight` is this micro-batch's share of the step.
BalanceLosses balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& options,
                             double weight);
// The same into `out`, whose memory is used again and whose step_load goes on.
void balance_losses(Tape& tape, const std::vector<Routing>& routings, const BalanceOptions& options,
                    double weight, BalanceLosses& out);

// Loss-free balancing (Wang et al. 2024, arXiv:2408.15664): b_e += rate * sign(mean load - load_e), once per
// optimiser step, `load` being the edges of all its micro-batches.
void update_selection_bias(Parameter& bias, const std::vector<double>& load, double rate);

}  // namespace lyceum
