// config.json: the keys that all decoders of the llama kind share, in the spellings of transformers 4 and 5,
// and what becomes of keys that a family does not know.
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/log.h"
#include "models/config_routing.h"
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
                                             "unsloth_version",
                                             "sep_token_id",
                                             "tokenizer_class",
                                             "is_decoder",
                                             "max_length",
                                             "num_labels",
                                             "classifier_dropout",
                                             "hidden_dropout",
                                             "resid_pdrop",
                                             "embd_pdrop",
                                             "embedding_dropout",
                                             "residual_dropout",
                                             "dropout",
                                             "dropout_rate",
                                             "use_flash_attention",
                                             "attn_implementation",
                                             "gradient_checkpointing",
                                             "architecture",
                                             "finetuning_task",
                                             "task_specific_params",
                                             "n_positions",
                                             "is_encoder_decoder",
                                             "add_cross_attention",
                                             "initial_context_length",
                                             "decoder",
                                             "encoder",
                                             "use_bfloat16",
                                             "pruned_heads",
                                             "prefix",
                                             "chunk_size_feed_forward",
                                             "cross_attention_hidden_size",
                                             "tie_encoder_decoder",
                                             "torchscript",
                                             "remove_invalid_values",
                                             "_commit_hash",
                                             "seq_length_training",
                                             "ep_size",
                                             "aux_loss_alpha",
                                             "seq_aux",
                                             "model_max_length",
                                             "eod_token",
                                             "sep_token",
                                             "use_loss_mask"};
  return keys;
}

// Keys that change the mathematics where they have another value than the one that switches them off. A
// family that understands one asks for it; in any other it is refused by name.
bool switched_off(const json& v) {
  if (v.is_null()) return true;
  if (v.is_boolean()) return !v.get<bool>();
  if (v.is_number()) return v.get<double>() == 0;
  return (v.is_array() || v.is_object() || v.is_string()) && v.empty();
}
const std::map<std::string, double>& decisive_keys() {  // and the number that is neutral beside "off"
  static const std::map<std::string, double> keys = {{"sliding_window", 0},
                                                     {"attention_bias", 0},
                                                     {"mlp_bias", 0},
                                                     {"qkv_bias", 0},
                                                     {"clip_qkv", 0},
                                                     {"attn_logit_softcapping", 0},
                                                     {"final_logit_softcapping", 0},
                                                     {"embedding_multiplier", 1},
                                                     {"residual_multiplier", 1},
                                                     {"logits_scaling", 1},
                                                     {"attention_multiplier", 0},
                                                     {"logit_scale", 1},
                                                     {"query_pre_attn_scalar", 0},
                                                     {"partial_rotary_factor", 1},
                                                     {"rotary_pct", 1},
                                                     {"num_experts", 0},
                                                     {"num_local_experts", 0},
                                                     {"n_routed_experts", 0},
                                                     {"n_shared_experts", 0},
                                                     {"use_qk_norm", 0},
                                                     {"qk_layernorm", 0},
                                                     {"shared_expert_intermediate_size", 0},
                                                     {"no_rope_layers", 0},
                                                     {"scale_embedding", 0},
                                                     {"lm_head_bias", 0},
                                                     {"q_lora_rank", 0},
                                                     {"kv_lora_rank", 0},
                                                     {"attention_projection_size", 0},
                                                     {"mup_width_scale", 1},
                                                     {"attn_temperature_tuning", 0},
                                                     {"scale_depth", 0},
                                                     {"scale_emb", 1},
                                                     {"use_parallel_residual", 0},
                                                     {"layer_types", 0},
                                                     {"norm_topk_prob", 0},
                                                     {"routed_scaling_factor", 1},
                                                     {"swiglu_limit", 0},
                                                     {"final_norm", 0},
                                                     {"num_nextn_predict_layers", 0},
                                                     {"use_shareqk", 0}};
  return keys;
}

bool neutral(const std::string& key, const json& v, double number) {
  if (switched_off(v) || (v.is_number() && v.get<double>() == number)) return true;
  if (key != "layer_types" || !v.is_array()) return false;
  for (const json& type : v)
    if (type != "full_attention") return false;
  return true;
}

void look_at_the_rest(const ConfigReader& keys, const Family& family) {
  for (const auto& [key, value] : keys.json().items()) {
    if (value.is_null() || harmless_keys().count(key) || keys.asked().count(key)) continue;
    const auto decisive = decisive_keys().find(key);
    if (decisive == decisive_keys().end()) {
      log_warn("config", keys.where(), ": the key ", quote(key), " is unknown to the family ", family.name,
               " and has no effect");
    } else if (!neutral(key, value, decisive->second)) {
      fail(ErrorKind::kUnsupported, keys.where().c_str(), key, " = ",
           quote(value.dump(-1, ' ', false, json::error_handler_t::replace)),
           " changes what the model computes, and the family ", family.name, " has no such choice");
    }
  }
}

// Weights in a packed form are read as numbers (models/stored_values.h); others are refused by name.
void check_quantization(const ConfigReader& keys) {
  if (!keys.has("quantization_config")) return;
  const ConfigReader own = keys.inside("quantization_config");
  const std::string method = own.word("quant_method");
  if (method != "mxfp4" && method != "fp8")
    fail(ErrorKind::kUnsupported, own.where().c_str(), "quant_method ", quote(method), "; known: mxfp4, fp8");
  const std::vector<int64_t> block = own.integers("weight_block_size");
  if (method == "fp8" && (block != std::vector<int64_t>{128, 128} || own.word("fmt", "e4m3") != "e4m3"))
    fail(ErrorKind::kUnsupported, own.where().c_str(),
         "fp8 weights; known: fmt \"e4m3\" with weight_block_size [128, 128]");
}

const Family& family_of(const ConfigReader& keys) {
  std::string architecture = keys.word("architecture");
  if (const json* list = keys.list("architectures"))
    if (!list->empty() && list->front().is_string()) architecture = list->front().get<std::string>();
  const std::string type = keys.word("model_type");
  for (const Family& f : family_table())
    if (architecture == f.architecture || (f.also && architecture == f.also) ||
        (architecture.empty() && type == f.name))
      return f;
  std::string known;
  for (const Family& f : family_table()) known += std::string(known.empty() ? "" : ", ") + f.architecture;
  fail(ErrorKind::kUnsupported, keys.where().c_str(), "architecture ",
       quote(architecture.empty() ? type : architecture), "; known: ", known);
}

}  // namespace

void read_decoder(const ConfigReader& keys, ModelConfig& c) {
  c.vocab = keys.count("vocab_size");
  c.d_model = keys.count("hidden_size");
  c.n_layers = keys.count("num_hidden_layers");
  c.n_heads = keys.count("num_attention_heads");
  c.n_kv_heads = keys.count_or("num_key_value_heads", 0);
  c.d_head = keys.count_or("head_dim", 0);
  c.d_ff = keys.count("intermediate_size");
  c.max_positions = keys.count_or("max_position_embeddings", 2048, 1);
  c.norm_eps = keys.number("rms_norm_eps", c.norm_eps);
  c.tied = keys.flag("tie_word_embeddings", c.tied);
  c.init_std = keys.number("initializer_range", 0.02);
  c.bos = keys.token("bos_token_id"), c.eos = keys.token("eos_token_id"), c.pad = keys.token("pad_token_id");
  c.activation = read_activation(keys, "hidden_act", "silu");
  read_rope(keys, c.rope);
}

void read_experts(const ConfigReader& keys, ModelConfig& c) {
  const auto one_of = [&](std::initializer_list<const char*> names) {
    const char* found = nullptr;
    for (const char* name : names) {
      if (!keys.has(name)) continue;
      if (found)
        check(keys.count(name) == keys.count(found), "config", keys.where(), ": ", found, " = ",
              keys.count(found), ", but ", name, " = ", keys.count(name));
      else found = name;
    }
    return keys.count(found ? found : *names.begin());
  };
  c.n_experts = one_of({"num_experts", "num_local_experts", "n_routed_experts"});
  c.top_k = one_of({"num_experts_per_tok", "experts_per_token"});
}

Activation read_activation(const ConfigReader& keys, const char* key, const char* absent) {
  const std::string name = keys.word(key, absent);
  if (name == "silu" || name == "swish" || name == "swiglu") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  if (name == "relu") return Activation::kRelu;
  fail(ErrorKind::kUnsupported, keys.where().c_str(), key, " ", quote(name),
       "; known: silu, gelu, gelu_new, relu");
}

const char* activation_name(Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return "gelu";
    case Activation::kGeluTanh:
      return "gelu_new";
    case Activation::kRelu:
      return "relu";
    default:
      return "silu";
  }
}

std::vector<int64_t> dense_blocks(const ModelConfig& c) {
  std::vector<int64_t> out;
  for (int64_t layer = 0; layer < c.n_layers; ++layer)
    if (!c.sparse_layer(layer)) out.push_back(layer);
  return out;
}

ModelConfig read_model_config(const std::string& text, const std::string& path) {
  try {
    const json j = json::parse(text);
    check_data(j.is_object(), path.c_str(), "wanted an object of model keys, found ", j.type_name());
    const ConfigReader keys(j, path);
    const Family& family = family_of(keys);
    ModelConfig c;
    c.family = family.name;
    family.read(keys, c);
    family.fix(c);
    read_routing(keys, c);
    check_quantization(keys);
    look_at_the_rest(keys, family);
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

void write_decoder(const ModelConfig& c, ordered_json& j) {
  j["vocab_size"] = c.vocab;
  j["hidden_size"] = c.d_model;
  j["intermediate_size"] = c.d_ff;
  j["num_hidden_layers"] = c.n_layers;
  j["num_attention_heads"] = c.n_heads;
  j["num_key_value_heads"] = c.kv_heads();
  if (c.d_head) j["head_dim"] = c.d_head;
  j["hidden_act"] = activation_name(c.activation);
  j["rms_norm_eps"] = c.norm_eps;
  j["attention_dropout"] = 0.0;
  j["tie_word_embeddings"] = c.tied;
  j["max_position_embeddings"] = c.max_positions;
  write_rope(c.rope, j);
  j["use_cache"] = true;
}

namespace {

// The same model in one spelling: defaults written out, placements as lists.
ModelConfig spelled_out(const ModelConfig& config) {
  ModelConfig c = config;
  c.n_kv_heads = c.kv_heads(), c.d_head = c.head_width(), c.d_ff_dense = c.dense_width();
  c.dense_layers = dense_blocks(config), c.moe_first = 0, c.moe_every = 1;
  c.full_layers.clear();
  for (int64_t layer = 0; layer < c.n_layers && c.window > 0; ++layer)
    if (config.window_of(layer) == 0) c.full_layers.push_back(layer);
  if (static_cast<int64_t>(c.full_layers.size()) == c.n_layers) c.window = 0, c.full_layers.clear();
  if (!c.encoder_decoder()) c.encoder_moe_first = 0, c.encoder_moe_every = 1;
  if (!c.sparse()) c.renormalise = false, c.d_ff_dense = 0;
  c.init_cut = 0;  // of no meaning once weights are there
  return c;
}

void check_reads_back(const ModelConfig& config, const std::string& json) {
  ModelConfig wanted = spelled_out(config), found = spelled_out(read_model_config(json, "config.json"));
  std::vector<std::string> wrong = fields_diff(fields_of(wanted), fields_of(found));
  if (!wrong.empty())
    fail(ErrorKind::kUnsupported, "model", "the config.json of a ", config.family,
         " model has no words for this form; it would be read as ", wrong[0]);
}

}  // namespace

std::string write_model_config(const ModelConfig& c, const std::string& dtype) {
  const Family& family = find_family(c.family);
  ordered_json j;
  j["architectures"] = {family.architecture};
  j["model_type"] = family.name;
  family.write(c, j);
  j["initializer_range"] = c.init_std;
  const auto id = [&](const char* key, int64_t value) {
    if (value >= 0) j[key] = value;
    else j[key] = nullptr;
  };
  id("bos_token_id", c.bos), id("eos_token_id", c.eos), id("pad_token_id", c.pad);
  j["torch_dtype"] = dtype;
  write_routing(c, j);
  const std::string text = j.dump(2) + "\n";
  check_reads_back(c, text);
  return text;
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
