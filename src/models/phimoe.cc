// Phi-3.5-MoE (Abdin et al. 2024, arXiv:2404.14219): Mixtral's blocks with LayerNorm, biases of the attention
// and of the output matrix, and SparseMixer's router (Liu et al. 2023, arXiv:2310.00811): two rounds, each
// the best expert with its softmax among those close to it.
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.norm = NormOptions::Kind::kLayer;
  c.router = "sparsemixer";
}

void read(const ConfigReader& keys, ModelConfig& c) {
  c.rope.theta = 1e6;
  read_decoder(keys, c);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", false);
  c.head_bias = keys.flag("lm_head_bias", false);
  c.window = keys.count_or("sliding_window", 0);
  read_experts(keys, c);
  c.routing.threshold = keys.number("router_jitter_noise", 0.01);
  keys.has("input_jitter_noise");  // of training in the reference
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.001);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["attention_bias"] = c.qkv_bias;
  json["lm_head_bias"] = c.head_bias;
  json["sliding_window"] = c.window > 0 ? nlohmann::ordered_json(c.window) : nlohmann::ordered_json();
  json["num_local_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["router_jitter_noise"] = c.routing.threshold;
  json["input_jitter_noise"] = 0.0;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["output_router_logits"] = false;
}

}  // namespace

extern const Family kPhiMoe;
const Family kPhiMoe = {"phimoe",
                        "PhimoeForCausalLM",
                        true,
                        {"qkv_bias", "out_bias", "head_bias", "window"},
                        {"w1",
                         "w3",
                         "w2",
                         {{".mlp.", ".block_sparse_moe."}},
                         nullptr,
                         {},
                         false,
                         {{".mlp.gate.", ".mlp.router."}}},
                        fix,
                        read,
                        write,
                        "PhiMoEForCausalLM"};

}  // namespace lyceum
