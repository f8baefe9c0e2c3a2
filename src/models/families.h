// The list of model families: one short file each (models/<name>.cc) and one row in families.cc.
//
// A family fixes what is not the user's choice, translates between ModelConfig and config.json in both
// spellings that are in the wild (transformers 4 and 5), and says what its tensors are called in files.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/config.h"
#include "models/config_reader.h"
#include "models/file_tensors.h"

namespace lyceum {

struct Family {
  const char* name;                  // "olmoe": model_type of config.json
  const char* architecture;          // "OlmoeForCausalLM"
  bool sparse;                       // has experts, or may have
  std::vector<std::string> keys;     // of ModelConfig's keys that not all families have, those it has
  TensorNames names;                 // of its tensors in files
  void (*fix)(ModelConfig& config);  // what the form decides
  void (*read)(const ConfigReader& keys, ModelConfig& config);
  void (*write)(const ModelConfig& config, nlohmann::ordered_json& json);
  const char* also = nullptr;  // the architecture's other name in published files
};

const std::vector<Family>& family_table();
// Throws kUnsupported naming the known families.
const Family& find_family(const std::string& name);
std::vector<std::string> family_names();
bool family_is_sparse(const std::string& name);  // false for unknown names
bool family_has(const std::string& name, const std::string& key);
// The configuration with what the form of its family decides. Throws kInvalidArgument for a key that was set
// to something else.
ModelConfig family_form(const ModelConfig& config);

// Parses config.json; throws one clear line for an unknown architecture, a key that changes the mathematics
// and is not understood, an impossible shape. Unknown keys that may be harmless are named in a warning.
ModelConfig read_model_config(const std::string& text, const std::string& path);
// config.json as transformers writes it. `dtype`: "float32" or "bfloat16". Throws kUnsupported naming a key
// that the family's config.json has no words for.
std::string write_model_config(const ModelConfig& config, const std::string& dtype);
// generation_config.json.
std::string write_generation_config(const ModelConfig& config);

// For the families: the keys that all decoders of the llama kind share. What stands in `config` before is the
// value of a key that is absent.
void read_decoder(const ConfigReader& keys, ModelConfig& config);
void write_decoder(const ModelConfig& config, nlohmann::ordered_json& json);
// How many experts there are and how many see a token, under the names that families gave these numbers:
// num_experts, num_local_experts, n_routed_experts; num_experts_per_tok, experts_per_token.
void read_experts(const ConfigReader& keys, ModelConfig& config);
// rope_theta with rope_scaling (transformers 4), or rope_parameters (5); the first is written.
void read_rope(const ConfigReader& keys, RopeOptions& rope);
void write_rope(const RopeOptions& rope, nlohmann::ordered_json& json);
// hidden_act by its names: silu, swish, gelu, gelu_new, gelu_pytorch_tanh, relu. Throws kUnsupported.
Activation read_activation(const ConfigReader& keys, const char* key, const char* absent);
const char* activation_name(Activation activation);
// Blocks 0 .. n_layers - 1 that are sparse (or not), as lists in config.json have them.
std::vector<int64_t> dense_blocks(const ModelConfig& config);

}  // namespace lyceum
