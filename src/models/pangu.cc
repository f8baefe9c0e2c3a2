// PanGu-alpha (Zeng et al. 2021, arXiv:2104.12369) and PanGu-Sigma (Ren et al. 2023, arXiv:2303.10845).
//   x = word[id] + position[t];  x = x + attention(LN1 x);  x = x + W_2 g(W_1 LN2 x)
//   g(u) = u sigmoid(1.702 u)
// The last block is the query layer: its attention asks with a learned row of the position. The final norm
// stands before it, or after it where the program ran as a pipeline; no file says which, so final_norm in
// config.json ("before_query", "after_query") is a key of ours. PanGu-Sigma has random routed experts in its
// top blocks: which expert serves a token is looked up by domain and id (moe/routers/random_routed.cc).
// No Hugging Face class exists. Files have the names of the authors' program, matrices [in, out] but those of
// queries, keys and values, which are [out, in]; experts stacked, [n_experts, in, out] with biases
// [n_experts, out]; tables route_table.<block> [n_domains, vocab] of integers.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.norm = NormOptions::Kind::kLayer;
  c.activation = Activation::kQuickGelu;
  c.gated = c.rotary = false;
  c.qkv_bias = c.out_bias = c.feed_forward_bias = c.expert_bias = true;
  c.tied = c.learned_positions = c.query_layer = true;
}

void fix_sigma(ModelConfig& c) {
  fix(c);
  c.router = "random_routed";
  c.top_k = 1;
}

void read(const ConfigReader& keys, ModelConfig& c) {
  c.vocab = keys.count("vocab_size"), c.d_model = keys.count("hidden_size");
  c.d_ff = keys.count("ffn_hidden_size"), c.n_heads = keys.count("num_heads");
  c.n_layers = keys.count("num_layers"), c.max_positions = keys.count("seq_length");
  c.norm_eps = keys.number("layernorm_epsilon", 1e-5);
  c.init_std = keys.number("initializer_range", 0.02);
  c.bos = keys.token("bos_token_id"), c.eos = keys.token("eos_token_id"), c.pad = keys.token("pad_token_id");
  check(keys.word("hidden_act", "fast_gelu") == "fast_gelu", "config", keys.where(),
        ": hidden_act must be \"fast_gelu\"");
  const std::string place = keys.word("final_norm", "before_query");
  check(place == "before_query" || place == "after_query", "config", keys.where(),
        ": final_norm must be \"before_query\" or \"after_query\", found ", quote(place));
  c.norm_before_query = place == "before_query";
  c.balance_coefficient = 0;
}

void read_sigma(const ConfigReader& keys, ModelConfig& c) {
  read(keys, c);
  const std::vector<int64_t> sparse = keys.integers("sparse_layers");
  check(!sparse.empty(), "config", keys.where(), ": sparse_layers names no block");
  for (int64_t layer : sparse)
    check(layer >= 0 && layer < c.n_layers, "config", keys.where(), ": sparse_layers names block ", layer,
          " of ", c.n_layers);
  c.moe_first = *std::min_element(sparse.begin(), sparse.end());
  for (int64_t i = c.moe_first; i < c.n_layers; ++i)
    if (std::find(sparse.begin(), sparse.end(), i) == sparse.end()) c.dense_layers.push_back(i);
  const nlohmann::json* domains = keys.list("domain_experts");
  check(domains && !domains->empty(), "config", keys.where(), ": domain_experts is missing");
  c.routing.n_domains = static_cast<int64_t>(domains->size());
  std::vector<int64_t>& sizes = c.routing.domain_experts;
  for (const nlohmann::json& experts : *domains) {
    check(experts.is_array() && !experts.empty(), "config", keys.where(),
          ": domain_experts must be lists of experts");
    sizes.push_back(static_cast<int64_t>(experts.size()));
    for (const nlohmann::json& e : experts)
      check(e.is_number_integer() && e == c.n_experts++, "config", keys.where(),
            ": domain_experts must count the experts from 0, domain by domain");
  }
  if (std::set<int64_t>(sizes.begin(), sizes.end()).size() == 1) sizes.clear();
  c.top_k = 1;
  c.routing.table_seed = keys.count_or("route_seed", 1);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  json["architecture"] = json["architectures"][0];
  json["vocab_size"] = c.vocab, json["hidden_size"] = c.d_model, json["ffn_hidden_size"] = c.d_ff;
  json["num_heads"] = c.n_heads, json["num_layers"] = c.n_layers, json["seq_length"] = c.max_positions;
  json["hidden_act"] = "fast_gelu", json["layernorm_epsilon"] = c.norm_eps;
  json["final_norm"] = c.norm_before_query ? "before_query" : "after_query";
}

void write_sigma(const ModelConfig& c, nlohmann::ordered_json& json) {
  write(c, json);
  for (int64_t i = 0; i < c.n_layers; ++i)
    if (c.sparse_layer(i)) json["sparse_layers"].push_back(i);
  const int64_t domains = std::max<int64_t>(1, c.routing.n_domains);
  std::vector<int64_t> sizes = c.routing.domain_experts;
  if (sizes.empty()) sizes.assign(static_cast<size_t>(domains), c.n_experts / domains);
  int64_t expert = 0;
  for (int64_t size : sizes) {
    std::vector<int64_t> experts;
    for (int64_t i = 0; i < size; ++i) experts.push_back(expert++);
    json["domain_experts"].push_back(experts);
  }
  json["route_seed"] = c.routing.table_seed;
}

struct Named {
  const char *ours, *theirs;
  bool transposed;
};
constexpr Named kNames[] = {{"input_layernorm.weight", "layernorm1.gamma", false},
                            {"input_layernorm.bias", "layernorm1.beta", false},
                            {"post_attention_layernorm.weight", "layernorm2.gamma", false},
                            {"post_attention_layernorm.bias", "layernorm2.beta", false},
                            {"self_attn.q_proj.weight", "attention.dense1.weight", false},
                            {"self_attn.q_proj.bias", "attention.dense1.bias", false},
                            {"self_attn.k_proj.weight", "attention.dense2.weight", false},
                            {"self_attn.k_proj.bias", "attention.dense2.bias", false},
                            {"self_attn.v_proj.weight", "attention.dense3.weight", false},
                            {"self_attn.v_proj.bias", "attention.dense3.bias", false},
                            {"self_attn.o_proj.weight", "attention.projection.weight", true},
                            {"self_attn.o_proj.bias", "attention.projection.bias", false},
                            {"mlp.up_proj.weight", "output.mapping.weight", true},
                            {"mlp.up_proj.bias", "output.mapping.bias", false},
                            {"mlp.down_proj.weight", "output.projection.weight", true},
                            {"mlp.down_proj.bias", "output.projection.bias", false},
                            {"mlp.experts.gate_up_proj", "output.mapping.weight", true},
                            {"mlp.experts.gate_up_proj_bias", "output.mapping.bias", false},
                            {"mlp.experts.down_proj", "output.projection.weight", true},
                            {"mlp.experts.down_proj_bias", "output.projection.bias", false}};

bool place(const ModelConfig& c, Parameter& p, const std::string& name, FileTensors& out) {
  if (!name.starts_with("model.layers.")) return false;
  const size_t end = name.find('.', 13);
  const std::string layer = name.substr(13, end - 13), own = name.substr(end + 1);
  if (own == "mlp.route_table") return out.whole(p, "route_table." + layer), true;
  const bool query = layer == std::to_string(c.n_layers - 1);
  const std::string prefix = query ? "backbone.top_query_layer." : "backbone.blocks." + layer + ".";
  for (const Named& n : kNames)
    if (own == n.ours) {
      if (n.transposed) out.transposed(p, prefix + n.theirs);
      else out.whole(p, prefix + n.theirs);
      return true;
    }
  return false;
}

const TensorNames kTensors = {
    "",
    "",
    "",
    {{"model.embed_tokens.weight", "backbone.embedding.word_embedding.embedding_table"},
     {"model.embed_positions.weight", "backbone.embedding.position_embedding.embedding_table"},
     {"model.embed_queries.weight", "backbone.top_query_embedding.embedding_table"},
     {"model.norm.weight", "backbone.layernorm.gamma"},
     {"model.norm.bias", "backbone.layernorm.beta"}},
    place};

}  // namespace

extern const Family kPanguAlpha, kPanguSigma;
const Family kPanguAlpha = {"pangu_alpha", "PanguAlpha", false, {"norm_before_query"},
                            kTensors,      fix,          read,  write};
const Family kPanguSigma = {
    "pangu_sigma", "PanguSigma", true,       {"norm_before_query", "moe_first", "dense_layers"},
    kTensors,      fix_sigma,    read_sigma, write_sigma};

}  // namespace lyceum
