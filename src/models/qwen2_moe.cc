// Qwen1.5-MoE and Qwen2-MoE (Qwen team 2024, arXiv:2407.10671): llama blocks with biases of queries, keys and
// values; sparse blocks have a shared network behind a sigmoid of its own.
//   x = x + sum over the top k of p_e [/ sum p] SwiGLU_e(n) + sigmoid(w_s n) SwiGLU_shared(n),  n =
//   RMSNorm(x)
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {

void read_qwen_placement(const ConfigReader& keys, ModelConfig& c);  // qwen3_moe.cc
void write_qwen_placement(const ModelConfig& c, nlohmann::ordered_json& json);
void read_qwen_window(const ConfigReader& keys, ModelConfig& c);

namespace {

void fix(ModelConfig& c) { c.shared_gate = c.d_ff_shared > 0; }

void read(const ConfigReader& keys, ModelConfig& c) {
  c.norm_eps = 1e-6;
  read_decoder(keys, c);
  c.qkv_bias = keys.flag("qkv_bias", true);
  read_qwen_placement(keys, c);
  read_qwen_window(keys, c);
  c.d_ff_shared = keys.count("shared_expert_intermediate_size");
  read_experts(keys, c);
  c.renormalise = keys.flag("norm_topk_prob", false);
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.001);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["qkv_bias"] = c.qkv_bias;
  write_qwen_placement(c, json);
  json["use_sliding_window"] = c.window > 0;
  json["sliding_window"] = c.window > 0 ? nlohmann::ordered_json(c.window) : nlohmann::ordered_json();
  for (int64_t i = 0; i < c.n_layers && c.window > 0; ++i)
    json["layer_types"].push_back(c.window_of(i) > 0 ? "sliding_attention" : "full_attention");
  json["shared_expert_intermediate_size"] = c.d_ff_shared;
  json["num_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["norm_topk_prob"] = c.renormalise;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["output_router_logits"] = false;
}

}  // namespace

extern const Family kQwen2Moe;
const Family kQwen2Moe = {"qwen2_moe",
                          "Qwen2MoeForCausalLM",
                          true,
                          {"qkv_bias", "d_ff_dense", "d_ff_shared", "moe_first", "moe_every", "dense_layers",
                           "window", "full_layers"},
                          {},
                          fix,
                          read,
                          write};

}  // namespace lyceum
