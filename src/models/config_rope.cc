// The rotary embedding in config.json: rope_theta and rope_scaling (transformers 4), rope_parameters (5).
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

// Keys that all scalings share stand in `inner`; longrope's original length may stand beside it (Phi-3).
void read_scaling(const ConfigReader& inner, RopeOptions& o, int64_t max_positions) {
  o.scaling = inner.word("rope_type", inner.word("type", "default"));
  if (o.scaling == "su") o.scaling = "longrope";  // its name in the first Phi-3 files
  check_rope_scaling(inner.where().c_str(), o.scaling);
  o.theta = inner.number("rope_theta", o.theta);
  o.fraction = inner.number("partial_rotary_factor", o.fraction);
  if (o.scaling == "dynamic") o.original_positions = max_positions;  // as transformers: no other is asked for
  else o.original_positions = inner.count_or("original_max_position_embeddings", o.original_positions, 1);
  // Where no factor is given, the length that the model is meant for says it.
  const bool derived = o.scaling == "longrope" || o.scaling == "yarn";
  o.factor = inner.number(
      "factor", derived ? static_cast<double>(max_positions) / static_cast<double>(o.original_positions) : 1);
  check(o.scaling == "default" || derived || inner.has("factor"), "config", inner.where(),
        ": key factor is missing, which rope type ", quote(o.scaling), " wants");
  o.low_frequency_factor = inner.number("low_freq_factor", 1);
  o.high_frequency_factor = inner.number("high_freq_factor", 4);
  o.beta_fast = inner.number("beta_fast", 32), o.beta_slow = inner.number("beta_slow", 1);
  o.truncate = inner.flag("truncate", true);
  o.mscale = inner.number("mscale", 0), o.mscale_all = inner.number("mscale_all_dim", 0);
  o.attention_factor = inner.number("attention_factor", 0);
  if (o.scaling != "longrope") return;
  o.short_factors = inner.numbers("short_factor"), o.long_factors = inner.numbers("long_factor");
  o.short_amplitude = inner.number("short_mscale", 0), o.long_amplitude = inner.number("long_mscale", 0);
}

}  // namespace

void read_rope(const ConfigReader& keys, RopeOptions& o) {
  o.theta = keys.number("rope_theta", o.theta);
  const int64_t max_positions = keys.count_or("max_position_embeddings", o.original_positions, 1);
  o.original_positions = keys.count_or("original_max_position_embeddings", max_positions, 1);
  const bool v4 = keys.object("rope_scaling"), v5 = keys.object("rope_parameters");
  if (v4) read_scaling(keys.inside("rope_scaling"), o, max_positions);
  if (v5) read_scaling(keys.inside("rope_parameters"), o, max_positions);
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
  if (o.attention_factor > 0) s["attention_factor"] = o.attention_factor;
  if (o.scaling == "longrope") s["short_factor"] = o.short_factors, s["long_factor"] = o.long_factors;
  if (o.short_amplitude > 0) s["short_mscale"] = o.short_amplitude;
  if (o.long_amplitude > 0) s["long_mscale"] = o.long_amplitude;
  if (o.scaling != "yarn") return;
  s["beta_fast"] = o.beta_fast, s["beta_slow"] = o.beta_slow, s["truncate"] = o.truncate;
  if (o.mscale != 0) s["mscale"] = o.mscale;
  if (o.mscale_all != 0) s["mscale_all_dim"] = o.mscale_all;
}

}  // namespace lyceum
