// config.json: the keys that all decoder families share, in the spellings of transformers 4 and 5.
#include <nlohmann/json.hpp>
#include <set>

#include "base/log.h"
#include "models/families.h"

namespace lyceum {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Keys that say nothing about the mathematics of the forward pass as it is done here.
const std::set<std::string>& harmless_keys() {
  static const std::set<std::string> keys = {"architectures",
                                             "model_type",
                                             "transformers_version",
                                             "torch_dtype",
                                             "dtype",
                                             "use_cache",
                                             "output_router_logits",
                                             "attention_dropout",
                                             "initializer_range",
                                             "_name_or_path",
                                             "auto_map",
                                             "pretraining_tp",
                                             "id2label",
                                             "label2id",
                                             "problem_type",
                                             "return_dict",
                                             "output_hidden_states",
                                             "output_attentions",
                                             "_attn_implementation",
                                             "quantization_config",
                                             "unsloth_version",
                                             "router_jitter_noise",
                                             "sep_token_id",
                                             "tokenizer_class",
                                             "is_decoder",
                                             "max_length"};
  return keys;
}
const std::set<std::string>& known_keys() {
  static const std::set<std::string> keys = {"vocab_size",
                                             "hidden_size",
                                             "num_hidden_layers",
                                             "num_attention_heads",
                                             "num_key_value_heads",
                                             "head_dim",
                                             "intermediate_size",
                                             "rms_norm_eps",
                                             "clip_qkv",
                                             "attention_bias",
                                             "mlp_bias",
                                             "tie_word_embeddings",
                                             "max_position_embeddings",
                                             "rope_theta",
                                             "rope_scaling",
                                             "rope_parameters",
                                             "bos_token_id",
                                             "eos_token_id",
                                             "pad_token_id",
                                             "hidden_act",
                                             "num_experts",
                                             "num_experts_per_tok",
                                             "norm_topk_prob",
                                             "router_aux_loss_coef",
                                             "layer_norm_eps",
                                             "num_local_experts"};
  return keys;
}

int64_t token_id(const json& j, const char* key) {
  if (!j.contains(key) || j[key].is_null()) return -1;
  const json& v = j[key];
  return v.is_array() ? (v.empty() ? -1 : v[0].get<int64_t>()) : v.get<int64_t>();
}

void read_rope(const json& j, ModelConfig& c, const std::string& path) {
  c.rope_theta = j.value("rope_theta", 10000.0);
  json rope;
  if (j.contains("rope_scaling") && j["rope_scaling"].is_object()) rope = j["rope_scaling"];
  if (j.contains("rope_parameters") && j["rope_parameters"].is_object()) rope = j["rope_parameters"];
  if (!rope.is_object()) return;
  c.rope_theta = rope.value("rope_theta", c.rope_theta);
  c.rope_scaling = rope.value("rope_type", rope.value("type", std::string("default")));
  if (c.rope_scaling != "default" && c.rope_scaling != "linear" && c.rope_scaling != "llama3")
    fail(ErrorKind::kUnsupported, path.c_str(), "rope type \"", c.rope_scaling,
         "\"; known: default, linear, llama3");
  c.rope_factor = rope.value("factor", 1.0);
  c.rope_low = rope.value("low_freq_factor", 1.0);
  c.rope_high = rope.value("high_freq_factor", 4.0);
  c.rope_original = rope.value("original_max_position_embeddings", int64_t{8192});
}

void read_common(const json& j, ModelConfig& c, const std::string& path) {
  c.vocab = j.at("vocab_size").get<int64_t>();
  c.d_model = j.at("hidden_size").get<int64_t>();
  c.n_layers = j.at("num_hidden_layers").get<int64_t>();
  c.n_heads = j.at("num_attention_heads").get<int64_t>();
  c.d_ff = j.at("intermediate_size").get<int64_t>();
  const auto integer = [&](const char* key, int64_t absent) {
    return j.contains(key) && !j[key].is_null() ? j[key].get<int64_t>() : absent;
  };
  c.n_kv_heads = integer("num_key_value_heads", 0);
  c.d_head = integer("head_dim", 0);
  c.max_positions = integer("max_position_embeddings", 2048);
  c.norm_eps = j.value("rms_norm_eps", 1e-5);
  c.clip_qkv = j.contains("clip_qkv") && !j["clip_qkv"].is_null() ? j["clip_qkv"].get<double>() : 0.0;
  c.attention_bias = j.value("attention_bias", false);
  c.tied = j.value("tie_word_embeddings", false);
  c.init_std = j.value("initializer_range", 0.02);
  c.bos = token_id(j, "bos_token_id"), c.eos = token_id(j, "eos_token_id"),
  c.pad = token_id(j, "pad_token_id");
  const std::string activation = j.value("hidden_act", "silu");
  if (activation != "silu" && activation != "swish")
    fail(ErrorKind::kUnsupported, path.c_str(), "hidden_act \"", activation, "\"; known: silu");
  read_rope(j, c, path);
}

const Family& family_of(const json& j, const std::string& path) {
  std::string architecture;
  if (j.contains("architectures") && j["architectures"].is_array() && !j["architectures"].empty())
    architecture = j["architectures"][0].get<std::string>();
  const std::string type = j.value("model_type", "");
  for (const Family& f : family_table())
    if (architecture == f.architecture || (architecture.empty() && type == f.name)) return f;
  std::string known;
  for (const Family& f : family_table()) known += std::string(known.empty() ? "" : ", ") + f.architecture;
  fail(ErrorKind::kUnsupported, path.c_str(), "architecture \"", architecture.empty() ? type : architecture,
       "\"; known: ", known);
}

}  // namespace

ModelConfig read_model_config(const std::string& text, const std::string& path) {
  try {
    const json j = json::parse(text);
    check_data(j.is_object(), path.c_str(), "wanted an object of model keys, found ", j.type_name());
    const Family& family = family_of(j, path);
    ModelConfig c;
    c.family = family.name;
    read_common(j, c, path);
    family.read(j, c);
    family.fix(c);
    for (const auto& [key, value] : j.items())
      if (!value.is_null() && !harmless_keys().count(key) && !known_keys().count(key))
        log_warn("config", path, ": the key \"", key, "\" is unknown to the family ", family.name,
                 " and has no effect");
    try {
      c.validate();
    } catch (const Error& e) {
      fail(ErrorKind::kCorruptData, path.c_str(), e.what());
    }
    return c;
  } catch (const json::exception& e) {
    fail(ErrorKind::kCorruptData, path.c_str(), "not a model configuration: ", e.what());
  }
}

std::string write_model_config(const ModelConfig& c, const std::string& dtype) {
  const Family& family = find_family(c.family);
  ordered_json j;
  j["architectures"] = {family.architecture};
  j["model_type"] = family.name;
  j["vocab_size"] = c.vocab;
  j["hidden_size"] = c.d_model;
  j["intermediate_size"] = c.d_ff;
  j["num_hidden_layers"] = c.n_layers;
  j["num_attention_heads"] = c.n_heads;
  j["num_key_value_heads"] = c.kv_heads();
  if (c.d_head) j["head_dim"] = c.d_head;
  j["hidden_act"] = "silu";
  j["rms_norm_eps"] = c.norm_eps;
  j["attention_bias"] = c.attention_bias;
  j["attention_dropout"] = 0.0;
  if (c.clip_qkv > 0) j["clip_qkv"] = c.clip_qkv;
  else j["clip_qkv"] = nullptr;
  j["tie_word_embeddings"] = c.tied;
  j["max_position_embeddings"] = c.max_positions;
  j["rope_theta"] = c.rope_theta;  // transformers 4 reads this pair, 5 converts it
  if (c.rope_scaling == "default") {
    j["rope_scaling"] = nullptr;
  } else {
    j["rope_scaling"] = {{"rope_type", c.rope_scaling}, {"factor", c.rope_factor}};
    if (c.rope_scaling == "llama3") {
      j["rope_scaling"]["low_freq_factor"] = c.rope_low;
      j["rope_scaling"]["high_freq_factor"] = c.rope_high;
      j["rope_scaling"]["original_max_position_embeddings"] = c.rope_original;
    }
  }
  j["initializer_range"] = c.init_std;
  const auto id = [&](const char* key, int64_t value) {
    if (value >= 0) j[key] = value;
    else j[key] = nullptr;
  };
  id("bos_token_id", c.bos), id("eos_token_id", c.eos), id("pad_token_id", c.pad);
  j["use_cache"] = true;
  j["torch_dtype"] = dtype;
  if (family.name == std::string("llama")) j.erase("clip_qkv");
  family.write(c, j);
  return j.dump(2) + "\n";
}

std::string write_generation_config(const ModelConfig& c) {
  ordered_json j;
  j["_from_model_config"] = true;
  if (c.bos >= 0) j["bos_token_id"] = c.bos;
  if (c.eos >= 0) j["eos_token_id"] = c.eos;
  if (c.pad >= 0) j["pad_token_id"] = c.pad;
  return j.dump(2) + "\n";
}

}  // namespace lyceum
