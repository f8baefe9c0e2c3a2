// The list of model families: one short file each (models/<name>.cc) and one row in families.cc.
//
// A family fixes what is not the user's choice, and translates between ModelConfig and config.json in both
// spellings that are in the wild (transformers 4 and 5).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/config.h"

namespace lyceum {

// Names of the pieces of gated networks on disk, below the layer's prefix.
struct PieceNames {
  const char* moe_prefix = "mlp";  // "mlp" or "block_sparse_moe"
  const char* gate = "gate_proj";
  const char* up = "up_proj";
  const char* down = "down_proj";
};

struct Family {
  const char* name;          // "olmoe": model_type of config.json
  const char* architecture;  // "OlmoeForCausalLM"
  bool sparse;
  PieceNames pieces;
  void (*fix)(ModelConfig& config);                               // what the form decides
  void (*read)(const nlohmann::json& json, ModelConfig& config);  // keys of its own, after the common ones
  void (*write)(const ModelConfig& config, nlohmann::ordered_json& json);
};

const std::vector<Family>& family_table();
// Throws kUnsupported naming the known families.
const Family& find_family(const std::string& name);
std::vector<std::string> family_names();
bool family_is_sparse(const std::string& name);  // false for unknown names

// Parses config.json; throws one clear line for an unknown architecture, a key that changes the mathematics
// and is not understood, an impossible shape. Unknown keys that may be harmless are named in a warning.
ModelConfig read_model_config(const std::string& text, const std::string& path);
// config.json as transformers writes it. `dtype`: "float32" or "bfloat16".
std::string write_model_config(const ModelConfig& config, const std::string& dtype);
// generation_config.json.
std::string write_generation_config(const ModelConfig& config);

}  // namespace lyceum
