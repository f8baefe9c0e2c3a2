// Yuan 2.0 (arXiv:2311.15786) and Yuan 2.0-M32 (Wu et al. 2024, arXiv:2405.17976): queries and keys of
// locally filtered rows (nn/local_filter.h), values of the rows themselves; every network sparse behind the
// Attention Router (moe/routers/attention_router.cc), or dense.
//   sparse: w2( silu(first half of w1 x) * second half );  dense: down( gate_proj x * silu(up_proj x) )
// Files: rows of [q_proj; k_proj] come head by head, q then k, so that the first half of the heads stands in
// q_proj and the other in k_proj. Convolutions are [out, in, 2, 1]. A tied file holds lm_head as a copy. The
// variant with one projection for queries and keys has qk_weight and qk_bias [2, width] and no filter.
// rope_precision is a key of ours: "bf16" (what the published file computes, and the default where there are
// experts), "bf16_frequencies" (what training computed) or "f32" (the default of the dense file).
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.filtered = true;
  if (c.eod < 0) c.eod = c.eos;
  if (!c.sparse()) return;
  c.router = "attention";
  c.renormalise = true;
}

void read(const ConfigReader& keys, ModelConfig& c) {
  c.norm_eps = 1e-6;
  read_decoder(keys, c);
  c.n_kv_heads = 0;
  const int64_t rotated = c.d_model / c.n_heads;
  const int64_t width = keys.count_or("attention_projection_size", c.d_model, 1);
  check(width % c.n_heads == 0, "config", keys.where(), ": attention_projection_size ", width,
        " does not divide into ", c.n_heads, " heads");
  c.d_head = width / c.n_heads, c.rope.rotary = rotated;
  c.shared_qk = keys.flag("use_shareqk", false);
  c.mask_by_document = keys.flag("reset_attention_mask", false);
  c.eod = keys.count_or("eod_token", -1);
  check(keys.flag("causal_mask", true), "config", keys.where(), ": causal_mask must be true");
  keys.has("reset_position_ids");  // the published program computes them and throws them away
  if (keys.flag("use_moe", false)) {
    const ConfigReader moe = keys.inside("moe_config");
    c.n_experts = moe.count("moe_num_experts");
    c.top_k = moe.count("moe_top_k");
    c.d_ff = moe.count_or("ffn_hidden_size", c.d_ff, 1);
    check(moe.flag("norm_topk_prob", true) && moe.flag("gated_linear_unit", true), "config", keys.where(),
          ": moe_config: norm_topk_prob and gated_linear_unit must be true");
  }
  keys.has("moe_config");
  const std::string precision = keys.word("rope_precision", c.sparse() ? "bf16" : "f32");
  if (precision != "bf16" && precision != "bf16_frequencies" && precision != "f32")
    fail(ErrorKind::kUnsupported, keys.where().c_str(), "rope_precision ", quote(precision),
         "; known: bf16, bf16_frequencies, f32");
  c.rope.coarse = precision == "bf16", c.rope.bf16_frequencies = precision == "bf16_frequencies";
  c.balance_coefficient = 0;
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json.erase("head_dim"), json.erase("num_key_value_heads");
  json["attention_projection_size"] = c.n_heads * c.head_width();
  json["causal_mask"] = true, json["reset_position_ids"] = true;
  json["reset_attention_mask"] = c.mask_by_document;
  if (c.eod >= 0) json["eod_token"] = c.eod;
  json["use_flash_attention"] = false, json["use_loss_mask"] = false;
  if (c.shared_qk) json["use_shareqk"] = true;
  json["use_moe"] = c.sparse();
  if (c.sparse())
    json["moe_config"] = {{"moe_num_experts", c.n_experts},
                          {"moe_top_k", c.top_k},
                          {"norm_topk_prob", true},
                          {"ffn_hidden_size", c.d_ff},
                          {"gated_linear_unit", true}};
  json["rope_precision"] = c.rope.coarse ? "bf16" : c.rope.bf16_frequencies ? "bf16_frequencies" : "f32";
}

// Rows of queries or keys, head by head, in the tensor that holds them.
void place_heads(const ModelConfig& c, Parameter& p, const std::string& prefix, bool keys, FileTensors& out) {
  const int64_t width = c.head_width(), half = c.n_heads * width, k = matrix_columns(p);
  for (int64_t h = 0; h < c.n_heads; ++h) {
    const int64_t row = (2 * h + keys) * width;  // of [q_proj; k_proj]
    FileTensor& t = out.tensor(prefix + (row < half ? "q_proj.weight" : "k_proj.weight"), {half, k});
    t.spans.push_back({&p, 0, 1, h * width, width, 0, k, row % half * k, 0, k, 1});
  }
}

bool place(const ModelConfig& c, Parameter& p, const std::string& name, FileTensors& out) {
  const int64_t n = matrix_rows(p), k = matrix_columns(p);
  const auto prefix = [&](const char* suffix) {
    return name.substr(0, name.size() - std::string(suffix).size());
  };
  for (const bool keys : {false, true}) {
    const char* projection = keys ? ".k_proj.weight" : ".q_proj.weight";
    if (name.ends_with(projection)) return place_heads(c, p, prefix(projection) + ".", keys, out), true;
    for (const char* part : {"weight", "bias"}) {
      const std::string own = std::string(keys ? ".k_scale." : ".q_scale.") + part;
      if (!name.ends_with(own)) continue;
      out.tensor(prefix(own.c_str()) + ".qk_" + part, {2, n})
          .spans.push_back({&p, 0, 1, 0, n, 0, 1, keys * n, 0, 1, 1});
      return true;
    }
  }
  if (name.ends_with(".conv1.weight") || name.ends_with(".conv2.weight")) {
    FileTensor& t = out.tensor(name, {n, k / 2, 2, 1});
    for (int64_t tap = 0; tap < 2; ++tap)
      t.spans.push_back({&p, 0, 1, 0, n, tap * k / 2, k / 2, tap, 0, k, 2});
  } else if (name.ends_with(".experts.gate_up_proj") || name.ends_with(".experts.down_proj")) {
    const bool up = name.ends_with("gate_up_proj");
    const std::string stem = prefix(up ? "gate_up_proj" : "down_proj");
    for (int64_t e = 0; e < p.matrices; ++e)
      out.rows(p, e, 0, n, stem + std::to_string(e) + (up ? ".w1.weight" : ".w2.weight"));
  } else if (name.ends_with(".gate_up_proj.weight")) {  // dense: what is activated is up_proj
    out.rows(p, 0, 0, n / 2, prefix("gate_up_proj.weight") + "up_proj.weight");
    out.rows(p, 0, n / 2, n / 2, prefix("gate_up_proj.weight") + "gate_proj.weight");
  } else if (c.tied && name == "model.embed_tokens.weight") {
    out.whole(p, name), out.whole(p, "lm_head.weight");
  } else {
    return false;
  }
  return true;
}

}  // namespace

extern const Family kYuan;
const Family kYuan = {
    "yuan", "YuanForCausalLM", true, {"shared_qk", "mask_by_document"}, {"", "", "", {}, place}, fix, read,
    write};

}  // namespace lyceum
