// GraniteMoE (IBM 2024; Granite 3.0 MoE): llama blocks with experts and four constant factors: of the
// embedding, of q.k, of what a branch adds, of the logits.
//   x = e E[id];  x = x + r attention(RMSNorm(x)), scores a q.k;  x = x + r moe(RMSNorm(x));  logits / s
// The gates are the softmax of the k largest router logits.
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) { c.renormalise = true; }

void read(const ConfigReader& keys, ModelConfig& c) {
  c.norm_eps = 1e-6;
  read_decoder(keys, c);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", false);
  c.embedding_scale = keys.number("embedding_multiplier", 1);
  c.residual_scale = keys.number("residual_multiplier", 1);
  c.attention_scale = keys.number("attention_multiplier", 1);
  const double logits = keys.number("logits_scaling", 1);
  check(logits > 0, "config", keys.where(), ": logits_scaling must be positive, found ", logits);
  c.logit_scale = 1 / logits;
  read_experts(keys, c);
  c.balance_coefficient = keys.number("router_aux_loss_coef", 0.001);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["attention_bias"] = c.qkv_bias;
  json["embedding_multiplier"] = c.embedding_scale;
  json["residual_multiplier"] = c.residual_scale;
  json["attention_multiplier"] =
      c.attention_scale > 0 ? c.attention_scale : 1 / std::sqrt(static_cast<double>(c.head_width()));
  json["logits_scaling"] = 1 / c.logit_scale;
  json["num_local_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["router_aux_loss_coef"] = c.balance_coefficient;
  json["output_router_logits"] = false;
}

bool place(const ModelConfig&, Parameter& p, const std::string& name, FileTensors& out) {
  if (name.find(".block_sparse_moe.") == std::string::npos) return false;
  out.whole(p, name);  // experts stay stacked
  return true;
}

}  // namespace

extern const Family kGraniteMoe;
const Family kGraniteMoe = {
    "granitemoe",
    "GraniteMoeForCausalLM",
    true,
    {"qkv_bias", "out_bias", "embedding_scale", "residual_scale", "attention_scale", "logit_scale"},
    {"",
     "",
     "",
     {{".mlp.gate.", ".block_sparse_moe.router.layer."},
      {".mlp.experts.gate_up_proj", ".block_sparse_moe.input_linear.weight"},
      {".mlp.experts.down_proj", ".block_sparse_moe.output_linear.weight"}},
     place,
     {},
     false,
     {{".mlp.gate.", ".block_sparse_moe.router."}, {".mlp.experts.", ".block_sparse_moe.experts."}}},
    fix,
    read,
    write};

}  // namespace lyceum
