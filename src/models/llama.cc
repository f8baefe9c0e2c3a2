// Llama (Touvron et al. 2023, arXiv:2302.13971; grouped queries and rotary scaling of the later releases):
// the dense baseline.   x = x + attention(RMSNorm(x));  x = x + SwiGLU(RMSNorm(x))
#include <nlohmann/json.hpp>

#include "models/families.h"

namespace lyceum {
namespace {

void fix(ModelConfig&) {}

void read(const nlohmann::json& json, ModelConfig& c) { c.feed_forward_bias = json.value("mlp_bias", false); }

void write(const ModelConfig& c, nlohmann::ordered_json& json) { json["mlp_bias"] = c.feed_forward_bias; }

}  // namespace

extern const Family kLlama;
const Family kLlama = {"llama", "LlamaForCausalLM", false, {}, fix, read, write};

}  // namespace lyceum
