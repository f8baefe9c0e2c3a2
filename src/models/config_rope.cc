// The rotary embedding in config.json: rope_theta and rope_scaling (transformers 4), rope_parameters (5).
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void read_scaling(const ConfigReader& keys, RopeOptions& o) {
  o.scaling = keys.word("rope_type", keys.word("type", "default"));
  if (o.scaling != "default" && o.scaling != "linear" && o.scaling != "llama3" && o.scaling != "yarn")
    fail(ErrorKind::kUnsupported, keys.where().c_str(), "rope type ", quote(o.scaling),
         "; known: default, linear, llama3, yarn");
  o.theta = keys.number("rope_theta", o.theta);
  o.fraction = keys.number("partial_rotary_factor", o.fraction);
  o.factor = keys.number("factor", 1);
  o.low_frequency_factor = keys.number("low_freq_factor", 1);
  o.high_frequency_factor = keys.number("high_freq_factor", 4);
  o.original_positions = keys.count_or("original_max_position_embeddings", o.original_positions, 1);
  o.beta_fast = keys.number("beta_fast", 32), o.beta_slow = keys.number("beta_slow", 1);
  o.truncate = keys.flag("truncate", true);
  o.mscale = keys.number("mscale", 0), o.mscale_all = keys.number("mscale_all_dim", 0);
  o.attention_factor = keys.number("attention_factor", 0);
}

}  // namespace

void read_rope(const ConfigReader& keys, RopeOptions& o) {
  o.theta = keys.number("rope_theta", o.theta);
  o.original_positions = keys.count_or("max_position_embeddings", o.original_positions, 1);
  const bool v4 = keys.object("rope_scaling"), v5 = keys.object("rope_parameters");
  if (v4) read_scaling(keys.inside("rope_scaling"), o);
  if (v5) read_scaling(keys.inside("rope_parameters"), o);
}

void write_rope(const RopeOptions& o, nlohmann::ordered_json& json) {
  json["rope_theta"] = o.theta;
  if (o.scaling == "default") {
    json["rope_scaling"] = nullptr;
    return;
  }
  nlohmann::ordered_json& s = json["rope_scaling"];
  s = {{"rope_type", o.scaling}, {"factor", o.factor}};
  if (o.scaling == "llama3") s["low_freq_factor"] = o.low_frequency_factor;
  if (o.scaling == "llama3") s["high_freq_factor"] = o.high_frequency_factor;
  if (o.scaling != "linear") s["original_max_position_embeddings"] = o.original_positions;
  if (o.scaling != "yarn") return;
  s["beta_fast"] = o.beta_fast, s["beta_slow"] = o.beta_slow, s["truncate"] = o.truncate;
  if (o.mscale != 0) s["mscale"] = o.mscale;
  if (o.mscale_all != 0) s["mscale_all_dim"] = o.mscale_all;
  if (o.attention_factor > 0) s["attention_factor"] = o.attention_factor;
}

}  // namespace lyceum
