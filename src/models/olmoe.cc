// OLMoE (Muennighoff et al. 2024, arXiv:2409.02060): llama blocks, every feed-forward network sparse.
//   x = x + O attention(rope(norm_q(W_q n)), rope(norm_k(W_k n)), W_v n),  n = RMSNorm(x)
//   x = x + sum over the top k of p_e SwiGLU_e(RMSNorm(x)),  p = softmax(W_r RMSNorm(x)) in f32, not
//   renormalised
// norm_q and norm_k span the whole projection, all heads together, before the rotation. Clamping (clip_qkv)
// comes after them, as in transformers.
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) { c.qk_norm = AttentionOptions::QkNorm::kFull; }

void read(const ConfigReader& keys, ModelConfig& c) {
  read_decoder(keys, c);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", false);
  c.clip_qkv = keys.number("clip_qkv", 0);
  read_experts(keys, c);
  c.renormalise = keys.flag("norm_topk_prob", false);
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.01);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["attention_bias"] = c.qkv_bias;
  json["clip_qkv"] = c.clip_qkv > 0 ? nlohmann::ordered_json(c.clip_qkv) : nlohmann::ordered_json();
  json["num_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["norm_topk_prob"] = c.renormalise;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["output_router_logits"] = false;
}

}  // namespace

extern const Family kOlmoe;
const Family kOlmoe = {"olmoe", "OlmoeForCausalLM", true, {"qkv_bias", "out_bias", "clip_qkv"}, {}, fix, read,
                       write};

}  // namespace lyceum
