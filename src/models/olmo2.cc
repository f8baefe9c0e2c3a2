// OLMo 2 (OLMo team 2024, arXiv:2501.00656): no norm before a branch, one after it, and norms over the whole
// projections of queries and keys.
//   x = x + RMSNorm(attention(x));  x = x + RMSNorm(SwiGLU(x))
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig& c) {
  c.qk_norm = AttentionOptions::QkNorm::kFull;
  c.block = ModelConfig::BlockForm::kPostNorm;
}

void read(const ConfigReader& keys, ModelConfig& c) {
  read_decoder(keys, c);
  c.qkv_bias = c.out_bias = keys.flag("attention_bias", false);
}

void write(const ModelConfig& c, nlohmann::ordered_json& json) {
  write_decoder(c, json);
  json["attention_bias"] = c.qkv_bias;
}

}  // namespace

extern const Family kOlmo2;
const Family kOlmo2 = {"olmo2", "Olmo2ForCausalLM", false, {"qkv_bias", "out_bias"}, {}, fix, read, write};

}  // namespace lyceum
