// GPT-NeoX (Black et al. 2022, arXiv:2204.06745; Pythia): LayerNorm with weight and bias, both halves of a
// block of the same input, the first part of each head rotated, plain GELU networks, biases everywhere.
//   x = x + attention(LayerNorm_1(x)) + W_2 gelu(W_1 LayerNorm_2(x))
// Files hold queries, keys and values in one matrix, rows head by head: q, k, v of head 0, q, k, v of head 1.
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.norm = NormOptions::Kind::kLayer;
  c.gated = false;
  c.feed_forward_bias = true;
}

void read(const ConfigReader& keys, ModelConfig& c) {
  c.rope.fraction = 0.25;
  read_decoder(keys, c);
  c.activation = read_activation(keys, "hidden_act", "gelu");
  c.rope.fraction = keys.number("rotary_pct", c.rope.fraction);
  c.rope.theta = keys.number("rotary_emb_base", c.rope.theta);
  c.norm_eps = keys.number("layer_norm_eps", 1e-5);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", true);
  c.block = keys.flag("use_parallel_residual", true) ? ModelConfig::BlockForm::kParallel
                                                     : ModelConfig::BlockForm::kPreNorm;
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json.erase("rms_norm_eps"), json.erase("num_key_value_heads");
  json["layer_norm_eps"] = c.norm_eps;
  json["rotary_pct"] = c.rope.fraction;
  json["rotary_emb_base"] = c.rope.theta;
  json["attention_bias"] = c.qkv_bias;
  json["use_parallel_residual"] = c.block == ModelConfig::BlockForm::kParallel;
}

bool place(const ModelConfig& c, Parameter& p, const std::string& name, FileTensors& out) {
  const size_t at = name.find(".self_attn.");
  if (at == std::string::npos) return false;
  const std::string own = name.substr(at + 11), to = name.substr(0, at) + ".attention.query_key_value.";
  const int64_t which = own.starts_with("q_") ? 0 : own.starts_with("k_") ? 1 : 2;
  const int64_t width = c.head_width(), columns = matrix_columns(p), all = 3 * c.n_heads * width;
  const bool bias = own.ends_with(".bias");
  FileTensor& t = out.tensor(to + (bias ? "bias" : "weight"),
                             bias ? std::vector<int64_t>{all} : std::vector<int64_t>{all, columns});
  for (int64_t h = 0; h < c.n_heads; ++h)
    t.spans.push_back(
        {&p, 0, 1, h * width, width, 0, columns, (3 * h + which) * width * columns, 0, columns, 1});
  return true;
}

}  // namespace

extern const Family kGptNeox;
const Family kGptNeox = {"gpt_neox",
                         "GPTNeoXForCausalLM",
                         false,
                         {"qkv_bias", "out_bias", "rope_fraction"},
                         {"",
                          "",
                          "",
                          {{"model.layers.", "gpt_neox.layers."},
                           {"model.norm.", "gpt_neox.final_layer_norm."},
                           {"model.embed_tokens.", "gpt_neox.embed_in."},
                           {"lm_head.", "embed_out."},
                           {".self_attn.o_proj.", ".attention.dense."},
                           {".mlp.up_proj.", ".mlp.dense_h_to_4h."},
                           {".mlp.down_proj.", ".mlp.dense_4h_to_h."}},
                          place,
                          {".attention.bias", ".attention.masked_bias"}},
                         fix,
                         read,
                         write};

}  // namespace lyceum
