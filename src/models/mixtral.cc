// Mixtral (Jiang et al. 2024, arXiv:2401.04088): llama blocks, every feed-forward network sparse, the gates
// of the chosen experts renormalised, attention through a window where the config has one.
//   x = x + sum over the top k of p_e / sum p SwiGLU_e(RMSNorm(x)),  p = softmax(W_r RMSNorm(x))
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) { c.renormalise = true; }

void read(const ConfigReader& keys, ModelConfig& c) {
  c.rope.theta = 1e6;
  read_decoder(keys, c);
  c.window = keys.count_or("sliding_window", 0);
  read_experts(keys, c);
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.001);
  keys.has("router_jitter_noise");  // of training in the reference; none here
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["sliding_window"] = c.window > 0 ? nlohmann::ordered_json(c.window) : nlohmann::ordered_json();
  json["num_local_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["router_jitter_noise"] = 0.0;
  json["output_router_logits"] = false;
}

}  // namespace

extern const Family kMixtral;
const Family kMixtral = {"mixtral",
                         "MixtralForCausalLM",
                         true,
                         {"window"},
                         {"w1", "w3", "w2", {{".mlp.", ".block_sparse_moe."}}},
                         fix,
                         read,
                         write};

}  // namespace lyceum
