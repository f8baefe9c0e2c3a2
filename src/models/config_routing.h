// Routers that a family's own config.json has no keys for: what those keys do not say stands under "lyceum",
// so that a checkpoint of any router can be read again. Other programs do not know the key and must not run
// the model.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "models/config.h"
#include "models/config_reader.h"

namespace lyceum {

// Adds "lyceum": {"router": name, key: value, ...} where `json` alone would be read as another routing.
void write_routing(const ModelConfig& config, nlohmann::ordered_json& json);
// Applies it. Throws kCorruptData for a key or value that cannot be.
void read_routing(const ConfigReader& keys, ModelConfig& config);

}  // namespace lyceum
