// Llama (Touvron et al. 2023, arXiv:2302.13971; grouped queries and rotary scaling of the later releases):
// the dense baseline.   x = x + attention(RMSNorm(x));  x = x + SwiGLU(RMSNorm(x))
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig&) {}

void read(const ConfigReader& keys, ModelConfig& c) {
  c.norm_eps = 1e-6;
  read_decoder(keys, c);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", false);
  c.feed_forward_bias = keys.flag("mlp_bias", false);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["attention_bias"] = c.qkv_bias;
  json["mlp_bias"] = c.feed_forward_bias;
}

}  // namespace

extern const Family kLlama;
const Family kLlama = {
    "llama", "LlamaForCausalLM", false, {"qkv_bias", "out_bias", "feed_forward_bias"}, {}, fix, read, write};

}  // namespace lyceum
