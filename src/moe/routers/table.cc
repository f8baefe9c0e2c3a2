// The list of routers: one row each. To add one, write routers/<name>.cc and name it here.
#include "moe/router.h"

namespace lyceum {

using Make = std::unique_ptr<Router>(const RouterOptions&, const std::string&, ParameterList&);
Make make_softmax_top_k, make_sigmoid_top_k, make_switch, make_st_moe, make_gshard, make_noisy_top_k,
    make_hierarchical, make_sparsemixer, make_attention_router, make_expert_choice, make_base, make_hash,
    make_random_routed, make_forced_uniform;

const std::vector<RouterKind>& router_table() {
  constexpr unsigned kProduct = kUsesBias | kUsesPrecision | kUsesJitter | kUsesLogits;
  constexpr unsigned kScored = kProduct | kUsesGateScale | kUsesCapacity;
  constexpr unsigned kGrouped = kUsesGroups | kUsesSelectionBias | kUsesRenormalise;
  static const std::vector<RouterKind> table = {
      {"softmax_top_k", "softmax over all experts, the k largest, gates as they are or renormalised", true,
       kScored | kGrouped, "none", make_softmax_top_k},
      {"sigmoid_top_k", "sigmoid scores, selection bias and groups of experts (DeepSeek-V3)", true,
       kScored | kGrouped, "none", make_sigmoid_top_k},
      {"switch", "one expert a token, with capacity (Switch Transformer)", true, kScored | kUsesSample,
       "switch", make_switch},
      {"st_moe", "the k largest with ST-MoE's and OpenMoE's capacity", true, kScored | kUsesRenormalise,
       "round", make_st_moe},
      {"gshard", "top 2 with a random second expert and capacity by group (GShard)", true,
       kScored | kUsesSample | kUsesSecond, "ceil", make_gshard},
      {"noisy_top_k", "noisy logits with importance and load losses (Shazeer et al.)", false,
       kUsesNoise | kUsesCapacity | kUsesLogits | kUsesGateScale, "none", make_noisy_top_k},
      {"hierarchical", "two levels of noisy gates (Shazeer et al.)", false, kUsesNoise | kUsesGroups, "none",
       make_hierarchical},
      {"sparsemixer", "k rounds of masked softmax, sampled in training (PhiMoE)", true,
       kProduct | kUsesThreshold, "none", make_sparsemixer},
      {"attention", "experts attend to each other before the k largest (Yuan 2.0-M32)", true,
       kUsesGateScale | kUsesPrecision | kUsesLogits | kUsesRenormalise | kUsesCapacity, "none",
       make_attention_router},
      {"expert_choice", "experts choose tokens; no generation", false,
       kProduct | kUsesGateScale | kUsesGroup | kLooksAhead, "none", make_expert_choice},
      {"base", "balanced assignment by auction in training, the best expert in evaluation (BASE)", false,
       kProduct | kUsesGateScale, "none", make_base},
      {"hash", "token id, or two of them, to expert (Hash layers)", false, kUsesTable | kUsesHash, "none",
       make_hash},
      {"random_routed", "domain to group of experts, token id to expert by a fixed table (PanGu-Sigma)",
       false, kUsesTable, "none", make_random_routed},
      {"forced_uniform", "every expert equally busy, by position: FOR BENCHMARKS ONLY", true, kProduct,
       "none", make_forced_uniform},
  };
  return table;
}

}  // namespace lyceum
