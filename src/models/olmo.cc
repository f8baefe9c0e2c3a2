// OLMo (Groeneveld et al. 2024, arXiv:2402.00838): llama blocks with LayerNorm that has neither weight nor
// bias, epsilon fixed at 1e-5, and an optional clamp of queries, keys and values.
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.norm = NormOptions::Kind::kLayerPlain;
  c.norm_eps = 1e-5;
}

void read(const ConfigReader& keys, ModelConfig& c) {
  read_decoder(keys, c);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", false);
  c.clip_qkv = keys.number("clip_qkv", 0);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json.erase("rms_norm_eps");
  json["attention_bias"] = c.qkv_bias;
  json["clip_qkv"] = c.clip_qkv > 0 ? nlohmann::ordered_json(c.clip_qkv) : nlohmann::ordered_json();
}

}  // namespace

extern const Family kOlmo;
const Family kOlmo = {"olmo", "OlmoForCausalLM", false, {"qkv_bias", "out_bias", "clip_qkv"}, {}, fix, read,
                      write};

}  // namespace lyceum
