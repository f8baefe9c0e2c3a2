// DeepSeek-V2 (arXiv:2405.04434) and DeepSeek-V3 (arXiv:2412.19437): latent attention, dense blocks first,
// then experts chosen inside the best groups beside shared ones that see every token.
//   V2: p = softmax(W_r x), a group's score is its largest, gates are scale * p, never renormalised
//   V3: s = sigmoid(W_r x), chosen by s + b, a group's score is the sum of its two largest, gates are
//       scale * s [/ sum of the chosen]; b is moved by the load, not by the gradient
// Files hold the rotated part of a query head after the other, W_kva over W_kr, W_kb over W_vb head by head.
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix_both(ModelConfig& c) {
  c.rope.interleaved = !c.half_split;
  c.shared_name = "shared_experts";
  if (c.kv_rank == 0) c.kv_rank = 4 * std::max<int64_t>(1, c.d_model / 16);  // small recipes may leave it out
  if (c.d_nope == 0) c.d_nope = c.head_width();
  if (c.d_rope == 0) c.d_rope = std::max<int64_t>(2, c.d_nope / 4 * 2);
  if (c.d_value == 0) c.d_value = c.d_nope;
  c.d_head = c.d_nope + c.d_rope, c.n_kv_heads = 0;
  c.out_bias = c.qkv_bias;
}

void fix_v2(ModelConfig& c) {
  fix_both(c);
  c.renormalise = false;
  if (c.routing.groups > 1) c.routing.group_score = "max";
}

void fix_v3(ModelConfig& c) {
  fix_both(c);
  c.router = "sigmoid_top_k";
  c.routing.selection_bias = true;
  if (c.routing.groups > 1) c.routing.group_score = "top2_sum";
}

void read_both(const ConfigReader& keys, ModelConfig& c) {
  c.norm_eps = 1e-6;
  read_decoder(keys, c);
  check(c.n_kv_heads == 0 || c.n_kv_heads == c.n_heads, "config", keys.where(),
        ": num_key_value_heads must equal num_attention_heads = ", c.n_heads, ", found ", c.n_kv_heads);
  c.qkv_bias = keys.flag("attention_bias", false);
  c.q_rank = keys.count_or("q_lora_rank", 0), c.kv_rank = keys.count("kv_lora_rank");
  c.d_nope = keys.count("qk_nope_head_dim"), c.d_rope = keys.count("qk_rope_head_dim");
  c.d_value = keys.count("v_head_dim");
  keys.has("qk_head_dim");
  c.d_ff_dense = c.d_ff;
  c.d_ff = keys.count("moe_intermediate_size");
  read_experts(keys, c);
  c.d_ff_shared = keys.count_or("n_shared_experts", 0) * c.d_ff;
  const int64_t first = keys.count_or("first_k_dense_replace", 0);
  c.moe_every = keys.count_or("moe_layer_freq", 1, 1);
  c.moe_first = (first + c.moe_every - 1) / c.moe_every * c.moe_every;
  c.routing.gate_scale = keys.number("routed_scaling_factor", c.routing.gate_scale);
  c.routing.groups = keys.count_or("n_group", c.routing.groups, 1);
  c.routing.kept_groups = keys.count_or("topk_group", std::min(c.routing.groups, c.routing.kept_groups), 1);
  c.balance_coefficient = 0;
}

void write_both(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json.erase("head_dim");
  json["attention_bias"] = c.qkv_bias;
  json["q_lora_rank"] = c.q_rank > 0 ? nlohmann::ordered_json(c.q_rank) : nlohmann::ordered_json();
  json["kv_lora_rank"] = c.kv_rank;
  json["qk_nope_head_dim"] = c.d_nope, json["qk_rope_head_dim"] = c.d_rope, json["v_head_dim"] = c.d_value;
  json["intermediate_size"] = c.dense_width();
  json["moe_intermediate_size"] = c.d_ff;
  json["n_routed_experts"] = c.n_experts;
  json["num_experts_per_tok"] = c.top_k;
  json["n_shared_experts"] =
      c.d_ff_shared > 0 ? nlohmann::ordered_json(c.d_ff_shared / c.d_ff) : nlohmann::ordered_json();
  json["first_k_dense_replace"] = c.moe_first;
  json["moe_layer_freq"] = c.moe_every;
  json["routed_scaling_factor"] = c.routing.gate_scale;
  json["n_group"] = c.routing.groups, json["topk_group"] = c.routing.kept_groups;
  if (c.rope.scaling == "yarn") json["rope_scaling"]["type"] = "yarn";
}

void read_v2(const ConfigReader& keys, ModelConfig& c) {
  read_both(keys, c);
  const std::string method = keys.word("topk_method", "greedy");
  if (method != "greedy" && method != "group_limited_greedy")
    fail(ErrorKind::kUnsupported, keys.where().c_str(), "topk_method ", quote(method),
         "; known: greedy, group_limited_greedy");
  if (method == "greedy") c.routing.groups = c.routing.kept_groups = 1;
  keys.has("norm_topk_prob"), keys.has("scoring_func"), keys.has("mlp_bias");
}

void write_v2(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_both(c, json);
  json["topk_method"] = c.routing.groups > 1 ? "group_limited_greedy" : "greedy";
  json["scoring_func"] = "softmax";
  json["norm_topk_prob"] = false;
}

void read_v3(const ConfigReader& keys, ModelConfig& c) {
  c.routing.gate_scale = 2.5, c.routing.groups = 8, c.routing.kept_groups = 4;  // of the class, where absent
  read_both(keys, c);
  c.renormalise = keys.flag("norm_topk_prob", true);
  c.half_split = !keys.flag("rope_interleave", true);
  keys.has("topk_method"), keys.has("scoring_func");
  keys.has("num_nextn_predict_layers");  // its block is left out
}

void write_v3(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_both(c, json);
  json["topk_method"] = "noaux_tc";
  json["scoring_func"] = "sigmoid";
  json["norm_topk_prob"] = c.renormalise;
  if (c.half_split) json["rope_interleave"] = false;
}

bool place(const ModelConfig& c, Parameter& p, const std::string& name, FileTensors& out) {
  const auto named = [&](const char* own) { return name.find(own) != std::string::npos; };
  const size_t at = name.find(".self_attn.");
  if (at == std::string::npos) return false;
  const std::string prefix = name.substr(0, at + 11);
  const int64_t k = matrix_columns(p), heads = c.n_heads;
  const auto rows = [&](FileTensor& t, int64_t row, int64_t n, int64_t to) {
    t.spans.push_back({&p, 0, 1, row, n, 0, k, to * k, 0, k, 1});
  };
  if (named("q_proj.weight") || named("q_b_proj.weight")) {
    const int64_t width = c.d_nope + c.d_rope;
    FileTensor& t = out.tensor(name, {heads * width, k});
    for (int64_t h = 0; h < heads; ++h) {
      rows(t, h * width, c.d_rope, h * width + c.d_nope);
      rows(t, h * width + c.d_rope, c.d_nope, h * width);
    }
  } else if (named("k_b_proj") || named("v_b_proj")) {
    const int64_t width = c.d_nope + c.d_value;
    const bool values = named("v_b_proj");
    const int64_t own = values ? c.d_value : c.d_nope;
    FileTensor& t = out.tensor(prefix + "kv_b_proj.weight", {heads * width, k});
    for (int64_t h = 0; h < heads; ++h) rows(t, h * own, own, h * width + (values ? c.d_nope : 0));
  } else if (named("kv_a_proj") || named("k_rope_proj")) {
    const int64_t all = c.kv_rank + c.d_rope;
    const bool bias = name.ends_with(".bias"), rope = named("k_rope_proj");
    FileTensor& t = out.tensor(prefix + "kv_a_proj_with_mqa." + (bias ? "bias" : "weight"),
                               bias ? std::vector<int64_t>{all} : std::vector<int64_t>{all, k});
    rows(t, 0, matrix_rows(p), rope ? c.kv_rank : 0);
  } else {
    return false;
  }
  return true;
}

const std::vector<std::string> kKeys = {"qkv_bias", "d_ff_dense", "d_ff_shared", "moe_first", "moe_every",
                                        "q_rank",   "kv_rank",    "d_nope",      "d_rope",    "d_value"};

}  // namespace

extern const Family kDeepseekV2, kDeepseekV3;
const Family kDeepseekV2 = {"deepseek_v2",
                            "DeepseekV2ForCausalLM",
                            true,
                            kKeys,
                            {"gate_proj", "up_proj", "down_proj", {}, place},
                            fix_v2,
                            read_v2,
                            write_v2};
const Family kDeepseekV3 = {"deepseek_v3",
                            "DeepseekV3ForCausalLM",
                            true,
                            kKeys,
                            {"gate_proj", "up_proj", "down_proj", {}, place, {}, true},
                            fix_v3,
                            read_v3,
                            write_v3};

}  // namespace lyceum
