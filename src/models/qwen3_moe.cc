// Qwen3-MoE (Qwen team 2025, arXiv:2505.09388): llama blocks with an RMSNorm of every head of queries and
// keys before the rotation; blocks are sparse where the step says so and the list does not forbid it.
//   x = x + sum over the top k of p_e [/ sum p] SwiGLU_e(RMSNorm(x)),  p = softmax(W_r RMSNorm(x))
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {

// Block i is sparse if (i + 1) mod decoder_sparse_step = 0 and i is not in mlp_only_layers (Qwen2-MoE too).
void read_qwen_placement(const ConfigReader& keys, ModelConfig& c) {
  c.d_ff_dense = c.d_ff;
  c.d_ff = keys.count("moe_intermediate_size");
  c.moe_every = keys.count_or("decoder_sparse_step", 1, 1);
  c.moe_first = c.moe_every - 1;
  c.dense_layers = keys.integers("mlp_only_layers");
}

void write_qwen_placement(const ModelConfig& c, nlohmann::ordered_json& json) {
  json["intermediate_size"] = c.dense_width();
  json["moe_intermediate_size"] = c.d_ff;
  const bool by_step = c.moe_first == c.moe_every - 1;
  json["decoder_sparse_step"] = by_step ? c.moe_every : 1;
  json["mlp_only_layers"] = by_step ? c.dense_layers : dense_blocks(c);
}

// The window serves the blocks that layer_types names. Without that list: as the class of transformers does,
// every second one of the first max_window_layers.
void read_qwen_window(const ConfigReader& keys, ModelConfig& c) {
  const int64_t window = keys.count_or("sliding_window", 0);
  const int64_t first = keys.count_or("max_window_layers", 28);
  c.window = keys.flag("use_sliding_window", false) ? window : 0;
  for (int64_t i = 0; c.window > 0 && i < c.n_layers; ++i)
    if (i % 2 == 1 || i >= first) c.full_layers.push_back(i);
  const std::vector<std::string> types = keys.words("layer_types");
  if (c.window == 0 || types.empty()) return;
  c.full_layers.clear();
  for (size_t i = 0; i < types.size(); ++i)
    if (types[i] == "full_attention") c.full_layers.push_back(static_cast<int64_t>(i));
}

namespace {

void fix(ModelConfig& c) { c.qk_norm = AttentionOptions::QkNorm::kHead; }

void read(const ConfigReader& keys, ModelConfig& c) {
  c.norm_eps = 1e-6;
  read_decoder(keys, c);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", false);
  read_qwen_placement(keys, c);
  c.window = keys.flag("use_sliding_window", false) ? keys.count_or("sliding_window", 0) : 0;
  keys.has("sliding_window"), keys.has("max_window_layers");
  read_experts(keys, c);
  c.renormalise = keys.flag("norm_topk_prob", false);
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.001);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["attention_bias"] = c.qkv_bias;
  write_qwen_placement(c, json);
  json["use_sliding_window"] = c.window > 0;
  json["sliding_window"] = c.window > 0 ? nlohmann::ordered_json(c.window) : nlohmann::ordered_json();
  json["num_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["norm_topk_prob"] = c.renormalise;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["output_router_logits"] = false;
}

}  // namespace

extern const Family kQwen3Moe;
const Family kQwen3Moe = {
    "qwen3_moe", "Qwen3MoeForCausalLM",
    true,        {"qkv_bias", "out_bias", "d_ff_dense", "moe_first", "moe_every", "dense_layers", "window"},
    {},          fix,
    read,        write};

}  // namespace lyceum
