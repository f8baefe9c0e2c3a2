// The list of routers: one row each. To add one, write routers/<name>.cc and name it here.
#include "moe/router.h"

namespace lyceum {

using Make = std::unique_ptr<Router>(const RouterOptions&, const std::string&, ParameterList&);
Make make_softmax_top_k, make_sigmoid_top_k, make_switch, make_st_moe, make_sparsemixer,
    make_attention_router, make_random_routed;

const std::vector<RouterKind>& router_table() {
  constexpr unsigned kScored = kUsesGateScale | kUsesBias | kUsesPrecision | kUsesJitter | kUsesCapacity;
  constexpr unsigned kGrouped = kUsesGroups | kUsesSelectionBias | kUsesRenormalise;
  static const std::vector<RouterKind> table = {
      {"softmax_top_k", "softmax over all experts, the k largest, gates as they are or renormalised", true,
       kScored | kGrouped, "none", make_softmax_top_k},
      {"sigmoid_top_k", "sigmoid scores, selection bias and groups of experts (DeepSeek-V3)", true,
       kScored | kGrouped, "none", make_sigmoid_top_k},
      {"switch", "one expert a token, with capacity (Switch Transformer)", true, kScored, "switch",
       make_switch},
      {"st_moe", "the k largest with ST-MoE's and OpenMoE's capacity", true, kScored | kUsesRenormalise,
       "round", make_st_moe},
      {"sparsemixer", "k rounds of masked softmax, sampled in training (PhiMoE)", true,
       kUsesBias | kUsesPrecision | kUsesJitter | kUsesThreshold, "none", make_sparsemixer},
      {"attention", "experts attend to each other before the k largest (Yuan 2.0-M32)", true,
       kUsesGateScale | kUsesPrecision | kUsesRenormalise | kUsesCapacity, "none", make_attention_router},
      {"random_routed", "domain to group of experts, token id to expert by a fixed table (PanGu-Sigma)",
       false, kUsesTable, "none", make_random_routed},
  };
  return table;
}

}  // namespace lyceum
